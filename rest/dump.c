/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dump.c - store arrays as .npy, and load or map them.
 *
 * Promise    a dump is whole or not there: the old file keeps its name until the new one is complete. What NumPy would
 *            have written for the same array is written byte by byte.
 *            A load trusts nothing: sizes are checked against the file before memory is asked for.
 * Loading    without a mode: into parloom's shared memory, so that workers get it without a copy, in this machine's
 *            byte order. With a mode: mapped; W is RW, since loading never truncates.
 * Threads    any. Blocks on the file system only.
 */
#include "base/atomics.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/replacement.h"
#include "base/status.h"
#include "rest/npy.h"
#include "rest/npy_items.h"
#include "rest/pack.h"
#include "rest/unpack.h"
#include "shm/array.h"
#include "shm/fill.h"
#include "shm/mapping.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_NBYTES     ((size_t)1 << 20) /* what is gathered before it is written */
#define ANONYMOUS_NBYTES ((size_t)32 << 20)
#define PART_NBYTES      ((size_t)8 << 20) /* what is read or written before it is told of */

/* -------------------------------------------------------------------------- dump */

/* Items that lie with gaps or in another order: collected piece by piece, so that no second array is needed. */
static int write_gathered(int fd, const parloom_array *array, uint64_t offset, struct loom_effort *effort,
                          parloom_status *status, parloom_error *error)
{
    size_t item_nbytes = array->item_nbytes;
    size_t count = loom_array_count(array);
    size_t step = item_nbytes < PIECE_NBYTES ? PIECE_NBYTES / item_nbytes : 1;
    char *piece = loom_memory_aligned(64, step * item_nbytes);
    int failed = piece == NULL ? ENOMEM : 0;
    for (size_t first = 0; first < count && failed == 0 && *status == PARLOOM_OK; first += step) {
        size_t items = count - first < step ? count - first : step;
        failed = loom_array_read(array, first, items, piece);
        if (failed == 0) failed = loom_file_write_all(fd, piece, items * item_nbytes, offset + first * item_nbytes);
        if (failed == 0) *status = loom_effort_advance(effort, items * item_nbytes, error);
    }
    free(piece);
    return failed;
}

/* Who is told that another part of the items is in its place. */
struct telling {
    struct loom_effort *effort;
    parloom_status status;
    parloom_error *error;
};

static bool tell_part(void *state, size_t nbytes)
{
    struct telling *telling = state;
    telling->status = loom_effort_advance(telling->effort, nbytes, telling->error);
    return telling->status == PARLOOM_OK;
}

/* Who is to be told is told by one thread. */
static int threads_of(const struct loom_effort *effort)
{
    return effort->progress != NULL ? 1 : parloom_effective_n_jobs(effort->n_jobs);
}

static int write_parts(int fd, const parloom_array *array, uint64_t offset, struct telling *telling)
{
    size_t nbytes = parloom_array_nbytes(array);
    int failed = 0;
    for (size_t at = 0; at < nbytes && failed == 0; at += PART_NBYTES) {
        size_t part = nbytes - at < PART_NBYTES ? nbytes - at : PART_NBYTES;
        failed = loom_file_write_all(fd, (const char *)array->data + at, part, offset + at);
        if (failed == 0 && !tell_part(telling, part)) failed = ECANCELED;
    }
    return failed;
}

/* Whose file could be cut short while it is read. To look is worth it where copying takes longer; and what is told of
 * goes in the kernel's parts. */
static bool may_vanish(const parloom_array *array, const struct loom_effort *effort)
{
    size_t nbytes = parloom_array_nbytes(array);
    return effort->progress != NULL || nbytes < ANONYMOUS_NBYTES || !loom_memory_is_anonymous(array->data, nbytes);
}

