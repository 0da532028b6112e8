/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * openmp.c - the same loops, written by hand with OpenMP. It is a process of its own: after a region the threads of
 * libgomp spin for a while, and would do so on the CPUs that parloom's workers need.
 */
#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include <parloom/parloom.h>

#include "body.h"
#include "serve.h"
#include "stopwatch.h"

/* Nine loops instead of three with schedule(runtime): that one costs more than the schedule it stands for. */
static void run_empty(char schedule, size_t n)
{
    if (schedule == 's') {
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < n; i++) body_empty(i);
    } else if (schedule == 'd') {
#pragma omp parallel for schedule(dynamic, 1)
        for (size_t i = 0; i < n; i++) body_empty(i);
    } else {
#pragma omp parallel for schedule(guided)
        for (size_t i = 0; i < n; i++) body_empty(i);
    }
}

static void run_store(char schedule, size_t n, double *stored)
{
    if (schedule == 's') {
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < n; i++) body_store(i, stored);
    } else if (schedule == 'd') {
#pragma omp parallel for schedule(dynamic, 1)
        for (size_t i = 0; i < n; i++) body_store(i, stored);
    } else {
#pragma omp parallel for schedule(guided)
        for (size_t i = 0; i < n; i++) body_store(i, stored);
    }
}

static void run_spin(char schedule, size_t n, uint64_t steps)
{
    if (schedule == 's') {
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < n; i++) body_spin(steps);
    } else if (schedule == 'd') {
#pragma omp parallel for schedule(dynamic, 1)
        for (size_t i = 0; i < n; i++) body_spin(steps);
    } else {
#pragma omp parallel for schedule(guided)
        for (size_t i = 0; i < n; i++) body_spin(steps);
    }
}

/* ---- the loop of somebody who wrote parloom's bodies before he had parloom: called by pointer, with a
 * task. Nothing of parloom but these types is used. */

static int task_empty(const parloom_task *task, void *const *args)
{
    (void)task;
    (void)args;
    return 0;
}

static int task_store(const parloom_task *task, void *const *args)
{
    double *stored = args[0];
    stored[task->index] = (double)task->index;
    return 0;
}

static int task_spin(const parloom_task *task, void *const *args)
{
    (void)task;
    body_spin(*(const uint64_t *)args[0]);
    return 0;
}

static parloom_body volatile bodies[] = { task_empty, task_store, task_spin }; /* volatile: called, not inlined */

static void run_bodies(char schedule, enum body_kind kind, size_t n, void *argument)
{
    parloom_body body = bodies[kind];
    void *const args[] = { argument };
#pragma omp parallel
    {
        parloom_task task = { .count = n };
        if (schedule == 'd') {
#pragma omp for schedule(dynamic, 1)
            for (size_t i = 0; i < n; i++) {
                task.index = task.begin = i;
                task.end = i + 1;
                body(&task, args);
            }
        } else {
#pragma omp for schedule(guided)
            for (size_t i = 0; i < n; i++) {
                task.index = task.begin = i;
                task.end = i + 1;
                body(&task, args);
            }
        }
    }
}

/* A thread of libgomp that sleeps takes 0.05 to 7 ms to come, by chance: both sides call theirs before the clock
 * starts. */
static void wake_team(void)
{
#pragma omp parallel
    body_empty(0);
}

/* "static|dynamic|guided direct|body KIND TASKS STEPS THREADS" */
static void answer_loop(const char *arguments, FILE *answer)
{
    static double *stored;
    static size_t room;
    char schedule[16], form[16];
    int kind, threads;
    size_t n;
    uint64_t steps;
    if (sscanf(arguments, "%15s %15s %d %zu %" SCNu64 " %d", schedule, form, &kind, &n, &steps, &threads) != 6) return;
    omp_set_num_threads(threads);
    if (n > room) {
        free(stored);
        stored = calloc(n, sizeof *stored);
        room = stored ? n : 0;
        if (!stored) return;
    }
    wake_team();
    double start = stopwatch_now_ns();
    if (form[0] == 'b') {
        run_bodies(schedule[0], (enum body_kind)kind, n, kind == BODY_STORE ? (void *)stored : &steps);
    } else if (kind == BODY_EMPTY) {
        run_empty(schedule[0], n);
    } else if (kind == BODY_STORE) {
        run_store(schedule[0], n, stored);
    } else {
        run_spin(schedule[0], n, steps);
    }
    fprintf(answer, "%.0f", stopwatch_now_ns() - start);
}

/* "TIMES THREADS": regions in which nothing is done, one after the other; ns for one. */
static void answer_region(const char *arguments, FILE *answer)
{
    int times, threads;
    if (sscanf(arguments, "%d %d", &times, &threads) != 2) return;
    omp_set_num_threads(threads);
    double start = stopwatch_now_ns();
    for (int i = 0; i < times; i++) {
#pragma omp parallel
        body_empty(0);
    }
    fprintf(answer, "%.1f", (stopwatch_now_ns() - start) / times);
}

/* "ROWS DOUBLES THREADS": fills a fresh ordinary array, and then the same once more; ns of both. */
static void answer_fill(const char *arguments, FILE *answer)
{
    size_t rows, count;
    int threads;
    if (sscanf(arguments, "%zu %zu %d", &rows, &count, &threads) != 3) return;
    omp_set_num_threads(threads);
    double *array = malloc(rows * count * sizeof *array);
    if (!array) return;
    for (int time = 0; time < 2; time++) {
        double start = stopwatch_now_ns();
#pragma omp parallel for schedule(dynamic, 1)
        for (size_t row = 0; row < rows; row++) body_fill(array + row * count, count, (double)row);
        fprintf(answer, "%.0f ", stopwatch_now_ns() - start);
    }
    free(array);
}

int main(void)
{
    const struct serve_job jobs[] = { { "loop", answer_loop }, { "region", answer_region }, { "fill", answer_fill } };
    return serve(jobs, sizeof jobs / sizeof jobs[0]);
}
