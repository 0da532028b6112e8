/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * belt_log.c - what a call on a belt tells before it has ended (see belt.h).
 *
 * A worker writes an entry, then raises logged: what was told before a death is there, as a whole.
 */
#include "shm/belt.h"

#include <string.h>

/* Of the log of place k, given what the belt should look like: what is read there may be rubbish. */
static char *log_at(const struct loom_belt_shared *belt, uint32_t n_places, uint32_t log_nbytes, size_t k)
{
    return (char *)(uintptr_t)(belt->places + n_places) + k * log_nbytes;
}

/* Of an entry with its bytes. */
static size_t padded(uint32_t nbytes)
{
    return sizeof(struct loom_belt_entry_shared) + (((size_t)nbytes + 15) & ~(size_t)15);
}

bool loom_belt_log_append(struct loom_belt_shared *belt, struct loom_belt_place_shared *place,
                          const struct loom_belt_entry_shared *entry, const void *bytes)
{
    uint64_t logged = loom_load_relaxed(&place->logged); /* relaxed: this worker wrote it, or was answered */
    if (logged > belt->log_nbytes || belt->log_nbytes - logged < padded(entry->nbytes)) return false;
    char *at = log_at(belt, belt->n_places, belt->log_nbytes, (size_t)(place - belt->places)) + logged;
    memcpy(at, entry, sizeof *entry);
    if (entry->nbytes > 0) memcpy(at + sizeof *entry, bytes, entry->nbytes);
    loom_store_release(&place->logged, logged + padded(entry->nbytes)); /* pairs with the program's reading */
    return true;
}

bool loom_belt_log_read(const struct loom_belt_shared *belt, uint32_t n_places, uint32_t log_nbytes, uint32_t k,
                        size_t *at, struct loom_belt_entry_shared *entry_out, const void **bytes_out)
{
    uint64_t logged = loom_load_acquire(&belt->places[k].logged); /* pairs with append */
    if (logged > log_nbytes || *at + sizeof *entry_out > logged) return false;
    const char *from = log_at(belt, n_places, log_nbytes, k) + *at;
    memcpy(entry_out, from, sizeof *entry_out);
    if (padded(entry_out->nbytes) > logged - *at) return false;
    *bytes_out = from + sizeof *entry_out;
    *at += padded(entry_out->nbytes);
    return true;
}