/* Items that lie as they are stored. In memory they go into huge pages. */
static int write_whole(int fd, const parloom_array *array, uint64_t offset, struct loom_effort *effort,
                       parloom_status *status, parloom_error *error)
{
    struct telling telling = { effort, PARLOOM_OK, error };
    const struct loom_fill_source items = { .data = array->data,
                                            .nbytes = parloom_array_nbytes(array),
                                            .may_vanish = may_vanish(array, effort),
                                            .told = effort->progress != NULL ? tell_part : NULL,
                                            .n_threads = threads_of(effort),
                                            .state = &telling };
    const struct loom_fill fill = {
        .fd = fd, .nbytes = offset + items.nbytes, .lead = (size_t)offset, .source = items, .is_in_memory = true
    };
    int failed =
        loom_file_is_tmpfs(fd) ? loom_fill_file(&fill, PARLOOM_MEMORY_UNSET) : write_parts(fd, array, offset, &telling);
    *status = telling.status;
    return telling.status == PARLOOM_OK ? failed : 0;
}

static parloom_status fail_write(const parloom_array *array, const char *path, int failed, parloom_error *error)
{
    if (failed == EFAULT)
        return loom_status_fail(
            error, PARLOOM_ERR_IO, failed,
            "an array for %.400s lies in a mapped file that was cut short since (what had that name "
            "before is still there)",
            path);
    if (failed == EBUSY)
        return loom_status_fail(error, PARLOOM_ERR_SPACE, failed,
                                "no room for %zu bytes of an array in %.400s: the memory limit of the control group is "
                                "reached (what had that name before is still there)",
                                parloom_array_nbytes(array), path);
    return loom_status_fail(error, loom_status_of_errno(failed), failed,
                            "could not write %zu bytes of an array to %.400s: %m (what had that name before is still "
                            "there)",
                            parloom_array_nbytes(array), path);
}

/* The header comes last: pages are touched to be made. */
static parloom_status write_array(int fd, const parloom_array *array, const char *path, const char *header,
                                  size_t header_nbytes, bool is_whole, struct loom_effort *effort, parloom_error *error)
{
    parloom_status status = PARLOOM_OK;
    loom_effort_expect(effort, parloom_array_nbytes(array), 0);
    int failed = (is_whole ? write_whole : write_gathered)(fd, array, header_nbytes, effort, &status, error);
    if (failed == 0 && status == PARLOOM_OK) failed = loom_file_write_all(fd, header, header_nbytes, 0);
    if (failed != 0) return fail_write(array, path, failed, error);
    return status == PARLOOM_OK ? loom_effort_end(effort, error) : status;
}

/* How long it will be is not known before it is written: a file system that is full says so then. */
static parloom_status dump_packed(const parloom_array *array, const char *path, const struct loom_codec_choice *choice,
                                  bool is_durable, struct loom_effort *effort, parloom_error *error)
{
    struct loom_replacement *replacement = NULL;
    parloom_status status = loom_replacement_begin(&replacement, path, 0, error);
    if (status != PARLOOM_OK) return status;
    if (is_durable) loom_replacement_make_durable(replacement);
    status = loom_pack(array, loom_replacement_fd(replacement), path, choice, effort, error);
    if (status == PARLOOM_OK) return loom_replacement_commit(replacement, error);
    loom_replacement_abort(replacement);
    return status;
}

static parloom_status dump(const parloom_array *array, const char *path, bool is_durable, struct loom_effort *effort,
                           parloom_error *error)
{
    char header[LOOM_NPY_FORMAT_NBYTES];
    bool is_c = loom_array_is_contiguous(array, false);
    bool is_fortran = !is_c && loom_array_is_contiguous(array, true);
    size_t header_nbytes = loom_npy_format(array, is_fortran, header);
    struct loom_replacement *replacement = NULL;
    uint64_t nbytes = (uint64_t)header_nbytes + parloom_array_nbytes(array);
    parloom_status status = loom_replacement_begin(&replacement, path, nbytes, error);
    if (status != PARLOOM_OK) return status;
    if (is_durable) loom_replacement_make_durable(replacement);
    status = write_array(loom_replacement_fd(replacement), array, path, header, header_nbytes, is_c || is_fortran,
                         effort, error);
    if (status == PARLOOM_OK) return loom_replacement_commit(replacement, error);
    loom_replacement_abort(replacement);
    return status;
}

