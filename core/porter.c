/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * porter.c - porters are found or opened when a future is submitted, and closed with the last one (see porter.h).
 *
 * Opening     one at a time: two futures that come at once share the porter that the first of them opens.
 * Ends        with its last future; or when the lane refuses, and with the program: what is outstanding is cancelled.
 */
#include "core/porter.h"

#include "backends/shift.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/status.h"
#include "core/call.h"
#include "core/pool.h"
#include "core/scope.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_NS UINT64_C(2000000000) /* a program that ends does not wait longer for a callback */

static struct {
    pthread_mutex_t opening;
    /* under the lock of futures */
    struct loom_porter *first;
    struct loom_porter *forgotten; /* of the program that forked this one: not lost to leak checkers */
    int n_keepers;
    bool is_ending;
} porters = { .opening = PTHREAD_MUTEX_INITIALIZER };

static void forget_in_child(void)
{
    porters.opening = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    porters.forgotten = porters.first;
    porters.first = NULL;
    porters.n_keepers = 0;
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, forget_in_child);
}

/* ---------------------------------------------------------------- references */

static void destroy(struct loom_porter *porter)
{
    if (porter->plan.options.struct_size > 0) loom_options_destroy(&porter->plan.options);
    if (porter->is_inherited) loom_options_destroy(&porter->inherited);
    loom_tally_fini(&porter->tally);
    free(porter->placement);
    free(porter);
}

void loom_porter_unref(struct loom_porter *porter)
{
    loom_futures_lock();
    bool is_last = --porter->refs == 0;
    loom_futures_unlock();
    if (is_last) destroy(porter);
}

bool loom_porter_enter(struct loom_porter *porter)
{
    if (porter->is_closing) return false;
    porter->n_inside++;
    return true;
}

void loom_porter_leave(struct loom_porter *porter)
{
    porter->n_inside--;
    loom_futures_tell();
}

static void attach(struct loom_porter *porter, parloom_future *future)
{
    porter->n_inside++;
    porter->n_outstanding++;
    porter->n_handles++;
    porter->n_deadlines += future->deadline_ns != LOOM_NEVER_NS;
    porter->refs++;
    future->refs++;
    future->porter = porter;
    future->next = porter->first;
    if (porter->first != NULL) porter->first->previous = future;
    porter->first = future;
}

void loom_porter_forget(struct loom_porter *porter, parloom_future *future)
{
    if (future->previous != NULL)
        future->previous->next = future->next;
    else
        porter->first = future->next;
    if (future->next != NULL) future->next->previous = future->previous;
    future->next = future->previous = NULL;
    porter->n_deadlines -= future->deadline_ns != LOOM_NEVER_NS;
    if (--porter->n_outstanding == 0) loom_futures_tell();
}

void loom_porter_delist(struct loom_porter *porter)
{
    struct loom_porter **at = &porters.first;
    while (*at != NULL && *at != porter) at = &(*at)->next;
    if (*at != NULL) *at = porter->next;
    porter->is_listed = false;
}

bool loom_porter_is_to_join(struct loom_porter *porter)
{
    if (porter->n_handles > 0 || porter->n_outstanding > 0 || !porter->has_keeper) return false;
    if (porter->is_listed) loom_porter_delist(porter);
    porter->has_keeper = false;
    return true;
}

void loom_porters_note_keeper(int change)
{
    porters.n_keepers += change;
    loom_futures_tell();
}

/* ------------------------------------------------------------------- finding */

static struct loom_porter_place place_here(void)
{
    return (struct loom_porter_place){ loom_shift_level(), loom_shift_parallel_level(), loom_shift_cores(),
                                       loom_interrupt_stop() };
}

static bool is_same_place(const struct loom_porter_place *a, const struct loom_porter_place *b)
{
    return a->level == b->level && a->parallel_level == b->parallel_level && a->cores == b->cores &&
           a->interrupt == b->interrupt;
}

