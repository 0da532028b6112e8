/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork.c - children forked from the caller for one call; they inherit everything, copy-on-write.
 *
 * Same board, same rounds as processes; what differs is who starts workers (this thread) and how their death is
 * learned (a pidfd each, behind one epoll descriptor). Refused when the program has other threads: a child would find
 * their locks held for ever (glibc 2.36: setenv, dlopen, localtime_r hang). The OpenMP runtime's own threads are ended
 * first where it offers that: libgomp's next region in a child hangs for ever otherwise.
 */
#include "backends/crew.h"
#include "backends/letter.h"
#include "backends/openmp.h"
#include "backends/reporter.h"
#include "backends/spawn.h"
#include "backends/worker.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/memory.h"
#include "base/process.h"
#include "base/status.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
    int pidfd;
    pid_t pid;
    uint32_t generation;
};

/* Shared with a child: it begins when the parent can see its end, also where the program ignores SIGCHLD. */
struct gate {
    _Atomic uint32_t is_open;
};

struct forked {
    const struct loom_run *run;
    struct child *children; /* by seat */
    uint32_t seats;
    struct gate *gates; /* by seat; behind the board */
    void *board_memory;
    size_t board_nbytes;
};

#if defined(__x86_64__)
#define END_OF_STACK __asm__ volatile(".cfi_undefined rip")
#elif defined(__aarch64__)
#define END_OF_STACK __asm__ volatile(".cfi_undefined x30")
#else
#define END_OF_STACK ((void)0)
#endif

static void await_gate(_Atomic uint32_t *is_open)
{
    /* full: pairs with the parent's store; the death of the parent ends this process */
    while (loom_load_full(is_open) == 0) (void)loom_futex_wait_until(is_open, 0, LOOM_NEVER_NS);
}

static __attribute__((noreturn, noinline)) void live_as_worker(struct loom_crew *crew, uint32_t seat,
                                                               uint32_t generation, pid_t parent)
{
    struct loom_worker_post post = { .seat = seat, .generation = generation, .fetch_fd = -1 };
    struct forked *forked = crew->ops_state;
    (void)setpgid(0, 0);           /* Ctrl-C reaches the program only; */
    (void)signal(SIGINT, SIG_IGN); /* one that came before this waits behind the mask, and is dropped */
    /* Here the stack ends for who unwinds it: an exception out of a body must end this process, and not be caught by
     * the program's own handlers around the call, which would go on as a second program. */
    END_OF_STACK;
    if (!loom_process_die_with_parent(parent)) _exit(0);
    await_gate(&forked->gates[seat].is_open);
    loom_process_reset_signals();
    loom_process_raise_oom_score(500);
    post.board_address = (uint64_t)(uintptr_t)crew->board;
    post.level = forked->run->level + 1;
    post.inner = &forked->run->inner;
    post.bell_count = LOOM_BOARD_BELLS;
    for (int k = 0; k < LOOM_BOARD_BELLS; k++) post.bell_fds[k] = crew->bell_fds[k];
    loom_worker_serve(&post, NULL, NULL);
}

/* It is dead. What it used of LLVM's OpenMP registered itself anew after the fork, and did not end by exit. */
static void forget_child(struct loom_crew *crew, struct child *child)
{
    loom_openmp_unlink_registration(child->pid);
    (void)epoll_ctl(crew->event_fd, EPOLL_CTL_DEL, child->pidfd, NULL);
    close(child->pidfd);
    child->pidfd = -1;
}

static void end_child(struct loom_crew *crew, struct child *child)
{
    if (child->pidfd < 0) return;
    (void)loom_process_signal(child->pidfd, SIGKILL);
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
        /* again: a signal of the program's came in between */
    }
    forget_child(crew, child);
}

static parloom_status watch_child(struct loom_crew *crew, struct child *child, uint32_t seat, parloom_error *error)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = seat };
    child->pidfd = loom_process_pidfd(child->pid);
    if (child->pidfd >= 0 && epoll_ctl(crew->event_fd, EPOLL_CTL_ADD, child->pidfd, &event) == 0) return PARLOOM_OK;
    int sys_errno = errno;
    (void)kill(child->pid, SIGKILL);
    (void)waitpid(child->pid, NULL, 0);
    if (child->pidfd >= 0) close(child->pidfd);
    child->pidfd = -1;
    return loom_status_fail(error, loom_status_of_errno(sys_errno), sys_errno, "could not watch a forked worker: %m");
}

