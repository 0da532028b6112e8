/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crew.c - seats of a crew: who is asked for, who lives, what a death means for all calls in flight.
 *
 * A death is settled in the order: harvest for each call (before the desk is cleared), then a new worker is asked for
 * in that seat if a call needs it. Storms: more than max(8, 2 * seats) deaths in a row within 10 s, without one task
 * that ended in between, end the calls with PARLOOM_ERR_POOL.
 */
#include "backends/crew.h"

#include "backends/dispatch.h"
#include "backends/lane_crew.h"
#include "backends/reporter.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/process.h"
#include "base/status.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STORM_NS UINT64_C(10000000000)
enum { MOST_GONE = 3 }; /* supervisors in a row that end before a worker started: then the call is refused */
#define GONE_NS UINT64_C(1000000000) /* how long workers of a dead supervisor may take to be gone; 0.3 ms is usual */

static parloom_status open_bells(struct loom_crew *crew, parloom_error *error)
{
    for (int k = 0; k < LOOM_BOARD_BELLS; k++) {
        crew->bell_fds[k] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (crew->bell_fds[k] < 0)
            return loom_status_fail(error, loom_status_of_errno(errno), errno,
                                    "could not create the bell of a set of workers: %m");
    }
    loom_file_identify(crew->bell_fds[0], &crew->bell);
    return PARLOOM_OK;
}

bool loom_crew_is_intact(const struct loom_crew *crew)
{
    return loom_file_is_still(crew->bell_fds[0], &crew->bell);
}

