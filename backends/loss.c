/* SPDX-License-Identifier: BSD-3-Clause */
/* loss.c - the error of a task whose worker died: what, where, why, who (see loss.h). */
#include "backends/loss.h"

#include "backends/names.h"
#include "backends/reporter.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static void describe_tasks(const struct loom_loss *loss, char *text, size_t size)
{
    char of[32] = "";
    if (loss->n > 0) (void)snprintf(of, sizeof of, " of %zu", loss->n);
    if (loss->end - loss->begin == 1)
        (void)snprintf(text, size, "task %llu%s", (unsigned long long)loss->begin, of);
    else
        (void)snprintf(text, size, "tasks %llu to %llu%s (one range whose body does not call parloom_at)",
                       (unsigned long long)loss->begin, (unsigned long long)loss->end - 1, of);
}

static const char *body_name(const struct loom_loss *loss, char *text, size_t size)
{
    const void *function;
    memcpy(&function, &loss->body, sizeof function);
    loom_name_of_function(function, text, size);
    return text;
}

static struct loom_crash_shared *crash_of(const struct loom_crew *crew, uint32_t seat)
{
    return (void *)loom_board_seat(crew->board, seat)->crash;
}

/* "SIGSEGV at 0x0 in solve (solve.c:88), writing through a null pointer" */
static void describe_signal(const struct loom_crew *crew, uint32_t seat, const struct loom_death *death, char *text,
                            size_t size)
{
    char where[512], name[32];
    int signal_number = WTERMSIG(death->wait_status);
    loom_reporter_signal_name(signal_number, name, sizeof name);
    loom_reporter_describe(crash_of(crew, seat), signal_number, where, sizeof where);
    (void)snprintf(text, size, "%s%s%s", name, where,
                   death->oom_killed ? " by the kernel, which was out of memory" : "");
}

static void set_signal(const struct loom_crew *crew, uint32_t seat, const struct loom_death *death,
                       parloom_error *error)
{
    const struct loom_crash_shared *crash = crash_of(crew, seat);
    error->signal = WTERMSIG(death->wait_status);
    if (crash->signal_number == (uint32_t)error->signal) error->address = crash->address;
}

static void describe_crash(const struct loom_loss *loss, const char *tasks, parloom_error *error)
{
    char name[256], how[640], callers[384];
    describe_signal(loss->crew, loss->seat, loss->death, how, sizeof how);
    (void)body_name(loss, name, sizeof name);
    loom_reporter_describe_callers(crash_of(loss->crew, loss->seat), WTERMSIG(loss->death->wait_status), name, callers,
                                   sizeof callers);
    loom_status_fail(error, PARLOOM_ERR_CRASHED, 0, "%s crashed: %s%s, running %s; worker %d, pid %d", tasks, how,
                     callers, name, loss->worker, loss->death->pid);
    set_signal(loss->crew, loss->seat, loss->death, error);
}

static void describe_timeout(const struct loom_loss *loss, const char *tasks, parloom_error *error)
{
    char name[256];
    loom_status_fail(error, PARLOOM_ERR_TIMEOUT, 0,
                     "%s ran past its time limit in %s and was killed; worker %d, pid %d", tasks,
                     body_name(loss, name, sizeof name), loss->worker, loss->death->pid);
}

static void describe_exit(const struct loom_loss *loss, const char *tasks, parloom_error *error)
{
    char name[256];
    int code = WEXITSTATUS(loss->death->wait_status);
    loom_status_fail(error, PARLOOM_ERR_EXITED, 0, "%s ended its process with exit code %d in %s; worker %d, pid %d",
                     tasks, code, body_name(loss, name, sizeof name), loss->worker, loss->death->pid);
    error->code = code;
}

void loom_loss_describe(const struct loom_loss *loss, parloom_error *error)
{
    char tasks[128];
    describe_tasks(loss, tasks, sizeof tasks);
    if (loss->death->status == PARLOOM_ERR_CRASHED)
        describe_crash(loss, tasks, error);
    else if (loss->death->status == PARLOOM_ERR_TIMEOUT)
        describe_timeout(loss, tasks, error);
    else
        describe_exit(loss, tasks, error);
    error->worker = loss->worker;
    error->pid = loss->death->pid;
    error->peak_nbytes = loss->death->peak_nbytes;
}

void loom_loss_describe_init(const struct loom_crew *crew, uint32_t seat, const struct loom_death *death,
                             parloom_error *error)
{
    char how[640];
    bool is_crash = WIFSIGNALED(death->wait_status);
    int code = is_crash ? 0 : WEXITSTATUS(death->wait_status);
    if (is_crash)
        describe_signal(crew, seat, death, how, sizeof how);
    else
        (void)snprintf(how, sizeof how, "it ended its process with exit code %d", code);
    loom_status_fail(
        error, PARLOOM_ERR_CALLBACK, 0,
        "%u workers ended in a row without finishing a task, the last one (worker %u, pid %d) in worker_init: %s; in a "
        "new process globals have their initial values",
        crew->deaths_in_a_row, seat, death->pid, how);
    error->code = code;
    if (is_crash) set_signal(crew, seat, death, error);
    error->worker = (int)seat;
    error->pid = death->pid;
    error->peak_nbytes = death->peak_nbytes;
}
