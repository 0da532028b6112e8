/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * processes.c - worker processes of the supervisor: pools, and the workers that calls without a pool share.
 *
 * A crew is made for one worker_init and its state, and one worker_environment. The shared crew grows with n_jobs, and
 * shrinks when workers retire that had nothing to do; the others go on. A call with others, or with more jobs than
 * there are seats, replaces it once nobody uses it, and gets a crew of its own meanwhile.
 */
#include "backends/crew.h"
#include "backends/dispatch.h"
#include "backends/images.h"
#include "backends/lane_crew.h"
#include "backends/letter.h"
#include "backends/spawn.h"
#include "backends/wake.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/topology.h"
#include "shm/arena.h"
#include "shm/segment.h"
#include "shm/window.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEATS_STEP = 8, SEATS_SHARED = 16, SEATS_MOST = 4096 };
enum { WORKER_LEVEL = 1 }; /* of the window: the program is 0, also for calls that its tasks on threads make */
#define DEATHS_NS UINT64_C(2000000000) /* how long killed workers may take to be gone */
#define LOOK_NS   UINT64_C(10000000)
#define IDLE_NS   UINT64_C(300000000000) /* after which shared workers without work end; joblib's too */

/* What makes two calls able to share workers. */
struct identity {
    int (*worker_init)(void *state);
    const void *state;
    size_t state_nbytes;
    const char *environment; /* worker_environment, or NULL */
    bool by_value;           /* how worker_init travels; not part of what makes two calls able to share */
};

struct processes {
    struct loom_crew *crew;
    struct loom_segment *board_segment;
    uint32_t supervisor_crew; /* number at the supervisor */
    struct identity identity; /* state and environment are copies */
    size_t users;             /* calls that run on it (pools do not count); under the lock of shared */
    int owner_pid;
};

/* -------------------------------------------------------- the ops of a crew */

static parloom_status start(struct loom_crew *crew, uint32_t seat, uint32_t generation, parloom_error *error)
{
    struct processes *processes = crew->ops_state;
    return loom_supervisor_start_worker(processes->supervisor_crew, seat, generation, error);
}

static void kill_worker(struct loom_crew *crew, uint32_t seat, uint32_t generation)
{
    struct processes *processes = crew->ops_state;
    loom_supervisor_kill_worker(processes->supervisor_crew, seat, generation);
}

static int next_event(struct loom_crew *crew, struct loom_worker_event *event_out)
{
    return loom_supervisor_next_event(crew->event_fd, event_out);
}

static parloom_status open_at_supervisor(struct loom_crew *crew, parloom_error *error)
{
    struct processes *processes = crew->ops_state;
    parloom_status status = loom_supervisor_ensure(error);
    if (status != PARLOOM_OK) return status;
    return loom_supervisor_open_crew((uint64_t)(uintptr_t)processes->board_segment->address, WORKER_LEVEL,
                                     crew->bell_fds, LOOM_BOARD_BELLS, &processes->supervisor_crew, &crew->event_fd,
                                     error);
}

static parloom_status reopen(struct loom_crew *crew, parloom_error *error)
{
    struct processes *processes = crew->ops_state;
    loom_supervisor_close_crew(processes->supervisor_crew, crew->event_fd);
    crew->event_fd = -1;
    return open_at_supervisor(crew, error);
}

static void close_crew(struct loom_crew *crew)
{
    struct processes *processes = crew->ops_state;
    if (crew->event_fd >= 0) loom_supervisor_close_crew(processes->supervisor_crew, crew->event_fd);
    crew->event_fd = -1;
}

static const struct loom_crew_ops ops = { .start = start,
                                          .kill = kill_worker,
                                          .next_event = next_event,
                                          .reopen = reopen,
                                          .close = close_crew,
                                          .inherits = false };

/* ------------------------------------------------------------ a set of them */

static parloom_status refer_init(const struct identity *identity, struct loom_init_letter *letter, parloom_error *error)
{
    parloom_body function;
    memcpy(&function, &identity->worker_init, sizeof function);
    letter->has_init = 1;
    return identity->by_value ? loom_task_refer_by_value(function, &letter->function, error)
                              : loom_task_refer(function, &letter->function, error);
}

