/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 05_scope.c - a library that leaves the choice of workers to whoever calls the program.
 *
 * The library below names no backend and no number of workers. A scope around the call decides; without one, the loop
 * runs one task after the other in the caller. A constraint of the library still wins over the scope.
 */
#include <parloom/parloom.h>

#include <stdio.h>
#include <string.h>

enum { TASKS = 12 };

/* ---- the library ---- */

static int note_backend(const parloom_task *task, void *const *args)
{
    char *name = args[0];
    snprintf(name, 16, "%s", task->backend);
    return 0;
}

/* Where did the tasks run? Says nothing of where they should, but for the requirement. */
static const char *library_run(parloom_require require)
{
    static char names[TASKS][16];
    parloom_error error;
    parloom_arg args[] = { parloom_each(parloom_out(names, sizeof names), sizeof names[0]) };
    if (parloom_for(TASKS, note_backend, args, 1, PARLOOM_OPTIONS(.require = require), &error) != PARLOOM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return "nowhere";
    }
    for (int k = 1; k < TASKS; k++) {
        if (strcmp(names[k], names[0]) != 0) return "several places";
    }
    return names[0];
}

/* ---- the program ---- */

/* Everything this thread starts until the scope ends runs as the options say. */
static void run_in_scope(const char *what, const parloom_options *options, parloom_require require)
{
    parloom_error error;
    if (parloom_scope_begin(options, &error) != PARLOOM_OK) {
        printf("%s: %s\n", what, error.message);
        return;
    }
    printf("%s: %s\n", what, library_run(require));
    parloom_scope_end();
}

int main(void)
{
    printf("no scope: %s\n", library_run(PARLOOM_REQUIRE_UNSET));
    run_in_scope("two workers", PARLOOM_OPTIONS(.n_jobs = 2), PARLOOM_REQUIRE_UNSET);
    run_in_scope("two threads", PARLOOM_OPTIONS(.n_jobs = 2, .backend = "threads"), PARLOOM_REQUIRE_UNSET);
    run_in_scope("two workers, but the library must share memory", PARLOOM_OPTIONS(.n_jobs = 2),
                 PARLOOM_REQUIRE_SHAREDMEM);
    run_in_scope("two threads, but the library may crash", PARLOOM_OPTIONS(.n_jobs = 2, .backend = "threads"),
                 PARLOOM_REQUIRE_ISOLATION);
    printf("after the scopes: %s\n", library_run(PARLOOM_REQUIRE_UNSET));
    return 0;
}
