/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dispatch.c - runs one call on a crew: opens rounds, waits for them, watches limits, until every task has a status.
 *
 * Path        slot, letter, staff, open, ring; sleep in poll on the bell and on the events of the crew; close; collect;
 *             again while something is left to do. Two wake-ups a call, whatever the number of tasks.
 * Waiting     ends on the last worker's bell, a death, the deadline, a cancelled stop: never without a cause to end.
 */
#include "backends/dispatch.h"

#include "backends/lane_crew.h"
#include "backends/shift.h"
#include "backends/watch.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/topology.h"
#include "shm/arena.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WATCH_NS UINT64_C(100000000) /* progress: at most 10 a second */

/* ------------------------------------------------------------------- slots */

/* How many calls and streams work at these seats now. */
static uint32_t users_of(const struct loom_crew *crew, int first, int end)
{
    uint32_t users = 0;
    for (uint32_t k = 0; k < LOOM_BOARD_SLOTS; k++) {
        const struct loom_dispatch *other = crew->calls[k];
        for (int seat = first; other != NULL && seat < end; seat++)
            users += loom_dispatch_has_seat(other, (uint32_t)seat);
    }
    return users;
}

/* A call that needs fewer workers than there are takes those that have the least to do: else calls with one task each
 * would wait for each other. Seats without a worker come last. */
static void choose_seats(struct loom_crew *crew, struct loom_dispatch *dispatch)
{
    int n_jobs = dispatch->run->n_jobs, busy_seats = loom_crew_lanes_jobs(crew);
    uint64_t best = UINT64_MAX;
    for (int first = 0; first + n_jobs <= (int)crew->n_jobs; first++) {
        uint64_t cost = users_of(crew, first, first + n_jobs);
        if (first < busy_seats) cost += (uint64_t)((busy_seats < first + n_jobs ? busy_seats : first + n_jobs) - first);
        cost *= crew->n_seats + 1;
        for (int seat = first; seat < first + n_jobs; seat++) cost += crew->seats[seat].state == LOOM_CREW_EMPTY;
        if (cost >= best) continue;
        best = cost;
        dispatch->first = first;
        dispatch->end = first + n_jobs;
    }
}

static bool try_take_slot(struct loom_crew *crew, struct loom_dispatch *dispatch)
{
    for (uint32_t k = 0; k < LOOM_BOARD_SLOTS; k++) {
        if (crew->calls[k] != NULL) continue;
        choose_seats(crew, dispatch);
        crew->calls[k] = dispatch;
        dispatch->slot = k;
        dispatch->told_until = crew->told_until + (size_t)k * crew->n_seats;
        return true;
    }
    return false;
}

/* Waits for one of the others to end, at most as long as the call may take; its stop is looked at meanwhile. */
static parloom_status take_slot(struct loom_crew *crew, struct loom_dispatch *dispatch, parloom_error *error)
{
    const struct loom_run *run = dispatch->run;
    while (!try_take_slot(crew, dispatch)) {
        uint64_t now = loom_clock_ns();
        if (now >= run->deadline_ns)
            return loom_status_fail(error, PARLOOM_ERR_TIMEOUT, 0,
                                    "the call ran past its limit while %d others held the workers", LOOM_BOARD_SLOTS);
        if (loom_shift_run_is_cancelled(run))
            return loom_status_fail(error, PARLOOM_ERR_CANCELLED, 0, "the call was cancelled %s",
                                    loom_shift_run_canceller(run));
        uint64_t until = loom_shift_run_is_stoppable(run) ? now + LOOM_WATCH_STOP_NS : run->deadline_ns;
        if (until > run->deadline_ns) until = run->deadline_ns;
        struct timespec time = { (time_t)(until / 1000000000u), (long)(until % 1000000000u) };
        crew->waiting++;
        if (until == LOOM_NEVER_NS)
            pthread_cond_wait(&crew->slot_is_free, &crew->lock);
        else
            (void)pthread_cond_timedwait(&crew->slot_is_free, &crew->lock, &time);
        crew->waiting--;
    }
    return PARLOOM_OK;
}

