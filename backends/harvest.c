/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * harvest.c - after a death: what was done, what was lost, what was never started (loss.c says it in words).
 *
 * Promise    every task of the call gets exactly one status, whatever the instruction at which a worker died.
 * Reasons    tickets of one worker ascend and it works on them in turn, so with i the task its desk says it started
 *            last: claimed tasks before i are done; i is lost unless FINISHED; claimed tasks beyond were not started.
 *            In a range body the announced index stands for i; without an announcement the whole range is lost.
 * Distrust   a dying worker may have written anything: what does not fit its own bitmap is taken as lost as a whole.
 */
#include "backends/dispatch.h"

#include "backends/globals.h"
#include "backends/shift.h"
#include "backends/side_channel.h"
#include "backends/state.h"
#include "base/futex.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define NO_RETRY ((uint32_t)INT32_MAX) /* an attempt after which nothing is tried again */

static void short_of_memory(struct loom_dispatch *dispatch)
{
    dispatch->run->tally->is_short_of_memory = true;
}

void loom_dispatch_add_repair(struct loom_dispatch *dispatch, uint64_t begin, uint64_t end, uint32_t attempt)
{
    if (begin >= end) return;
    if (dispatch->n_repairs == dispatch->repairs_room) {
        size_t room = dispatch->repairs_room ? 2 * dispatch->repairs_room : 16;
        struct loom_repair *grown = loom_memory_grow(dispatch->repairs, room, sizeof *grown);
        if (grown == NULL) {
            short_of_memory(dispatch);
            return;
        }
        dispatch->repairs = grown;
        dispatch->repairs_room = room;
    }
    dispatch->repairs[dispatch->n_repairs++] = (struct loom_repair){ begin, end, attempt, 0 };
}

static void add_skip(struct loom_dispatch *dispatch, uint64_t task)
{
    if (dispatch->n_skips == dispatch->skips_room) {
        size_t room = dispatch->skips_room ? 2 * dispatch->skips_room : 16;
        uint64_t *grown = loom_memory_grow(dispatch->skips, room, sizeof *grown);
        if (grown == NULL) {
            short_of_memory(dispatch);
            return;
        }
        dispatch->skips = grown;
        dispatch->skips_room = room;
    }
    size_t at = dispatch->n_skips++;
    while (at > 0 && dispatch->skips[at - 1] > task) {
        dispatch->skips[at] = dispatch->skips[at - 1];
        at--;
    }
    dispatch->skips[at] = task;
}

void loom_dispatch_refuse(struct loom_dispatch *dispatch, const parloom_error *error)
{
    if (!dispatch->is_refused) dispatch->refusal = *error;
    dispatch->is_refused = true;
    loom_shift_lower(&dispatch->crew->board->slots[dispatch->slot].stop_before, 0);
}

/* --------------------------------------------------------------- the log */

static void take_entry(struct loom_dispatch *dispatch, uint32_t seat, const struct loom_log_entry *entry,
                       const char *message)
{
    parloom_error error;
    const struct loom_run *run = dispatch->run;
    if (entry->status == LOOM_RECORD_ENTRY) {
        loom_records_take(run, entry, loom_dispatch_worker(dispatch, seat), message);
        return;
    }
    if (entry->status == LOOM_GLOBALS_ENTRY) {
        loom_log(LOOM_LOG_WARNING, "%s", message);
        return;
    }
    loom_status_fail(&error, entry->status, 0, "%s", message);
    error.code = entry->code;
    error.attempt = entry->attempt;
    error.worker = loom_dispatch_worker(dispatch, seat);
    error.pid = dispatch->crew->seats[seat].pid;
    if (entry->begin == UINT64_MAX) {
        loom_dispatch_refuse(dispatch, &error);
        return;
    }
    if (entry->begin >= entry->end || entry->end > run->n) return;         /* rubbish of a dying worker */
    bool is_again = run->block_size > 0 && dispatch->letter->repairs != 0; /* a block tells of its failures again */
    if (is_again && entry->status == PARLOOM_ERR_CANCELLED) {
        loom_tally_note_rest(run->tally, (size_t)entry->begin, (size_t)entry->end, PARLOOM_ERR_CANCELLED);
        if (entry->end > dispatch->told_until[seat]) dispatch->told_until[seat] = entry->end;
    } else if (is_again && loom_tally_has(run->tally, (size_t)entry->begin)) {
        return;
    } else if (entry->status == PARLOOM_ERR_CANCELLED) {
        loom_tally_note(run->tally, (size_t)entry->begin, (size_t)entry->end, PARLOOM_ERR_CANCELLED);
        if (entry->end > dispatch->told_until[seat]) dispatch->told_until[seat] = entry->end;
    } else {
        loom_tally_fail(run->tally, (size_t)entry->begin, (size_t)entry->end, entry->status, &error);
    }
}

