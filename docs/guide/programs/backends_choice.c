/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

static int look(const parloom_task *task, void *const *args)
{
    snprintf(args[0], 16, "%s", task->backend);
    return 0;
}

static void library(const char *what, const parloom_options *wish)
{
    char name[16];
    parloom_error error;
    parloom_arg args[] = { parloom_out(name, sizeof name) };
    parloom_status status = parloom_for(1, look, args, 1, wish, &error);
    printf("%-28s %s\n", what, status == PARLOOM_OK ? name : parloom_status_name(status));
}

int main(void)
{
    const parloom_options *none = PARLOOM_OPTIONS(.n_jobs = 2);
    const parloom_options *hint = PARLOOM_OPTIONS(.n_jobs = 2, .prefer = PARLOOM_PREFER_THREADS);
    const parloom_options *must = PARLOOM_OPTIONS(.n_jobs = 2, .require = PARLOOM_REQUIRE_SHAREDMEM);
    library("nothing said:", none);
    library("prefers threads:", hint);
    if (parloom_scope_begin(PARLOOM_OPTIONS(.backend = "processes"), NULL) != PARLOOM_OK) return 1;
    library("prefers threads, in a scope:", hint);
    library("requires sharedmem, too:", must);
    parloom_scope_end();
    library("both, in one call:",
            PARLOOM_OPTIONS(.n_jobs = 2, .backend = "processes", .require = PARLOOM_REQUIRE_SHAREDMEM));
    return 0;
}
