/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * array_read.c - the items of an array, also where they lie in a file that somebody may cut short.
 *
 * Looking at the length of a mapped file before reading does not help: it may be cut in between, and that is a SIGBUS.
 * So such bytes are copied by the kernel (process_vm_readv of ourselves), which answers EFAULT; a sandbox that forbids
 * it leaves the plain way.
 *
 *   without gaps     straight into place
 *   gaps             all that lies between the first and the last item of a part, into a buffer that stays in the
 *                    cache, and from there by strides
 *   large gaps       a list of runs for the kernel: each takes it as long as copying RUN_NBYTES
 */
#include "base/memory.h"
#include "shm/array.h"
#include "shm/segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define BUFFER_NBYTES  ((size_t)1 << 17)
#define AT_ONCE_NBYTES ((size_t)1 << 30) /* the kernel copies no more than 2 GiB */
enum { RUNS_AT_ONCE = 256, RUN_NBYTES = 2048 };

bool loom_array_is_file(const parloom_array *array)
{
    const struct loom_segment *segment = loom_segment_of(array->data);
    if (segment != NULL) return loom_segment_is_mapped_file(segment->access);
    return parloom_array_is_memmap(array); /* mapped where workers do not see it */
}

/* ------------------------------------------------------------------------- bytes */

static void copy_plainly(char *into, const struct iovec *runs, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        memcpy(into, runs[k].iov_base, runs[k].iov_len);
        into += runs[k].iov_len;
    }
}

/* nbytes: of all runs. 0 or EFAULT. */
static int copy_runs(void *into, size_t nbytes, const struct iovec *runs, size_t count)
{
    struct iovec to = { into, nbytes };
    ssize_t copied = process_vm_readv(getpid(), &to, 1, runs, count, 0);
    if (copied == (ssize_t)nbytes) return 0;
    if (copied >= 0 || (errno != ENOSYS && errno != EPERM)) return EFAULT;
    copy_plainly(into, runs, count);
    return 0;
}

int loom_array_read_bytes(void *into, const void *bytes, size_t nbytes)
{
    int failed = 0;
    for (size_t done = 0; done < nbytes && failed == 0; done += AT_ONCE_NBYTES) {
        size_t part = nbytes - done < AT_ONCE_NBYTES ? nbytes - done : AT_ONCE_NBYTES;
        const struct iovec run = { (char *)(uintptr_t)bytes + done, part };
        failed = copy_runs((char *)into + done, part, &run, 1);
    }
    return failed;
}

/* ------------------------------------------------------------------------- items */

static void find_index(const parloom_array *array, size_t item, size_t index[PARLOOM_MAX_NDIM])
{
    for (int axis = array->ndim - 1; axis >= 0; axis--) {
        index[axis] = item % array->shape[axis];
        item /= array->shape[axis];
    }
}

/* Where the items [first, first + count) lie: from *low_out bytes behind the array's first item, as many as returned.
 */
static size_t find_span(const parloom_array *array, size_t first, size_t count, ptrdiff_t *low_out)
{
    size_t begin[PARLOOM_MAX_NDIM], last[PARLOOM_MAX_NDIM];
    ptrdiff_t low = 0, high = 0;
    bool is_same = true; /* all axes before have one index only */
    find_index(array, first, begin);
    find_index(array, first + count - 1, last);
    for (int axis = 0; axis < array->ndim; axis++) {
        ptrdiff_t from = is_same ? (ptrdiff_t)begin[axis] : 0;
        ptrdiff_t to = is_same ? (ptrdiff_t)last[axis] : (ptrdiff_t)array->shape[axis] - 1;
        ptrdiff_t stride = array->strides[axis];
        low += stride * (stride < 0 ? to : from);
        high += stride * (stride < 0 ? from : to);
        is_same = is_same && from == to;
    }
    *low_out = low;
    return (size_t)(high - low) + array->item_nbytes;
}

/* All that lies between them, and then they by their strides. */
static int read_span(const parloom_array *array, size_t first, size_t count, ptrdiff_t low, size_t nbytes, char *buffer,
                     void *items_out)
{
    parloom_array copy = *array;
    int failed = loom_array_read_bytes(buffer, (const char *)array->data + low, nbytes);
    if (failed) return failed;
    copy.data = (void *)((uintptr_t)buffer - (uintptr_t)low); // NOLINT(performance-no-int-to-ptr)
    loom_array_gather(&copy, first, count, items_out);
    return 0;
}

/* Items that lie one behind the other from this index on. */
static size_t run_length(const parloom_array *array, const size_t index[PARLOOM_MAX_NDIM])
{
    int last = array->ndim - 1;
    if (last < 0 || array->strides[last] != (ptrdiff_t)array->item_nbytes) return 1;
    return array->shape[last] - index[last];
}

