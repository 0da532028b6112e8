/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * supervisor.c - the program's side: start the supervisor, talk to it, notice its end.
 *
 * Locks     start_lock: one thread starts or ends it. send_lock: the socket; a leaf, so that the listener may send
 *           while shm holds its own locks.
 * fork()    a child of the program has no supervisor: it forgets the parent's, and starts its own when it needs one.
 */
#include "backends/supervisor.h"

#include "backends/depot.h"
#include "backends/directory.h"
#include "backends/fortran.h"
#include "backends/guard.h"
#include "backends/hello.h"
#include "backends/messages.h"
#include "backends/spawn.h"
#include "base/binding.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/status.h"
#include "shm/segment.h"
#include "shm/window.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEND_SECONDS = 10, END_MS = 1000, EXIT_MS = 100 };

static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t send_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_handler_once = PTHREAD_ONCE_INIT;

static struct {
    pid_t owner; /* 0: none runs */
    int socket;
    struct loom_file_identity identity; /* of the socket: a program may close descriptors it does not know */
    int pidfd;                          /* of the supervisor; -1 */
    uint32_t first_crew;                /* crews below were another supervisor's */
    uint32_t next_crew;
} supervisor = { .socket = -1, .pidfd = -1, .first_crew = 1, .next_crew = 1 };

/* ---- the socket */

static bool is_socket_ours(void)
{
    return loom_file_is_still(supervisor.socket, &supervisor.identity);
}

/* send_lock is held. */
static void forget(void)
{
    if (supervisor.socket >= 0 && is_socket_ours()) (void)close(supervisor.socket);
    supervisor.socket = -1;
    supervisor.owner = 0;
    supervisor.first_crew = supervisor.next_crew;
}

/* send_lock is held. The one that runs is of no use any more. Closing alone would not tell it so where its own end of
 * the socket, or a copy of ours, has come to other processes. */
static void abandon(void)
{
    if (is_socket_ours()) (void)shutdown(supervisor.socket, SHUT_RDWR);
    if (supervisor.pidfd >= 0) (void)loom_process_signal(supervisor.pidfd, SIGKILL);
    forget();
}

/* What says nothing against the supervisor: memory is short, or the descriptors that go along are not open. */
static bool is_own_failure(int failure)
{
    return failure == ENOMEM || failure == ENOBUFS || failure == EMFILE || failure == ETOOMANYREFS || failure == EBADF;
}

/* send_lock is held. 0 or an errno; whoever does not listen within SEND_SECONDS is stopped or gone. */
static int send_locked(const struct loom_message_control *message, const int *fds, size_t n_fds)
{
    if (supervisor.owner != getpid()) return EPIPE;
    if (!is_socket_ours()) {
        abandon();
        return EPIPE;
    }
    int failure = loom_message_send(supervisor.socket, message, sizeof *message, fds, n_fds, 0);
    if (failure != 0 && !is_own_failure(failure)) abandon();
    return failure;
}

static int send_message(const struct loom_message_control *message, const int *fds, size_t n_fds)
{
    (void)pthread_mutex_lock(&send_lock);
    int failure = send_locked(message, fds, n_fds);
    (void)pthread_mutex_unlock(&send_lock);
    return failure;
}

static struct loom_message_control make_message(enum loom_message_kind kind, uint32_t crew, uint32_t seat,
                                                uint32_t generation)
{
    return (struct loom_message_control){
        .head = { LOOM_MESSAGE_MAGIC, (uint32_t)kind }, .crew = crew, .seat = seat, .generation = generation
    };
}

/* ---- segments */

/* Blocks until the message is in the socket: the table that names the segment is published after it. Without a
 * supervisor there is nobody to tell; the next one is told of all live segments. */
static void tell_added(const struct loom_segment *segment, void *state)
{
    (void)state;
    struct loom_message_control message = make_message(LOOM_MESSAGE_ADD_SEGMENT, segment->id, 0, segment->generation);
    int failure = send_message(&message, &segment->worker_fd, 1);
    if (failure != 0 && failure != EPIPE)
        loom_log(LOOM_LOG_DEBUG, "the supervisor was not told of a segment: %s", strerror(failure));
}

static void tell_removed(uint32_t id, uint32_t generation, void *state)
{
    (void)state;
    struct loom_message_control message = make_message(LOOM_MESSAGE_REMOVE_SEGMENT, id, 0, generation);
    (void)send_message(&message, NULL, 0);
}

