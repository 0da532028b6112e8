/* SPDX-License-Identifier: BSD-3-Clause */
/* deflate.c - members of zip archives that are packed, by zlib, which is opened when it is first needed. */
#include "rest/deflate.h"

#include "base/memory.h"
#include "base/status.h"

#include <limits.h>
#include <stdlib.h>

#ifdef PARLOOM_HAVE_ZLIB

#include <dlfcn.h>
#include <string.h>
#include <zlib.h>

#define LOOM_DEFLATE_IMPORTS(X) \
    X(deflateInit2_)            \
    X(deflate)                  \
    X(deflateEnd)               \
    X(inflateInit2_)            \
    X(inflate)                  \
    X(inflateEnd)

#define LOOM_DEFLATE_DECLARE(name) __typeof__(name) *(name);
struct loom_deflate {
    void *library;
    z_stream z;
    bool packs, is_begun;
    LOOM_DEFLATE_IMPORTS(LOOM_DEFLATE_DECLARE)
};

static bool import_symbol(void *library, const char *name, void *pointer_out)
{
    void *symbol = dlsym(library, name);
    memcpy(pointer_out, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool open_zlib(struct loom_deflate *stream)
{
    stream->library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
    bool is_whole = stream->library != NULL;
#define LOOM_DEFLATE_IMPORT(name) is_whole = is_whole && import_symbol(stream->library, #name, &stream->name);
    LOOM_DEFLATE_IMPORTS(LOOM_DEFLATE_IMPORT)
    return is_whole;
}

/* MAX_WBITS below zero: no header of zlib's around it. */
static bool begin(struct loom_deflate *stream, bool packs, int level)
{
    const int version_nbytes = (int)sizeof stream->z;
    stream->packs = packs;
    int result = packs ? stream->deflateInit2_(&stream->z, level == 0 ? 6 : level, Z_DEFLATED, -MAX_WBITS, 8,
                                               Z_DEFAULT_STRATEGY, ZLIB_VERSION, version_nbytes)
                       : stream->inflateInit2_(&stream->z, -MAX_WBITS, ZLIB_VERSION, version_nbytes);
    stream->is_begun = result == Z_OK;
    return stream->is_begun;
}

static parloom_status begin_stream(struct loom_deflate **stream_out, bool packs, int level, parloom_error *error)
{
    struct loom_deflate *stream = loom_memory_zeroed(1, sizeof *stream);
    parloom_status status = PARLOOM_OK;
    if (stream != NULL && !open_zlib(stream))
        status = loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                                  "deflated arrays need libz.so.1, which was not found (on Debian: zlib1g)");
    else if (stream == NULL || !begin(stream, packs, level))
        status = loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for deflated arrays");
    if (status != PARLOOM_OK)
        loom_deflate_end(stream);
    else
        *stream_out = stream;
    return status;
}

static uInt cut_to_uint(size_t nbytes)
{
    return nbytes < INT_MAX ? (uInt)nbytes : (uInt)INT_MAX;
}

static int step(struct loom_deflate *stream, struct loom_deflate_buffers *buffers, bool is_last)
{
    z_stream *z = &stream->z;
    uInt in = cut_to_uint(buffers->in_nbytes), out = cut_to_uint(buffers->out_nbytes);
    z->next_in = (Bytef *)(uintptr_t)buffers->in; // NOLINT(performance-no-int-to-ptr): zlib does not write there
    z->avail_in = in;
    z->next_out = buffers->out;
    z->avail_out = out;
    bool finishes = is_last && in == buffers->in_nbytes;
    int result = stream->packs ? stream->deflate(z, finishes ? Z_FINISH : Z_NO_FLUSH) : stream->inflate(z, Z_NO_FLUSH);
    buffers->in = z->next_in;
    buffers->in_nbytes -= in - z->avail_in;
    buffers->out = z->next_out;
    buffers->out_nbytes -= out - z->avail_out;
    return result;
}

static enum loom_deflate_state state_of(int result)
{
    if (result == Z_STREAM_END) return LOOM_DEFLATE_END;
    return result == Z_OK || result == Z_BUF_ERROR ? LOOM_DEFLATE_MORE : LOOM_DEFLATE_DAMAGED;
}

enum loom_deflate_state loom_deflate_pack(struct loom_deflate *stream, struct loom_deflate_buffers *buffers,
                                          bool is_last)
{
    return state_of(step(stream, buffers, is_last));
}

enum loom_deflate_state loom_deflate_unpack(struct loom_deflate *stream, struct loom_deflate_buffers *buffers)
{
    return state_of(step(stream, buffers, false));
}

void loom_deflate_end(struct loom_deflate *stream)
{
    if (stream == NULL) return;
    if (stream->is_begun) (void)(stream->packs ? stream->deflateEnd(&stream->z) : stream->inflateEnd(&stream->z));
    if (stream->library != NULL) dlclose(stream->library);
    free(stream);
}

#else

struct loom_deflate {
    char unused;
};

static parloom_status begin_stream(struct loom_deflate **stream_out, bool packs, int level, parloom_error *error)
{
    (void)stream_out, (void)packs, (void)level;
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                            "this build of parloom cannot deflate: build it with PARLOOM_WITH_ZLIB=ON (on Debian: "
                            "apt-get install zlib1g-dev)");
}

enum loom_deflate_state loom_deflate_pack(struct loom_deflate *stream, struct loom_deflate_buffers *buffers,
                                          bool is_last)
{
    (void)stream, (void)buffers, (void)is_last;
    return LOOM_DEFLATE_DAMAGED;
}

enum loom_deflate_state loom_deflate_unpack(struct loom_deflate *stream, struct loom_deflate_buffers *buffers)
{
    (void)stream, (void)buffers;
    return LOOM_DEFLATE_DAMAGED;
}

void loom_deflate_end(struct loom_deflate *stream)
{
    (void)stream;
}

#endif

parloom_status loom_deflate_begin_packing(struct loom_deflate **stream_out, int level, parloom_error *error)
{
    return begin_stream(stream_out, true, level, error);
}

parloom_status loom_deflate_begin_unpacking(struct loom_deflate **stream_out, parloom_error *error)
{
    return begin_stream(stream_out, false, 0, error);
}
