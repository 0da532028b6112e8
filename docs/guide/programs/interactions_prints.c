/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

static int greet(const parloom_task *task, void *const *args)
{
    (void)args;
    printf("task %zu\n", task->index);
    return 0;
}

int main(void)
{
    printf("begin\n");
    (void)fflush(stdout); /* else a pipe may get it after what the workers print */
    if (parloom_for(1, greet, NULL, 0, PARLOOM_OPTIONS(.require = PARLOOM_REQUIRE_ISOLATION), NULL) != PARLOOM_OK)
        return 1;
    printf("end\n");
    return 0;
}