/* ---- working directories */

void loom_supervisor_lend(uint32_t number, int fd)
{
    struct loom_message_control message = make_message(LOOM_MESSAGE_ADD_SEGMENT, LOOM_DEPOT_DIRECTORY, 0, number);
    (void)send_message(&message, &fd, 1); /* without it workers try the path */
}

void loom_supervisor_take_back(uint32_t number)
{
    struct loom_message_control message = make_message(LOOM_MESSAGE_REMOVE_SEGMENT, LOOM_DEPOT_DIRECTORY, 0, number);
    (void)send_message(&message, NULL, 0);
}

/* ---- fork() of the program */

/* In the child, whose only thread this is. Locks are made anew, not taken before the fork: whoever held one is not
 * here, and taking send_lock while another library lock is awaited could wait for ever. A half-written record belongs
 * to the parent's pid, and is forgotten. The parent's supervisor also watches the parent's pidfd: this copy of the
 * socket does not keep it alive. */
static void leave_to_parent(void)
{
    start_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    send_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    forget();
    if (supervisor.pidfd >= 0) (void)close(supervisor.pidfd);
    supervisor.pidfd = -1;
}

static void set_fork_handler(void)
{
    (void)pthread_atfork(NULL, NULL, leave_to_parent);
}

/* ---- start */

static bool is_alive(void)
{
    if (supervisor.owner != getpid() || !is_socket_ours()) return false;
    struct pollfd socket = { .fd = supervisor.socket, .events = 0 };
    return poll(&socket, 1, 0) == 0; /* POLLHUP: it ended */
}