static parloom_status write_init(struct loom_crew *crew, const struct identity *identity, parloom_error *error)
{
    if (identity->worker_init == NULL && identity->environment == NULL) return PARLOOM_OK;
    size_t nbytes = 0;
    parloom_status status = loom_init_letter_measure(identity->state_nbytes, identity->environment, &nbytes, error);
    if (status != PARLOOM_OK) return status;
    struct loom_init_letter *letter = loom_arena_allocate(crew->letters, nbytes, 0, true, error);
    if (letter == NULL) return error != NULL ? error->status : PARLOOM_ERR_SPACE;
    loom_init_letter_put(letter, identity->state, identity->state_nbytes, identity->environment);
    crew->board->init_letter = (uint64_t)(uintptr_t)letter;
    return identity->worker_init != NULL ? refer_init(identity, letter, error) : PARLOOM_OK;
}

static parloom_status copy_identity(struct processes *processes, const struct identity *identity, parloom_error *error)
{
    processes->identity = *identity;
    processes->identity.state = NULL;
    processes->identity.environment = NULL;
    if (identity->environment != NULL) {
        processes->identity.environment = loom_memory_text(identity->environment);
        if (processes->identity.environment == NULL)
            return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for worker_environment");
    }
    if (identity->state_nbytes == 0) return PARLOOM_OK;
    void *copy = loom_memory_zeroed(1, identity->state_nbytes);
    if (copy == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for worker_init_state");
    memcpy(copy, identity->state, identity->state_nbytes);
    processes->identity.state = copy;
    return PARLOOM_OK;
}

static bool has_same_environment(const struct identity *a, const struct identity *b)
{
    if (a->environment == NULL || b->environment == NULL) return a->environment == b->environment;
    return strcmp(a->environment, b->environment) == 0;
}

static bool is_same(const struct identity *a, const struct identity *b)
{
    return has_same_environment(a, b) && a->worker_init == b->worker_init && a->state_nbytes == b->state_nbytes &&
           (a->state_nbytes == 0 || memcmp(a->state, b->state, a->state_nbytes) == 0);
}

static void destroy(struct processes *processes)
{
    if (processes == NULL) return;
    struct loom_crew *crew = processes->crew;
    struct loom_arena *letters = crew != NULL ? crew->letters : NULL;
    struct loom_letter_book *book = crew != NULL ? crew->book : NULL;
    loom_crew_destroy(crew);
    loom_letter_book_destroy(book, letters);
    loom_arena_destroy(letters);
    if (processes->board_segment != NULL) loom_wake_remove((void *)processes->board_segment->address);
    loom_segment_release(processes->board_segment, false);
    free((void *)(uintptr_t)processes->identity.state);
    free((void *)(uintptr_t)processes->identity.environment);
    free(processes);
}

static parloom_status create_crew(struct processes *processes, uint32_t seats, parloom_error *error)
{
    parloom_status status =
        loom_segment_create(loom_board_nbytes(seats), LOOM_SEGMENT_WRITE, NULL, &processes->board_segment, error);
    if (status != PARLOOM_OK) return status;
    struct loom_board_shared *board = loom_board_init(processes->board_segment->address, seats);
    status = loom_crew_create(&processes->crew, &ops, processes, board, error);
    if (status == PARLOOM_OK) status = loom_wake_add(board, error);
    if (status != PARLOOM_OK) return status;
    return loom_arena_create(&processes->crew->letters, LOOM_SEGMENT_READ, NULL, error);
}

/* A Fortran main that set its own file formats (-fconvert, -frecord-marker): workers would write other bytes. */
static parloom_status check_fortran(const struct identity *identity, parloom_error *error)
{
    if (identity->worker_init != NULL || !loom_supervisor_needs_fortran_init()) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                            "this Fortran program sets the format of unformatted files (-fconvert, -frecord-marker or "
                            "-fmax-subrecord-length), which worker processes do not inherit: set it again in "
                            "worker_init, or use the backend threads or fork");
}