static void give_slot(struct loom_dispatch *dispatch)
{
    struct loom_crew *crew = dispatch->crew;
    loom_store_full(&loom_dispatch_slot(dispatch)->call, 0); /* full: before the slot is used again */
    crew->calls[dispatch->slot] = NULL;
    if (crew->waiting > 0) pthread_cond_signal(&crew->slot_is_free);
}

/* ------------------------------------------------------------------ rounds */

static void drop_bitmaps(struct loom_dispatch *dispatch)
{
    if (dispatch->owns_bitmaps) loom_arena_free(loom_arena_public(NULL), dispatch->bitmaps);
    dispatch->owns_bitmaps = false;
    dispatch->bitmap_tickets = 0;
}

static parloom_status set_bitmaps(struct loom_dispatch *dispatch, parloom_error *error)
{
    size_t stride = loom_memory_round_up((size_t)(dispatch->tickets + 7) / 8, LOOM_BOARD_LINE), nbytes = 0;
    if (dispatch->tickets <= dispatch->bitmap_tickets) return PARLOOM_OK;
    drop_bitmaps(dispatch);
    if (dispatch->tickets <= LOOM_BOARD_INLINE_TICKETS) {
        dispatch->bitmaps = loom_board_bitmaps(dispatch->crew->board, dispatch->slot) +
                            (size_t)dispatch->first * LOOM_BOARD_BITMAP_STRIDE;
        dispatch->bitmap_stride = LOOM_BOARD_BITMAP_STRIDE;
        dispatch->bitmap_tickets = LOOM_BOARD_INLINE_TICKETS;
        return PARLOOM_OK;
    }
    struct loom_arena *arena = loom_arena_public(error);
    if (arena == NULL) return error->status;
    if (!loom_memory_mul(stride, (size_t)dispatch->run->n_jobs, &nbytes))
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for the account of %zu tasks",
                                dispatch->run->n);
    void *block = loom_arena_allocate(arena, nbytes, 0, false, error);
    if (block == NULL) return error->status;
    dispatch->bitmaps = block;
    dispatch->bitmap_stride = stride;
    dispatch->bitmap_tickets = dispatch->tickets;
    dispatch->owns_bitmaps = true;
    return PARLOOM_OK;
}

static void clear_bitmaps(struct loom_dispatch *dispatch)
{
    size_t nbytes = (size_t)(dispatch->tickets + 63) / 64 * sizeof(uint64_t);
    for (int worker = 0; worker < dispatch->run->n_jobs; worker++)
        memset(dispatch->bitmaps + (size_t)worker * dispatch->bitmap_stride, 0, nbytes);
}

/* All workers that were in the round before have left: the desks are nobody's until call is stored. */
static void reset_desks(struct loom_dispatch *dispatch)
{
    for (int seat = dispatch->first; seat < dispatch->end; seat++) {
        struct loom_desk_shared *desk = loom_dispatch_desk(dispatch, seat);
        loom_store_relaxed(&desk->current, 0); /* relaxed, all: ordered by the store of call */
        /* What the round before did counts on; what another call in this slot did does not. */
        if (dispatch->call != 0) dispatch->done_before += loom_load_relaxed(&desk->done);
        loom_store_relaxed(&desk->done, 0);
    }
}

