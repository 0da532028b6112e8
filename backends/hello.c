/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hello.c - the first message of a supervisor, or why there was none.
 */
#include "backends/hello.h"

#include "backends/messages.h"
#include "backends/startup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/process.h"
#include "base/status.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MESSAGE_NBYTES_MAX = 128 * 1024 };
#define HELLO_SECONDS 10.0 /* a program with 1000 libraries on a cold network file system starts in less */

/* ---- is it the same program? */

struct comparison {
    const char *identity, *name; /* of the supervisor's module */
    const char *basename;
    char other[LOOM_STARTUP_IDENTITY_BYTES]; /* what the program has under that name */
    bool is_program;
    bool is_same, is_other;
};

static const char *basename_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static int compare_module(struct dl_phdr_info *module, size_t size, void *state)
{
    (void)size;
    struct comparison *comparison = state;
    char identity[LOOM_STARTUP_IDENTITY_BYTES];
    loom_startup_identify(module, comparison->is_program, identity);
    comparison->is_program = false;
    if (strcmp(identity, comparison->identity) == 0) {
        comparison->is_same = true;
        return 1;
    }
    if (comparison->basename[0] != '\0' && strcmp(basename_of(module->dlpi_name), comparison->basename) == 0) {
        comparison->is_other = true;
        memcpy(comparison->other, identity, sizeof identity);
    }
    return 0;
}

/* Modules the program does not have at all (the preload) are no contradiction. */
static parloom_status check_modules(char *text, parloom_error *error)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *space = strchr(line, ' ');
        if (space == NULL || line[0] != 'b') continue;
        *space = '\0';
        struct comparison comparison = { .identity = line, .name = space + 1, .is_program = true };
        comparison.basename = basename_of(comparison.name);
        (void)dl_iterate_phdr(compare_module, &comparison);
        if (comparison.is_same || !comparison.is_other) continue;
        return loom_status_fail(error, PARLOOM_ERR_VERSION, 0,
                                "worker processes load another build of %s than the program has (build-id %s there, %s "
                                "here): it was replaced while the program ran, or LD_LIBRARY_PATH finds another one; "
                                "restart the program",
                                comparison.name, line + 1, comparison.other + 1);
    }
    return PARLOOM_OK;
}

/* ---- why did it not say hello? */

static parloom_status refuse_exit(int code, parloom_error *error)
{
    if (code == LOOM_STARTUP_EXIT_GUARD)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "the loader did not load the worker preload into the second start of this program, so "
                                "worker processes cannot be used; use backend threads or fork");
    if (code == LOOM_STARTUP_EXIT_NO_ENTRY)
        return loom_status_fail(error, PARLOOM_ERR_VERSION, 0,
                                "the second start of this program does not find the parloom it was built with: the "
                                "library was replaced or moved; restart the program");
    return loom_status_fail(error, PARLOOM_ERR_POOL, 0,
                            "the supervisor of worker processes ended at its start with exit code %d: look for a "
                            "constructor that exits, or use backend threads or fork",
                            code);
}

static parloom_status refuse_silence(pid_t pid, bool is_reaped, int wait_status, bool is_late, parloom_error *error)
{
    if (!is_reaped) {
        (void)kill(pid, SIGKILL); /* not reaped: it is still ours */
        while (waitpid(pid, &wait_status, 0) < 0)
            if (errno != EINTR) {
                wait_status = 0; /* SIGCHLD is ignored, or somebody else reaped it: how it ended is not known */
                break;
            }
    }
    if (is_late)
        return loom_status_fail(error, PARLOOM_ERR_POOL, 0,
                                "the supervisor of worker processes said nothing for %.0f s and was killed: a "
                                "constructor of the program may block; use backend threads or fork",
                                HELLO_SECONDS);
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) != SIGKILL) {
        parloom_status status = loom_status_fail(
            error, PARLOOM_ERR_POOL, 0, "the supervisor of worker processes was killed by signal %d at its start",
            WTERMSIG(wait_status));
        if (error != NULL) error->signal = WTERMSIG(wait_status);
        return status;
    }
    parloom_status status = refuse_exit(WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1, error);
    if (error != NULL) error->code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 0;
    return status;
}

/* ---- wait */

/* ThreadSanitizer's runtime has a thread of its own, in every process. */
static int own_threads_of_sanitizer(void)
{
    return dlsym(RTLD_DEFAULT, "__tsan_init") != NULL;
}

static parloom_status take_hello(char *text, ssize_t length, parloom_error *error)
{
    struct loom_message_hello hello;
    if (length >= (ssize_t)sizeof hello) memcpy(&hello, text, sizeof hello);
    if (length < (ssize_t)sizeof hello ||
        !loom_message_is(text, length, LOOM_MESSAGE_HELLO, sizeof hello + hello.modules_nbytes))
        return loom_status_fail(error, PARLOOM_ERR_VERSION, 0,
                                "the supervisor of worker processes speaks another version of parloom");
    if (hello.thread_count - own_threads_of_sanitizer() > 1)
        loom_log(LOOM_LOG_WARNING,
                 "%d threads run in the supervisor of worker processes (a library starts them when it is loaded): "
                 "workers do not have them",
                 hello.thread_count);
    text[length] = '\0';
    return check_modules(text + sizeof hello, error);
}

/* True: the message is there, or the socket is at its end. */
static bool wait_readable(int socket, pid_t pid, bool *is_reaped, int *wait_status)
{
    uint64_t deadline_ns = loom_clock_deadline(HELLO_SECONDS);
    int pidfd = loom_process_pidfd(pid);
    bool is_readable = false;
    for (;;) {
        struct pollfd polls[2] = { { .fd = socket, .events = POLLIN },
                                   { .fd = *is_reaped ? -1 : pidfd, .events = POLLIN } };
        int ready = poll(polls, 2, loom_clock_poll_ms(deadline_ns));
        if (ready < 0 && errno == EINTR) continue;
        is_readable = polls[0].revents != 0;
        if (ready <= 0 || is_readable) break;
        pid_t reaped = waitpid(pid, wait_status, WNOHANG);
        *is_reaped = reaped == pid || (reaped < 0 && errno == ECHILD);
        /* An exit code is a failure, whoever still holds the other end of the socket. */
        if (reaped == pid && *wait_status != 0) break;
    }
    if (pidfd >= 0) (void)close(pidfd);
    return is_readable;
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
}

parloom_status loom_hello_await(int socket, pid_t pid, int *pidfd_out, parloom_error *error)
{
    bool is_reaped = false;
    int wait_status = 0, pidfd = -1;
    char *text = loom_memory_zeroed(1, MESSAGE_NBYTES_MAX);
    if (text == NULL) {
        (void)kill(pid, SIGKILL); /* what it may have started ends with the socket */
        reap(pid);
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, ENOMEM, "no memory to start workers");
    }
    bool is_readable = wait_readable(socket, pid, &is_reaped, &wait_status);
    bool is_late = !is_readable && wait_status == 0;
    size_t n_fds = 1;
    ssize_t length = -ENOMEM;
    if (is_readable) length = loom_message_receive(socket, text, MESSAGE_NBYTES_MAX - 1, &pidfd, &n_fds, MSG_DONTWAIT);
    parloom_status status;
    if (length <= 0)
        status = refuse_silence(pid, is_reaped, wait_status, is_late, error);
    else
        status = take_hello(text, length, error);
    free(text);
    if (length > 0 && !is_reaped) reap(pid);
    if (status == PARLOOM_OK)
        *pidfd_out = pidfd;
    else if (pidfd >= 0)
        (void)close(pidfd);
    return status;
}
