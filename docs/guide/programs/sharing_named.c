/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 400, COLUMNS = 500 };

static int step(const parloom_task *task, void *const *args)
{
    const parloom_array *field = args[0];
    double *row = (double *)field->data + task->index * field->shape[1];
    for (size_t k = 0; k < field->shape[1]; k++) row[k] += (double)task->index;
    return 0;
}

static int sum_row(const parloom_task *task, void *const *args)
{
    const parloom_array *field = args[0];
    const double *row = (const double *)field->data + task->index * field->shape[1];
    for (size_t k = 0; k < field->shape[1]; k++) *(double *)args[1] += row[k];
    return 0;
}

/* Started apart: it knows the name, and no more. */
static int view(const char *name)
{
    double sums[ROWS] = { 0 };
    parloom_array field;
    parloom_error error;
    if (parloom_array_open_named(&field, name, PARLOOM_MMAP_R, &error) != PARLOOM_OK) {
        printf("viewer: %s\n", error.message);
        return 1;
    }
    parloom_arg args[] = { parloom_in_array(&field), parloom_each(parloom_inout(sums, sizeof sums), sizeof sums[0]) };
    if (parloom_for(field.shape[0], sum_row, args, 2, PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) return 1;
    printf("viewer: %zu x %zu, writable: %d, last row %g\n", field.shape[0], field.shape[1],
           parloom_array_is_writable(&field), sums[ROWS - 1]);
    parloom_array_release(&field);
    return 0;
}

static int start_viewer(const char *name)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "sharing_named", name, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    return status;
}

int main(int argc, char **argv)
{
    const size_t shape[] = { ROWS, COLUMNS };
    char name[40];
    parloom_array field;
    parloom_error error;
    if (argc > 1) return view(argv[1]);

    snprintf(name, sizeof name, "guide-field-%d", (int)getpid());
    if (parloom_array_create_named(&field, name, PARLOOM_F64, 0, 2, shape, NULL, &error) != PARLOOM_OK) return 1;
    parloom_arg args[] = { parloom_inout_array(&field) };
    for (int k = 0; k < 2; k++) {
        if (parloom_for(ROWS, step, args, 1, PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) return 1;
        if (start_viewer(name) != 0) return 1;
    }
    parloom_array_unlink_named(name, &error); /* the name goes, */
    parloom_array_release(&field);            /* then the memory, when nobody has it any more */
    return start_viewer(name) != 0 ? 0 : 1;
}