static void open_round(struct loom_dispatch *dispatch)
{
    struct loom_slot_shared *slot = loom_dispatch_slot(dispatch);
    dispatch->letter->bitmaps = (uint64_t)(uintptr_t)dispatch->bitmaps;
    dispatch->letter->bitmap_stride = dispatch->bitmap_stride;
    clear_bitmaps(dispatch);
    reset_desks(dispatch);
    dispatch->run->tally->is_begun = true;
    dispatch->call = ++dispatch->crew->last_call;
    dispatch->letter->call = dispatch->call;
    free(dispatch->dead_claims);
    dispatch->dead_claims = NULL;
    memset(dispatch->told_until + dispatch->first, 0, (size_t)dispatch->run->n_jobs * sizeof *dispatch->told_until);
    dispatch->letter->first_seat = (uint64_t)dispatch->first;
    dispatch->is_closed = false;
    loom_store_relaxed(&slot->letter, (uint64_t)(uintptr_t)dispatch->letter); /* relaxed, all: ordered by call */
    loom_store_relaxed(&slot->first_seat, (uint32_t)dispatch->first);
    loom_store_relaxed(&slot->seats, (uint32_t)dispatch->end);
    loom_store_relaxed(&slot->counter, 0);
    loom_store_relaxed(&slot->running, dispatch->call << LOOM_BOARD_RUNNING_BITS);
    loom_store_full(&slot->call, dispatch->call); /* full: the letter and all above; pairs with join */
    loom_board_ring(dispatch->crew->board);
}

static bool has_left(const struct loom_dispatch *dispatch, int seat)
{
    return loom_load_full(&loom_dispatch_desk(dispatch, seat)->left) ==
           dispatch->call; /* pairs with leave: its results */
}

bool loom_dispatch_is_in(const struct loom_dispatch *dispatch, int seat)
{
    if (dispatch->crew->seats[seat].state == LOOM_CREW_EMPTY) return false;
    /* full: after call was stored; pairs with join */
    return loom_load_full(&loom_dispatch_desk(dispatch, seat)->joined) == dispatch->call && !has_left(dispatch, seat);
}

static bool is_handed_out(const struct loom_dispatch *dispatch)
{
    struct loom_slot_shared *slot = loom_dispatch_slot(dispatch);
    if (dispatch->is_refused) return true;
    uint64_t bound = loom_load_relaxed(&slot->stop_before); /* relaxed: only lowered, and looked at again */
    if (bound == 0) return true;
    if (!dispatch->letter->is_static) {
        if (loom_load_relaxed(&slot->counter) >= dispatch->tickets) return true;
        /* Stopped: once everybody is out, the rest is not started any more. */
        if (bound >= dispatch->run->n) return false;
        for (int seat = dispatch->first; seat < dispatch->end; seat++)
            if (loom_dispatch_is_in(dispatch, seat)) return false;
        return true;
    }
    for (int seat = dispatch->first; seat < dispatch->end; seat++) {
        bool has_rows = (uint64_t)loom_dispatch_worker(dispatch, (uint32_t)seat) < dispatch->tickets;
        if (has_rows && dispatch->crew->seats[seat].state != LOOM_CREW_EMPTY && !has_left(dispatch, seat)) return false;
    }
    return true;
}

bool loom_dispatch_needs_workers(const struct loom_dispatch *dispatch)
{
    return dispatch->letter != NULL && !dispatch->is_closed && !is_handed_out(dispatch);
}

static bool is_over(struct loom_dispatch *dispatch)
{
    if (!dispatch->is_closed) {
        if (!is_handed_out(dispatch)) return false;
        loom_store_full(&loom_dispatch_slot(dispatch)->call, 0); /* full: before the look at joined; pairs with join */
        dispatch->is_closed = true;
    }
    for (int seat = dispatch->first; seat < dispatch->end; seat++)
        if (loom_dispatch_is_in(dispatch, seat)) return false;
    return true;
}

/* ----------------------------------------------------------------- waiting */

static size_t count_done(const struct loom_dispatch *dispatch)
{
    uint64_t done = dispatch->done_before;
    for (int seat = dispatch->first; seat < dispatch->end; seat++)
        done += loom_load_relaxed(&loom_dispatch_desk(dispatch, seat)->done); /* relaxed: progress only */
    return done < dispatch->run->n ? (size_t)done : dispatch->run->n;
}

