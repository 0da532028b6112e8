/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_lzma.c - xz, and the older lzma, by liblzma. */
#include "rest/codec_builtin.h"

#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

static bool recognise_xz(void *state, const void *bytes, size_t nbytes)
{
    (void)state;
    return nbytes >= 6 && memcmp(bytes, "\xfd\x37zXZ\0", 6) == 0;
}

/* Its header has no word of its own: the usual properties, a dictionary, and as its length a small one or none. */
static bool recognise_lzma(void *state, const void *bytes, size_t nbytes)
{
    const unsigned char *head = bytes;
    (void)state;
    if (nbytes < 13 || memcmp(head, "\x5d\0\0", 3) != 0) return false;
    return memcmp(head + 5, "\xff\xff\xff\xff\xff\xff\xff\xff", 8) == 0 || memcmp(head + 11, "\0\0", 2) == 0;
}

#ifdef PARLOOM_HAVE_LZMA
#include "rest/codec_library.h"

#include <lzma.h>

enum { DEFAULT_LEVEL = 6 };
/* For reading: what xz itself writes needs 65 MiB at most; a damaged header can ask for 4 GiB. */
#define READ_MEMORY ((uint64_t)256 << 20)

#define LZMA_CALLS(X)      \
    X(lzma_easy_encoder)   \
    X(lzma_alone_encoder)  \
    X(lzma_lzma_preset)    \
    X(lzma_stream_decoder) \
    X(lzma_alone_decoder)  \
    X(lzma_code)           \
    X(lzma_end)
static struct {
#define LZMA_CALL(name) __typeof__(name) *name; /* NOLINT(bugprone-macro-parentheses): a declaration */
    LZMA_CALLS(LZMA_CALL)
} lzma;
#define LZMA_NAME(name) #name,
static const char *const NAMES[] = { LZMA_CALLS(LZMA_NAME) NULL };
static struct loom_codec_library library = { "liblzma.so.5", "liblzma5", NAMES, &lzma, false };

static lzma_ret begin(lzma_stream *stream, enum loom_codec_lzma_form form, int level)
{
    lzma_options_lzma options;
    if (level == PARLOOM_CODEC_DECOMPRESS)
        return form == LOOM_CODEC_XZ ? lzma.lzma_stream_decoder(stream, READ_MEMORY, 0)
                                     : lzma.lzma_alone_decoder(stream, READ_MEMORY);
    uint32_t preset = level == 0 ? DEFAULT_LEVEL : (uint32_t)level;
    if (form == LOOM_CODEC_XZ) return lzma.lzma_easy_encoder(stream, preset, LZMA_CHECK_CRC64);
    return lzma.lzma_lzma_preset(&options, preset) ? LZMA_OPTIONS_ERROR : lzma.lzma_alone_encoder(stream, &options);
}

static parloom_status open_lzma(void *state, int level, size_t item_nbytes, void **stream_out, parloom_error *error)
{
    static const lzma_stream EMPTY = LZMA_STREAM_INIT;
    const int *form = state;
    (void)item_nbytes;
    parloom_status status = loom_codec_library_open(&library, error);
    if (status != PARLOOM_OK) return status;
    lzma_stream *stream = loom_memory_zeroed(1, sizeof *stream);
    if (stream != NULL) *stream = EMPTY;
    if (stream == NULL || begin(stream, (enum loom_codec_lzma_form) * form, level) != LZMA_OK) {
        free(stream);
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for liblzma");
    }
    *stream_out = stream;
    return PARLOOM_OK;
}

static parloom_status step_lzma(void *opaque, parloom_codec_step *step, parloom_error *error)
{
    lzma_stream *stream = opaque;
    stream->next_in = step->in;
    stream->avail_in = step->in_nbytes;
    stream->next_out = step->out;
    stream->avail_out = step->out_nbytes;
    lzma_ret result = lzma.lzma_code(stream, step->is_last ? LZMA_FINISH : LZMA_RUN);
    step->in = stream->next_in;
    step->in_nbytes = stream->avail_in;
    step->out = stream->next_out;
    step->out_nbytes = stream->avail_out;
    step->is_done = result == LZMA_STREAM_END;
    if (result == LZMA_OK || result == LZMA_STREAM_END || result == LZMA_BUF_ERROR) return PARLOOM_OK;
    if (result == LZMA_MEM_ERROR) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for liblzma");
    if (result == LZMA_MEMLIMIT_ERROR)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "a dictionary is wanted that needs more than 256 MiB");
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "damaged: liblzma cannot read it (%d)", (int)result);
}

static void close_lzma(void *opaque)
{
    lzma.lzma_end(opaque);
    free(opaque);
}
#define LZMA_OPS .open = open_lzma, .step = step_lzma, .close = close_lzma
#else
#define LZMA_OPS .open = NULL
#endif

enum { LZMA_EXPANSION = 1 << 14 /* 8100 : 1 is what its coder can reach */ };
const parloom_codec_ops loom_codec_xz_ops = { .struct_size = sizeof(parloom_codec_ops),
                                              .abi = PARLOOM_CODEC_ABI,
                                              .flags = PARLOOM_CODEC_FRAMES,
                                              .ending = ".xz",
                                              .recognise = recognise_xz,
                                              .frame_nbytes = (size_t)24 << 20, /* three dictionaries, as xz -T */
                                              .most_expansion = LZMA_EXPANSION,
                                              LZMA_OPS };
const parloom_codec_ops loom_codec_lzma_ops = { .struct_size = sizeof(parloom_codec_ops),
                                                .abi = PARLOOM_CODEC_ABI,
                                                .ending = ".lzma",
                                                .recognise = recognise_lzma,
                                                .most_expansion = LZMA_EXPANSION,
                                                LZMA_OPS };