static parloom_status check_dump(const parloom_array *array, const char *path, const parloom_dump_options *options,
                                 parloom_error *error)
{
    const char *low = NULL;
    size_t extent = 0;
    if (path == NULL) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no path given to dump an array to");
    for (size_t k = 0; k < sizeof options->reserved / sizeof options->reserved[0]; k++)
        if (options->reserved[k] != 0)
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "options of a dump: reserved has to be 0");
    parloom_status status = loom_array_extent(array, &low, &extent, error);
    return status == PARLOOM_OK ? loom_array_check_whole(array, error) : status;
}

parloom_status parloom_array_dump_with(const parloom_array *array, const char *path,
                                       const parloom_dump_options *options, parloom_error *error)
{
    static const parloom_dump_options UNSET;
    struct loom_codec_choice choice = { NULL, 0 };
    struct loom_effort effort;
    if (options == NULL) options = &UNSET;
    parloom_status status = check_dump(array, path, options, error);
    if (status == PARLOOM_OK) status = loom_codec_choose(options->codec, path, options->level, &choice, error);
    if (status != PARLOOM_OK) return status;
    loom_effort_begin(&effort, options->n_jobs, options->progress, options->progress_state);
    status = choice.codec != NULL ? dump_packed(array, path, &choice, options->is_durable, &effort, error)
                                  : dump(array, path, options->is_durable, &effort, error);
    loom_codec_release(choice.codec);
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}

parloom_status parloom_array_dump(const parloom_array *array, const char *path, const char *codec, int level,
                                  parloom_error *error)
{
    const parloom_dump_options options = { .codec = codec, .level = level };
    return parloom_array_dump_with(array, path, &options, error);
}

parloom_status parloom_array_dump_durable(const parloom_array *array, const char *path, const char *codec, int level,
                                          parloom_error *error)
{
    const parloom_dump_options options = { .codec = codec, .level = level, .is_durable = true };
    return parloom_array_dump_with(array, path, &options, error);
}

/* -------------------------------------------------------------------------- load */

struct source {
    const char *path;
    int fd;
    uint64_t nbytes; /* of the file */
    struct loom_npy_header header;
    char *header_text; /* as it was when it was checked: the file may change meanwhile */
};

static parloom_status fail_read(const struct source *source, int failed, parloom_error *error)
{
    if (failed == ENODATA)
        return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "%.400s became shorter while it was read", source->path);
    return loom_status_fail(error, loom_status_of_errno(failed), failed, "could not read %.400s: %m", source->path);
}

static parloom_status read_whole_header(struct source *source, size_t header_nbytes, parloom_error *error)
{
    if (header_nbytes > source->nbytes)
        return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "%.400s ends within its header of %zu bytes",
                                source->path, header_nbytes);
    char *text = loom_memory_zeroed(header_nbytes, 1);
    if (text == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for %zu bytes of the header of %.400s",
                                header_nbytes, source->path);
    int failed = loom_file_read_all(source->fd, text, header_nbytes, 0);
    parloom_status status = failed != 0 ? fail_read(source, failed, error)
                                        : loom_npy_parse(text, header_nbytes, source->path, &source->header, error);
    source->header_text = text;
    return status;
}

static parloom_status read_header(struct source *source, parloom_error *error)
{
    unsigned char prefix[LOOM_NPY_PREFIX_NBYTES];
    size_t prefix_nbytes = source->nbytes < sizeof prefix ? (size_t)source->nbytes : sizeof prefix;
    size_t header_nbytes = 0;
    int failed = loom_file_read_all(source->fd, prefix, prefix_nbytes, 0);
    if (failed != 0) return fail_read(source, failed, error);
    parloom_status status = loom_npy_measure(prefix, prefix_nbytes, source->path, &header_nbytes, error);
    if (status == PARLOOM_OK) status = read_whole_header(source, header_nbytes, error);
    if (status != PARLOOM_OK) return status;
    const struct loom_npy_header *header = &source->header;
    if (source->nbytes - header->payload_offset >= header->payload_nbytes) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0,
                            "%.400s is cut short: its header promises %zu bytes from byte %zu on, the file has %llu in "
                            "all",
                            source->path, header->payload_nbytes, header->payload_offset,
                            (unsigned long long)source->nbytes);
}