/* Sleeps; the crew's lock is let go meanwhile. True: the crew has events. */
static bool sleep_until(struct loom_dispatch *dispatch, uint64_t deadline_ns)
{
    struct loom_crew *crew = dispatch->crew;
    struct pollfd watched[2] = { { .fd = crew->bell_fds[dispatch->slot], .events = POLLIN },
                                 { .fd = crew->event_fd, .events = POLLIN } };
    uint64_t rung;
    pthread_mutex_unlock(&crew->lock);
    (void)poll(watched, 2, loom_clock_poll_ms(deadline_ns));                              /* EINTR: looks again */
    if (watched[0].revents != 0 && read(watched[0].fd, &rung, sizeof rung) < 0) rung = 0; /* others' ring: look again */
    pthread_mutex_lock(&crew->lock);
    return watched[1].revents != 0;
}

static bool needs_clock(const struct loom_run *run)
{
    return run->deadline_ns != LOOM_NEVER_NS || run->task_timeout_ns > 0 || run->watch != NULL ||
           loom_shift_run_is_stoppable(run);
}

/* Progress is told without the lock: it is the caller's code. */
static void tell_progress(struct loom_dispatch *dispatch, uint64_t now, uint64_t *next_watch)
{
    if (dispatch->run->watch == NULL || now < *next_watch) return;
    size_t done = count_done(dispatch);
    struct loom_tally_counts counts = loom_tally_count_noted(dispatch->run->tally);
    *next_watch = now + WATCH_NS;
    pthread_mutex_unlock(&dispatch->crew->lock);
    dispatch->run->watch(done, &counts, dispatch->run->watch_state);
    pthread_mutex_lock(&dispatch->crew->lock);
}

static void await_round(struct loom_dispatch *dispatch)
{
    bool has_clock = needs_clock(dispatch->run);
    uint64_t now = has_clock ? loom_clock_ns() : 0, next_watch = now + WATCH_NS;
    for (;;) {
        if (has_clock) {
            now = loom_clock_ns();
            loom_watch_limits(dispatch, now);
        }
        bool is_last_look = is_over(dispatch);
        /* After the look: what a worker told before it left is taken in this round. */
        for (int seat = dispatch->first; seat < dispatch->end; seat++) loom_dispatch_drain(dispatch, (uint32_t)seat);
        if (is_last_look) return;
        if (has_clock) tell_progress(dispatch, now, &next_watch);
        /* Without events only lanes are served: to look for events that poll has not seen is a system call. */
        if (sleep_until(dispatch, has_clock ? loom_watch_next(dispatch, now, next_watch) : LOOM_NEVER_NS))
            loom_crew_settle_events(dispatch->crew);
        else
            loom_crew_lanes_serve(dispatch->crew);
    }
}

/* ------------------------------------------------------------------- calls */

/* A block of a reduction that is not run again after a death: what its accumulator holds is worth nothing. */
static void empty_block(const struct loom_run *run, uint64_t block)
{
    for (size_t k = 0; k < run->works[0].n_arguments; k++) {
        const struct loom_argument *argument = &run->works[0].arguments[k];
        if (argument->form != LOOM_ARGUMENT_REDUCE) continue;
        memcpy((void *)(uintptr_t)(argument->address + block * argument->stride),
               (const void *)(uintptr_t)argument->neutral, argument->nbytes);
    }
}

static void give_up(struct loom_dispatch *dispatch, const struct loom_repair *repair)
{
    const struct loom_run *run = dispatch->run;
    if (run->block_size == 0) {
        loom_tally_note(run->tally, (size_t)repair->begin, (size_t)repair->end, PARLOOM_ERR_CANCELLED);
        return;
    }
    empty_block(run, repair->begin / run->block_size);
    loom_tally_note_rest(run->tally, (size_t)repair->begin, (size_t)repair->end, PARLOOM_ERR_CANCELLED);
}

