/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.c - hands each line to the sink, whole and one at a time.
 *
 * Threads     any. The lock is held while the sink runs, so once parloom_set_log has returned in another thread
 *             the sink it replaced is not called any more and its state may be freed.
 * Reentry     the lock is recursive: a sink may log or replace itself.
 * Fork        a child gets a fresh lock: the thread that held it may not exist there. The bar stays its parent's.
 */
#include "base/log.h"

#include "base/atomics.h"
#include "base/terminal.h"

#include <parloom/parloom.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "parloom: " /* on stderr, where it could be anybody's */
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
static const void *bar_owner; /* NULL: no bar */
static pthread_once_t level_once = PTHREAD_ONCE_INIT;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void renew_lock(void)
{
    lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    loom_terminal_share();
    bar_owner = NULL;
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

static void write_to_stderr(const char *prefix, const char *line)
{
    char text[sizeof PREFIX + LINE_BYTES];
    (void)snprintf(text, sizeof text, "%s%s", prefix, line);
    loom_terminal_write(text);
}

static void hand_over(int level, const char *prefix, const char *line)
{
    take_lock();
    int sink = loom_load_relaxed(&current_sink); /* the lock orders it */
    if (sinks[sink].function)
        sinks[sink].function(level, line, sinks[sink].state);
    else
        write_to_stderr(prefix, line);
    pthread_mutex_unlock(&lock);
}

void loom_log_line(int level, const char *line)
{
    hand_over(level, "", line);
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
    hand_over(LOOM_LOG_WARNING, PREFIX, "PARLOOM_LOG is ignored: it may be off, error, warning, info or debug");
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
    hand_over(level, PREFIX, line);
    errno = saved;
}

/* ---------------------------------------------------------------------------- the bar */

bool loom_log_claim_bar(const void *owner)
{
    take_lock();
    bool is_free = bar_owner == NULL && !sinks[loom_load_relaxed(&current_sink)].function; /* the lock orders it */
    bool is_ours = is_free && loom_terminal_can_draw();
    if (is_ours) bar_owner = owner;
    pthread_mutex_unlock(&lock);
    return is_ours;
}

void loom_log_draw_bar(const void *owner, const char *bar)
{
    take_lock();
    if (bar_owner == owner) loom_terminal_draw(bar);
    pthread_mutex_unlock(&lock);
}

void loom_log_release_bar(const void *owner, const char *last)
{
    take_lock();
    if (bar_owner == owner) {
        bar_owner = NULL;
        if (last) loom_terminal_leave(last);
    }
    pthread_mutex_unlock(&lock);
}

void loom_log_share_terminal(void)
{
    take_lock();
    bar_owner = NULL;
    loom_terminal_share();
    pthread_mutex_unlock(&lock);
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