/* What is inherited by tasks may be nothing at all. */
static bool does_fit(const struct loom_porter *porter, const struct loom_plan *plan,
                     const struct loom_porter_place *place, const parloom_options *inherited)
{
    return !porter->is_renewed && porter->plan.backend == plan->backend && porter->plan.pool == plan->pool &&
           porter->plan.n_jobs == plan->n_jobs && is_same_place(&porter->place, place) &&
           porter->is_inherited == (inherited != NULL) &&
           (inherited == NULL || loom_options_are_equal(&porter->inherited, inherited)) &&
           loom_options_are_equal(&porter->plan.options, &plan->options);
}

/* NULL: there is none. */
static struct loom_porter *find_listed(const struct loom_plan *plan, parloom_future *future)
{
    parloom_options inherited;
    bool is_inherited = loom_scope_inherit(&inherited);
    struct loom_porter_place place = place_here();
    if (plan->is_alone) return NULL;
    loom_futures_lock();
    struct loom_porter *porter = porters.is_ending ? NULL : porters.first;
    while (porter != NULL && !does_fit(porter, plan, &place, is_inherited ? &inherited : NULL)) porter = porter->next;
    if (porter != NULL) attach(porter, future);
    loom_futures_unlock();
    return porter;
}

/* ------------------------------------------------------------------- opening */

static void drop(struct loom_parcel *parcel, void *state)
{
    parloom_future *future = (parloom_future *)parcel;
    (void)state;
    loom_futures_lock();
    bool is_orphan = future->is_orphan;
    future->is_back = true;
    loom_futures_unlock();
    if (is_orphan) loom_future_unref(future);
}

static void end(void *state)
{
    loom_porter_unref(state);
}

static parloom_status copy_options(struct loom_porter *porter, const struct loom_plan *plan, parloom_error *error)
{
    parloom_options inherited;
    porter->plan = *plan;
    porter->plan.options.struct_size = 0; /* not ours yet */
    parloom_status status = loom_options_copy(&porter->plan.options, &plan->options, error);
    if (plan->params != NULL) porter->plan.params = porter->plan.options.backend_params;
    if (status != PARLOOM_OK || !loom_scope_inherit(&inherited)) return status;
    status = loom_options_copy(&porter->inherited, &inherited, error);
    porter->is_inherited = status == PARLOOM_OK;
    return status;
}

static void freeze(struct loom_porter *porter)
{
    struct loom_run *run = &porter->run;
    porter->place = place_here();
    porter->placement = loom_plan_placement(&porter->plan, porter->plan.n_jobs);
    run->placement = porter->placement;
    loom_call_freeze_plan(&porter->plan, run);
    run->around = NULL; /* a task that submitted it may end before it does */
    run->tally = &porter->tally;
    if (porter->is_inherited) run->scope = &porter->inherited;
}

static parloom_status open_lane(struct loom_porter *porter, parloom_error *error)
{
    const struct loom_plan *plan = &porter->plan;
    void *workers = plan->pool != NULL ? loom_pool_workers(plan->pool, plan->backend) : NULL;
    struct loom_lane_order order = { &porter->run, drop, end, porter };
    parloom_status status = plan->backend->open_lane(workers, &order, &porter->lane, error);
    if (status == PARLOOM_OK) porter->refs++;
    return status;
}

void loom_porter_close_lane(struct loom_porter *porter)
{
    porter->lane->ops->close(porter->lane);
    if (porter->plan.pool != NULL) loom_pool_leave(porter->plan.pool, &porter->plan.options);
}

static parloom_status check_ending(parloom_error *error)
{
    loom_futures_lock();
    bool is_ending = porters.is_ending;
    loom_futures_unlock();
    if (!is_ending) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_BUSY, 0, "the program is ending: nobody would run the call");
}

static void publish(struct loom_porter *porter)
{
    loom_futures_lock();
    porter->next = porters.first;
    porters.first = porter;
    porter->is_listed = true;
    bool is_ending = porters.is_ending;
    loom_futures_unlock();
    /* It came too late to be told with the others, and its keeper may have begun to wait. */
    if (is_ending) porter->lane->ops->wake(porter->lane);
}

