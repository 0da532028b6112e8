/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane_threads.c - a lane on threads of the caller's process. An OpenMP region ends before its caller goes on, so these
 * are threads of the lane's own, started when there is work for them and gone when it is closed.
 *
 * Nobody can end a thread in the midst of a body: one that does not look at parloom_cancelled goes on after the
 * closing, with what its task needs, and is the last to put out the light (users).
 */
#include "backends/lane_local.h"

#include "base/binding.h"
#include "base/clock.h"
#include "base/fpu.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GRACE_NS     UINT64_C(100000000) /* for bodies that look at parloom_cancelled now and then: nobody kills them */
#define STOP_LOOK_NS UINT64_C(5000000)
#define LOOK_NS      UINT64_C(1000000)

struct threads_lane {
    struct loom_lane lane;
    struct loom_lane_order order;
    struct loom_local local;
    struct loom_local_crew *crew; /* whose worker_init has run; NULL: there is none */
    bool owns_crew;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t has_work, has_news;
    struct loom_parcel_queue waiting, ended;
    int n_threads, n_idle, n_busy;
    int users;            /* threads, and the owner until it has closed */
    struct servant *left; /* threads that have left; who closes joins them */
    bool is_closing, is_abandoned, is_woken, is_stopped;
};

struct servant {
    struct threads_lane *lane;
    int number;
    pthread_t thread;
    struct servant *next;
};

static struct threads_lane *as_threads(struct loom_lane *lane)
{
    return (struct threads_lane *)lane; /* its first member */
}

static void destroy(struct threads_lane *lane)
{
    struct loom_lane_order order = lane->order;
    (void)loom_local_end(&lane->local, NULL);
    if (lane->owns_crew) loom_local_close(lane->crew, false);
    pthread_cond_destroy(&lane->has_work);
    pthread_cond_destroy(&lane->has_news);
    pthread_mutex_destroy(&lane->lock);
    free(lane);
    order.end(order.state);
}

/* Under the lock, which is let go. */
static void leave(struct threads_lane *lane)
{
    bool is_last = --lane->users == 0;
    pthread_cond_broadcast(&lane->has_news);
    pthread_mutex_unlock(&lane->lock);
    if (is_last) destroy(lane);
}

/* ------------------------------------------------------------------ threads */

/* Under the lock. Nothing is begun after the deadline, also while nobody waits; nor once it is cancelled, whatever
 * becomes of the stop: its owner will close it. */
static bool has_work(struct threads_lane *lane)
{
    uint64_t deadline_ns = lane->order.run->deadline_ns;
    if (lane->waiting.first == NULL || lane->is_stopped) return false;
    lane->is_stopped = loom_shift_run_is_cancelled(lane->order.run);
    if (lane->is_stopped) pthread_cond_signal(&lane->has_news);
    return !lane->is_stopped && (deadline_ns == LOOM_NEVER_NS || loom_clock_ns() < deadline_ns);
}

/* Under the lock; NULL: the lane is being closed. */
static struct loom_parcel *next_parcel(struct threads_lane *lane)
{
    lane->n_idle++;
    while (!lane->is_closing && !has_work(lane)) pthread_cond_wait(&lane->has_work, &lane->lock);
    lane->n_idle--;
    return lane->is_closing ? NULL : loom_parcel_pop(&lane->waiting);
}

/* Under the lock. */
static void hand_over(struct threads_lane *lane, struct loom_parcel *parcel)
{
    if (!lane->is_closing) {
        loom_parcel_push(&lane->ended, parcel);
        pthread_cond_signal(&lane->has_news);
        return;
    }
    pthread_mutex_unlock(&lane->lock); /* nobody waits for it any more */
    loom_lane_local_release(&lane->lane, parcel);
    lane->order.drop(parcel, lane->order.state);
    pthread_mutex_lock(&lane->lock);
}

/* A refusal is known to the waiting by local.failure. */
static bool is_ready(struct threads_lane *lane, struct loom_lane_bench *bench, int number)
{
    parloom_error error;
    struct loom_binding binding;
    const struct loom_run *run = lane->order.run;
    struct loom_inner_of_thread before; /* for good, as below */
    loom_inner_threads_enter(&run->inner, &lane->local.inner, &before);
    loom_fpu_write(run->fp_control);
    loom_binding_enter(&binding, run->placement, number); /* for good: it is the lane's own thread */
    parloom_status status = loom_lane_bench_begin(bench, run, number, &lane->local.stop_before, &error);
    if (status == PARLOOM_OK) return lane->crew == NULL || loom_local_init(&lane->local, lane->crew, number);
    pthread_mutex_lock(&lane->local.lock);
    lane->local.failure = status;
    lane->local.error = error;
    pthread_mutex_unlock(&lane->local.lock);
    return false;
}