void loom_dispatch_drain(struct loom_dispatch *dispatch, uint32_t seat)
{
    struct loom_desk_shared *desk = loom_board_desk(dispatch->crew->board, dispatch->slot, seat);
    struct loom_log_entry entry;
    char message[PARLOOM_MESSAGE_BYTES];
    int count = 0;
    while (loom_board_log_take(desk, &entry, message, sizeof message) == 1) {
        take_entry(dispatch, seat, &entry, message);
        count++;
    }
    if (count == 0) return;
    loom_add_full(&desk->log_moved, 1); /* full: after the room was made; pairs with the worker's wait */
    loom_futex_wake(&desk->log_moved, 1);
}

/* ------------------------------------------------------------------- loss */

static uint32_t attempt_of(const struct loom_dispatch *dispatch, uint64_t ticket)
{
    if (dispatch->letter->repairs == 0) return 0;
    return ((const struct loom_repair *)(uintptr_t)dispatch->letter->repairs)[ticket].attempt;
}

static bool is_retried(const struct loom_dispatch *dispatch, const struct loom_death *death, uint32_t attempt)
{
    return death->status != PARLOOM_ERR_TIMEOUT && (int)attempt < dispatch->run->retries && !dispatch->is_cancelled &&
           !dispatch->is_timed_out && !dispatch->is_refused;
}

static parloom_body body_of(const struct loom_run *run, uint64_t task)
{
    return run->works[run->is_list ? task : 0].body;
}

/* Ctrl-C reaches the program alone; where a task, or whoever meant it, raises it in a worker, the call ends as by a
 * Ctrl-C of the program, and the task is no crash that would be tried again. */
static void interrupt_if_so(struct loom_dispatch *dispatch, uint32_t seat, uint64_t task,
                            const struct loom_death *death)
{
    parloom_error error;
    bool is_interrupt = death->status == PARLOOM_ERR_CRASHED && WTERMSIG(death->wait_status) == SIGINT;
    if (!is_interrupt || dispatch->is_refused) return;
    loom_status_fail(&error, PARLOOM_ERR_CANCELLED, 0,
                     "the call was cancelled: task %llu was interrupted by SIGINT in "
                     "worker %u, pid %d",
                     (unsigned long long)task, seat, death->pid);
    error.task = (size_t)task;
    error.signal = SIGINT;
    error.worker = (int)seat;
    error.pid = death->pid;
    loom_dispatch_refuse(dispatch, &error);
}

/* [begin, end) ran when the worker died. */
static void lose(struct loom_dispatch *dispatch, uint32_t seat, uint64_t begin, uint64_t end, uint32_t attempt,
                 const struct loom_death *death)
{
    const struct loom_run *run = dispatch->run;
    interrupt_if_so(dispatch, seat, begin, death);
    if (is_retried(dispatch, death, attempt)) {
        run->tally->retried += (size_t)(end - begin);
        if (run->before_retry != NULL) run->before_retry((size_t)begin, (size_t)end, run->before_retry_state);
        if (run->block_size == 0) loom_dispatch_add_repair(dispatch, begin, end, attempt + 1);
        return;
    }
    if (dispatch->is_refused &&
        dispatch->refusal.status == PARLOOM_ERR_CANCELLED) { /* killed on request, or interrupted */
        loom_tally_note(run->tally, (size_t)begin, (size_t)end, PARLOOM_ERR_CANCELLED);
        if (run->block_size > 0)
            for (uint64_t task = begin; task < end; task++) add_skip(dispatch, task);
        return;
    }
    parloom_error error;
    struct loom_loss loss = { dispatch->crew,      seat, loom_dispatch_worker(dispatch, seat), begin, end, run->n,
                              body_of(run, begin), death };
    loom_loss_describe(&loss, &error);
    error.attempt = attempt == NO_RETRY ? 0 : (int)attempt;
    loom_tally_fail(run->tally, (size_t)begin, (size_t)end, death->status, &error);
    if (run->block_size > 0)
        for (uint64_t task = begin; task < end; task++) add_skip(dispatch, task);
    if (!run->go_on) loom_shift_lower(&dispatch->crew->board->slots[dispatch->slot].stop_before, begin);
}