/* What is left below the bound goes into the next round, what lies beyond is not run any more. */
static void cut_repairs(struct loom_dispatch *dispatch)
{
    uint64_t bound = loom_load_relaxed(&loom_dispatch_slot(dispatch)->stop_before); /* relaxed: all have left */
    size_t kept = 0;
    for (size_t k = 0; k < dispatch->n_repairs; k++) {
        struct loom_repair repair = dispatch->repairs[k];
        uint64_t end = repair.end < bound ? repair.end : bound;
        if (repair.begin > end) end = repair.begin;
        if (dispatch->run->block_size > 0 && repair.begin < bound) end = repair.end; /* blocks stay whole */
        struct loom_repair beyond = { end, repair.end, 0, 0 };
        if (end < repair.end) give_up(dispatch, &beyond);
        repair.end = end;
        if (repair.begin < repair.end) dispatch->repairs[kept++] = repair;
    }
    dispatch->n_repairs = kept;
}

/* Workers that inherit (fork) do not see a letter that was written after they started. */
static void replace_workers(struct loom_dispatch *dispatch)
{
    struct loom_crew *crew = dispatch->crew;
    for (uint32_t seat = 0; seat < crew->n_seats; seat++) {
        if (crew->seats[seat].state == LOOM_CREW_EMPTY) continue;
        crew->ops->kill(crew, seat, crew->seats[seat].generation);
        crew->seats[seat].generation++; /* its death is no news */
        crew->seats[seat].state = LOOM_CREW_EMPTY;
    }
}

static void set_spinning(const struct loom_dispatch *dispatch)
{
    struct loom_crew *crew = dispatch->crew;
    int workers = loom_crew_strength(crew, (int)crew->n_seats);
    if (workers < dispatch->run->n_jobs) workers = dispatch->run->n_jobs;
    int cpus = dispatch->run->cpus > 0 ? dispatch->run->cpus : loom_topology_cpu_count(false);
    loom_store_relaxed(&crew->board->may_spin, workers <= cpus); /* relaxed: a hint */
}

/* A round that cannot be opened: what it was to do is to be done still. */
static void take_back(struct loom_dispatch *dispatch)
{
    const struct loom_letter *letter = dispatch->letter;
    if (dispatch->n_repairs > 0 || letter == NULL || letter->repairs == 0) return; /* n_repairs: no letter any more */
    for (uint64_t k = 0; k < letter->tickets; k++)
        loom_dispatch_add_repair(dispatch, loom_letter_begin(letter, k), loom_letter_end(letter, k), 0);
}

static parloom_status run_round(struct loom_dispatch *dispatch, bool is_first, parloom_error *error)
{
    parloom_status status = loom_dispatch_write_letter(dispatch, error);
    if (status == PARLOOM_OK) status = set_bitmaps(dispatch, error);
    if (status != PARLOOM_OK) {
        take_back(dispatch);
        return status;
    }
    if (!is_first && dispatch->crew->ops->inherits) replace_workers(dispatch);
    open_round(dispatch);
    if (loom_crew_staff(dispatch->crew, dispatch->first, dispatch->end, dispatch->run->tally, error) != PARLOOM_OK)
        loom_dispatch_refuse(dispatch, error);
    await_round(dispatch);
    loom_dispatch_collect_unstarted(dispatch);
    cut_repairs(dispatch);
    return PARLOOM_OK;
}

/* What workers read of it they read after the ring that opens the round. */
static void set_retirement(const struct loom_dispatch *dispatch)
{
    const struct loom_crew *crew = dispatch->crew;
    const struct loom_run *run = dispatch->run;
    if (crew->ops->inherits) return; /* workers of one call */
    /* relaxed, both: ordered by the call */
    loom_store_relaxed(&crew->board->idle_ns, run->idle_ns > 0 ? run->idle_ns : crew->idle_ns);
    loom_store_relaxed(&crew->board->growth_nbytes, run->growth_nbytes);
}

