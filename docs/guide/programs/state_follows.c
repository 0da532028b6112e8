/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int look(const parloom_task *task, void *const *args)
{
    (void)task;
    const char *unit = getenv("UNIT");
    char folder[256];
    if (getcwd(folder, sizeof folder) == NULL) return 1;
    (void)snprintf(args[0], 300, "UNIT %s, in %s", unit == NULL ? "unset" : unit, folder);
    return 0;
}

static void call(void)
{
    char seen[300];
    parloom_error error;
    parloom_arg args[] = { parloom_out(seen, sizeof seen) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.require = PARLOOM_REQUIRE_ISOLATION; /* one task would run in the caller otherwise */
    if (parloom_for(1, look, args, 1, &options, &error) != PARLOOM_OK) fprintf(stderr, "%s\n", error.message);
    printf("%s\n", seen);
}

int main(void)
{
    if (chdir("/") != 0) return 1;
    call();
    if (setenv("UNIT", "metres", 1) != 0 || chdir("/usr") != 0) return 1;
    call(); /* the same worker */
    return 0;
}