/* What the desk of the dead says. */
struct remains {
    uint64_t lost_begin, lost_end; /* equal: nothing ran */
    uint64_t done_until;           /* claimed tasks before are done; those from max(lost_end, this) on not started */
    bool is_rubbish;
};

static struct remains read_desk(const struct loom_dispatch *dispatch, const struct loom_desk_shared *desk)
{
    struct remains remains = { 0, 0, 0, false };
    uint64_t current = loom_load_acquire(&desk->current); /* pairs with the shift's release */
    if ((current & ~(LOOM_SHIFT_ANNOUNCED | LOOM_SHIFT_FINISHED)) == 0) return remains;
    uint64_t index = LOOM_SHIFT_INDEX(current), end = index + 1, begin = index;
    bool is_finished = (current & LOOM_SHIFT_FINISHED) != 0;
    if (dispatch->run->is_range && !is_finished) {
        begin = loom_load_relaxed(&desk->range_begin); /* relaxed: ordered by current */
        end = loom_load_relaxed(&desk->range_end);
    }
    bool is_announced = (current & LOOM_SHIFT_ANNOUNCED) != 0, is_inside = index >= begin && index < end;
    remains.is_rubbish = begin >= end || end > dispatch->run->n || (!is_inside && !is_announced);
    if (remains.is_rubbish) return remains;
    remains.done_until = end;
    if (is_finished) return remains;
    if (!is_inside) is_announced = false; /* the body announced what is not its own: the whole range is lost */
    remains.lost_begin = is_announced ? index : begin;
    remains.lost_end = is_announced ? index + 1 : end;
    remains.done_until = remains.lost_end;
    return remains;
}

/* A worker that told of the task's end, and died before it said so on its desk. What it told that it did not start is
 * settled too: tickets ascend, so everything it had claimed before is done. */
static void forgive_told(const struct loom_dispatch *dispatch, uint32_t seat, struct remains *remains)
{
    if (remains->done_until < dispatch->told_until[seat]) remains->done_until = dispatch->told_until[seat];
    if (remains->lost_begin < remains->lost_end && loom_tally_has(dispatch->run->tally, (size_t)remains->lost_begin)) {
        remains->lost_begin = remains->lost_end = 0;
    }
}

/* Its desk makes no sense: all it had claimed is lost, but what it told of before. Only the first is described: to
 * name a function takes a while. */
static void settle_rubbish(struct loom_dispatch *dispatch, uint32_t seat, const _Atomic uint64_t *bitmap,
                           const struct loom_death *death)
{
    struct loom_tally *tally = dispatch->run->tally;
    bool is_described = false;
    for (uint64_t ticket = 0; ticket < dispatch->tickets; ticket++) {
        if (!loom_board_is_marked(bitmap, ticket)) continue;
        uint64_t end = loom_letter_end(dispatch->letter, ticket);
        for (uint64_t task = loom_letter_begin(dispatch->letter, ticket); task < end; task++) {
            if (loom_tally_has(tally, (size_t)task)) continue;
            if (is_described)
                loom_tally_note(tally, (size_t)task, (size_t)task + 1, death->status);
            else
                lose(dispatch, seat, task, task + 1, NO_RETRY, death);
            is_described = true;
        }
    }
}