static parloom_status run_rounds(struct loom_dispatch *dispatch, parloom_error *error)
{
    loom_store_relaxed(&loom_dispatch_slot(dispatch)->stop_before,
                       UINT64_MAX >> 2); /* relaxed, both: ordered by call */
    loom_store_relaxed(&loom_dispatch_slot(dispatch)->ring_always, 0);
    loom_crew_settle_events(dispatch->crew); /* deaths while nobody called */
    set_spinning(dispatch);
    set_retirement(dispatch);
    parloom_status status = run_round(dispatch, true, error);
    if (status != PARLOOM_OK) return status; /* nothing ran */
    while (status == PARLOOM_OK && dispatch->n_repairs > 0 && !dispatch->is_refused)
        status = run_round(dispatch, false, error);
    if (status != PARLOOM_OK) loom_dispatch_refuse(dispatch, error);
    for (size_t k = 0; k < dispatch->n_repairs; k++) give_up(dispatch, &dispatch->repairs[k]);
    return PARLOOM_OK;
}

static void begin_cpu(struct loom_dispatch *dispatch)
{
    for (int seat = dispatch->first; seat < dispatch->end; seat++)
        dispatch->crew->seats[seat].cpu_ns_before =
            loom_load_relaxed(&loom_board_seat(dispatch->crew->board, (uint32_t)seat)->cpu_ns);
}

static void end_cpu(struct loom_dispatch *dispatch)
{
    for (int seat = dispatch->first; seat < dispatch->end; seat++) { /* relaxed: all have left */
        uint64_t ns = loom_load_relaxed(&loom_board_seat(dispatch->crew->board, (uint32_t)seat)->cpu_ns);
        uint64_t before = dispatch->crew->seats[seat].cpu_ns_before;
        if (ns > before) dispatch->run->tally->cpu_seconds += 1e-9 * (double)(ns - before);
    }
}

static parloom_status outcome(const struct loom_dispatch *dispatch, parloom_error *error)
{
    if (dispatch->is_refused) {
        if (error != NULL) *error = dispatch->refusal;
        return dispatch->refusal.status;
    }
    if (dispatch->is_timed_out)
        return loom_status_fail(error, PARLOOM_ERR_TIMEOUT, 0,
                                "the call ran past its limit; tasks that were running were killed");
    if (dispatch->is_cancelled)
        return loom_status_fail(error, PARLOOM_ERR_CANCELLED, 0, "the call was cancelled %s",
                                loom_shift_run_canceller(dispatch->run));
    return PARLOOM_OK;
}

parloom_status loom_crew_run(struct loom_crew *crew, const struct loom_run *run, parloom_error *error)
{
    struct loom_dispatch dispatch = { .crew = crew, .run = run };
    parloom_error failure;
    pthread_mutex_lock(&crew->lock);
    if ((uint32_t)run->n_jobs > crew->n_jobs) crew->n_jobs = (uint32_t)run->n_jobs;
    crew->told_of_failed_start = false;
    parloom_status status = take_slot(crew, &dispatch, &failure);
    if (status == PARLOOM_OK) {
        if (run->wants_cpu) begin_cpu(&dispatch);
        status = run_rounds(&dispatch, &failure);
        if (status == PARLOOM_OK) status = outcome(&dispatch, &failure);
        if (run->wants_cpu) end_cpu(&dispatch);
        give_slot(&dispatch);
    }
    pthread_mutex_unlock(&crew->lock);
    loom_dispatch_free_letters(&dispatch);
    drop_bitmaps(&dispatch);
    free(dispatch.dead_claims);
    free(dispatch.repairs);
    free(dispatch.skips);
    if (status != PARLOOM_OK && error != NULL) *error = failure;
    return status;
}
