/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 1 << 20 };

static int look(const parloom_task *task, void *const *args)
{
    const double *table = args[0];
    double *found = args[1];
    *found = table[task->index * 1000];
    return 0;
}

static size_t call(const double *table)
{
    double found[8];
    parloom_report report = { .struct_size = sizeof report };
    parloom_arg args[] = { parloom_in(table, COUNT * sizeof *table),
                           parloom_each(parloom_out(found, sizeof found), sizeof found[0]) };
    if (parloom_for(8, look, args, 2, PARLOOM_OPTIONS(.n_jobs = 2, .report = &report), NULL) != PARLOOM_OK) exit(1);
    return report.spilled_nbytes >> 20;
}

int main(void)
{
    double *table = calloc(COUNT, sizeof *table);
    if (table == NULL) return 1;
    printf("each call a copy: %zu MiB, %zu MiB\n", call(table), call(table));
    if (parloom_publish(table, COUNT * sizeof *table, NULL) != PARLOOM_OK) return 1;
    printf("published: ");
    for (int k = 0; k < 3; k++) printf("%zu MiB%s", call(table), k < 2 ? ", " : "\n");
    parloom_unpublish(table);
    free(table);
    return 0;
}