/* The child has signals blocked: it must not meet the program's handlers, and resets all of them soon. */
static pid_t fork_quietly(void)
{
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    int sys_errno = errno;
    if (pid != 0) (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = sys_errno;
    return pid;
}

static parloom_status start(struct loom_crew *crew, uint32_t seat, uint32_t generation, parloom_error *error)
{
    struct forked *forked = crew->ops_state;
    struct child *child = &forked->children[seat];
    pid_t parent = getpid();
    _Atomic uint32_t *is_open = &forked->gates[seat].is_open;
    end_child(crew, child);
    loom_store_relaxed(is_open, 0); /* relaxed: the child is not forked yet */
    (void)fflush(NULL);             /* else a child that flushes writes the caller's lines again */
    child->pid = fork_quietly();
    if (child->pid < 0)
        return loom_status_fail(error, loom_status_of_errno(errno), errno,
                                "could not fork a worker: %m; lower n_jobs, or raise the limit on processes");
    if (child->pid == 0) live_as_worker(crew, seat, generation, parent);
    child->generation = generation;
    crew->seats[seat].pid = (int)child->pid;
    parloom_status status = watch_child(crew, child, seat, error);
    loom_store_full(is_open, 1); /* full: before the wake; pairs with await_gate */
    loom_futex_wake(is_open, 1);
    return status;
}

static void kill_child(struct loom_crew *crew, uint32_t seat, uint32_t generation)
{
    struct child *child = &((struct forked *)crew->ops_state)->children[seat];
    if (child->pidfd >= 0 && child->generation == generation) (void)loom_process_signal(child->pidfd, SIGKILL);
}

/* How it ended, where the program ignores SIGCHLD or its own wait took the true answer. */
static int what_it_left(struct loom_crew *crew, uint32_t seat)
{
    const struct loom_seat_shared *shared = loom_board_seat(crew->board, seat);
    const struct loom_crash_shared *crash = (const void *)shared->crash;
    uint32_t exited = loom_load_acquire(&shared->exited); /* pairs with the worker's store */
    if (exited > 0) return (int)((exited - 1) & 0xff) << 8;
    return crash->signal_number > 0 && crash->signal_number < NSIG ? (int)crash->signal_number : SIGKILL;
}

static int next_event(struct loom_crew *crew, struct loom_worker_event *event_out)
{
    struct forked *forked = crew->ops_state;
    struct epoll_event event;
    if (epoll_wait(crew->event_fd, &event, 1, 0) != 1) return 0;
    struct child *child = &forked->children[event.data.u32];
    struct rusage used;
    int wait_status = 0;
    memset(&used, 0, sizeof used);
    pid_t reaped;
    do reaped = wait4(child->pid, &wait_status, 0, &used); /* it is dead, this does not block */
    while (reaped < 0 && errno == EINTR);
    if (reaped < 0) wait_status = what_it_left(crew, event.data.u32);
    memset(event_out, 0, sizeof *event_out);
    event_out->kind = LOOM_WORKER_DIED;
    event_out->seat = event.data.u32;
    event_out->generation = child->generation;
    event_out->pid = child->pid;
    event_out->wait_status = wait_status;
    event_out->peak_nbytes = (uint64_t)used.ru_maxrss * 1024;
    forget_child(crew, child);
    return 1;
}

static parloom_status reopen(struct loom_crew *crew, parloom_error *error)
{
    (void)crew;
    return loom_status_fail(error, PARLOOM_ERR_INTERNAL, 0, "forked workers have no supervisor");
}

static void close_children(struct loom_crew *crew)
{
    struct forked *forked = crew->ops_state;
    for (uint32_t seat = 0; seat < forked->seats; seat++) end_child(crew, &forked->children[seat]);
    if (crew->event_fd >= 0) close(crew->event_fd);
}

static const struct loom_crew_ops ops = { .start = start,
                                          .kill = kill_child,
                                          .next_event = next_event,
                                          .reopen = reopen,
                                          .close = close_children,
                                          .inherits = true };

/* ------------------------------------------------------------------ safety */

static parloom_status check_threads(parloom_error *error)
{
    int foreign = loom_openmp_count_foreign_threads();
    if (foreign == 0) return PARLOOM_OK;
    return loom_status_fail(
        error, PARLOOM_ERR_UNSUPPORTED, 0,
        "the program has %d other threads: a forked worker could find their locks held for ever; use the "
        "backend processes, or backend_params \"force=1\" if you know that they hold none",
        foreign);
}

/* Inside a task on threads it finds the locks of the others held; forced, that is the user's own risk. */
static const char *cannot_nest(const char *params)
{
    if (params != NULL || loom_openmp_count_foreign_threads() == 0) return NULL;
    return "threads";
}

/* ------------------------------------------------------------- the backend */

static void free_forked(struct forked *forked)
{
    if (forked->board_memory != NULL) (void)munmap(forked->board_memory, forked->board_nbytes);
    free(forked->children);
}

static parloom_status make_board(struct forked *forked, parloom_error *error)
{
    size_t gates_at = loom_memory_round_up(loom_board_nbytes(forked->seats), LOOM_BOARD_LINE);
    forked->board_nbytes = gates_at + forked->seats * sizeof *forked->gates;
    void *memory = mmap(NULL, forked->board_nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return loom_status_fail(error, loom_status_of_errno(errno), errno, "no memory for %u forked workers: %m",
                                forked->seats);
    forked->board_memory = memory;
    forked->gates = (void *)((char *)memory + gates_at);
    forked->children = loom_memory_zeroed(forked->seats, sizeof *forked->children);
    if (forked->children == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for workers");
    for (uint32_t seat = 0; seat < forked->seats; seat++) forked->children[seat].pidfd = -1;
    return PARLOOM_OK;
}

static parloom_status make_crew(struct forked *forked, struct loom_crew **crew_out, parloom_error *error)
{
    struct loom_board_shared *board = loom_board_init(forked->board_memory, forked->seats);
    parloom_status status = loom_crew_create(crew_out, &ops, forked, board, error);
    if (status != PARLOOM_OK) return status;
    (*crew_out)->event_fd = epoll_create1(EPOLL_CLOEXEC);
    if ((*crew_out)->event_fd >= 0) return PARLOOM_OK;
    return loom_status_fail(error, loom_status_of_errno(errno), errno, "could not watch forked workers: %m");
}

static parloom_status write_init(struct loom_board_shared *board, const struct loom_run *run,
                                 struct loom_init_letter **letter_out, parloom_error *error)
{
    if (run->worker_init == NULL && run->worker_environment == NULL) return PARLOOM_OK;
    size_t nbytes = 0;
    parloom_status status =
        loom_init_letter_measure(run->worker_init_state_nbytes, run->worker_environment, &nbytes, error);
    if (status != PARLOOM_OK) return status;
    struct loom_init_letter *letter = loom_memory_zeroed(1, nbytes);
    if (letter == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for worker_init_state");
    memcpy(&letter->function_address, &run->worker_init, sizeof run->worker_init);
    letter->has_init = run->worker_init != NULL;
    loom_init_letter_put(letter, run->worker_init_state, run->worker_init_state_nbytes, run->worker_environment);
    board->init_letter = (uint64_t)(uintptr_t)letter;
    *letter_out = letter;
    return PARLOOM_OK;
}

/* "force=1": fork although the program has other threads. */
static bool takes_params(const char *params)
{
    return strcmp(params, "force=1") == 0;
}

static parloom_status run_fork(void *workers, const struct loom_run *run, parloom_error *error)
{
    (void)workers;
    struct forked forked = { .run = run, .seats = (uint32_t)run->n_jobs };
    struct loom_crew *crew = NULL;
    struct loom_init_letter *init = NULL;
    if (run->params != NULL) loom_openmp_pause();
    parloom_status status = run->params != NULL ? PARLOOM_OK : check_threads(error);
    if (status == PARLOOM_OK) status = make_board(&forked, error);
    if (status == PARLOOM_OK) status = make_crew(&forked, &crew, error);
    if (status == PARLOOM_OK) status = write_init(crew->board, run, &init, error);
    if (status == PARLOOM_OK) status = loom_crew_run(crew, run, error);
    loom_crew_destroy(crew);
    free_forked(&forked);
    free(init);
    return status;
}

const struct loom_backend loom_backend_fork = { .name = "fork",
                                                .memory = LOOM_MEMORY_INHERITED,
                                                .can_kill = true,
                                                .has_environment = true,
                                                .unavailable = loom_spawn_is_disabled,
                                                .takes_params = takes_params,
                                                .cannot_nest = cannot_nest,
                                                .run = run_fork };
