/* SPDX-License-Identifier: BSD-3-Clause */
/* pipe.c - one message of 64 bytes and its reply for each task, through two pipes to a forked worker. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "body.h"
#include "serve.h"
#include "stopwatch.h"

struct message {
    size_t task;
    char rest[56];
};

static struct {
    int there[2], back[2];
} pipes;

static void work(void)
{
    struct message message;
    while (read(pipes.there[0], &message, sizeof message) == (ssize_t)sizeof message) {
        body_empty(message.task);
        if (write(pipes.back[1], &message, sizeof message) != (ssize_t)sizeof message) break;
    }
}

/* "pipe KIND TASKS STEPS THREADS": TASKS empty tasks, each sent when the one before has come back. */
static void answer_loop(const char *arguments, FILE *answer)
{
    int kind;
    size_t n;
    if (sscanf(arguments, " pipe %d %zu", &kind, &n) != 2 || kind != BODY_EMPTY) return;
    struct message message = { 0 };
    double start = stopwatch_now_ns();
    for (message.task = 0; message.task < n; message.task++) {
        if (write(pipes.there[1], &message, sizeof message) != (ssize_t)sizeof message) return;
        if (read(pipes.back[0], &message, sizeof message) != (ssize_t)sizeof message) return;
    }
    fprintf(answer, "%.0f", stopwatch_now_ns() - start);
}

int main(void)
{
    if (pipe(pipes.there) != 0 || pipe(pipes.back) != 0) return 1;
    pid_t worker = fork();
    if (worker < 0) return 1;
    if (worker == 0) {
        close(pipes.there[1]);
        work();
        _exit(0);
    }
    const struct serve_job jobs[] = { { "loop", answer_loop } };
    int status = serve(jobs, 1);
    close(pipes.there[1]); /* the worker reads the end, and ends */
    waitpid(worker, NULL, 0);
    return status;
}
