/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * overseer.c - the main loop of the supervisor process.
 *
 * Single-threaded, so that it may fork; never blocks but in poll; does what the program asks and nothing else. It ends
 * when the program ends: its socket and its pidfd are both watched, since the socket stays open while a fork()ed child
 * of the program lives, and pidfds may be missing.
 *
 * It is no child of the program: the process that was spawned forks it and exits. The program's own wait(-1) neither
 * sees nor waits for it, and a program that ignores SIGCHLD loses nothing.
 */
#include "backends/overseer.h"

#include "backends/depot.h"
#include "backends/fortran.h"
#include "backends/roster.h"
#include "backends/startup.h"
#include "base/memory.h"
#include "base/process.h"
#include "shm/window.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

enum { FIXED_POLLS = 3, MODULES_NBYTES_MAX = 64 * 1024 };

static int signal_fd = -1;

static void close_own(void)
{
    (void)close(LOOM_STARTUP_SOCKET);
    (void)close(LOOM_STARTUP_PROGRAM);
    (void)close(signal_fd);
}

static __attribute__((noreturn)) void finish(void)
{
    loom_roster_end();
    _exit(0);
}

/* ---- messages of the program */

static void obey(const struct loom_message_control *message, int *fds, size_t n_fds)
{
    switch (message->head.kind) {
    case LOOM_MESSAGE_OPEN_CREW:
        loom_roster_open(message, fds, n_fds);
        return;
    case LOOM_MESSAGE_ADD_SEGMENT:
        if (n_fds == 1) {
            loom_depot_put(message->crew, message->generation, fds[0]);
            return;
        }
        break;
    case LOOM_MESSAGE_REMOVE_SEGMENT:
        loom_depot_remove(message->crew, message->generation);
        break;
    case LOOM_MESSAGE_CLOSE_CREW:
        loom_roster_close(message->crew);
        break;
    case LOOM_MESSAGE_START_WORKER:
        loom_roster_start(message->crew, message->seat, message->generation);
        break;
    case LOOM_MESSAGE_KILL_WORKER:
        loom_roster_kill(message->crew, message->seat, message->generation);
        break;
    default:
        break;
    }
    for (size_t i = 0; i < n_fds; i++) (void)close(fds[i]);
}

/* Reads all that the program has said until now. */
static void listen_to_program(void)
{
    for (;;) {
        struct loom_message_control message;
        int fds[LOOM_MESSAGE_FDS];
        size_t n_fds = LOOM_MESSAGE_FDS;
        ssize_t length = loom_message_receive(LOOM_STARTUP_SOCKET, &message, sizeof message, fds, &n_fds, MSG_DONTWAIT);
        if (length == -EAGAIN) return;
        if (length == -EPROTO) continue;
        if (length <= 0) finish();
        bool is_sound = length == (ssize_t)sizeof message && message.head.magic == LOOM_MESSAGE_MAGIC;
        if (is_sound) obey(&message, fds, n_fds);
        for (size_t i = 0; !is_sound && i < n_fds; i++) (void)close(fds[i]);
    }
}

/* ---- hello */

struct module_list {
    char *text;
    size_t nbytes;
    bool is_program;
};

static int list_module(struct dl_phdr_info *module, size_t size, void *state)
{
    (void)size;
    struct module_list *list = state;
    char identity[LOOM_STARTUP_IDENTITY_BYTES];
    loom_startup_identify(module, list->is_program, identity);
    list->is_program = false;
    size_t room = MODULES_NBYTES_MAX - list->nbytes;
    int length = snprintf(list->text + list->nbytes, room, "%s %s\n", identity, module->dlpi_name);
    if (length < 0 || (size_t)length >= room) return 1; /* enough to notice an upgrade */
    list->nbytes += (size_t)length;
    return 0;
}