/* least: seats, to grow into. */
static parloom_status create(struct processes **processes_out, int n_jobs, int least, const struct identity *identity,
                             parloom_error *error)
{
    if (n_jobs > SEATS_MOST)
        return loom_status_fail(error, PARLOOM_ERR_LIMIT, 0, "n_jobs is %d: at most %d worker processes", n_jobs,
                                SEATS_MOST);
    struct processes *processes = loom_memory_zeroed(1, sizeof *processes);
    if (processes == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a set of workers");
    processes->owner_pid = (int)getpid();
    uint32_t seats = (uint32_t)loom_memory_round_up((size_t)(n_jobs > least ? n_jobs : least), SEATS_STEP);
    parloom_status status = check_fortran(identity, error);
    if (status == PARLOOM_OK) status = copy_identity(processes, identity, error);
    if (status == PARLOOM_OK) status = create_crew(processes, seats, error);
    if (status == PARLOOM_OK) status = write_init(processes->crew, identity, error);
    if (status == PARLOOM_OK) status = open_at_supervisor(processes->crew, error);
    if (status != PARLOOM_OK) {
        destroy(processes);
        return status;
    }
    *processes_out = processes;
    return PARLOOM_OK;
}

/* --------------------------------------------------------- shared workers */

static struct {
    pthread_mutex_t lock;
    struct processes *processes;
    struct processes
        *forgotten; /* of the parent, or robbed of its descriptors: not touched, not lost to leak checkers */
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* In a child that the program forked, the workers are the parent's; where the program has closed their descriptors, the
 * numbers may be its own files by now. Both are forgotten, not closed. */
static void forget_foreign(void)
{
    struct processes *now = shared.processes;
    if (now == NULL || (now->owner_pid == (int)getpid() && loom_crew_is_intact(now->crew))) return;
    shared.forgotten = now;
    shared.processes = NULL;
}

/* Whoever held the lock is not in the child. */
static void renew_lock_in_child(void)
{
    shared.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, renew_lock_in_child);
}

static parloom_status create_shared(struct processes **processes_out, int n_jobs, const struct identity *identity,
                                    parloom_error *error)
{
    int cores = loom_topology_cpu_count(false), least = cores > SEATS_SHARED ? cores : SEATS_SHARED;
    if (least > SEATS_MOST) least = SEATS_MOST;
    parloom_status status = create(processes_out, n_jobs, least, identity, error);
    if (status == PARLOOM_OK) (*processes_out)->crew->idle_ns = IDLE_NS;
    return status;
}

static parloom_status acquire_shared(int n_jobs, const struct identity *identity, struct processes **processes_out,
                                     parloom_error *error)
{
    parloom_status status = PARLOOM_OK;
    pthread_mutex_lock(&shared.lock);
    forget_foreign();
    struct processes *now = shared.processes;
    bool fits = now != NULL && now->crew->n_seats >= (uint32_t)n_jobs && is_same(&now->identity, identity) &&
                loom_board_attach(now->crew->board) != NULL; /* a task may have written over it */
    if (!fits && (now == NULL || now->users == 0)) {
        shared.processes = NULL;
        destroy(now);
        status = create_shared(&now, n_jobs, identity, error);
        if (status == PARLOOM_OK) shared.processes = now;
        fits = status == PARLOOM_OK;
    }
    if (fits) {
        now->users++;
        *processes_out = now;
    }
    pthread_mutex_unlock(&shared.lock);
    if (fits || status != PARLOOM_OK) return status;
    /* Others use the shared ones: this call gets workers of its own. */
    status = create(processes_out, n_jobs, 0, identity, error);
    if (status == PARLOOM_OK) (*processes_out)->users = 1;
    return status;
}

/* The last call on workers that are not the shared ones any more ends them. */
static void release_shared(struct processes *processes)
{
    pthread_mutex_lock(&shared.lock);
    bool is_last = --processes->users == 0 && processes != shared.processes;
    pthread_mutex_unlock(&shared.lock);
    if (is_last) destroy(processes);
}

/* Ends what runs: the calls are told first, so that they neither take the deaths for crashes nor start new workers. */
static void stop_calls(struct loom_crew *crew)
{
    parloom_error error;
    loom_status_fail(&error, PARLOOM_ERR_CANCELLED, 0,
                     "the call was cancelled: parloom_shutdown ended the shared workers at once");
    pthread_mutex_lock(&crew->lock);
    for (uint32_t slot = 0; slot < LOOM_BOARD_SLOTS; slot++)
        if (crew->calls[slot] != NULL) loom_dispatch_refuse(crew->calls[slot], &error);
    loom_crew_lanes_refuse(crew, &error);
    for (uint32_t seat = 0; seat < crew->n_seats; seat++)
        if (crew->seats[seat].state != LOOM_CREW_EMPTY) crew->ops->kill(crew, seat, crew->seats[seat].generation);
    pthread_mutex_unlock(&crew->lock);
}

/* Until the killed are gone, and the calls they worked for have been told. */
static void await_deaths(struct loom_crew *crew)
{
    uint64_t until = loom_clock_ns() + DEATHS_NS;
    pthread_mutex_lock(&crew->lock);
    loom_crew_settle_events(crew);
    while (!crew->is_gone && loom_crew_strength(crew, (int)crew->n_seats) > 0 && loom_clock_ns() < until) {
        struct pollfd watched = { .fd = crew->event_fd, .events = POLLIN };
        pthread_mutex_unlock(&crew->lock);
        (void)poll(&watched, 1, loom_clock_poll_ms(loom_clock_ns() + LOOK_NS)); /* calls read the events too */
        pthread_mutex_lock(&crew->lock);
        loom_crew_settle_events(crew);
    }
    pthread_mutex_unlock(&crew->lock);
}

/* Whoever calls next gets new workers; those of calls that run end with the last of these calls, or now. */
static void shutdown_shared(bool kill)
{
    loom_image_trim();
    pthread_mutex_lock(&shared.lock);
    forget_foreign();
    struct processes *old = shared.processes;
    shared.processes = NULL;
    bool is_idle = old != NULL && old->users == 0;
    if (old != NULL && !is_idle && kill) old->users++; /* it stays until we are done with it */
    pthread_mutex_unlock(&shared.lock);
    if (is_idle) destroy(old);
    if (old == NULL || is_idle || !kill) return;
    stop_calls(old->crew);
    await_deaths(old->crew);
    release_shared(old);
}

/* Nobody but us uses them, or the deadline has come: false. */
static bool await_users(const struct processes *processes, uint64_t deadline_ns)
{
    for (;;) {
        pthread_mutex_lock(&shared.lock);
        bool is_idle = processes->users == 1;
        pthread_mutex_unlock(&shared.lock);
        uint64_t now = loom_clock_ns();
        if (is_idle || now >= deadline_ns) return is_idle;
        uint64_t until = deadline_ns - now > LOOK_NS ? now + LOOK_NS : deadline_ns;
        (void)poll(NULL, 0, loom_clock_poll_ms(until));
    }
}

static bool drain_shared(uint64_t deadline_ns)
{
    pthread_mutex_lock(&shared.lock);
    forget_foreign();
    struct processes *old = shared.processes;
    shared.processes = NULL;
    if (old != NULL) old->users++; /* it stays until we are done with it */
    pthread_mutex_unlock(&shared.lock);
    if (old == NULL) return true;
    bool is_idle = await_users(old, deadline_ns);
    if (!is_idle) {
        stop_calls(old->crew);
        await_deaths(old->crew);
    }
    release_shared(old);
    return is_idle;
}

/* ------------------------------------------------------------- the backend */

/*
 * Inside a worker: the workers of a call that is nested in a task are forked from the worker. They see what it sees,
 * the program's segments and its own, at the same addresses, and they end with it. A supervisor of its own could not
 * give them the program's segments: their descriptors are with the program's supervisor.
 */
static bool is_nested(void)
{
    return loom_window_is_attached();
}

static char nested_workers; /* its address stands for a pool that was opened inside a task */

static parloom_status open_processes(void **workers_out, const parloom_options *options, int n_jobs,
                                     parloom_error *error)
{
    if (is_nested()) {
        *workers_out = &nested_workers;
        return PARLOOM_OK;
    }
    struct processes *processes = NULL;
    struct identity identity = { options->worker_init, options->worker_init_state, options->worker_init_state_nbytes,
                                 options->worker_environment, options->modules == PARLOOM_MODULES_BY_VALUE };
    parloom_status status = create(&processes, n_jobs, 0, &identity, error);
    if (processes == NULL) return status;
    if (options->idle_timeout > 0) processes->crew->idle_ns = loom_clock_of_seconds(options->idle_timeout);
    pthread_mutex_lock(&processes->crew->lock);
    /* One job mostly runs in the caller: its worker is started by the first call that needs it. */
    processes->crew->n_jobs = (uint32_t)n_jobs;
    if (n_jobs > 1) status = loom_crew_staff(processes->crew, 0, n_jobs, NULL, error);
    pthread_mutex_unlock(&processes->crew->lock);
    if (status != PARLOOM_OK) {
        destroy(processes);
        return status;
    }
    *workers_out = processes;
    return PARLOOM_OK;
}

static void close_processes(void *workers, bool kill)
{
    (void)kill; /* its calls have returned */
    struct processes *processes = workers;
    if (workers == &nested_workers) return;
    if (processes->owner_pid == (int)getpid()) destroy(processes);
}

/* A pool was opened by this process, or by the one that forked it. */
static parloom_status check_owner(const struct processes *processes, parloom_error *error)
{
    if (processes->owner_pid == (int)getpid()) return PARLOOM_OK;
    return loom_status_fail(
        error, PARLOOM_ERR_INVALID, 0,
        "the pool was opened by process %d, which forked this one: its workers are not ours; open a "
        "pool here, or leave pool unset",
        processes->owner_pid);
}

static parloom_status run_processes(void *workers, const struct loom_run *run, parloom_error *error)
{
    if (is_nested()) return loom_backend_fork.run(NULL, run, error);
    struct processes *processes = workers;
    struct identity identity = { run->worker_init, run->worker_init_state, run->worker_init_state_nbytes,
                                 run->worker_environment, run->modules_by_value };
    parloom_status status =
        processes == NULL ? acquire_shared(run->n_jobs, &identity, &processes, error) : check_owner(processes, error);
    if (status != PARLOOM_OK) return status;
    status = loom_crew_run(processes->crew, run, error);
    if (workers == NULL) release_shared(processes);
    return status;
}

static void leave_shared(void *state)
{
    release_shared(state);
}

static parloom_status open_lane(void *workers, const struct loom_lane_order *order, struct loom_lane **lane_out,
                                parloom_error *error)
{
    if (is_nested())
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "a stream or a future inside a task cannot have worker processes: they are forked "
                                "for one call there; use the backend threads for it");
    const struct loom_run *run = order->run;
    struct processes *processes = workers;
    struct identity identity = { run->worker_init, run->worker_init_state, run->worker_init_state_nbytes,
                                 run->worker_environment, run->modules_by_value };
    parloom_status status =
        processes == NULL ? acquire_shared(run->n_jobs, &identity, &processes, error) : check_owner(processes, error);
    if (status != PARLOOM_OK) return status;
    status =
        loom_crew_lane_open(processes->crew, order, workers == NULL ? leave_shared : NULL, processes, lane_out, error);
    if (status != PARLOOM_OK && workers == NULL) release_shared(processes);
    return status;
}

const struct loom_backend loom_backend_processes = { .name = "processes",
                                                     .memory = LOOM_MEMORY_SEPARATE,
                                                     .can_kill = true,
                                                     .has_environment = true,
                                                     .unavailable = loom_spawn_is_impossible,
                                                     .open = open_processes,
                                                     .close = close_processes,
                                                     .shutdown = shutdown_shared,
                                                     .drain = drain_shared,
                                                     .run = run_processes,
                                                     .open_lane = open_lane };
