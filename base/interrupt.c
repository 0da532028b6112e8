/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interrupt.c - the first Ctrl-C between begin and end cancels calls; from then on the program's own handler is back.
 *
 * Handler     one store and one sigaction, both async-signal-safe: it may run in any thread, also in one that holds
 *             locks of ours. Its own action is gone when it returns, so a second Ctrl-C is as if we were not there.
 * Threads     begin and end under a lock; calls ask for the stop with one load.
 * Ignored     a program that was started with SIGINT ignored (nohup, a shell's background job) goes on ignoring it.
 */
#include "base/interrupt.h"

#include "base/atomics.h"
#include "base/status.h"
#include "base/stop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

static struct {
    pthread_mutex_t lock;
    _Atomic int depth; /* of begins without their end */
    bool is_installed;
    struct sigaction before; /* the program's; read by the handler, written only while it is not installed */
    parloom_stop stop;
} guard = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void before_fork(void)
{
    pthread_mutex_lock(&guard.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&guard.lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork);
}

static void take_interrupt(int number)
{
    int saved = errno;
    loom_stop_request(&guard.stop);
    (void)sigaction(number, &guard.before, NULL);
    errno = saved;
}

const parloom_stop *loom_interrupt_stop(void)
{
    /* relaxed: who begins a call in another thread than begin orders the two himself */
    return loom_load_relaxed(&guard.depth) > 0 ? &guard.stop : NULL;
}

/* Under the lock. */
static parloom_status install(parloom_error *error)
{
    struct sigaction ours = { .sa_handler = take_interrupt, .sa_flags = SA_RESTART | SA_ONSTACK };
    sigemptyset(&ours.sa_mask);
    guard.stop = (parloom_stop){ .requested = 0 };
    if (sigaction(SIGINT, NULL, &guard.before) != 0)
        return loom_status_fail(error, PARLOOM_ERR_IO, errno, "could not look at the handler of SIGINT: %m");
    guard.is_installed = (guard.before.sa_flags & SA_SIGINFO) != 0 || guard.before.sa_handler != SIG_IGN;
    if (guard.is_installed && sigaction(SIGINT, &ours, NULL) != 0)
        return loom_status_fail(error, PARLOOM_ERR_IO, errno, "could not set a handler of SIGINT: %m");
    return PARLOOM_OK;
}

/* Under the lock. A handler that the program has set meanwhile is the program's, and stays. */
static void uninstall(void)
{
    struct sigaction now;
    if (!guard.is_installed || sigaction(SIGINT, NULL, &now) != 0) return;
    bool is_ours = (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == take_interrupt;
    if (is_ours) (void)sigaction(SIGINT, &guard.before, NULL);
    guard.is_installed = false;
}

parloom_status parloom_interrupt_begin(parloom_error *error)
{
    loom_status_clear(error);
    pthread_mutex_lock(&guard.lock);
    int depth = loom_load_relaxed(&guard.depth); /* relaxed, both: the lock orders them */
    parloom_status status = depth == 0 ? install(error) : PARLOOM_OK;
    if (status == PARLOOM_OK) loom_store_relaxed(&guard.depth, depth + 1);
    pthread_mutex_unlock(&guard.lock);
    return status;
}

bool parloom_interrupt_end(bool pass_on)
{
    pthread_mutex_lock(&guard.lock);
    int depth = loom_load_relaxed(&guard.depth); /* relaxed, both: the lock orders them */
    if (depth == 1) uninstall();                 /* before the look at the stop: none is missed */
    bool is_taken = depth > 0 && loom_stop_is_requested(&guard.stop);
    if (depth > 0) loom_store_relaxed(&guard.depth, depth - 1);
    pthread_mutex_unlock(&guard.lock);
    if (is_taken && pass_on && depth == 1) (void)raise(SIGINT); /* without the lock: it may not come back */
    return is_taken;
}
