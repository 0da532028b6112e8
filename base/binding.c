/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * binding.c - sched_setaffinity for threads and for worker processes (see binding.h).
 *
 * Threads     enter, leave, suspend, resume: any, each for itself. of_process: the worker's main thread alone.
 */
#include "base/binding.h"

#include "base/atomics.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The system calls themselves: glibc's take a cpu_set_t, and the kernel's masks are longer on large machines. */
static bool read_affinity(struct loom_cpuset *set)
{
    memset(set, 0, sizeof *set);
    return syscall(SYS_sched_getaffinity, 0, sizeof set->words, set->words) > 0;
}

static int write_affinity(pid_t thread, const struct loom_cpuset *set)
{
    return (int)syscall(SYS_sched_setaffinity, thread, sizeof set->words, set->words);
}

static bool is_same(const struct loom_cpuset *a, const struct loom_cpuset *b)
{
    return memcmp(a->words, b->words, sizeof a->words) == 0;
}

static void tell_failure(const struct loom_cpuset *set)
{
    static _Atomic int is_told;
    char cpus[128];
    int sys_errno = errno;
    if (loom_exchange_full(&is_told, 1)) return; /* whoever comes first says it */
    loom_cpuset_write(set, cpus, sizeof cpus);
    errno = sys_errno;
    loom_log(LOOM_LOG_WARNING, "a worker could not be bound to CPUs %s, and runs unbound: %m", cpus);
}

bool loom_binding_allowed(struct loom_cpuset *set_out)
{
    return read_affinity(set_out);
}

/* ------------------------------------------------------------------ threads */

/* What the first of the threads that are bound now had before. */
static struct {
    pthread_mutex_t lock;
    int count;
    struct loom_cpuset before;
} bound = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void renew_in_child(void)
{
    bound.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, renew_in_child);
}

static void note(const struct loom_cpuset *before, int change)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&bound.lock);
    if (bound.count == 0) bound.before = *before;
    bound.count += change;
    pthread_mutex_unlock(&bound.lock);
}

void loom_binding_enter(struct loom_binding *binding, const struct loom_placement *placement, int worker)
{
    struct loom_cpuset wanted;
    binding->is_bound = false;
    if (!placement || !read_affinity(&binding->before)) return;
    loom_placement_of(placement, (uint32_t)worker, &wanted);
    if (!is_same(&wanted, &binding->before) && write_affinity(0, &wanted) != 0) {
        tell_failure(&wanted);
        return;
    }
    note(&binding->before, 1);
    binding->is_bound = true;
}

void loom_binding_leave(struct loom_binding *binding)
{
    if (!binding->is_bound) return;
    (void)write_affinity(0, &binding->before); /* it had that a moment ago; where it is gone now, nobody can help */
    note(&binding->before, -1);
    binding->is_bound = false;
}

void loom_binding_suspend(struct loom_binding *binding)
{
    struct loom_cpuset before;
    pthread_mutex_lock(&bound.lock);
    binding->is_bound = bound.count > 0;
    before = bound.before;
    pthread_mutex_unlock(&bound.lock);
    if (!binding->is_bound) return;
    binding->is_bound = read_affinity(&binding->before) && write_affinity(0, &before) == 0;
}

void loom_binding_resume(struct loom_binding *binding)
{
    if (binding->is_bound) (void)write_affinity(0, &binding->before);
    binding->is_bound = false;
}

/* ----------------------------------------------------------------- processes */

static struct {
    bool is_bound;
    struct loom_cpuset before, now;
} process;

/* Threads that a task left behind, OpenMP's among them, would otherwise stay where the worker was. */
static bool move_all(const struct loom_cpuset *set)
{
    DIR *threads = opendir("/proc/self/task");
    const struct dirent *entry;
    if (write_affinity(0, set) != 0) {
        tell_failure(set);
        if (threads) (void)closedir(threads);
        return false;
    }
    while (threads && (entry = readdir(threads))) {
        pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
        if (thread > 0) (void)write_affinity(thread, set); /* it may have ended meanwhile */
    }
    if (threads) (void)closedir(threads);
    return true;
}

static void unbind_process(void)
{
    if (!process.is_bound) return;
    (void)move_all(&process.before);
    process.is_bound = false;
}

void loom_binding_of_process(const struct loom_placement *placement, uint32_t worker)
{
    struct loom_cpuset wanted;
    if (!placement) {
        unbind_process();
        return;
    }
    loom_placement_of(placement, worker, &wanted);
    if (process.is_bound && is_same(&wanted, &process.now)) return;
    if (!process.is_bound && !read_affinity(&process.before)) return;
    if (!move_all(&wanted)) return;
    process.now = wanted;
    process.is_bound = true;
}
