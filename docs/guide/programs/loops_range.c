/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

enum { COUNT = 1000 };

static int halve(const parloom_task *task, void *const *args)
{
    double *value = args[0];
    for (size_t i = task->begin; i < task->end; i++) {
        parloom_at(task, i); /* from here on a failure is that of i */
        if (i == 500) return parloom_fail(task, 3, "%g cannot be halved", value[i]);
        value[i] /= 2;
    }
    return 0;
}

int main(void)
{
    static double value[COUNT];
    parloom_error error;
    parloom_report report = { .struct_size = sizeof report };
    parloom_arg args[] = { parloom_inout(value, sizeof value) };
    for (int k = 0; k < COUNT; k++) value[k] = k;
    (void)parloom_for_range(COUNT, halve, args, 1,
                            PARLOOM_OPTIONS(.n_jobs = 2, .on_error = PARLOOM_ON_ERROR_GO_ON, .report = &report),
                            &error);
    printf("%s\n", error.message);
    printf("%zu ok, %zu failed; value[499..501] = %g %g %g\n", report.ok, report.failed, value[499], value[500],
           value[501]);
    return 0;
}
