/* SPDX-License-Identifier: BSD-3-Clause */
/* side_channel.c - the records of a call (see side_channel.h). */
#include "backends/side_channel.h"

#include "backends/dispatch.h"
#include "backends/shift.h"
#include "backends/worker.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------- records */

static bool make_room(struct loom_records *records, size_t nbytes)
{
    if (records->n == records->room) {
        size_t room = records->room > 0 ? 2 * records->room : 64;
        struct loom_record *grown = loom_memory_grow(records->records, room, sizeof *grown);
        if (grown == NULL) return false;
        records->records = grown;
        records->room = room;
    }
    size_t wanted;
    if (!loom_memory_add(records->n_bytes, nbytes, &wanted)) return false;
    if (wanted <= records->bytes_room) return true;
    size_t room = 2 * records->bytes_room > wanted ? 2 * records->bytes_room : wanted + 1024;
    char *grown = loom_memory_grow(records->bytes, room, 1);
    if (grown == NULL) return false;
    records->bytes = grown;
    records->bytes_room = room;
    return true;
}

bool loom_records_add(struct loom_records *records, const struct loom_record *made, const void *data, size_t nbytes)
{
    if (!make_room(records, nbytes)) {
        records->is_short_of_memory = true;
        return false;
    }
    struct loom_record *record = &records->records[records->n];
    *record = *made;
    record->order = records->n++;
    record->at = records->n_bytes;
    record->nbytes = nbytes;
    if (nbytes > 0) memcpy(records->bytes + record->at, data, nbytes);
    records->n_bytes += nbytes;
    return true;
}

static int by_task(const void *a, const void *b)
{
    const struct loom_record *x = a, *y = b;
    if (x->task != y->task) return x->task < y->task ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

void loom_records_sort(struct loom_records *records)
{
    if (records->n > 0) qsort(records->records, records->n, sizeof *records->records, by_task);
}

/* How many pieces the record at first has; 0: its last one is missing, since its worker died while it told it. */
static size_t count_pieces(const struct loom_records *records, size_t first, size_t *nbytes_out)
{
    const struct loom_record *head = &records->records[first];
    *nbytes_out = 0;
    for (size_t k = first; k < records->n && records->records[k].task == head->task; k++) {
        *nbytes_out += records->records[k].nbytes;
        if (records->records[k].is_last) return k + 1 - first;
    }
    return 0;
}

static char *join(const struct loom_records *records, size_t first, size_t count, size_t nbytes)
{
    char *joined = loom_memory_zeroed(nbytes + 1, 1), *at = joined;
    for (size_t k = first; joined != NULL && k < first + count; k++) {
        const struct loom_record *piece = &records->records[k];
        if (piece->nbytes > 0) memcpy(at, records->bytes + piece->at, piece->nbytes);
        at += piece->nbytes;
    }
    return joined;
}

bool loom_records_next(struct loom_records *records, size_t *at, struct loom_record *record_out, void **data_out)
{
    while (*at < records->n) {
        size_t nbytes, first = *at, count = count_pieces(records, first, &nbytes);
        *at += count > 0 ? count : 1;
        if (count == 0) continue;
        char *data = join(records, first, count, nbytes);
        if (data == NULL) {
            records->is_short_of_memory = true;
            return false;
        }
        *record_out = records->records[first];
        record_out->nbytes = nbytes;
        *data_out = data;
        return true;
    }
    return false;
}

void loom_records_release(struct loom_records *records)
{
    free(records->records);
    free(records->bytes);
    memset(records, 0, sizeof *records);
}

/* ----------------------------------------------------------- over the log */

/* Of the next piece, of which left bytes are to be told; its message is the piece and a NUL. */
static struct loom_log_entry make_entry(size_t task, uint32_t channel, size_t left)
{
    size_t here = left < LOOM_RECORD_PIECE_BYTES ? left : LOOM_RECORD_PIECE_BYTES;
    struct loom_log_entry entry = { .begin = task, .end = task + 1, .status = LOOM_RECORD_ENTRY };
    entry.code = (int32_t)channel;
    if (here == left) entry.code |= LOOM_RECORD_LAST;
    entry.message_nbytes = (uint32_t)here + 1;
    return entry;
}

parloom_status loom_record_tell(struct loom_shift *shift, size_t task, uint32_t channel, const void *data,
                                size_t nbytes)
{
    size_t told = 0;
    do {
        char piece[LOOM_RECORD_PIECE_BYTES + 1];
        struct loom_log_entry entry = make_entry(task, channel, nbytes - told);
        size_t here = entry.message_nbytes - 1;
        if (here > 0) memcpy(piece, (const char *)data + told, here);
        piece[here] = '\0'; /* entries end so */
        loom_worker_append(shift->tell_state, &entry, piece);
        told += here;
    } while (told < nbytes);
    return PARLOOM_OK;
}

void loom_records_take(const struct loom_run *run, const struct loom_log_entry *entry, int worker, const char *piece)
{
    struct loom_record made = { .task = (size_t)entry->begin, .worker = worker };
    made.channel = (uint32_t)entry->code & ~(uint32_t)LOOM_RECORD_LAST;
    made.is_last = ((uint32_t)entry->code & LOOM_RECORD_LAST) != 0;
    bool is_sound =
        run->channels != NULL && made.channel < run->channels->n && entry->begin < run->n && entry->message_nbytes > 0;
    if (is_sound) (void)loom_records_add(run->records, &made, piece, entry->message_nbytes - 1);
}

static int by_range(const void *key, const void *item)
{
    uint64_t task = *(const uint64_t *)key;
    const struct loom_repair *repair = item;
    if (task < repair->begin) return -1;
    return task >= repair->end;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* In a reduction the task that died stays out of its block's next run. */
static bool is_run_again(const struct loom_dispatch *dispatch, uint64_t task)
{
    if (bsearch(&task, dispatch->repairs, dispatch->n_repairs, sizeof *dispatch->repairs, by_range) == NULL)
        return false;
    return dispatch->n_skips == 0 ||
           bsearch(&task, dispatch->skips, dispatch->n_skips, sizeof *dispatch->skips, by_value) == NULL;
}

void loom_records_drop(struct loom_dispatch *dispatch)
{
    struct loom_records *records = dispatch->run->records;
    size_t kept = 0;
    if (dispatch->run->channels == NULL) return;
    for (size_t k = 0; k < records->n; k++)
        if (!is_run_again(dispatch, records->records[k].task)) records->records[kept++] = records->records[k];
    records->n = kept; /* order stays ascending: it is given anew from here on only to larger ones */
    for (size_t k = 0; k < kept; k++) records->records[k].order = k;
}