static parloom_status open_socket(int sockets[2], parloom_error *error)
{
    if (loom_fault_hit(LOOM_FAULT_SOCKET) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
        return loom_status_fail(error, loom_status_of_errno(errno), errno,
                                "could not open a socket to the supervisor of worker processes: %m");
    for (int i = 0; i < 2; i++) sockets[i] = loom_file_move_up(sockets[i]);
    struct timeval limit = { .tv_sec = SEND_SECONDS };
    (void)setsockopt(sockets[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return PARLOOM_OK;
}

static void adopt(int socket, int pidfd)
{
    (void)pthread_mutex_lock(&send_lock);
    supervisor.owner = getpid();
    supervisor.socket = socket;
    loom_file_identify(socket, &supervisor.identity);
    supervisor.pidfd = pidfd;
    supervisor.first_crew = supervisor.next_crew;
    (void)pthread_mutex_unlock(&send_lock);
}

static parloom_status start(parloom_error *error)
{
    int sockets[2];
    parloom_status status = loom_window_open(error);
    if (status == PARLOOM_OK) status = open_socket(sockets, error);
    if (status != PARLOOM_OK) return status;
    pid_t pid = 0;
    struct loom_binding binding;
    loom_directory_note_home();
    loom_binding_suspend(&binding); /* a task on a bound thread may be the first to need worker processes */
    status = loom_spawn_supervisor(sockets[1], &pid, error);
    loom_binding_resume(&binding);
    (void)close(sockets[1]);
    int pidfd = -1;
    if (status == PARLOOM_OK) status = loom_hello_await(sockets[0], pid, &pidfd, error);
    if (status != PARLOOM_OK) {
        (void)close(sockets[0]);
        return status;
    }
    adopt(sockets[0], pidfd);
    static const struct loom_segment_listener listener = { .added = tell_added, .removed = tell_removed };
    loom_segment_set_listener(&listener);
    loom_directory_lend_all();
    return PARLOOM_OK;
}

/* Of one that ended by itself, or belongs to the parent of this process. */
static void drop_dead(void)
{
    (void)pthread_mutex_lock(&send_lock);
    forget();
    (void)pthread_mutex_unlock(&send_lock);
    if (supervisor.pidfd >= 0) (void)close(supervisor.pidfd);
    supervisor.pidfd = -1;
}

parloom_status loom_supervisor_ensure(parloom_error *error)
{
    loom_guard_link();
    (void)pthread_once(&fork_handler_once, set_fork_handler);
    (void)pthread_mutex_lock(&start_lock);
    parloom_status status = PARLOOM_OK;
    if (!is_alive()) {
        drop_dead();
        status = start(error);
    }
    (void)pthread_mutex_unlock(&start_lock);
    return status;
}

bool loom_supervisor_needs_fortran_init(void)
{
    return loom_fortran_needs_init();
}

/* ---- crews */

static parloom_status refuse_ended(int failure, parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_POOL, failure,
                            "the supervisor of the worker processes has ended (%m): its workers ended with it");
}

static parloom_status refuse_send(int failure, parloom_error *error)
{
    if (!is_own_failure(failure)) return refuse_ended(failure, error);
    return loom_status_fail(error, loom_status_of_errno(failure), failure,
                            "could not ask the supervisor for worker processes: %m%s",
                            failure == EBADF ? "; has the program closed descriptors that are not its own?" : "");
}

static parloom_status announce_crew(struct loom_message_control *message, const int *fds, size_t n_fds,
                                    parloom_error *error)
{
    (void)pthread_mutex_lock(&send_lock);
    message->crew = supervisor.next_crew++;
    int failure = send_locked(message, fds, n_fds);
    (void)pthread_mutex_unlock(&send_lock);
    return failure == 0 ? PARLOOM_OK : refuse_send(failure, error);
}

parloom_status loom_supervisor_open_crew(uint64_t board_address, int level, const int *bell_fds, int bell_count,
                                         uint32_t *crew_out, int *event_fd_out, parloom_error *error)
{
    if (bell_count < 0 || bell_count > LOOM_MESSAGE_BELLS)
        return loom_status_fail(error, PARLOOM_ERR_INTERNAL, 0, "a crew has at most %d bells", LOOM_MESSAGE_BELLS);
    int sockets[2];
    if (loom_fault_hit(LOOM_FAULT_SOCKET) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
        return loom_status_fail(error, loom_status_of_errno(errno), errno,
                                "could not open a socket for the events of workers: %m");
    sockets[0] = loom_file_move_up(sockets[0]);
    int fds[1 + LOOM_MESSAGE_BELLS] = { sockets[1] };
    for (int i = 0; i < bell_count; i++) fds[1 + i] = bell_fds[i];
    struct loom_message_control message = make_message(LOOM_MESSAGE_OPEN_CREW, 0, 0, 0);
    message.level = level;
    message.bell_count = bell_count;
    message.board_address = board_address;
    parloom_status status = announce_crew(&message, fds, 1 + (size_t)bell_count, error);
    if (status == PARLOOM_ERR_POOL) { /* it died after it was looked at last: the send found out */
        status = loom_supervisor_ensure(error);
        if (status == PARLOOM_OK) status = announce_crew(&message, fds, 1 + (size_t)bell_count, error);
    }
    (void)close(sockets[1]);
    if (status != PARLOOM_OK) {
        (void)close(sockets[0]);
        return status;
    }
    *crew_out = message.crew;
    *event_fd_out = sockets[0];
    return PARLOOM_OK;
}

static int send_to_crew(enum loom_message_kind kind, uint32_t crew, uint32_t seat, uint32_t generation)
{
    struct loom_message_control message = make_message(kind, crew, seat, generation);
    (void)pthread_mutex_lock(&send_lock);
    int failure = crew < supervisor.first_crew ? EPIPE : send_locked(&message, NULL, 0);
    (void)pthread_mutex_unlock(&send_lock);
    return failure;
}

parloom_status loom_supervisor_start_worker(uint32_t crew, uint32_t seat, uint32_t generation, parloom_error *error)
{
    int failure = send_to_crew(LOOM_MESSAGE_START_WORKER, crew, seat, generation);
    return failure == 0 ? PARLOOM_OK : refuse_send(failure, error);
}

void loom_supervisor_kill_worker(uint32_t crew, uint32_t seat, uint32_t generation)
{
    (void)send_to_crew(LOOM_MESSAGE_KILL_WORKER, crew, seat, generation);
}

void loom_supervisor_close_crew(uint32_t crew, int event_fd)
{
    (void)send_to_crew(LOOM_MESSAGE_CLOSE_CREW, crew, 0, 0);
    if (event_fd >= 0) (void)close(event_fd);
}

int loom_supervisor_next_event(int event_fd, struct loom_worker_event *event_out)
{
    for (;;) {
        struct loom_message_event message;
        ssize_t length = loom_message_receive(event_fd, &message, sizeof message, NULL, NULL, MSG_DONTWAIT);
        if (length == -EAGAIN) return 0;
        if (length == -EPROTO || length == -ENOMEM) continue;
        if (length <= 0) {
            *event_out = (struct loom_worker_event){ .kind = LOOM_SUPERVISOR_GONE };
            return 1;
        }
        if (!loom_message_is(&message, length, LOOM_MESSAGE_EVENT, sizeof message)) continue;
        *event_out = message.event;
        return 1;
    }
}

/* ---- end */

/* Whoever is not gone in time (stopped, or busy with many dead) is killed; its workers die with it. */
static void await_end(int limit_ms)
{
    struct pollfd gone = { .fd = supervisor.pidfd, .events = POLLIN };
    uint64_t deadline_ns = loom_clock_ns() + (uint64_t)limit_ms * 1000000u;
    int ready;
    do ready = poll(&gone, 1, loom_clock_poll_ms(deadline_ns));
    while (ready < 0 && errno == EINTR);
    if (ready == 0) (void)loom_process_signal(supervisor.pidfd, SIGKILL);
}

static void end(int limit_ms)
{
    (void)pthread_mutex_lock(&start_lock);
    bool is_forgotten = supervisor.owner == 0 && supervisor.pidfd >= 0; /* it died, and a send found out */
    bool is_mine = supervisor.owner == getpid() || is_forgotten;
    if (is_mine) {
        loom_segment_set_listener(NULL);
        (void)pthread_mutex_lock(&send_lock);
        /* Not close alone: a forked child of the program may hold a copy. */
        if (is_socket_ours()) (void)shutdown(supervisor.socket, SHUT_RDWR);
        forget();
        (void)pthread_mutex_unlock(&send_lock);
    }
    if (is_mine && supervisor.pidfd >= 0) {
        await_end(limit_ms);
        /* As process 1 of a container, or as a subreaper, the program is its parent now. */
        siginfo_t ended;
        (void)waitid(P_PIDFD, (id_t)supervisor.pidfd, &ended, WEXITED | WNOHANG);
        (void)close(supervisor.pidfd);
        supervisor.pidfd = -1;
    }
    (void)pthread_mutex_unlock(&start_lock);
}

void loom_supervisor_end(void)
{
    end(END_MS);
}

__attribute__((destructor)) static void end_with_program(void)
{
    if (supervisor.owner == getpid()) end(EXIT_MS);
}

/* ---- in a worker */

static int fetch_some(int fetch_fd, const uint32_t *ids, const uint32_t *generations, size_t count, int *fds_out)
{
    struct loom_message_fetch request = { .head = { LOOM_MESSAGE_MAGIC, LOOM_MESSAGE_FETCH },
                                          .count = (uint32_t)count };
    memcpy(request.ids, ids, count * sizeof *ids);
    memcpy(request.generations, generations, count * sizeof *generations);
    int failure = loom_message_send(fetch_fd, &request, sizeof request, NULL, 0, 0);
    if (failure != 0) return failure;

    struct loom_message_fetched answer;
    int fds[LOOM_MESSAGE_FDS];
    size_t n_fds = LOOM_MESSAGE_FDS;
    ssize_t length = loom_message_receive(fetch_fd, &answer, sizeof answer, fds, &n_fds, 0);
    if (!loom_message_is(&answer, length, LOOM_MESSAGE_FETCHED, sizeof answer) || answer.count != count) {
        for (size_t i = 0; i < n_fds; i++) (void)close(fds[i]);
        if (length == -EPROTO) return EMFILE; /* descriptors were cut off: this worker may open no more */
        return length < 0 ? (int)-length : EPROTO;
    }
    size_t next = 0;
    for (size_t i = 0; i < count; i++) fds_out[i] = answer.is_found[i] != 0 && next < n_fds ? fds[next++] : -1;
    while (next < n_fds) (void)close(fds[next++]);
    return 0;
}

int loom_supervisor_fetch(const uint32_t *ids, const uint32_t *generations, size_t count, int *fds_out, void *state)
{
    int fetch_fd = *(const int32_t *)state;
    for (size_t done = 0; done < count;) {
        size_t some = count - done < LOOM_MESSAGE_FDS ? count - done : LOOM_MESSAGE_FDS;
        int failure = fetch_some(fetch_fd, ids + done, generations + done, some, fds_out + done);
        if (failure != 0) {
            for (size_t i = 0; i < done; i++)
                if (fds_out[i] >= 0) (void)close(fds_out[i]);
            return failure;
        }
        done += some;
    }
    return 0;
}