/* One ticket the dead had claimed: what of it is still to be done. */
static void settle_ticket(struct loom_dispatch *dispatch, uint64_t ticket, const struct remains *remains)
{
    uint64_t begin = loom_letter_begin(dispatch->letter, ticket), end = loom_letter_end(dispatch->letter, ticket);
    uint32_t attempt = attempt_of(dispatch, ticket);
    bool has_loss =
        remains->lost_begin < remains->lost_end && remains->lost_begin >= begin && remains->lost_begin < end;
    if (dispatch->run->block_size > 0) {
        /* A reduction: the accumulator of a block that was not finished is worth nothing. */
        if (remains->done_until < end || has_loss) loom_dispatch_add_repair(dispatch, begin, end, attempt + has_loss);
        return;
    }
    uint64_t from = remains->done_until > begin ? remains->done_until : begin;
    loom_dispatch_add_repair(dispatch, from, end, attempt);
}

static void remember_claims(struct loom_dispatch *dispatch, const _Atomic uint64_t *bitmap)
{
    size_t words = (size_t)(dispatch->tickets + 63) / 64;
    if (dispatch->dead_claims == NULL) dispatch->dead_claims = loom_memory_zeroed(words, sizeof(uint64_t));
    if (dispatch->dead_claims == NULL) {
        short_of_memory(dispatch);
        return;
    }
    for (size_t k = 0; k < words; k++) dispatch->dead_claims[k] |= loom_load_relaxed(&bitmap[k]); /* writer is dead */
}

static char *bitmap_bytes(const struct loom_dispatch *dispatch, uint32_t seat)
{
    return dispatch->bitmaps + (size_t)loom_dispatch_worker(dispatch, seat) * dispatch->bitmap_stride;
}

static _Atomic uint64_t *bitmap_of(const struct loom_dispatch *dispatch, uint32_t seat)
{
    return (_Atomic uint64_t *)(void *)bitmap_bytes(dispatch, seat);
}

/* stays_out: where rows belong to seats, the next worker in that seat takes none. */
static void clear_desk(struct loom_dispatch *dispatch, uint32_t seat, bool stays_out)
{
    struct loom_desk_shared *desk = loom_board_desk(dispatch->crew->board, dispatch->slot, seat);
    dispatch->done_before += loom_load_relaxed(&desk->done); /* relaxed: progress */
    dispatch->told_until[seat] = 0;
    memset((void *)desk, 0, offsetof(struct loom_desk_shared, log)); /* nobody writes it: its worker is reaped */
    memset(bitmap_bytes(dispatch, seat), 0, (size_t)(dispatch->tickets + 63) / 64 * sizeof(uint64_t));
    if (!dispatch->letter->is_static || !stays_out) return;
    /* The rows that are left go to whoever is free. */
    loom_store_relaxed(&desk->joined, dispatch->call); /* relaxed: the worker is not started yet */
    loom_store_relaxed(&desk->left, dispatch->call);
}

static void settle_desk(struct loom_dispatch *dispatch, uint32_t seat, struct loom_desk_shared *desk,
                        const struct loom_death *death)
{
    _Atomic uint64_t *bitmap = bitmap_of(dispatch, seat);
    struct remains remains = read_desk(dispatch, desk);
    uint64_t at = loom_letter_ticket_of(dispatch->letter, remains.lost_begin);
    bool is_lost = remains.lost_begin < remains.lost_end;
    if (remains.is_rubbish || (is_lost && (at >= dispatch->tickets || !loom_board_is_marked(bitmap, at)))) {
        settle_rubbish(dispatch, seat, bitmap, death);
        return;
    }
    /* What it had finished of its last ticket: progress, also as a sign that this is no storm. */
    if (is_lost) dispatch->done_before += remains.lost_begin - loom_letter_begin(dispatch->letter, at);
    forgive_told(dispatch, seat, &remains);
    if (remains.lost_begin < remains.lost_end)
        lose(dispatch, seat, remains.lost_begin, remains.lost_end, attempt_of(dispatch, at), death);
    /* Tickets before the one it worked on last are done as a whole. */
    uint64_t first = remains.done_until > 0 ? loom_letter_ticket_of(dispatch->letter, remains.done_until - 1) : 0;
    if (first == dispatch->tickets) first = 0;
    for (uint64_t ticket = first; ticket < dispatch->tickets; ticket++)
        if (loom_board_is_marked(bitmap, ticket)) settle_ticket(dispatch, ticket, &remains);
}

