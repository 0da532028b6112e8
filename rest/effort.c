/* SPDX-License-Identifier: BSD-3-Clause */
/* effort.c - the work of one dump or load: shared out, and told of. */
#include "rest/effort.h"

#include "base/atomics.h"
#include "base/clock.h"
#include "base/status.h"

enum { TELL_EVERY_NS = 100 * 1000 * 1000, SLOTS_MAX = 64 };

void loom_effort_begin(struct loom_effort *effort, int n_jobs,
                       int (*progress)(uint64_t done_nbytes, uint64_t nbytes, void *state), void *state)
{
    *effort = (struct loom_effort){ .n_jobs = n_jobs, .progress = progress, .state = state, .caller = pthread_self() };
}

void loom_effort_expect(struct loom_effort *effort, uint64_t nbytes, size_t header_nbytes)
{
    effort->nbytes = nbytes;
    loom_store_relaxed(&effort->done, 0 - (uint64_t)header_nbytes); /* until the header is done: more than there is */
}

static parloom_status give_up(parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_CANCELLED, 0, "given up, as progress asked for");
}

static void tell(struct loom_effort *effort, uint64_t done)
{
    effort->told_ns = loom_clock_ns();
    if (effort->progress(done, effort->nbytes, effort->state) != 0) loom_store_relaxed(&effort->is_over, true);
}

parloom_status loom_effort_advance(struct loom_effort *effort, size_t nbytes, parloom_error *error)
{
    if (effort->progress == NULL) return PARLOOM_OK;
    uint64_t done = loom_add_relaxed(&effort->done, nbytes) + nbytes;
    bool is_told = pthread_equal(pthread_self(), effort->caller) != 0 && !loom_load_relaxed(&effort->is_over);
    /* The whole is told of once, at the end. */
    if (is_told && done < effort->nbytes &&
        (effort->told_ns == 0 || loom_clock_ns() - effort->told_ns >= TELL_EVERY_NS))
        tell(effort, done);
    return loom_load_relaxed(&effort->is_over) ? give_up(error) : PARLOOM_OK;
}

parloom_status loom_effort_end(struct loom_effort *effort, parloom_error *error)
{
    if (effort->progress == NULL) return PARLOOM_OK;
    tell(effort, effort->nbytes);
    return loom_load_relaxed(&effort->is_over) ? give_up(error) : PARLOOM_OK;
}

/* ------------------------------------------------------------------------- share */

size_t loom_effort_slots(const struct loom_effort *effort, uint64_t parts)
{
    int n_jobs = parloom_effective_n_jobs(effort->n_jobs);
    size_t slots = n_jobs > 1 ? (size_t)n_jobs * 2 : 1;
    if (slots > SLOTS_MAX) slots = SLOTS_MAX;
    return slots < parts ? slots : (size_t)parts;
}

struct shared {
    void (*work)(void *state, size_t k);
    void *state;
};

static int run_one(const parloom_task *task, void *const *args)
{
    const struct shared *shared = args[0];
    shared->work(shared->state, task->index);
    return 0;
}

static void tell_nobody(const parloom_report *so_far, void *state)
{
    (void)so_far;
    (void)state;
}

/* It runs on threads, in the caller's memory. What would end the loop early or tell of it belongs to the caller's
 * tasks. */
parloom_status loom_effort_share(const struct loom_effort *effort, size_t count, void (*work)(void *state, size_t k),
                                 void *state, parloom_error *error)
{
    struct shared shared = { work, state };
    parloom_arg args[] = { parloom_inout(&shared, sizeof shared) };
    parloom_options options = { .struct_size = sizeof options,
                                .n_jobs = parloom_effective_n_jobs(effort->n_jobs),
                                .backend = "threads",
                                .require = PARLOOM_REQUIRE_SHAREDMEM,
                                .batch_size = 1,
                                .task_timeout = -1,
                                .timeout = -1,
                                .retries = -1,
                                .progress = tell_nobody,
                                .verbose = -1,
                                .inner_max_num_threads = 1 };
    parloom_error own;
    parloom_status status = PARLOOM_ERR_UNSUPPORTED;
    if (count > 1) status = parloom_for(count, run_one, args, 1, &options, &own);
    if (status == PARLOOM_OK) return PARLOOM_OK;
    if (status == PARLOOM_ERR_INVALID || status == PARLOOM_ERR_UNSUPPORTED || status == PARLOOM_ERR_BUSY) {
        for (size_t k = 0; k < count; k++) work(state, k);
        return PARLOOM_OK;
    }
    if (error != NULL) *error = own;
    return status;
}
