/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 13_custom_backend.c - a backend of one's own: worker threads of plain pthreads, ten if nobody says how many.
 *
 * Whatever has workers, a queue of another library, say, is made a backend in the same way: parloom hands out tasks,
 * runs bodies and keeps the account, so what a call means is the same everywhere.
 */
#include <parloom/parloom.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_WORKERS = 10, TASKS = 1000 };

/* To be called once, before options name "pthreads". */
parloom_status register_pthreads(parloom_error *error);

struct team;

struct worker {
    pthread_t thread;
    struct team *team;
    int number;
};

/* Threads that wait for a call, run it together, and wait for the next one, until they are told to go home. */
struct team {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_mutex_t turn;     /* one call at a time */
    parloom_backend_run *run; /* what they run now, or NULL */
    int count, n_workers;     /* threads, and how many of them the call wants */
    unsigned call;            /* its number: who has seen it does not run it again */
    int running;
    int is_over;
    struct worker workers[];
};

/* What parloom_backend_work(run, number) does as well, in one line. */
static void work(parloom_backend_run *run, int number)
{
    parloom_backend_chunk chunk;
    parloom_backend_result result;
    while (parloom_backend_next(run, number, &chunk))
        while (parloom_backend_execute(run, number, &chunk, &result))
            (void)parloom_backend_report(run, number, &result);
}

static void *serve(void *state)
{
    const struct worker *self = state;
    struct team *team = self->team;
    unsigned seen = 0;
    pthread_mutex_lock(&team->lock);
    for (;;) {
        while (team->call == seen && !team->is_over) pthread_cond_wait(&team->changed, &team->lock);
        if (team->call == seen) break;
        seen = team->call;
        parloom_backend_run *run = team->run;
        if (self->number >= team->n_workers) continue;
        pthread_mutex_unlock(&team->lock);
        work(run, self->number);
        pthread_mutex_lock(&team->lock);
        if (--team->running == 0) pthread_cond_broadcast(&team->changed);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

static void send_home(struct team *team)
{
    pthread_mutex_lock(&team->lock);
    team->is_over = 1;
    pthread_cond_broadcast(&team->changed);
    pthread_mutex_unlock(&team->lock);
    for (int k = 0; k < team->count; k++) (void)pthread_join(team->workers[k].thread, NULL);
    free(team);
}

/* Fewer threads than asked for are a team too, none is not. */
static struct team *hire(int count)
{
    struct team *team = calloc(1, sizeof *team + (size_t)count * sizeof *team->workers);
    if (team == NULL) return NULL;
    (void)pthread_mutex_init(&team->lock, NULL);
    (void)pthread_mutex_init(&team->turn, NULL);
    (void)pthread_cond_init(&team->changed, NULL);
    for (; team->count < count; team->count++) {
        struct worker *worker = &team->workers[team->count];
        worker->team = team;
        worker->number = team->count;
        if (pthread_create(&worker->thread, NULL, serve, worker) != 0) break;
    }
    return team;
}

static void run_on(struct team *team, parloom_backend_run *run)
{
    int wanted = parloom_backend_workers(run);
    pthread_mutex_lock(&team->lock);
    team->run = run;
    team->n_workers = wanted;
    team->running = wanted < team->count ? wanted : team->count;
    team->call++;
    pthread_cond_broadcast(&team->changed);
    pthread_mutex_unlock(&team->lock);
    for (int k = team->count; k < wanted; k++) work(run, k); /* the caller does the part of threads there are not */
    parloom_backend_wait(run);                               /* meanwhile progress is told, and limits are kept */
    pthread_mutex_lock(&team->lock);
    while (team->running > 0) pthread_cond_wait(&team->changed, &team->lock);
    pthread_mutex_unlock(&team->lock);
}

static parloom_status configure(void *state, int n_jobs, const char *params, int *workers_out,
                                const char **fallback_out, parloom_error *error)
{
    (void)state, (void)fallback_out;
    int workers = n_jobs > 0 ? n_jobs : DEFAULT_WORKERS;
    if (params != NULL && sscanf(params, "workers=%d", &workers) != 1) {
        (void)snprintf(error->message, sizeof error->message, "\"%s\" is not \"workers=N\"", params);
        return PARLOOM_ERR_INVALID;
    }
    *workers_out = workers;
    return PARLOOM_OK;
}

static parloom_status open_pool(void *state, int workers, const char *params, void **pool_out, parloom_error *error)
{
    (void)state, (void)params, (void)error;
    *pool_out = hire(workers);
    return *pool_out != NULL ? PARLOOM_OK : PARLOOM_ERR_MEMORY;
}

static void close_pool(void *state, void *pool)
{
    (void)state;
    send_home(pool);
}

/* A call without a pool, or beside another one on its pool, has a team of its own. */
static parloom_status run(void *state, void *pool, parloom_backend_run *run, parloom_error *error)
{
    struct team *team = pool;
    (void)state, (void)error;
    if (team != NULL && pthread_mutex_trylock(&team->turn) == 0) {
        run_on(team, run);
        pthread_mutex_unlock(&team->turn);
        return PARLOOM_OK;
    }
    team = hire(parloom_backend_workers(run));
    if (team == NULL) return PARLOOM_ERR_MEMORY;
    run_on(team, run);
    send_home(team);
    return PARLOOM_OK;
}

parloom_status register_pthreads(parloom_error *error)
{
    const parloom_backend_ops ops = { .struct_size = sizeof ops,
                                      .abi = PARLOOM_BACKEND_ABI,
                                      .flags = PARLOOM_BACKEND_SHARES_MEMORY,
                                      .configure = configure,
                                      .open = open_pool,
                                      .close = close_pool,
                                      .run = run };
    return parloom_backend_register("pthreads", &ops, NULL, false, error);
}

static parloom_status load(void *state, parloom_error *error)
{
    (void)state;
    return register_pthreads(error);
}

static int square(const parloom_task *task, void *const *args)
{
    double *out = args[0];
    out[task->index] = (double)task->index * (double)task->index;
    return task->index == 700 ? parloom_fail_text(task, 3, "seven hundred is too many") : 0;
}

static int run_squares(const parloom_options *options)
{
    static double out[TASKS];
    parloom_error error;
    parloom_arg args[] = { parloom_out(out, sizeof out) };
    parloom_status status = parloom_for(TASKS, square, args, 1, options, &error);
    printf("%s: %s\n", parloom_status_name(status), error.message);
    printf("out[999] = %g\n", out[TASKS - 1]);
    return status == PARLOOM_ERR_TASK && error.task == 700 && out[TASKS - 1] == 998001.0;
}

int main(void)
{
    parloom_error error;
    parloom_report report = { .struct_size = sizeof report };
    const char *names[8];
    if (parloom_backend_offer("pthreads", load, NULL, &error) != PARLOOM_OK) return 1;
    size_t count = parloom_backend_list(names, 8);
    for (size_t k = 0; k < count; k++) printf("%s%s", names[k], k + 1 < count ? ", " : "\n");
    int works =
        run_squares(PARLOOM_OPTIONS(.backend = "pthreads", .on_error = PARLOOM_ON_ERROR_GO_ON, .report = &report));
    printf("%s, %d workers: %zu tasks, %zu ok\n", report.backend, report.n_jobs, report.tasks, report.ok);
    if (parloom_backend_unregister("pthreads", &error) != PARLOOM_OK) return 1;
    return works && report.n_jobs == DEFAULT_WORKERS ? 0 : 1;
}