static bool say_hello(void)
{
    struct loom_message_hello hello = { .head = { LOOM_MESSAGE_MAGIC, LOOM_MESSAGE_HELLO },
                                        .pid = getpid(),
                                        .thread_count = loom_process_thread_count() };
    char *text = loom_memory_zeroed(1, sizeof hello + MODULES_NBYTES_MAX);
    if (text == NULL) return false;
    struct module_list list = { .text = text + sizeof hello, .is_program = true };
    (void)dl_iterate_phdr(list_module, &list);
    hello.modules_nbytes = (uint32_t)list.nbytes;
    memcpy(text, &hello, sizeof hello);
    int pidfd = loom_process_pidfd(getpid());
    int failure = loom_message_send(LOOM_STARTUP_SOCKET, text, sizeof hello + list.nbytes, &pidfd, pidfd >= 0, 0);
    if (pidfd >= 0) (void)close(pidfd);
    free(text);
    return failure == 0;
}

/* ---- life */

static void detach(void)
{
    pid_t pid = fork();
    if (pid < 0) _exit(LOOM_STARTUP_EXIT_BROKEN);
    if (pid > 0) _exit(0);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* It holds a descriptor of each segment, and the program may be given more of them later than it had at this start. A
 * worker goes back to what the program had. */
static void raise_descriptor_limit(struct rlimit *before)
{
    *before = (struct rlimit){ 0, 0 };
    if (getrlimit(RLIMIT_NOFILE, before) != 0) return;
    struct rlimit most = { before->rlim_max, before->rlim_max };
    (void)setrlimit(RLIMIT_NOFILE, &most);
}

static void set_up_descriptors(void)
{
    for (int fd = LOOM_STARTUP_SOCKET; fd < LOOM_STARTUP_MEMFD; fd++) (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    /* Deaths arrive as readable bytes. What asks every process of a name or a group to end is for the program: it may
     * have a handler in which calls are still to work, and when it ends, so does the supervisor. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    sigset_t deaths;
    (void)sigemptyset(&deaths);
    (void)sigaddset(&deaths, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &deaths, NULL);
    (void)signal(SIGCHLD, SIG_DFL); /* a constructor may have ignored it: deaths would go unseen */
    signal_fd = signalfd(-1, &deaths, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0) _exit(LOOM_STARTUP_EXIT_BROKEN);
}

static void wait_and_serve(struct pollfd **polls, size_t *room)
{
    size_t count = FIXED_POLLS + loom_roster_poll_count();
    if (*polls == NULL || count > *room) {
        struct pollfd *larger = loom_memory_grow(*polls, 2 * count, sizeof *larger);
        if (larger == NULL) finish();
        *polls = larger;
        *room = 2 * count;
    }
    struct pollfd *p = *polls;
    p[0] = (struct pollfd){ .fd = LOOM_STARTUP_SOCKET, .events = POLLIN };
    p[1] = (struct pollfd){ .fd = LOOM_STARTUP_PROGRAM, .events = POLLIN };
    p[2] = (struct pollfd){ .fd = signal_fd, .events = POLLIN };
    loom_roster_fill_poll(p + FIXED_POLLS);
    if (poll(p, count, -1) < 0) return;

    if ((p[1].revents & POLLIN) != 0) finish();
    if (p[2].revents != 0) {
        struct signalfd_siginfo signals[16];
        while (read(signal_fd, signals, sizeof signals) > 0) {}
        loom_roster_reap();
    }
    if (p[0].revents != 0) listen_to_program();
    loom_roster_serve(p + FIXED_POLLS, count - FIXED_POLLS, listen_to_program);
}

void loom_overseer_main(const char *entry)
{
    struct loom_startup startup;
    if (!loom_startup_parse(entry, &startup)) _exit(LOOM_STARTUP_EXIT_BROKEN);
    loom_window_forbid(false);
    detach();
    set_up_descriptors();
    loom_fortran_set_arguments(startup.program_pid);
    struct loom_roster_origin origin = { .window_base = startup.window_base,
                                         .header_fd = LOOM_STARTUP_HEADER,
                                         .stdout_fd = LOOM_STARTUP_STDOUT,
                                         .stderr_fd = LOOM_STARTUP_STDERR,
                                         .close_own = close_own };
    raise_descriptor_limit(&origin.descriptor_limit);
    loom_roster_begin(&origin);
    if (!say_hello()) _exit(LOOM_STARTUP_EXIT_BROKEN);

    struct pollfd *polls = NULL;
    size_t room = 0;
    for (;;) wait_and_serve(&polls, &room);
}
