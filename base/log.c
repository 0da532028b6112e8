/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.c - hands each line to the sink, whole and one at a time.
 *
 * Threads     any. The lock is held while the sink runs, so once parloom_set_log has returned in another thread
 *             the sink it replaced is not called any more and its state may be freed.
 * Reentry     the lock is recursive: a sink may log or replace itself.
 * Fork        a child gets a fresh lock: the thread that held it may not exist there.
 */
#include "base/log.h"

#include "base/atomics.h"

#include <parloom/parloom.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 2048 };

typedef void (*sink_function)(int level, const char *line, void *state);

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
/* Two slots, so that a child forked in the middle of a replacement sees a pair that belongs together. */
static struct {
    sink_function function;
    void *state;
} sinks[2];
static _Atomic int current_sink;
static int threshold; /* written once, by read_level */
static _Atomic bool is_bad_level;
static pthread_once_t level_once = PTHREAD_ONCE_INIT;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void renew_lock(void)
{
    lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, renew_lock);
}

static void take_lock(void)
{
    pthread_once(&fork_once, watch_forks);
    pthread_mutex_lock(&lock);
}

/* One write(2), so that lines of several processes on one terminal or pipe do not mix. */
static void write_to_stderr(const char *line)
{
    char text[LINE_BYTES];
    int length = snprintf(text, sizeof text, "parloom: %s\n", line);
    if (length < 0) return;
    if (length >= (int)sizeof text) {
        length = (int)sizeof text - 1;
        text[length - 1] = '\n';
    }
    int saved = errno;
    while (write(STDERR_FILENO, text, (size_t)length) < 0 && errno == EINTR) {}
    errno = saved;
}

void loom_log_line(int level, const char *line)
{
    take_lock();
    int sink = loom_load_relaxed(&current_sink); /* the lock orders it */
    if (sinks[sink].function)
        sinks[sink].function(level, line, sinks[sink].state);
    else
        write_to_stderr(line);
    pthread_mutex_unlock(&lock);
}

/* LOOM_LOG_ERROR ..., 0 for off, -1 for a word that is none of them. */
static int parse_level(const char *text)
{
    static const char *const NAMES[] = { "off", "error", "warning", "info", "debug" };
    for (int level = 0; level < (int)(sizeof NAMES / sizeof NAMES[0]); level++)
        if (strcmp(text, NAMES[level]) == 0) return level;
    return -1;
}

static void read_level(void)
{
    const char *text = secure_getenv("PARLOOM_LOG");
    int level = text && text[0] ? parse_level(text) : LOOM_LOG_WARNING;
    loom_store_relaxed(&is_bad_level, level < 0); /* a flag of its own: who takes it says so */
    threshold = level < 0 ? (int)LOOM_LOG_WARNING : level;
}

/* Not from read_level: a sink that logs would wait there for itself. */
static void tell_bad_level(void)
{
    if (!loom_load_relaxed(&is_bad_level) || !loom_exchange_full(&is_bad_level, false)) return;
    loom_log_line(LOOM_LOG_WARNING, "PARLOOM_LOG is ignored: it may be off, error, warning, info or debug");
}

void(loom_log)(int level, const char *format, ...)
{
    int saved = errno; /* "%m" in the format means the caller's */
    pthread_once(&level_once, read_level);
    tell_bad_level();
    if (level > threshold) return;
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    errno = saved;
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    loom_log_line(level, line);
    errno = saved;
}

void loom_log_set_sink(void (*sink)(int level, const char *line, void *state), void *state)
{
    take_lock();
    int other = !loom_load_relaxed(&current_sink); /* the lock orders it */
    sinks[other].function = sink;
    sinks[other].state = state;
    /* release: the pair before its number; what pairs with it is a fork at any moment, which copies both. */
    loom_store_release(&current_sink, other);
    pthread_mutex_unlock(&lock);
}

void parloom_set_log(void (*sink)(int level, const char *line, void *state), void *state)
{
    loom_log_set_sink(sink, state);
}