/* The items are read where they are to lie, while the memory they lie in is made and in the cache; by several threads
 * where nobody is told. failed is set by who fails and read by all, relaxed: who sees it late has read in vain. */
struct reading {
    const struct source *source;
    bool is_turned; /* as it is read */
    struct telling telling;
    size_t told;        /* bytes; another place may be tried, and be filled from the beginning */
    _Atomic int failed; /* from then on nothing is read; ECANCELED: the telling says why */
};

static void tell_read(struct reading *reading, size_t end)
{
    if (reading->telling.effort->progress == NULL || end <= reading->told) return;
    if (!tell_part(&reading->telling, end - reading->told)) loom_store_relaxed(&reading->failed, ECANCELED);
    reading->told = end;
}

static void read_part(void *state, char *into, size_t from, size_t nbytes)
{
    struct reading *reading = state;
    const struct loom_npy_header *header = &reading->source->header;
    for (size_t done = 0; done < nbytes && loom_load_relaxed(&reading->failed) == 0; done += LOOM_FILL_PART_NBYTES) {
        size_t part = nbytes - done < LOOM_FILL_PART_NBYTES ? nbytes - done : LOOM_FILL_PART_NBYTES;
        int failed = loom_file_read_all(reading->source->fd, into + done, part, header->payload_offset + from + done);
        if (failed != 0) {
            loom_store_relaxed(&reading->failed, failed);
            return;
        }
        if (reading->is_turned) loom_npy_turn_part(header, into + done, part);
        tell_read(reading, from + done + part);
    }
}

static parloom_status finish_copy(parloom_array *array, const struct reading *reading, parloom_byte_order order,
                                  parloom_error *error)
{
    const struct source *source = reading->source;
    parloom_status status = PARLOOM_OK;
    if (reading->telling.status != PARLOOM_OK) return reading->telling.status;
    int failed = loom_load_relaxed(&reading->failed);
    if (failed != 0) return fail_read(source, failed, error);
    if (order == PARLOOM_BYTE_ORDER_KEPT)
        array->flags |= source->header.is_swapped ? LOOM_ARRAY_SWAPPED : 0U;
    else if (!reading->is_turned)
        status = loom_npy_make_native(&source->header, source->header_text, array->data, source->path, error);
    return status == PARLOOM_OK ? loom_effort_end(reading->telling.effort, error) : status;
}

static parloom_status load_copy(parloom_array *array, const struct source *source, parloom_byte_order order,
                                struct loom_effort *effort, parloom_error *error)
{
    const struct loom_npy_header *header = &source->header;
    bool is_kept = order == PARLOOM_BYTE_ORDER_KEPT;
    struct reading reading = { .source = source,
                               .is_turned = !is_kept && loom_npy_is_turned_by_parts(header, LOOM_FILL_PART_NBYTES),
                               .telling = { effort, PARLOOM_OK, error } };
    const struct loom_fill_source items = {
        .nbytes = header->payload_nbytes, .put = read_part, .n_threads = threads_of(effort), .state = &reading
    };
    loom_effort_expect(effort, header->payload_nbytes, 0);
    parloom_status status = loom_array_allocate_filled(array, &items, error);
    if (status != PARLOOM_OK) return status;
    status = finish_copy(array, &reading, order, error);
    if (status != PARLOOM_OK) parloom_array_release(array);
    return status;
}