void loom_dispatch_harvest(struct loom_dispatch *dispatch, uint32_t seat, const struct loom_death *death)
{
    if (!loom_dispatch_has_seat(dispatch, seat)) return;
    struct loom_desk_shared *desk = loom_board_desk(dispatch->crew->board, dispatch->slot, seat);
    bool is_retired = death->status == PARLOOM_OK; /* it has left what it had joined */
    if (!is_retired) dispatch->run->tally->workers_lost++;
    if (dispatch->letter == NULL) return; /* nothing was handed out yet */
    loom_dispatch_drain(dispatch, seat);
    /* relaxed: the writer is dead */
    bool has_joined = loom_load_relaxed(&desk->joined) == dispatch->call;
    bool has_left = loom_load_relaxed(&desk->left) == dispatch->call;
    if (has_joined && !has_left && !is_retired && !loom_state_blame(dispatch, seat, death->wait_status, death->pid))
        settle_desk(dispatch, seat, desk, death);
    remember_claims(dispatch, bitmap_of(dispatch, seat));
    clear_desk(dispatch, seat, has_joined || !is_retired);
    /* full: from now on running may be one too many; pairs with loom_board_leave */
    loom_store_full(&dispatch->crew->board->slots[dispatch->slot].ring_always, 1);
}

/* ------------------------------------------------------------ not started */

/* Which of 64 tickets somebody claimed. */
static uint64_t claims_of(const struct loom_dispatch *dispatch, uint64_t word)
{
    uint64_t claims = dispatch->dead_claims != NULL ? dispatch->dead_claims[word] : 0;
    for (int seat = dispatch->first; seat < dispatch->end; seat++)
        claims |= loom_load_relaxed(&bitmap_of(dispatch, (uint32_t)seat)[word]); /* relaxed: all have left */
    return claims;
}

/* Of the tickets from first on that share a word of the bitmaps; returns the first one beyond. */
static uint64_t collect_word(struct loom_dispatch *dispatch, uint64_t first, bool may_be_claimed)
{
    uint64_t end = (first / 64 + 1) * 64 < dispatch->tickets ? (first / 64 + 1) * 64 : dispatch->tickets;
    uint64_t claims = may_be_claimed ? claims_of(dispatch, first / 64) : 0;
    for (uint64_t ticket = first; ticket < end; ticket++)
        if ((claims >> (ticket % 64) & 1) == 0)
            loom_dispatch_add_repair(dispatch, loom_letter_begin(dispatch->letter, ticket),
                                     loom_letter_end(dispatch->letter, ticket), attempt_of(dispatch, ticket));
    return end;
}

/* Beyond the bound nothing is started any more: one note instead of millions of repairs. */
static uint64_t cancel_beyond(struct loom_dispatch *dispatch, uint64_t first)
{
    const struct loom_run *run = dispatch->run;
    uint64_t bound = loom_load_relaxed(&dispatch->crew->board->slots[dispatch->slot].stop_before); /* all have left */
    uint64_t begin = first < dispatch->tickets ? loom_letter_begin(dispatch->letter, first) : run->n;
    if (dispatch->letter->repairs != 0 || run->block_size > 0 || begin < bound) return first;
    loom_tally_note(run->tally, (size_t)begin, run->n, PARLOOM_ERR_CANCELLED);
    return dispatch->tickets;
}

void loom_dispatch_collect_unstarted(struct loom_dispatch *dispatch)
{
    struct loom_slot_shared *slot = &dispatch->crew->board->slots[dispatch->slot];
    uint64_t counter = loom_load_relaxed(&slot->counter); /* relaxed: all have left */
    bool is_static = dispatch->letter->is_static;
    uint64_t ticket = 0;
    if (is_static || counter > dispatch->tickets) counter = dispatch->tickets;
    /* Without a death every ticket below the counter is in some bitmap: nothing to look for there. */
    if (dispatch->dead_claims != NULL || is_static)
        while (ticket < counter) ticket = collect_word(dispatch, ticket, true);
    else
        ticket = counter;
    ticket = cancel_beyond(dispatch, ticket);
    while (ticket < dispatch->tickets) ticket = collect_word(dispatch, ticket, false);
}
