/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * roster.c - the supervisor's account of crews and workers.
 *
 * Invariants    a pid is signalled only between its fork and its reaping here, so it is never a stranger's.
 *               Nothing here waits for the program or for a worker: events that do not fit the socket are queued.
 * Groups        each worker leads a process group of its own, so that what its tasks started (system, popen) dies
 *               with it, also when a time limit killed it.
 */
#include "backends/roster.h"
#include "backends/openmp.h"

#include "backends/berth.h"
#include "backends/depot.h"
#include "backends/oom.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
    pid_t pid;
    uint32_t crew, seat, generation;
    int fetch_fd;   /* -1: it hung up */
    bool is_killed; /* by us */
    uint64_t oom_kills_at_start;
};

struct crew {
    uint32_t id;
    int32_t level;
    uint64_t board_address;
    int event_fd;
    int bell_fds[LOOM_MESSAGE_BELLS];
    int bell_count;
    struct loom_worker_event *waiting; /* did not fit the socket yet, in order */
    size_t waiting_count, waiting_room;
};

static struct loom_roster_origin origin;
static struct worker *workers;
static size_t worker_count, worker_room;
static struct crew *crews;
static size_t crew_count, crew_room;

void loom_roster_begin(const struct loom_roster_origin *given)
{
    origin = *given;
}

/* One more item in an array that doubles; NULL: no memory. */
static void *add_item(void *array, size_t count, size_t *room, size_t item_nbytes)
{
    if (count < *room) return array;
    size_t larger = *room == 0 ? 8 : 2 * *room;
    void *grown = loom_memory_grow(array, larger, item_nbytes);
    if (grown != NULL) *room = larger;
    return grown;
}

static struct crew *find_crew(uint32_t id)
{
    for (size_t i = 0; i < crew_count; i++)
        if (crews[i].id == id) return &crews[i];
    return NULL;
}

/* ---- events */

static int send_event(const struct crew *crew, const struct loom_worker_event *event)
{
    struct loom_message_event message = { .head = { LOOM_MESSAGE_MAGIC, LOOM_MESSAGE_EVENT }, .event = *event };
    return loom_message_send(crew->event_fd, &message, sizeof message, NULL, 0, MSG_DONTWAIT);
}

static void flush_events(struct crew *crew)
{
    size_t sent = 0;
    while (sent < crew->waiting_count && send_event(crew, &crew->waiting[sent]) != EAGAIN) sent++;
    crew->waiting_count -= sent;
    if (sent > 0) memmove(crew->waiting, crew->waiting + sent, crew->waiting_count * sizeof *crew->waiting);
}

static void report(uint32_t crew_id, const struct loom_worker_event *event)
{
    struct crew *crew = find_crew(crew_id);
    if (crew == NULL) return; /* closed meanwhile: nobody wants to know */
    flush_events(crew);
    if (crew->waiting_count == 0 && send_event(crew, event) != EAGAIN) return;
    struct loom_worker_event *waiting =
        add_item(crew->waiting, crew->waiting_count, &crew->waiting_room, sizeof *waiting);
    if (waiting == NULL) {
        loom_log(LOOM_LOG_ERROR, "no memory to report that a worker started or died");
        return;
    }
    crew->waiting = waiting;
    crew->waiting[crew->waiting_count++] = *event;
}

/* ---- crews */

static void close_crew_fds(const struct crew *crew)
{
    (void)close(crew->event_fd);
    for (int i = 0; i < crew->bell_count; i++) (void)close(crew->bell_fds[i]);
}

void loom_roster_open(const struct loom_message_control *message, const int *fds, size_t n_fds)
{
    bool is_sound = message->bell_count >= 0 && message->bell_count <= LOOM_MESSAGE_BELLS &&
                    n_fds == (size_t)message->bell_count + 1 && find_crew(message->crew) == NULL;
    struct crew *larger = is_sound ? add_item(crews, crew_count, &crew_room, sizeof *larger) : NULL;
    if (larger == NULL) {
        /* The closed event socket tells the program. */
        for (size_t i = 0; i < n_fds; i++) (void)close(fds[i]);
        return;
    }
    crews = larger;
    struct crew *crew = &crews[crew_count++];
    *crew = (struct crew){ .id = message->crew,
                           .level = message->level,
                           .board_address = message->board_address,
                           .event_fd = fds[0],
                           .bell_count = message->bell_count };
    memcpy(crew->bell_fds, fds + 1, (size_t)crew->bell_count * sizeof(int));
}

