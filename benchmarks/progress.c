/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * progress.c - what does it cost a task that somebody watches how far the call is?
 *
 * Empty tasks on each backend: alone, with a progress callback, with joblib's lines as often as there are any, and with
 * JSON. Lines go to a log sink that drops them: what a terminal takes for ten lines a second is not asked here. All
 * figures are ns of wall time per task.
 */
#include <stdio.h>

#include "call.h"
#include "flags.h"
#include "ledger.h"
#include "rounds.h"

enum { TASKS = 100000000 }; /* long enough to be looked at several times, once in a tenth of a second */
#define GOAL_NS 5.0

struct how {
    const char *name, *backend;
    enum { ALONE, CALLBACK, LINES, JSON } told;
};

static int jobs;

static int run_empty(const parloom_task *task, void *const *args)
{
    (void)task;
    (void)args;
    return 0;
}

static void take_note(const parloom_report *so_far, void *state)
{
    *(size_t *)state = so_far->ok;
}

static void drop(int level, const char *line, void *state)
{
    (void)level;
    (void)line;
    (void)state;
}

static double take(const void *given)
{
    const struct how *how = given;
    size_t seen = 0;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = jobs;
    options.backend = how->backend;
    (void)parloom_for((size_t)jobs, run_empty, NULL, 0, &options, NULL); /* wakes the workers */
    if (how->told == CALLBACK) {
        options.progress = take_note;
        options.progress_state = &seen;
    } else if (how->told != ALONE) {
        options.verbose = 11;
        options.progress_style = how->told == JSON ? PARLOOM_PROGRESS_STYLE_JSON : PARLOOM_PROGRESS_STYLE_LINES;
    }
    return call_ns(TASKS, run_empty, NULL, 0, &options) / TASKS;
}

static void write_goal(const char *backend, const char *told, const struct rounds_side *sides, size_t n_sides)
{
    char what[96];
    double ours = ledger_median(sides, n_sides, told), alone = ledger_median(sides, n_sides, "alone");
    snprintf(what, sizeof what, "empty tasks: %s, %s (peer: alone; ratio: ns more)", backend, told);
    ledger_write_row(&(struct ledger_row){ .what = what,
                                           .ours = ours,
                                           .peer = alone,
                                           .unit = "ns",
                                           .ratio = ours - alone,
                                           .sense = LEDGER_AT_MOST,
                                           .goal = GOAL_NS });
}

static void measure(const char *backend)
{
    const struct how hows[] = {
        { "alone", backend, ALONE },
        { "callback", backend, CALLBACK },
        { "lines", backend, LINES },
        { "JSON", backend, JSON },
    };
    enum { SIDES = sizeof hows / sizeof hows[0] };
    struct rounds_side sides[SIDES];
    for (size_t i = 0; i < SIDES; i++)
        sides[i] = (struct rounds_side){ .name = hows[i].name, .take = take, .how = &hows[i] };
    ledger_measure(backend, "ns/task", sides, SIDES);
    for (size_t i = 1; i < SIDES; i++) write_goal(backend, hows[i].name, sides, SIDES);
}

int main(int argc, char **argv)
{
    static const char *const backends[] = { "sequential", "threads", "processes" };
    struct flags flags = flags_parse(argc, argv);
    ledger_open("progress", "what does it cost a task that somebody watches how far the call is?", &flags);
    parloom_set_log(drop, NULL);
    jobs = flags.jobs;
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
        if (flags_want(&flags, backends[i])) measure(backends[i]);
    ledger_close();
    return 0;
}
