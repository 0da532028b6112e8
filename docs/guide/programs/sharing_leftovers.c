/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static parloom_status create(parloom_array *field, const char *name, parloom_error *error)
{
    const size_t count = 1000;
    return parloom_array_create_named(field, name, PARLOOM_F64, 0, 1, &count, NULL, error);
}

int main(void)
{
    char name[40];
    size_t removed = 0;
    parloom_array field;
    parloom_error error;
    snprintf(name, sizeof name, "guide-leftover-%d", (int)getpid());

    pid_t simulation = fork();
    if (simulation == 0) {
        if (create(&field, name, &error) == PARLOOM_OK) raise(SIGKILL);
        _exit(1);
    }
    waitpid(simulation, NULL, 0);
    if (create(&field, name, &error) != PARLOOM_OK) printf("%s\n", error.message);

    /* At the start of the next run: what killed runs left goes, with all names that begin so; what lives stays. */
    if (parloom_clean_named(name, &removed, &error) != PARLOOM_OK) return 1;
    printf("removed: %s\n", removed > 0 ? "yes" : "no");
    if (create(&field, name, &error) != PARLOOM_OK) return 1;
    parloom_clean_named(name, &removed, &error);
    printf("of the living: %zu\n", removed);
    parloom_array_unlink_named(name, &error);
    parloom_array_release(&field);
    return 0;
}
