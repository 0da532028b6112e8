/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * local_init.c - worker_init for workers in the caller's own process (see local.h).
 *
 * Each has a copy of the state, as worker processes have: what worker_init writes there is the worker's own. Kept with
 * the pool, so that it runs once for each worker of a pool; without a pool the workers are new in each call.
 */
#include "backends/local.h"

#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

struct seat {
    pthread_mutex_t lock; /* calls of several threads may overlap on a pool */
    bool is_done;
    void *state; /* worker_init may have kept pointers into it */
};

struct loom_local_crew {
    int n_jobs;
    struct seat seats[];
};

parloom_status loom_local_open(void **workers_out, const parloom_options *options, int n_jobs, parloom_error *error)
{
    (void)options;
    struct loom_local_crew *crew = loom_memory_zeroed(1, sizeof *crew + (size_t)n_jobs * sizeof *crew->seats);
    if (crew == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a pool of %d threads", n_jobs);
    crew->n_jobs = n_jobs;
    for (int k = 0; k < n_jobs; k++) pthread_mutex_init(&crew->seats[k].lock, NULL);
    *workers_out = crew;
    return PARLOOM_OK;
}

void loom_local_close(void *workers, bool kill)
{
    (void)kill;
    struct loom_local_crew *crew = workers;
    for (int k = 0; k < crew->n_jobs; k++) {
        pthread_mutex_destroy(&crew->seats[k].lock);
        free(crew->seats[k].state);
    }
    free(crew);
}

/* Under the seat's lock. */
static int init_seat(struct seat *seat, const struct loom_run *run, int number, parloom_error *error)
{
    size_t nbytes = run->worker_init_state_nbytes;
    free(seat->state); /* of a try that failed */
    seat->state = nbytes > 0 ? loom_memory_zeroed(1, nbytes) : NULL;
    if (nbytes > 0 && seat->state == NULL) {
        loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for worker_init_state");
        return -1;
    }
    if (nbytes > 0) memcpy(seat->state, run->worker_init_state, nbytes);
    int code = run->worker_init(seat->state);
    if (code == 0) return 0;
    loom_status_fail(error, PARLOOM_ERR_CALLBACK, 0, "worker_init returned %d in worker %d, a thread of the caller",
                     code, number);
    error->code = code;
    return code;
}

bool loom_local_init(struct loom_local *local, struct loom_local_crew *crew, int number)
{
    parloom_error error;
    if (local->run->worker_init == NULL || number >= crew->n_jobs) return true;
    struct seat *seat = &crew->seats[number];
    pthread_mutex_lock(&seat->lock);
    if (!seat->is_done) seat->is_done = init_seat(seat, local->run, number, &error) == 0;
    bool is_done = seat->is_done;
    pthread_mutex_unlock(&seat->lock);
    if (is_done) return true;
    pthread_mutex_lock(&local->lock);
    local->failure = error.status;
    local->error = error;
    pthread_mutex_unlock(&local->lock);
    loom_shift_lower(&local->stop_before, 0);
    return false;
}

parloom_status loom_local_run(void *workers, const struct loom_run *run,
                              void (*work)(struct loom_local *local, struct loom_local_crew *crew),
                              parloom_error *error)
{
    struct loom_local local;
    void *crew = workers;
    bool is_new = workers == NULL && run->worker_init != NULL;
    parloom_status status = is_new ? loom_local_open(&crew, NULL, run->n_jobs, error) : PARLOOM_OK;
    if (status != PARLOOM_OK) return status;
    loom_local_begin(&local, run);
    if (loom_shift_run_is_cancelled(run)) {
        loom_store_relaxed(&local.is_cancelled, 1); /* relaxed, both: no other thread yet */
        loom_store_relaxed(&local.stop_before, 0);
    }
    work(&local, crew);
    loom_local_collect(&local);
    if (is_new) loom_local_close(crew, false);
    return loom_local_end(&local, error);
}
