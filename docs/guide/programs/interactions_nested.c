/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <string.h>

enum { DEPTH = 3 };

/* Notes where it runs, and goes one level deeper. */
static int descend(const parloom_task *task, void *const *args)
{
    char(*where)[32] = args[0]; /* of this level and those below it */
    (void)snprintf(where[0], sizeof where[0], "%s", task->backend);
    if (task->level == DEPTH - 1) return 0;
    parloom_arg below[] = { parloom_out(where[1], sizeof where[1] * (size_t)(DEPTH - 1 - task->level)) };
    parloom_error error;
    if (parloom_for(1, descend, below, 1, NULL, &error) == PARLOOM_OK) return 0;
    return parloom_fail_text(task, 1, error.message);
}

int main(void)
{
    char where[DEPTH][32];
    parloom_error error;
    memset(where, 0, sizeof where);
    parloom_arg args[] = { parloom_out(where, sizeof where) };
    if (parloom_scope_begin(PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) return 1;
    parloom_status status = parloom_for(1, descend, args, 1, NULL, &error);
    parloom_scope_end();
    if (status != PARLOOM_OK) printf("%s\n", error.message);
    for (int level = 0; level < DEPTH; level++) printf("level %d: %s\n", level, where[level]);
    return 0;
}
