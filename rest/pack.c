/* SPDX-License-Identifier: BSD-3-Clause */
/* pack.c - an array to a descriptor, in one stream. */
#include "rest/pack.h"

#include "base/memory.h"
#include "base/status.h"
#include "rest/descriptor.h"
#include "rest/npy.h"
#include "shm/array.h"

#include <errno.h>
#include <stdlib.h>

enum { GATHER_NBYTES = 1 << 20, OUT_NBYTES = 1 << 18 };
_Static_assert(sizeof((struct loom_pack){ 0 }.header) >= LOOM_NPY_FORMAT_NBYTES, "room for every header");

static parloom_status fail_read(int failed, parloom_error *error)
{
    if (failed == EFAULT)
        return loom_status_fail(error, PARLOOM_ERR_IO, failed,
                                "an array lies in a mapped file that was cut short since");
    return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short while an array is packed");
}

/* Whole items, from the one on in which the byte lies. */
static parloom_status gather(struct loom_pack_cursor *cursor, uint64_t offset, size_t wanted, const void **piece_out,
                             size_t *nbytes_out, parloom_error *error)
{
    const struct loom_pack *pack = cursor->pack;
    size_t item_nbytes = pack->array->item_nbytes;
    size_t room = item_nbytes < GATHER_NBYTES ? GATHER_NBYTES / item_nbytes * item_nbytes : item_nbytes;
    if (cursor->gathered == NULL) cursor->gathered = loom_memory_aligned(64, room);
    if (cursor->gathered == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for %zu bytes of items", room);
    size_t first = (size_t)(offset / item_nbytes), skipped = (size_t)(offset % item_nbytes);
    size_t count = loom_array_count(pack->array) - first;
    if (count > room / item_nbytes) count = room / item_nbytes;
    if (count > (skipped + wanted + item_nbytes - 1) / item_nbytes)
        count = (skipped + wanted + item_nbytes - 1) / item_nbytes;
    int failed = loom_array_read(pack->array, first, count, cursor->gathered);
    if (failed != 0) return fail_read(failed, error);
    size_t nbytes = count * item_nbytes - skipped;
    *piece_out = cursor->gathered + skipped;
    *nbytes_out = nbytes < wanted ? nbytes : wanted;
    return PARLOOM_OK;
}

parloom_status loom_pack_next(struct loom_pack_cursor *cursor, const void **piece_out, size_t *nbytes_out,
                              parloom_error *error)
{
    const struct loom_pack *pack = cursor->pack;
    parloom_status status = PARLOOM_OK;
    uint64_t at = cursor->at, end = cursor->end;
    if (at < pack->header_nbytes && end > pack->header_nbytes) end = pack->header_nbytes;
    if (cursor->most > 0 && end - at > cursor->most) end = at + cursor->most;
    size_t nbytes = (size_t)(end - at);
    if (at < pack->header_nbytes || nbytes == 0)
        *piece_out = pack->header + at * (nbytes > 0);
    else if (pack->is_contiguous)
        *piece_out = (const char *)pack->array->data + (at - pack->header_nbytes);
    else
        status = gather(cursor, at - pack->header_nbytes, nbytes, piece_out, &nbytes, error);
    *nbytes_out = status == PARLOOM_OK ? nbytes : 0;
    cursor->at += *nbytes_out;
    return status;
}

parloom_status loom_pack_write(const struct loom_pack *pack, const void *data, size_t nbytes, parloom_error *error)
{
    int failed = loom_descriptor_write(pack->fd, data, nbytes);
    if (failed == 0) return PARLOOM_OK;
    return loom_status_fail(error, loom_status_of_errno(failed), failed,
                            "could not write an array of %zu bytes to "
                            "%.400s: %m",
                            parloom_array_nbytes(pack->array), pack->name);
}

static parloom_status write_plain(struct loom_pack_cursor *cursor, parloom_error *error)
{
    const void *piece = NULL;
    size_t nbytes = 1;
    parloom_status status = PARLOOM_OK;
    while (status == PARLOOM_OK && nbytes > 0) {
        status = loom_pack_next(cursor, &piece, &nbytes, error);
        if (status == PARLOOM_OK) status = loom_pack_write(cursor->pack, piece, nbytes, error);
        if (status == PARLOOM_OK) status = loom_effort_advance(cursor->pack->effort, nbytes, error);
    }
    return status;
}

/* Hands the coder one piece, and writes what comes out. */
static parloom_status feed(const struct loom_pack *pack, void *stream, parloom_codec_step *step, char *out,
                           parloom_error *error)
{
    do {
        size_t in_nbytes = step->in_nbytes;
        step->out = out;
        step->out_nbytes = OUT_NBYTES;
        parloom_status status = loom_codec_step(pack->codec, stream, step, error);
        if (status == PARLOOM_OK && !step->is_done && step->in_nbytes == in_nbytes && step->out_nbytes == OUT_NBYTES)
            status = loom_status_fail(error, PARLOOM_ERR_INTERNAL, 0, "the codec %s does not end", pack->codec->name);
        if (status == PARLOOM_OK) status = loom_pack_write(pack, out, OUT_NBYTES - step->out_nbytes, error);
        if (status != PARLOOM_OK) return status;
    } while (!step->is_done && (step->in_nbytes > 0 || step->is_last));
    return PARLOOM_OK;
}

static parloom_status write_stream(struct loom_pack_cursor *cursor, void *stream, char *out, parloom_error *error)
{
    parloom_codec_step step = { .is_last = false };
    while (!step.is_last) {
        parloom_status status = loom_pack_next(cursor, &step.in, &step.in_nbytes, error);
        size_t nbytes = step.in_nbytes;
        step.is_last = cursor->at == cursor->end;
        if (status == PARLOOM_OK) status = feed(cursor->pack, stream, &step, out, error);
        if (status == PARLOOM_OK) status = loom_effort_advance(cursor->pack->effort, nbytes, error);
        if (status != PARLOOM_OK) return status;
    }
    return PARLOOM_OK;
}

static parloom_status write_compressed(struct loom_pack_cursor *cursor, parloom_error *error)
{
    const struct loom_pack *pack = cursor->pack;
    void *stream = NULL;
    char *out = loom_memory_aligned(64, OUT_NBYTES);
    if (out == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short to compress %s", pack->name);
    parloom_status status = loom_codec_open(pack->codec, pack->level, pack->array->item_nbytes, &stream, error);
    if (status == PARLOOM_OK) {
        status = write_stream(cursor, stream, out, error);
        pack->codec->ops.close(stream);
    }
    free(out);
    return status;
}

/* Of an array without gaps: the same bytes along one axis. */
static parloom_array flatten(const parloom_array *array)
{
    parloom_array flat = *array;
    flat.ndim = 1;
    flat.shape[0] = loom_array_count(array);
    flat.strides[0] = (ptrdiff_t)array->item_nbytes;
    return flat;
}

static parloom_status write_all(const struct loom_pack *pack, parloom_error *error)
{
    if (pack->codec != NULL && ((pack->codec->ops.flags & PARLOOM_CODEC_FRAMES) != 0 || pack->codec->joint != NULL))
        return loom_pack_frames(pack, error);
    struct loom_pack_cursor cursor = { pack, 0, pack->nbytes, LOOM_PACK_PIECE_NBYTES, NULL };
    parloom_status status = pack->codec == NULL ? write_plain(&cursor, error) : write_compressed(&cursor, error);
    free(cursor.gathered);
    return status;
}

parloom_status loom_pack(const parloom_array *array, int fd, const char *name, const struct loom_codec_choice *choice,
                         struct loom_effort *effort, parloom_error *error)
{
    bool is_c = loom_array_is_contiguous(array, false);
    bool is_fortran = !is_c && loom_array_is_contiguous(array, true);
    struct loom_pack pack = { .array = array, .fd = fd, .name = name, .codec = choice->codec, .level = choice->level };
    pack.header_nbytes = loom_npy_format(array, is_fortran, pack.header);
    pack.nbytes = (uint64_t)pack.header_nbytes + parloom_array_nbytes(array);
    pack.is_contiguous = is_c || is_fortran;
    /* A coder must not meet the end of a mapped file that somebody cuts short. */
    const parloom_array flat = flatten(array);
    if (pack.is_contiguous && pack.codec != NULL && loom_array_is_file(array)) {
        pack.array = &flat;
        pack.is_contiguous = false;
    }
    pack.effort = effort;
    loom_effort_expect(effort, parloom_array_nbytes(array), pack.header_nbytes);
    parloom_status status = write_all(&pack, error);
    return status == PARLOOM_OK ? loom_effort_end(effort, error) : status;
}
