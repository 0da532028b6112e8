/* SPDX-License-Identifier: BSD-3-Clause */
/* openmp.c - the differences between libgomp and libomp that matter to worker processes (see openmp.h). */
#include "backends/openmp.h"

#include "base/clock.h"
#include "base/process.h"

#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define PAUSE_NS UINT64_C(100000000) /* how long ended OpenMP threads may take to be gone */

void loom_openmp_unlink_registration(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/dev/shm/__KMP_REGISTERED_LIB_%d_%d", (int)pid, (int)getuid());
    (void)unlink(path);
}

void loom_openmp_set_inner_threads(int count)
{
    omp_set_num_threads(count);
    /* libomp has registered itself just now, at its first call; the name is only looked at when another copy starts
     * in this process. A worker may be killed any time: without a name nothing is left then. */
    loom_openmp_unlink_registration(getpid());
}

/* Threads that are ending still count for a moment. */
static int count_threads(void)
{
    uint64_t until = loom_clock_ns() + PAUSE_NS;
    int count = loom_process_thread_count();
    while (count > 1 && loom_clock_ns() < until) {
        sched_yield();
        count = loom_process_thread_count();
    }
    return count;
}

/* LLVM's threads outlive a soft pause, and its own fork handlers make a child's regions work all the same. */
static bool is_llvm(void)
{
    Dl_info ours, llvm;
    void *entry = dlsym(RTLD_DEFAULT, "__kmpc_global_thread_num");
    void *used = dlsym(RTLD_DEFAULT, "omp_get_thread_num");
    return entry != NULL && used != NULL && dladdr(entry, &llvm) && dladdr(used, &ours) &&
           ours.dli_fbase == llvm.dli_fbase;
}

/* ----------------------------------------------------------------------- forks */

/* Of this thread: libgomp keeps a team for it, whose threads a child that it forks does not have: the next region there
 * would wait for them for ever. */
static _Thread_local bool has_team, has_lost_team;

static void lose_team(void)
{
    if (has_team) has_lost_team = true;
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, lose_team);
}

bool loom_openmp_may_have_team(void)
{
    if (has_lost_team && !is_llvm()) return false;
    if (omp_get_level() == 0) has_team = true; /* of nested regions none is kept */
    return true;
}

void loom_openmp_pause(void)
{
    if ((has_lost_team && !is_llvm()) || omp_in_parallel() || loom_process_thread_count() <= 1) return;
    if (omp_pause_resource_all(omp_pause_soft) == 0) has_team = false;
}

int loom_openmp_count_foreign_threads(void)
{
    if (loom_process_thread_count() <= 1) return 0;
    loom_openmp_pause();
    int team = 0, count = count_threads();
    if (count <= 1 || !is_llvm() || omp_in_parallel()) return count - 1;
        /* A team of as many as there are threads takes all that are idle; what it had to add is OpenMP's too. */
#pragma omp parallel num_threads(count) reduction(+ : team)
    team += 1;
    int foreign = loom_process_thread_count() - team;
    return foreign > 0 ? foreign : 0;
}
