/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cancel.c - how long until tasks that run have seen that they are cancelled?
 *
 * Every worker is in a body that looks at parloom_cancelled ten thousand times a second. Somebody requests the stop,
 * which lies in private memory, and the last body notes when it saw it. In a loop the program waits; of a stream nobody
 * waits for results. There is no peer: the goal is what parloom.h promises.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "flags.h"
#include "ledger.h"
#include "rounds.h"
#include "stopwatch.h"

#include <parloom/parloom.h>

#define GOAL_MS 10.0
enum { LOOK_NS = 100000 };

struct how {
    const char *name, *backend;
    double (*take)(const struct how *how);
};

/* Shared with the workers. */
struct scene {
    _Atomic int begun;
    _Atomic uint64_t seen_ns; /* by the last one */
};

static struct {
    int jobs;
    struct scene *scene;
    parloom_arg arg;
    int given; /* calls of the stream */
    parloom_stop stop;
    double requested_ns;
} now;

static void rest(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
}

static int look(const parloom_task *task, void *const *args)
{
    struct scene *scene = args[0];
    atomic_fetch_add(&scene->begun, 1);
    while (!parloom_cancelled(task)) rest();
    uint64_t seen_ns = (uint64_t)stopwatch_now_ns(), last_ns = atomic_load(&scene->seen_ns);
    while (last_ns < seen_ns && !atomic_compare_exchange_weak(&scene->seen_ns, &last_ns, seen_ns)) continue;
    return 0;
}

static void begin(void)
{
    atomic_store(&now.scene->begun, 0);
    atomic_store(&now.scene->seen_ns, 0);
    now.stop = (parloom_stop){ 0 };
    now.given = 0;
}

static void *cancel_when_all_run(void *nothing)
{
    while (atomic_load(&now.scene->begun) < now.jobs) rest();
    now.requested_ns = stopwatch_now_ns();
    parloom_cancel(&now.stop);
    return nothing;
}

static double took(void)
{
    return ((double)atomic_load(&now.scene->seen_ns) - now.requested_ns) / 1e6;
}

static parloom_options options_of(const struct how *how)
{
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = now.jobs;
    options.backend = how->backend;
    options.stop = &now.stop;
    return options;
}

static double take_loop(const struct how *how)
{
    parloom_options options = options_of(how);
    parloom_error error;
    pthread_t canceller;
    if (pthread_create(&canceller, NULL, cancel_when_all_run, NULL) != 0) return ROUNDS_UNKNOWN;
    parloom_status status = parloom_for((size_t)now.jobs, look, &now.arg, 1, &options, &error);
    pthread_join(canceller, NULL);
    return status == PARLOOM_ERR_CANCELLED || status == PARLOOM_OK ? took() : ROUNDS_UNKNOWN;
}

static int give(void *state, parloom_call *call_out)
{
    (void)state;
    if (now.given++ == now.jobs) return 0;
    *call_out = (parloom_call){ look, &now.arg, 1 };
    return 1;
}

static double take_stream(const struct how *how)
{
    parloom_options options = options_of(how);
    parloom_stream *stream = NULL;
    if (parloom_stream_open(&stream, give, NULL, false, &options, NULL) != PARLOOM_OK) return ROUNDS_UNKNOWN;
    cancel_when_all_run(NULL);
    double until_ns = stopwatch_now_ns() + 100 * GOAL_MS * 1e6;
    while (atomic_load(&now.scene->seen_ns) == 0 && stopwatch_now_ns() < until_ns) rest();
    parloom_stream_close(stream); /* waits for the others */
    return took();
}

static double take(const void *given)
{
    const struct how *how = given;
    begin();
    return how->take(how);
}

static void measure(const struct how *how)
{
    struct rounds_side side = { .name = how->backend, .take = take, .how = how };
    char what[96];
    ledger_measure(how->name, "ms", &side, 1);
    snprintf(what, sizeof what, "%s: tasks on %s have seen it (peer: the goal)", how->name, how->backend);
    ledger_at_most(what, "ms", ledger_median(&side, 1, how->backend), GOAL_MS, 1);
}

int main(int argc, char **argv)
{
    static const struct how hows[] = {
        { "cancelled loop", "threads", take_loop },
        { "cancelled loop", "processes", take_loop },
        { "cancelled stream", "threads", take_stream },
        { "cancelled stream", "processes", take_stream },
    };
    struct flags flags = flags_parse(argc, argv);
    parloom_error error;
    ledger_open("cancel", "how long until tasks that run have seen that they are cancelled?", &flags);
    now.jobs = flags.jobs;
    now.scene = parloom_alloc(sizeof *now.scene, &error);
    if (now.scene == NULL) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    now.arg = parloom_inout(now.scene, sizeof *now.scene);
    for (size_t i = 0; i < sizeof hows / sizeof hows[0]; i++)
        if (flags_want(&flags, hows[i].backend)) measure(&hows[i]);
    parloom_free(now.scene);
    ledger_close();
    return 0;
}
