/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berth.c - a forked copy of the supervisor becomes a worker: it dies with the supervisor, has signals and streams of
 * its own, and sees the window.
 */
#include "backends/berth.h"

#include "base/log.h"
#include "base/process.h"
#include "shm/window.h"

#include <stdio.h>
#include <unistd.h>

enum { OOM_SCORE = 500, EXIT_LOST = 122 };

/* The program's output, without what constructors wrote a second time: that is flushed while the streams still lead to
 * /dev/null. Lines are whole, since many workers share it. The newline makes stdio start over: a stream that was fully
 * buffered before keeps the lines that puts() ends, whatever setvbuf says. */
static void restore_output(const struct loom_berth *berth)
{
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)fputc('\n', stdout);
    (void)fflush(stdout);
    (void)fflush(stderr);
    (void)dup2(berth->stdout_fd, STDOUT_FILENO);
    (void)dup2(berth->stderr_fd, STDERR_FILENO);
    (void)close(berth->stdout_fd);
    (void)close(berth->stderr_fd);
}

void loom_berth_run(const struct loom_berth *berth, const struct loom_worker_post *post)
{
    if (!loom_process_die_with_parent(berth->supervisor)) _exit(EXIT_LOST);
    (void)setpgid(0, 0);
    loom_process_raise_oom_score(OOM_SCORE); /* under memory pressure a worker goes before the program */
    restore_output(berth);
    loom_process_reset_signals();

    parloom_error error;
    if (loom_window_attach(berth->window_base, berth->header_fd, post->level, &error) != PARLOOM_OK) {
        loom_log(LOOM_LOG_ERROR, "a worker cannot see the shared memory of its program: %s", error.message);
        _exit(EXIT_LOST);
    }
    (void)close(berth->header_fd);
    if (berth->descriptor_limit.rlim_max > 0) (void)setrlimit(RLIMIT_NOFILE, &berth->descriptor_limit);
    loom_worker_main(post);
}