static void kill_worker(struct worker *worker)
{
    worker->is_killed = true;
    (void)kill(-worker->pid, SIGKILL);
    (void)kill(worker->pid, SIGKILL); /* it may not lead its group yet */
}

void loom_roster_close(uint32_t id)
{
    struct crew *crew = find_crew(id);
    if (crew == NULL) return;
    for (size_t i = 0; i < worker_count; i++)
        if (workers[i].crew == id) kill_worker(&workers[i]);
    close_crew_fds(crew);
    free(crew->waiting);
    *crew = crews[--crew_count];
}

void loom_roster_kill(uint32_t crew, uint32_t seat, uint32_t generation)
{
    for (size_t i = 0; i < worker_count; i++)
        if (workers[i].crew == crew && workers[i].seat == seat && workers[i].generation == generation)
            kill_worker(&workers[i]);
}

/* ---- birth */

/* In the new worker: leave it only what its post names. Descriptors that constructors of libraries opened are not ours
 * to close. */
static void close_all_but_bells_of(const struct crew *mine)
{
    loom_depot_close_all();
    for (size_t i = 0; i < worker_count; i++)
        if (workers[i].fetch_fd >= 0) (void)close(workers[i].fetch_fd);
    for (size_t i = 0; i < crew_count; i++) {
        if (crews[i].id != mine->id)
            close_crew_fds(&crews[i]);
        else
            (void)close(mine->event_fd);
    }
    origin.close_own();
}

static __attribute__((noreturn)) void live(const struct crew *crew, pid_t supervisor,
                                           const struct loom_worker_event *as, int fetch_fd)
{
    struct loom_worker_post post = { .board_address = crew->board_address,
                                     .seat = as->seat,
                                     .generation = as->generation,
                                     .level = crew->level,
                                     .fetch_fd = fetch_fd,
                                     .bell_count = crew->bell_count };
    for (int i = 0; i < LOOM_MESSAGE_BELLS; i++) post.bell_fds[i] = i < crew->bell_count ? crew->bell_fds[i] : -1;
    struct loom_berth berth = { .supervisor = supervisor,
                                .window_base = origin.window_base,
                                .header_fd = origin.header_fd,
                                .stdout_fd = origin.stdout_fd,
                                .stderr_fd = origin.stderr_fd,
                                .descriptor_limit = origin.descriptor_limit };
    close_all_but_bells_of(crew);
    loom_berth_run(&berth, &post);
}

static int fork_worker(const struct crew *crew, struct loom_worker_event *event)
{
    struct worker *larger = add_item(workers, worker_count, &worker_room, sizeof *larger);
    if (larger == NULL) return ENOMEM;
    workers = larger;
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) return errno;
    pid_t supervisor = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(sockets[0]);
        live(crew, supervisor, event, sockets[1]);
    }
    int failure = pid < 0 ? errno : 0;
    (void)close(sockets[1]);
    if (failure != 0) {
        (void)close(sockets[0]);
        return failure;
    }
    workers[worker_count++] = (struct worker){ .pid = pid,
                                               .crew = crew->id,
                                               .seat = event->seat,
                                               .generation = event->generation,
                                               .fetch_fd = sockets[0],
                                               .oom_kills_at_start = loom_oom_kill_count() };
    event->pid = pid;
    return 0;
}

void loom_roster_start(uint32_t crew_id, uint32_t seat, uint32_t generation)
{
    struct loom_worker_event event = { .kind = LOOM_WORKER_STARTED, .seat = seat, .generation = generation };
    const struct crew *crew = find_crew(crew_id);
    if (crew == NULL) return;
    event.sys_errno = fork_worker(crew, &event);
    if (event.sys_errno != 0) event.kind = LOOM_WORKER_FAILED;
    report(crew_id, &event);
}