parloom_status loom_crew_create(struct loom_crew **crew_out, const struct loom_crew_ops *ops, void *ops_state,
                                struct loom_board_shared *board, parloom_error *error)
{
    struct loom_crew *crew = loom_memory_zeroed(1, sizeof *crew);
    if (crew == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a set of workers");
    for (int k = 0; k < LOOM_BOARD_BELLS; k++) crew->bell_fds[k] = -1;
    crew->event_fd = -1;
    crew->board = board;
    crew->n_seats = board->seats;
    crew->ops_state = ops_state;
    crew->seats = loom_memory_zeroed(board->seats, sizeof *crew->seats);
    crew->told_until = loom_memory_zeroed((size_t)LOOM_BOARD_SLOTS * board->seats, sizeof *crew->told_until);
    bool has_memory = crew->seats != NULL && crew->told_until != NULL;
    parloom_status status =
        has_memory ? open_bells(crew, error)
                   : loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for %u workers", board->seats);
    pthread_mutex_init(&crew->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&crew->slot_is_free, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (status != PARLOOM_OK) {
        loom_crew_destroy(crew);
        return status;
    }
    crew->ops = ops;
    *crew_out = crew;
    return PARLOOM_OK;
}

void loom_crew_destroy(struct loom_crew *crew)
{
    if (crew == NULL) return;
    if (crew->ops != NULL) crew->ops->close(crew);
    for (int k = 0; k < LOOM_BOARD_BELLS; k++)
        if (crew->bell_fds[k] >= 0) close(crew->bell_fds[k]);
    pthread_cond_destroy(&crew->slot_is_free);
    pthread_mutex_destroy(&crew->lock);
    free(crew->seats);
    free(crew->told_until);
    free(crew);
}

void loom_crew_ring_program(struct loom_crew *crew, uint32_t slot)
{
    uint64_t one = 1;
    ssize_t written = write(crew->bell_fds[slot], &one, sizeof one);
    (void)written; /* full counter: it is rung already */
}

int loom_crew_strength(const struct loom_crew *crew, int n_jobs)
{
    int strength = 0;
    for (int k = 0; k < n_jobs; k++) strength += crew->seats[k].state != LOOM_CREW_EMPTY;
    return strength;
}

static parloom_status fill_seat(struct loom_crew *crew, uint32_t seat, parloom_error *error)
{
    struct loom_crew_seat *mine = &crew->seats[seat];
    struct loom_seat_shared *shared = loom_board_seat(crew->board, seat);
    memset((void *)shared, 0, sizeof *shared); /* nobody writes it: the one before is reaped */
    mine->pid = 0;                             /* until the event that it was started, or start itself says */
    parloom_status status = crew->ops->start(crew, seat, mine->generation + 1, error);
    if (status != PARLOOM_OK) return status;
    mine->generation++;
    mine->state = LOOM_CREW_ASKED;
    mine->is_killed = false;
    memset(mine->watched, 0, sizeof mine->watched);
    mine->cpu_ns_before = 0;
    return PARLOOM_OK;
}

/* ------------------------------------------------------------------ deaths */

static uint64_t tasks_ended(const struct loom_crew *crew)
{
    uint64_t ended = crew->last_call; /* a call that was finished is progress too */
    ended += loom_crew_lanes_ended(crew);
    for (uint32_t slot = 0; slot < LOOM_BOARD_SLOTS; slot++) {
        if (crew->calls[slot] == NULL) continue;
        ended += crew->calls[slot]->done_before;
        for (uint32_t seat = 0; seat < crew->n_jobs; seat++) /* relaxed: progress only */
            ended += loom_load_relaxed(&loom_board_desk(crew->board, slot, seat)->done);
    }
    return ended;
}

static bool is_storm(struct loom_crew *crew)
{
    uint64_t ended = tasks_ended(crew), now = loom_clock_ns();
    if (ended != crew->progress_seen || now - crew->first_death_ns > STORM_NS) {
        crew->progress_seen = ended;
        crew->first_death_ns = now;
        crew->deaths_in_a_row = 0;
    }
    crew->deaths_in_a_row++;
    uint32_t most = 2 * crew->n_jobs > 8 ? 2 * crew->n_jobs : 8;
    return crew->deaths_in_a_row > most;
}

static void refuse_all(struct loom_crew *crew, const parloom_error *error)
{
    for (uint32_t slot = 0; slot < LOOM_BOARD_SLOTS; slot++) {
        if (crew->calls[slot] == NULL) continue;
        loom_dispatch_refuse(crew->calls[slot], error);
        loom_crew_ring_program(crew, slot); /* whoever took the event is not who waits for that call */
    }
    loom_crew_lanes_refuse(crew, error);
}

static void describe_end(const struct loom_worker_event *event, char *text, size_t size)
{
    char name[32];
    if (WIFSIGNALED(event->wait_status)) {
        loom_reporter_signal_name(WTERMSIG(event->wait_status), name, sizeof name);
        (void)snprintf(text, size, "worker %u, pid %d: %s", event->seat, event->pid, name);
    } else {
        (void)snprintf(text, size, "worker %u, pid %d: exit code %d", event->seat, event->pid,
                       WEXITSTATUS(event->wait_status));
    }
}

/* The worker ended before its first task: worker_init said no, or it cannot work at all. True: settled as that. */
static bool is_start_failure(struct loom_crew *crew, const struct loom_worker_event *event)
{
    parloom_error error;
    struct loom_seat_shared *shared = loom_board_seat(crew->board, event->seat);
    uint32_t state = loom_load_acquire(&shared->state); /* pairs with the worker's release of state */
    int code = loom_load_relaxed(&shared->code);        /* relaxed: ordered by state */
    shared->message[sizeof shared->message - 1] = '\0';
    if (state == LOOM_SEAT_INIT_FAILED) {
        loom_status_fail(&error, PARLOOM_ERR_CALLBACK, 0, "worker_init returned %d in worker %u%s%s", code, event->seat,
                         shared->message[0] ? ": " : "", shared->message);
        error.code = code;
        error.worker = (int)event->seat;
        error.pid = event->pid;
    } else if (state == LOOM_SEAT_UNFIT) {
        loom_status_fail(&error, code < 0 ? (parloom_status)code : PARLOOM_ERR_INTERNAL, 0, "worker %u: %s",
                         event->seat, shared->message);
    } else {
        return false;
    }
    refuse_all(crew, &error);
    return true;
}

static struct loom_death death_of(const struct loom_crew_seat *seat, const struct loom_worker_event *event)
{
    struct loom_death death = { .wait_status = event->wait_status, .pid = event->pid };
    death.status = WIFSIGNALED(event->wait_status) ? PARLOOM_ERR_CRASHED : PARLOOM_ERR_EXITED;
    if (seat->is_killed) death.status = PARLOOM_ERR_TIMEOUT;
    death.oom_killed = event->oom_killed != 0;
    death.peak_nbytes = event->peak_nbytes;
    death.ended_ns = event->ended_ns;
    return death;
}

/* It went by itself, and nothing is lost: it had run as many tasks as it may, or see retire.h. */
static bool has_retired(const struct loom_crew *crew, const struct loom_worker_event *event)
{
    const struct loom_seat_shared *shared = loom_board_seat(crew->board, event->seat);
    uint32_t state = loom_load_full(&shared->state); /* pairs with the worker's last look at the bell */
    if (state != LOOM_SEAT_RETIRED || event->wait_status != 0) return false;
    int32_t grown = loom_load_relaxed(&shared->code); /* relaxed: ordered by state */
    if (grown > 0)
        loom_log(LOOM_LOG_INFO,
                 "worker %u, pid %d, had grown by %d MiB in its tasks and ended; another takes its place", event->seat,
                 event->pid, grown);
    return true;
}

static void harvest_everywhere(struct loom_crew *crew, uint32_t seat, const struct loom_death *death)
{
    for (uint32_t slot = 0; slot < LOOM_BOARD_SLOTS; slot++) {
        if (crew->calls[slot] == NULL) continue;
        loom_dispatch_harvest(crew->calls[slot], seat, death);
        loom_crew_ring_program(crew, slot);
    }
    loom_crew_lanes_harvest(crew, seat, death);
}

static void refill(struct loom_crew *crew, uint32_t seat, bool has_retired)
{
    parloom_error error;
    int wanted = 0;
    for (uint32_t slot = 0; slot < LOOM_BOARD_SLOTS; slot++) {
        struct loom_dispatch *call = crew->calls[slot];
        if (call == NULL || !loom_dispatch_has_seat(call, seat) || call->is_refused) continue;
        wanted |= !has_retired || loom_dispatch_needs_workers(call);
    }
    wanted |= loom_crew_lanes_want(crew, seat, false);
    if (!wanted || crew->is_gone) return;
    parloom_status status = fill_seat(crew, seat, &error);
    if (status == PARLOOM_ERR_POOL) return; /* the supervisor has ended: its last event brings new workers */
    if (status == PARLOOM_OK) {
        for (uint32_t slot = 0; slot < LOOM_BOARD_SLOTS; slot++)
            if (crew->calls[slot] != NULL) crew->calls[slot]->run->tally->workers_started++;
        (void)loom_crew_lanes_want(crew, seat, true);
    } else if (loom_crew_strength(crew, (int)crew->n_jobs) == 0) {
        refuse_all(crew, &error);
    }
}

/* One that ended in worker_init may have done so by chance: another is tried until it is a storm. */
static void describe_storm(const struct loom_crew *crew, const struct loom_worker_event *event,
                           const struct loom_death *death, parloom_error *error)
{
    uint32_t state = loom_load_acquire(&loom_board_seat(crew->board, event->seat)->state); /* pairs with its release */
    if (state == LOOM_SEAT_INITIALISING && !crew->is_gone)
        loom_loss_describe_init(crew, event->seat, death, error);
    else
        loom_status_fail(error, PARLOOM_ERR_POOL, 0,
                         "%u workers ended in a row without finishing a task, the last one: %s; look at what the task "
                         "or worker_init does first, with n_jobs = 1 to debug it in the caller",
                         crew->deaths_in_a_row, crew->last_death);
}

/* After the harvest, which knows what the dead had finished. */
static void refuse_storm(struct loom_crew *crew, const struct loom_worker_event *event, const struct loom_death *death)
{
    parloom_error error;
    if (!is_storm(crew)) return;
    describe_storm(crew, event, death, &error);
    refuse_all(crew, &error);
}

static void settle_death(struct loom_crew *crew, const struct loom_worker_event *event)
{
    struct loom_crew_seat *seat = &crew->seats[event->seat];
    struct loom_death death = death_of(seat, event);
    seat->state = LOOM_CREW_EMPTY;
    describe_end(event, crew->last_death, sizeof crew->last_death);
    bool is_retired = has_retired(crew, event);
    if (is_retired) death.status = PARLOOM_OK;
    bool is_by_clock = loom_crew_lanes_have_timed_out(crew, event->seat, &death);
    if (is_by_clock) death.status = PARLOOM_ERR_TIMEOUT;
    bool is_strange = !is_retired && !is_start_failure(crew, event) && !seat->is_killed && !is_by_clock;
    harvest_everywhere(crew, event->seat, &death);
    if (is_strange) refuse_storm(crew, event, &death);
    refill(crew, event->seat, is_retired);
}

static void settle_failed_start(struct loom_crew *crew, const struct loom_worker_event *event)
{
    parloom_error error;
    crew->seats[event->seat].state = LOOM_CREW_EMPTY;
    if (loom_crew_strength(crew, (int)crew->n_jobs) > 0) {
        if (!crew->told_of_failed_start)
            loom_log(LOOM_LOG_WARNING, "worker %u could not be started (%s); going on with fewer", event->seat,
                     strerror(event->sys_errno));
        crew->told_of_failed_start = true;
        for (uint32_t slot = 0; slot < LOOM_BOARD_SLOTS; slot++) loom_crew_ring_program(crew, slot);
        loom_crew_lanes_ring(crew);
        return;
    }
    loom_status_fail(&error, loom_status_of_errno(event->sys_errno), event->sys_errno,
                     "no worker could be started: %m; lower n_jobs, or raise the limit on processes");
    refuse_all(crew, &error);
}

/* The kernel kills the workers of a dead supervisor, but only after it has closed its sockets: until they are gone they
 * still write on the board. One that cannot be waited for (pid not known yet) has not begun. */
static void await_death(const struct loom_crew_seat *seat, uint64_t until_ns)
{
    int pidfd = seat->pid > 0 ? loom_process_pidfd(seat->pid) : -1;
    if (pidfd < 0) return; /* it is gone, and reaped */
    struct pollfd watched = { .fd = pidfd, .events = POLLIN };
    while (loom_clock_ns() < until_ns && poll(&watched, 1, loom_clock_poll_ms(until_ns)) < 0 && errno == EINTR) {
        /* again: a signal of the program's came in between */
    }
    (void)close(pidfd);
}

static void settle_gone(struct loom_crew *crew)
{
    if (crew->is_gone) return;
    crew->is_gone = true;
    crew->gone_in_a_row++;
    uint64_t until_ns = loom_clock_ns() + GONE_NS;
    for (uint32_t seat = 0; seat < crew->n_seats; seat++)
        if (crew->seats[seat].state != LOOM_CREW_EMPTY) await_death(&crew->seats[seat], until_ns);
    for (uint32_t seat = 0; seat < crew->n_seats; seat++) {
        if (crew->seats[seat].state == LOOM_CREW_EMPTY) continue;
        struct loom_worker_event event = { .kind = LOOM_WORKER_DIED,
                                           .seat = seat,
                                           .generation = crew->seats[seat].generation,
                                           .pid = crew->seats[seat].pid,
                                           .wait_status = 9 /* SIGKILL, as its parent's death gives */ };
        settle_death(crew, &event);
    }
    parloom_error error;
    for (uint32_t slot = 0; slot < LOOM_BOARD_SLOTS; slot++) {
        struct loom_dispatch *call = crew->calls[slot];
        if (call == NULL || call->is_refused) continue;
        if (loom_crew_staff(crew, call->first, call->end, call->run->tally, &error) != PARLOOM_OK)
            refuse_all(crew, &error);
    }
    int jobs = loom_crew_lanes_jobs(crew);
    if (jobs > 0 && loom_crew_staff(crew, 0, jobs, NULL, &error) != PARLOOM_OK) refuse_all(crew, &error);
}

static parloom_status reopen(struct loom_crew *crew, parloom_error *error)
{
    if (!crew->is_gone) return PARLOOM_OK;
    parloom_status status = crew->ops->reopen(crew, error);
    if (status == PARLOOM_OK) crew->is_gone = false;
    return status;
}

parloom_status loom_crew_staff(struct loom_crew *crew, int first, int end, struct loom_tally *tally,
                               parloom_error *error)
{
    for (;;) {
        parloom_status status = reopen(crew, error);
        for (int k = first; status == PARLOOM_OK && k < end; k++) {
            if (crew->seats[k].state != LOOM_CREW_EMPTY) continue;
            status = fill_seat(crew, (uint32_t)k, error);
            if (status == PARLOOM_OK && tally != NULL) tally->workers_started++;
        }
        if (status != PARLOOM_ERR_POOL || crew->gone_in_a_row >= MOST_GONE) return status;
        /* It has just ended, and its last event was not read yet; or the one started in its place has. */
        if (crew->is_gone)
            crew->gone_in_a_row++;
        else
            settle_gone(crew);
    }
}

void loom_crew_settle_events(struct loom_crew *crew)
{
    struct loom_worker_event event;
    loom_crew_lanes_serve(crew);
    while (crew->ops->next_event(crew, &event) == 1) {
        if (event.kind == LOOM_SUPERVISOR_GONE) {
            settle_gone(crew);
            return;
        }
        if (event.seat >= crew->n_seats || event.generation != crew->seats[event.seat].generation) continue;
        if (event.kind == LOOM_WORKER_STARTED) {
            crew->seats[event.seat].state = LOOM_CREW_ALIVE;
            crew->gone_in_a_row = 0;
            crew->seats[event.seat].pid = event.pid;
        } else if (event.kind == LOOM_WORKER_DIED) {
            settle_death(crew, &event);
        } else if (event.kind == LOOM_WORKER_FAILED) {
            settle_failed_start(crew, &event);
        }
    }
}