static parloom_status load_mapped(parloom_array *array, const struct source *source, parloom_mmap_mode mode,
                                  parloom_error *error)
{
    const struct loom_npy_header *header = &source->header;
    parloom_status status = loom_npy_check_alignment(header, header->payload_offset, source->path, error);
    if (status == PARLOOM_OK)
        status = loom_array_map_part(array, source->path, source->fd, mode, header->payload_offset,
                                     header->payload_nbytes, error);
    if (status == PARLOOM_OK && header->is_swapped) array->flags |= LOOM_ARRAY_SWAPPED;
    return status;
}

static parloom_status load(parloom_array *array, struct source *source, const parloom_load_options *options,
                           parloom_error *error)
{
    parloom_mmap_mode mode = options->mode;
    struct loom_effort effort;
    loom_effort_begin(&effort, options->n_jobs, options->progress, options->progress_state);
    parloom_status status = loom_mapping_open_file(source->path, mode, &source->fd, &source->nbytes, error);
    if (status != PARLOOM_OK) return status;
    if (loom_unpack_is_packed(source->fd, 0)) {
        loom_unpack_warn(mode, source->path, "compressed");
        status = loom_unpack(array, source->fd, source->path, true, options->order, &effort, error);
        close(source->fd);
        return status;
    }
    status = read_header(source, error);
    *array = loom_npy_describe(&source->header);
    if (status == PARLOOM_OK && mode == PARLOOM_MMAP_UNSET)
        status = load_copy(array, source, options->order, &effort, error);
    else if (status == PARLOOM_OK)
        status = load_mapped(array, source, mode, error);
    free(source->header_text);
    close(source->fd);
    return status;
}

static parloom_status check_load(const parloom_load_options *options, parloom_error *error)
{
    parloom_byte_order order = options->order;
    parloom_status status = loom_mapping_check_mode(options->mode, error);
    if (status != PARLOOM_OK) return status;
    for (size_t k = 0; k < sizeof options->reserved / sizeof options->reserved[0]; k++)
        if (options->reserved[k] != 0)
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "options of a load: reserved has to be 0");
    if (order < PARLOOM_BYTE_ORDER_UNSET || order > PARLOOM_BYTE_ORDER_KEPT)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "byte order %d is none of PARLOOM_BYTE_ORDER_UNSET, _NATIVE and _KEPT", (int)order);
    if (order != PARLOOM_BYTE_ORDER_NATIVE || options->mode == PARLOOM_MMAP_UNSET) return PARLOOM_OK;
    return loom_status_fail(
        error, PARLOOM_ERR_INVALID, 0,
        "a file that is mapped keeps its byte order: load it without a mode to have the native one");
}

parloom_status parloom_array_load_with(parloom_array *array_out, const char *path, const parloom_load_options *options,
                                       parloom_error *error)
{
    static const parloom_load_options UNSET;
    struct source source = { .path = path, .fd = -1 };
    parloom_array array;
    if (options == NULL) options = &UNSET;
    if (array_out == NULL || path == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no %s given to load an array",
                                path == NULL ? "path" : "array");
    parloom_status status = check_load(options, error);
    if (status == PARLOOM_OK) status = load(&array, &source, options, error);
    if (status != PARLOOM_OK) return status;
    *array_out = array;
    loom_status_clear(error);
    return PARLOOM_OK;
}

parloom_status parloom_array_load_ordered(parloom_array *array_out, const char *path, parloom_mmap_mode mode,
                                          parloom_byte_order order, parloom_error *error)
{
    const parloom_load_options options = { .mode = mode, .order = order };
    return parloom_array_load_with(array_out, path, &options, error);
}

parloom_status parloom_array_load(parloom_array *array_out, const char *path, parloom_mmap_mode mode,
                                  parloom_error *error)
{
    const parloom_load_options options = { .mode = mode };
    return parloom_array_load_with(array_out, path, &options, error);
}

bool parloom_array_is_native(const parloom_array *array)
{
    return (array->flags & LOOM_ARRAY_SWAPPED) == 0;
}