/* Under the lock, which is let go. A thread that is in its last steps when its stream is closed is waited for: it is
 * still in code that may be unloaded next, and runtimes do not like threads that end while the program does. */
static void leave_as(struct servant *servant)
{
    struct threads_lane *lane = servant->lane;
    if (lane->is_abandoned) {
        (void)pthread_detach(pthread_self());
        free(servant);
    } else {
        servant->thread = pthread_self();
        servant->next = lane->left;
        lane->left = servant;
    }
    leave(lane);
}

static void join_all(struct servant *servant)
{
    while (servant != NULL) {
        struct servant *next = servant->next;
        (void)pthread_join(servant->thread, NULL);
        free(servant);
        servant = next;
    }
}

static void *serve(void *state)
{
    struct servant *servant = state;
    struct threads_lane *lane = servant->lane;
    struct loom_parcel *parcel;
    struct loom_lane_bench bench;
    bool can_work = is_ready(lane, &bench, servant->number);
    pthread_mutex_lock(&lane->lock);
    while (can_work && (parcel = next_parcel(lane)) != NULL) {
        parcel->has_begun = true;
        lane->n_busy++;
        pthread_mutex_unlock(&lane->lock);
        loom_lane_bench_run(&bench, parcel);
        pthread_mutex_lock(&lane->lock);
        lane->n_busy--;
        hand_over(lane, parcel);
    }
    loom_lane_bench_end(&bench);
    leave_as(servant);
    return NULL;
}

/* Signals are for the program's own threads; those of a fault cannot be blocked. */
static int create_thread(struct servant *servant)
{
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&thread, NULL, serve, servant);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

/* Under the lock. One more where all that there are have work. */
static parloom_status start_thread(struct threads_lane *lane, parloom_error *error)
{
    if (lane->n_idle > 0 || lane->n_threads >= lane->order.run->n_jobs) return PARLOOM_OK;
    struct servant *servant = malloc(sizeof *servant);
    if (servant != NULL) *servant = (struct servant){ .lane = lane, .number = lane->n_threads };
    int failure = servant != NULL ? create_thread(servant) : ENOMEM;
    if (failure == 0) {
        lane->n_threads++;
        lane->users++;
        return PARLOOM_OK;
    }
    free(servant);
    if (lane->n_threads > 0) return PARLOOM_OK; /* the others do it */
    return loom_status_fail(error, PARLOOM_ERR_LIMIT, failure, "no thread could be started for a stream: %m");
}

/* ------------------------------------------------------------------ the ops */

static parloom_status post(struct loom_lane *base, struct loom_parcel *parcel, parloom_error *error)
{
    struct threads_lane *lane = as_threads(base);
    parcel->attempt = 0;
    parcel->has_begun = false;
    parcel->room = (struct loom_room){ NULL, 0 };
    pthread_mutex_lock(&lane->lock);
    parloom_status status = start_thread(lane, error);
    if (status == PARLOOM_OK) {
        loom_parcel_push(&lane->waiting, parcel);
        pthread_cond_signal(&lane->has_work);
    }
    pthread_mutex_unlock(&lane->lock);
    return status;
}

/* Under the lock, which is let go meanwhile. */
static void wait_until(struct threads_lane *lane, uint64_t until_ns)
{
    struct timespec time = { (time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u) };
    if (until_ns == LOOM_NEVER_NS)
        pthread_cond_wait(&lane->has_news, &lane->lock);
    else
        (void)pthread_cond_timedwait(&lane->has_news, &lane->lock, &time);
}

static parloom_status await(struct loom_lane *base, uint64_t until_ns, struct loom_parcel **parcel_out,
                            parloom_error *error)
{
    struct threads_lane *lane = as_threads(base);
    const struct loom_run *run = lane->order.run;
    parloom_status status = PARLOOM_OK;
    pthread_mutex_lock(&lane->lock);
    while ((*parcel_out = loom_parcel_pop(&lane->ended)) == NULL) {
        status = loom_lane_local_watch(&lane->local, error);
        if (status == PARLOOM_OK && lane->is_stopped)
            status = loom_status_fail(error, PARLOOM_ERR_CANCELLED, 0, "the stream was cancelled");
        uint64_t now = loom_clock_ns(), next = run->deadline_ns < until_ns ? run->deadline_ns : until_ns;
        bool is_empty = lane->n_busy == 0 && lane->waiting.first == NULL;
        if (status != PARLOOM_OK || is_empty || now >= until_ns || lane->is_woken) break;
        if (loom_shift_run_is_stoppable(run) && now + STOP_LOOK_NS < next) next = now + STOP_LOOK_NS;
        wait_until(lane, next);
    }
    lane->is_woken = false;
    pthread_mutex_unlock(&lane->lock);
    return status;
}