/* ---- death */

static struct worker *find_worker(pid_t pid)
{
    for (size_t i = 0; i < worker_count; i++)
        if (workers[i].pid == pid) return &workers[i];
    return NULL;
}

static void bury(struct worker *worker, int wait_status, const struct rusage *usage)
{
    bool is_oom = WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL && !worker->is_killed &&
                  loom_oom_kill_count() != worker->oom_kills_at_start;
    struct loom_worker_event event = { .kind = LOOM_WORKER_DIED,
                                       .seat = worker->seat,
                                       .generation = worker->generation,
                                       .pid = worker->pid,
                                       .wait_status = wait_status,
                                       .oom_killed = is_oom,
                                       .peak_nbytes = (uint64_t)usage->ru_maxrss * 1024,
                                       .ended_ns = loom_clock_ns() };
    uint32_t crew = worker->crew;
    if (worker->fetch_fd >= 0) (void)close(worker->fetch_fd);
    *worker = workers[--worker_count];
    report(crew, &event);
}

void loom_roster_reap(void)
{
    siginfo_t dead = { .si_pid = 0 };
    while (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) == 0 && dead.si_pid != 0) {
        pid_t pid = dead.si_pid;
        struct worker *worker = find_worker(pid);
        /* While the dead is not reaped its group cannot be another's. */
        if (worker != NULL) (void)kill(-pid, SIGKILL);
        int wait_status = 0;
        struct rusage usage = { .ru_maxrss = 0 };
        if (wait4(pid, &wait_status, WNOHANG, &usage) != pid) return;
        loom_openmp_unlink_registration(pid);
        if (worker != NULL) bury(worker, wait_status, &usage);
        dead.si_pid = 0;
    }
}

/* ---- poll */

size_t loom_roster_poll_count(void)
{
    return worker_count + crew_count;
}

void loom_roster_fill_poll(struct pollfd *polls)
{
    for (size_t i = 0; i < worker_count; i++) polls[i] = (struct pollfd){ .fd = workers[i].fetch_fd, .events = POLLIN };
    for (size_t i = 0; i < crew_count; i++)
        polls[worker_count + i] =
            (struct pollfd){ .fd = crews[i].waiting_count > 0 ? crews[i].event_fd : -1, .events = POLLOUT };
}

static struct worker *find_fetcher(int fd)
{
    for (size_t i = 0; i < worker_count; i++)
        if (workers[i].fetch_fd == fd) return &workers[i];
    return NULL;
}

void loom_roster_serve(const struct pollfd *polls, size_t count, void (*sync)(void))
{
    for (size_t i = 0; i < crew_count; i++)
        if (crews[i].waiting_count > 0) flush_events(&crews[i]);
    for (size_t i = 0; i < count; i++) {
        /* Looked up anew: answering reads the program's messages, which may start and end workers. */
        struct worker *worker = polls[i].fd >= 0 && polls[i].revents != 0 ? find_fetcher(polls[i].fd) : NULL;
        if (worker == NULL || loom_depot_answer(worker->fetch_fd, sync) == 0) continue;
        worker = find_fetcher(polls[i].fd);
        if (worker == NULL) continue;
        (void)close(worker->fetch_fd);
        worker->fetch_fd = -1; /* its death, or its silence, is dealt with elsewhere */
    }
}

/* ---- end */

/* Processes that workers left behind come to the supervisor as to a subreaper. */
static void kill_children(void)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *list = fopen(path, "re");
    int pid;
    while (list != NULL && fscanf(list, "%d", &pid) == 1) (void)kill(pid, SIGKILL);
    if (list != NULL) (void)fclose(list);
}

void loom_roster_end(void)
{
    for (size_t i = 0; i < worker_count; i++) kill_worker(&workers[i]);
    uint64_t deadline_ns = loom_clock_ns() + 1000000000u;
    while (loom_clock_ns() < deadline_ns) {
        loom_roster_reap();
        kill_children();
        siginfo_t dead;
        if (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD) return;
        (void)poll(NULL, 0, 1);
    }
}