static void step(const parloom_array *array, size_t index[PARLOOM_MAX_NDIM], size_t items)
{
    int axis = array->ndim - 1;
    if (axis < 0) return;
    index[axis] += items;
    for (; axis > 0 && index[axis] == array->shape[axis]; axis--) {
        index[axis] = 0;
        index[axis - 1]++;
    }
}

/* As many of count items as go into one list of runs; *done_out: how many. */
static int read_runs(const parloom_array *array, size_t first, size_t count, void *items_out, size_t *done_out)
{
    struct iovec runs[RUNS_AT_ONCE];
    size_t index[PARLOOM_MAX_NDIM] = { 0 };
    size_t most = AT_ONCE_NBYTES / array->item_nbytes;
    size_t used = 0, items = 0;
    find_index(array, first, index);
    if (count > most) count = most;
    while (items < count && used < RUNS_AT_ONCE) {
        char *start = array->data;
        for (int axis = 0; axis < array->ndim; axis++) start += (ptrdiff_t)index[axis] * array->strides[axis];
        size_t run = run_length(array, index);
        if (run > count - items) run = count - items;
        runs[used++] = (struct iovec){ start, run * array->item_nbytes };
        items += run;
        step(array, index, run);
    }
    *done_out = items;
    return copy_runs(items_out, items * array->item_nbytes, runs, used);
}

/* ----------------------------------------------------------------------- by parts */

/* How many of count items lie so close that all between them goes into the buffer; *nbytes_out of it. */
static size_t find_part(const parloom_array *array, size_t first, size_t count, ptrdiff_t *low_out, size_t *nbytes_out)
{
    if (count > BUFFER_NBYTES / array->item_nbytes) count = BUFFER_NBYTES / array->item_nbytes;
    size_t nbytes = find_span(array, first, count, low_out);
    while (nbytes > BUFFER_NBYTES && count > 1) {
        count /= 2;
        nbytes = find_span(array, first, count, low_out);
    }
    *nbytes_out = nbytes;
    return count;
}

/* Reading what lies between them takes no longer than naming each run. */
static bool is_dense(const parloom_array *array, size_t count, size_t nbytes)
{
    int last = array->ndim - 1;
    bool has_runs = last >= 0 && array->strides[last] == (ptrdiff_t)array->item_nbytes;
    size_t run_nbytes = has_runs ? array->shape[last] * array->item_nbytes : array->item_nbytes;
    size_t runs = count * array->item_nbytes / run_nbytes + 1;
    return run_nbytes < 2 * RUN_NBYTES && nbytes <= count * array->item_nbytes + runs * RUN_NBYTES;
}

static int read_parts(const parloom_array *array, size_t first, size_t count, char *buffer, char *items_out)
{
    int failed = 0;
    while (count > 0 && failed == 0) {
        ptrdiff_t low = 0;
        size_t nbytes = 0, done = find_part(array, first, count, &low, &nbytes);
        if (is_dense(array, done, nbytes))
            failed = read_span(array, first, done, low, nbytes, buffer, items_out);
        else
            failed = read_runs(array, first, count, items_out, &done);
        first += done;
        count -= done;
        items_out += done * array->item_nbytes;
    }
    return failed;
}

/* Items larger than the buffer, one by one. */
static int read_large(const parloom_array *array, size_t first, size_t count, char *items_out)
{
    int failed = 0;
    for (size_t k = 0; k < count && failed == 0; k++) {
        ptrdiff_t low = 0;
        size_t nbytes = find_span(array, first + k, 1, &low);
        failed = loom_array_read_bytes(items_out + k * nbytes, (const char *)array->data + low, nbytes);
    }
    return failed;
}

int loom_array_read(const parloom_array *array, size_t first, size_t count, void *items_out)
{
    if (count == 0 || loom_array_count(array) == 0) return 0;
    if (!loom_array_is_file(array)) {
        loom_array_gather(array, first, count, items_out);
        return 0;
    }
    if (loom_array_is_contiguous(array, false))
        return loom_array_read_bytes(items_out, (const char *)array->data + first * array->item_nbytes,
                                     count * array->item_nbytes);
    if (array->item_nbytes > BUFFER_NBYTES) return read_large(array, first, count, items_out);
    char *buffer = loom_memory_aligned(64, BUFFER_NBYTES);
    if (buffer == NULL) return ENOMEM;
    int failed = read_parts(array, first, count, buffer, items_out);
    free(buffer);
    return failed;
}