static bool recall(struct loom_lane *base, struct loom_parcel *parcel)
{
    struct threads_lane *lane = as_threads(base);
    pthread_mutex_lock(&lane->lock);
    bool is_back = loom_parcel_remove(&lane->waiting, parcel);
    pthread_mutex_unlock(&lane->lock);
    return is_back;
}

static bool has_begun(struct loom_lane *base, struct loom_parcel *parcel)
{
    struct threads_lane *lane = as_threads(base);
    pthread_mutex_lock(&lane->lock);
    bool has = parcel->has_begun;
    pthread_mutex_unlock(&lane->lock);
    return has;
}

static void wake(struct loom_lane *base)
{
    struct threads_lane *lane = as_threads(base);
    pthread_mutex_lock(&lane->lock);
    lane->is_woken = true;
    pthread_cond_broadcast(&lane->has_news);
    pthread_mutex_unlock(&lane->lock);
}

static void drop_all(struct threads_lane *lane, struct loom_parcel_queue *queue, bool has_ended)
{
    struct loom_parcel *parcel;
    while ((parcel = loom_parcel_pop(queue)) != NULL) {
        if (!has_ended) parcel->status = PARLOOM_ERR_CANCELLED;
        loom_lane_local_release(&lane->lane, parcel);
        lane->order.drop(parcel, lane->order.state);
    }
}

/* Under the lock. The idle leave at once; who is in a body has a moment. */
static void await_threads(struct threads_lane *lane)
{
    uint64_t now = loom_clock_ns(), grace_ns = now + GRACE_NS;
    while (lane->users > 1 && (lane->users > 1 + lane->n_busy || now < grace_ns)) {
        wait_until(lane, now < grace_ns ? grace_ns : now + LOOK_NS);
        now = loom_clock_ns();
    }
}

static void close_lane(struct loom_lane *base)
{
    struct threads_lane *lane = as_threads(base);
    pthread_mutex_lock(&lane->lock);
    struct loom_parcel_queue waiting = lane->waiting, ended = lane->ended;
    lane->waiting = lane->ended = (struct loom_parcel_queue){ NULL, NULL };
    lane->is_closing = true;
    loom_store_release(&lane->local.stop_before, 0); /* pairs with the look of a body: at nothing else from now on */
    pthread_cond_broadcast(&lane->has_work);
    await_threads(lane);
    struct servant *left = lane->left;
    lane->left = NULL;
    lane->is_abandoned = true; /* by now; who is still in a body sees to itself */
    pthread_mutex_unlock(&lane->lock);
    join_all(left);
    drop_all(lane, &waiting, false);
    drop_all(lane, &ended, true);
    pthread_mutex_lock(&lane->lock);
    leave(lane);
}

static const struct loom_lane_ops ops = {
    post, await, recall, has_begun, loom_lane_local_expire, NULL, wake, loom_lane_local_release, close_lane
};

/* ------------------------------------------------------------------ opening */

static void init_waiting(struct threads_lane *lane)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->has_work, NULL);
    pthread_cond_init(&lane->has_news, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

parloom_status loom_lane_open_threads(void *workers, const struct loom_lane_order *order, struct loom_lane **lane_out,
                                      parloom_error *error)
{
    void *crew = workers;
    bool owns_crew = workers == NULL && order->run->worker_init != NULL;
    parloom_status status = owns_crew ? loom_local_open(&crew, NULL, order->run->n_jobs, error) : PARLOOM_OK;
    if (status != PARLOOM_OK) return status;
    struct threads_lane *lane = loom_memory_aligned(128, loom_memory_round_up(sizeof *lane, 128));
    if (lane == NULL) {
        if (owns_crew) loom_local_close(crew, false);
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a stream");
    }
    *lane =
        (struct threads_lane){ .lane = { &ops }, .order = *order, .crew = crew, .owns_crew = owns_crew, .users = 1 };
    loom_local_begin(&lane->local, order->run);
    init_waiting(lane);
    *lane_out = &lane->lane;
    return PARLOOM_OK;
}
