/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 06_solver.c - a Fortran solver with COMMON and SAVE state: wrong under threads, right under processes.
 *
 * Threads share the one COMMON block of the program; each worker process has its own. The loop is the same.
 */
#include <parloom/parloom.h>

#include <stdio.h>

enum { PROBLEMS = 32, ADVANCES = 4000, STEPS = 100 };

/* 06_solver.f90 */
void solver_start(double stiffness, double friction);
void solver_advance(int steps, double width);
double solver_energy(void);

/* About ten milliseconds of work: threads are sure to meet in the solver, on one core too. */
static int solve(const parloom_task *task, void *const *args)
{
    double *energy = args[0];
    solver_start(1 + (double)task->index, 0.01);
    for (int k = 0; k < ADVANCES; k++) solver_advance(STEPS, 1e-4);
    *energy = solver_energy();
    return 0;
}

static int solve_all(double energies[PROBLEMS], const char *backend)
{
    parloom_error error;
    parloom_arg args[] = { parloom_each(parloom_out(energies, sizeof(double) * PROBLEMS), sizeof(double)) };
    const parloom_options *options = PARLOOM_OPTIONS(.backend = backend, .n_jobs = 2, .batch_size = 1);
    if (parloom_for(PROBLEMS, solve, args, 1, options, &error) == PARLOOM_OK) return 0;
    fprintf(stderr, "%s: %s\n", backend, error.message);
    return -1;
}

static int count_wrong(const double energies[PROBLEMS], const double expected[PROBLEMS])
{
    int wrong = 0;
    /* Not equal is wrong: the right answers have the same bits. A wrong one may also be no number. */
    for (int k = 0; k < PROBLEMS; k++) wrong += !(energies[k] == expected[k]);
    return wrong;
}

int main(void)
{
    double expected[PROBLEMS], threads[PROBLEMS], processes[PROBLEMS];
    if (solve_all(expected, "sequential") != 0) return 1;
    if (solve_all(threads, "threads") != 0) return 1;
    if (solve_all(processes, "processes") != 0) return 1;

    int wrong_threads = count_wrong(threads, expected);
    int wrong_processes = count_wrong(processes, expected);
    printf("one by one: energy of the first spring %.6f, of the last %.6f\n", expected[0], expected[PROBLEMS - 1]);
    printf("threads: %s (%d of %d answers)\n", wrong_threads ? "WRONG" : "right by luck", wrong_threads, PROBLEMS);
    printf("processes: %s (%d of %d answers wrong)\n", wrong_processes ? "WRONG" : "right", wrong_processes, PROBLEMS);
    return wrong_threads > 0 && wrong_processes == 0 ? 0 : 1;
}
