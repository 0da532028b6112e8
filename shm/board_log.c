/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * board_log.c - the log of a desk: what a worker tells of tasks that did not end OK.
 *
 * A ring of bytes: head counts what the worker has written, tail what the program has taken, both ever growing.
 * The worker publishes an entry with one store of head, so the dead leave whole entries or none.
 */
#include "shm/board.h"

#include <string.h>

static void copy_in(struct loom_desk_shared *desk, uint64_t at, const void *bytes, size_t nbytes)
{
    size_t offset = (size_t)(at % LOOM_BOARD_LOG_BYTES);
    size_t here = LOOM_BOARD_LOG_BYTES - offset < nbytes ? LOOM_BOARD_LOG_BYTES - offset : nbytes;
    memcpy(&desk->log[offset], bytes, here);
    memcpy(&desk->log[0], (const char *)bytes + here, nbytes - here);
}

static void copy_out(const struct loom_desk_shared *desk, uint64_t at, void *bytes, size_t nbytes)
{
    size_t offset = (size_t)(at % LOOM_BOARD_LOG_BYTES);
    size_t here = LOOM_BOARD_LOG_BYTES - offset < nbytes ? LOOM_BOARD_LOG_BYTES - offset : nbytes;
    memcpy(bytes, &desk->log[offset], here);
    memcpy((char *)bytes + here, &desk->log[0], nbytes - here);
}

bool loom_board_log_try_append(struct loom_desk_shared *desk, const struct loom_log_entry *entry, const char *message)
{
    uint64_t head = loom_load_relaxed(&desk->log_head); /* relaxed: the worker's own word */
    uint64_t tail = loom_load_acquire(&desk->log_tail); /* acquire: the room; pairs with take */
    size_t nbytes = sizeof *entry + entry->message_nbytes;
    if (nbytes > LOOM_BOARD_LOG_BYTES - (size_t)(head - tail)) return false;
    copy_in(desk, head, entry, sizeof *entry);
    if (entry->message_nbytes > 0) copy_in(desk, head + sizeof *entry, message, entry->message_nbytes);
    loom_store_release(&desk->log_head, head + nbytes); /* release: the entry; pairs with take */
    return true;
}

int loom_board_log_take(struct loom_desk_shared *desk, struct loom_log_entry *entry_out, char *message, size_t room)
{
    uint64_t head = loom_load_acquire(&desk->log_head); /* pairs with try_append */
    uint64_t tail = loom_load_relaxed(&desk->log_tail); /* relaxed: the program's own word */
    if (head == tail) return 0;
    if (head - tail > LOOM_BOARD_LOG_BYTES || head - tail < sizeof *entry_out) return -1;
    struct loom_log_entry entry;
    copy_out(desk, tail, &entry, sizeof entry);
    if (entry.message_nbytes > room || entry.message_nbytes > head - tail - sizeof entry) return -1;
    message[0] = '\0';
    if (entry.message_nbytes > 0) {
        copy_out(desk, tail + sizeof entry, message, entry.message_nbytes);
        message[entry.message_nbytes - 1] = '\0';
    }
    *entry_out = entry;
    /* release: the entry has been read, its room is free; pairs with try_append */
    loom_store_release(&desk->log_tail, tail + sizeof entry + entry.message_nbytes);
    return 1;
}