/* The lane is closed as after a last future. */
static void close_unused(struct loom_porter *porter, parloom_future *future)
{
    loom_futures_lock();
    porter->n_handles--;
    loom_porter_forget(porter, future);
    future->refs--;
    loom_porter_leave(porter);
    loom_futures_unlock();
    porter->lane->ops->close(porter->lane);
}

static parloom_status start(struct loom_porter *porter, const struct loom_plan *plan, parloom_future *future,
                            parloom_error *error)
{
    parloom_status status = check_ending(error);
    if (status == PARLOOM_OK) status = loom_tally_init(&porter->tally, 0, 1, error);
    if (status == PARLOOM_OK) status = copy_options(porter, plan, error);
    if (status != PARLOOM_OK) return status;
    freeze(porter);
    status = open_lane(porter, error);
    if (status != PARLOOM_OK) return status;
    loom_futures_lock();
    attach(porter, future);
    loom_futures_unlock();
    if (plan->is_alone) return PARLOOM_OK;
    status = loom_keeper_start(porter, error);
    if (status != PARLOOM_OK)
        close_unused(porter, future);
    else
        publish(porter);
    return status;
}

static void cancel_all_at_exit(void);

static void register_exit(void)
{
    (void)atexit(cancel_all_at_exit);
}

static parloom_status open_porter(struct loom_porter **porter_out, const struct loom_plan *plan, parloom_future *future,
                                  parloom_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_exit);
    struct loom_porter *porter = loom_memory_zeroed(1, sizeof *porter);
    if (porter == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a future");
    porter->refs = 1; /* the keeper's */
    parloom_status status = start(porter, plan, future, error);
    *porter_out = porter;
    if (status != PARLOOM_OK) loom_porter_unref(porter);
    return status;
}

parloom_status loom_porter_find(struct loom_porter **porter_out, struct loom_plan *plan, parloom_future *future,
                                parloom_error *error)
{
    pthread_mutex_lock(&porters.opening);
    *porter_out = find_listed(plan, future);
    bool is_new = *porter_out == NULL;
    parloom_status status = is_new ? open_porter(porter_out, plan, future, error) : PARLOOM_OK;
    pthread_mutex_unlock(&porters.opening);
    if (plan->pool != NULL && !(is_new && status == PARLOOM_OK)) loom_pool_leave(plan->pool, &plan->options);
    return status;
}

/* -------------------------------------------------------------------- ending */

/* They stay in the list: the program may end before they have. */
void loom_porters_renew(void)
{
    loom_futures_lock();
    for (struct loom_porter *porter = porters.first; porter != NULL; porter = porter->next)
        porter->is_renewed |= porter->plan.pool == NULL;
    loom_futures_unlock();
}

bool loom_porters_are_ending(void)
{
    return porters.is_ending;
}

/* Under the lock, which is let go meanwhile. False: all know. */
static bool tell_one(void)
{
    struct loom_porter *porter = porters.first;
    while (porter != NULL && (porter->is_told || !loom_porter_enter(porter))) porter = porter->next;
    if (porter == NULL) return false;
    porter->is_told = true;
    loom_futures_unlock();
    porter->lane->ops->wake(porter->lane);
    loom_futures_lock();
    loom_porter_leave(porter);
    return true;
}

/* Keepers end what is outstanding; exit may have been called by one, in a callback. */
static void cancel_all_at_exit(void)
{
    uint64_t until_ns = loom_clock_ns() + EXIT_NS;
    loom_futures_lock();
    porters.is_ending = true;
    loom_futures_tell();
    while (tell_one()) continue;
    while (porters.n_keepers > (loom_keeper_is_here() ? 1 : 0) && loom_futures_sleep(until_ns)) continue;
    loom_futures_unlock();
}
