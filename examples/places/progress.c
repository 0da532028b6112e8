/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * progress.c - parloom calls back at most ten times a second, in the thread that made the call: no locks needed.
 */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR_WIDTH = 30 };

struct progress progress_of(const char *what)
{
    return (struct progress){ what, isatty(STDERR_FILENO) != 0, 0 };
}

static size_t ended(const parloom_report *report)
{
    return report->ok + report->failed + report->crashed + report->exited + report->timed_out + report->cancelled;
}

static void redraw(const struct progress *progress, size_t done, const parloom_report *report)
{
    char bar[BAR_WIDTH + 1];
    size_t filled = done * BAR_WIDTH / report->tasks;
    for (size_t k = 0; k < BAR_WIDTH; k++) bar[k] = k < filled ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    double left = done ? report->seconds * (double)(report->tasks - done) / (double)done : 0;
    fprintf(stderr, "\r%-11s [%s] %zu / %zu, %.0f s, about %.0f s left \033[K", progress->what, bar, done,
            report->tasks, report->seconds, left);
    if (done == report->tasks) fputc('\n', stderr);
}

void progress_show(const parloom_report *so_far, void *state)
{
    struct progress *progress = state;
    if (so_far->tasks == 0) return;
    size_t done = ended(so_far);
    size_t tenths = done * 10 / so_far->tasks;
    if (progress->on_terminal) {
        redraw(progress, done, so_far);
    } else if (tenths > progress->tenths) {
        fprintf(stderr, "%-11s %zu / %zu, %.1f s\n", progress->what, done, so_far->tasks, so_far->seconds);
    }
    progress->tenths = tenths;
}
