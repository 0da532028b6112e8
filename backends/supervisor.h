/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * supervisor.h - the program's side of the process that owns the workers.
 *
 * One supervisor per program: the program's own executable, started again with the worker preload. It forks workers
 * in a fraction of a millisecond whatever the program's size, reaps them, holds the descriptors of all segments, and
 * kills the workers when the program ends. Workers belong to crews; a crew has a board (shm/board.h) in the window, an
 * event socket to the program, and bells (eventfds) that its workers ring.
 *
 * The program decides everything: the supervisor starts, kills and reports, and never restarts on its own.
 */
#ifndef LOOM_BACKENDS_SUPERVISOR_H
#define LOOM_BACKENDS_SUPERVISOR_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a worker finds when it starts. Plain data. */
struct loom_inner_threads;

struct loom_worker_post {
    uint64_t board_address; /* in the window */
    uint32_t seat;
    uint32_t generation;  /* of the worker in that seat, from 1 */
    int32_t level;        /* of calls its tasks see: 1 and up */
    int32_t fetch_fd;     /* socket to the supervisor: asks for segments (loom_supervisor_fetch) */
    int32_t bell_fds[16]; /* eventfds of the crew, -1 beyond bell_count */
    int32_t bell_count;
    const struct loom_inner_threads *inner; /* of the call it is forked for; NULL: calls bring theirs */
};

enum loom_worker_event_kind {
    LOOM_WORKER_STARTED = 1, /* forked: pid is set */
    LOOM_WORKER_DIED,        /* reaped: wait_status is set */
    LOOM_WORKER_FAILED,      /* could not be forked: sys_errno */
    LOOM_SUPERVISOR_GONE     /* the supervisor ended: all workers of the crew are dead or dying */
};
struct loom_worker_event {
    uint32_t kind;
    uint32_t seat, generation;
    int32_t pid;
    int32_t wait_status; /* as waitpid gives it */
    int32_t sys_errno;
    uint32_t oom_killed;  /* SIGKILL, and the kernel's count of OOM kills rose */
    uint64_t peak_nbytes; /* ru_maxrss of the dead */
    uint64_t ended_ns;    /* when it was found dead */
};

/*
 * Starts the supervisor if none runs (also again after it died). Thread-safe. Errors: UNSUPPORTED (setuid, cannot be
 * started again: says why, and names threads and fork), VERSION (a start-up module differs: path and ids), LIMIT,
 * IO, POOL (ended at its start: exit code), TIMEOUT never.
 */
parloom_status loom_supervisor_ensure(parloom_error *error);
/* The program is Fortran whose main sets -fconvert, -frecord-marker or -fmax-subrecord-length: workers would write
 * other bytes, silently, so calls without a worker_init (which can set them) are to be refused. */
bool loom_supervisor_needs_fortran_init(void);
/* A crew: bell_fds stay the caller's. *event_fd_out is the crew's event socket, non-blocking, for poll and
 * loom_supervisor_next_event; closed by close_crew. */
parloom_status loom_supervisor_open_crew(uint64_t board_address, int level, const int *bell_fds, int bell_count,
                                         uint32_t *crew_out, int *event_fd_out, parloom_error *error);
/* Asks; the answers are events. A later start in the same seat has a higher generation. */
parloom_status loom_supervisor_start_worker(uint32_t crew, uint32_t seat, uint32_t generation, parloom_error *error);
void loom_supervisor_kill_worker(uint32_t crew, uint32_t seat, uint32_t generation);
/* Kills its workers at once (SIGKILL), and closes the event socket. */
void loom_supervisor_close_crew(uint32_t crew, int event_fd);
/* 1: *event_out is set; 0: none now. Never blocks. After SUPERVISOR_GONE, always that. */
int loom_supervisor_next_event(int event_fd, struct loom_worker_event *event_out);
/* Working directories that workers may fetch (directory.h): the supervisor keeps a copy of fd. Nothing where none runs.
 */
void loom_supervisor_lend(uint32_t number, int fd);
void loom_supervisor_take_back(uint32_t number);
/* Ends the supervisor and all workers; waits at most 1 s for it to be gone. Idempotent; a later ensure starts anew. */
void loom_supervisor_end(void);

/* ---- in a worker */

/* A loom_segment_fetch; state: &post->fetch_fd. */
int loom_supervisor_fetch(const uint32_t *ids, const uint32_t *generations, size_t count, int *fds_out, void *state);

/* Implemented by backends/worker.c: what the supervisor calls in each worker it forked, after: descriptors closed but
 * those of the post, signals reset, death with the supervisor arranged, window attached (level of the post), stdio
 * restored. Never returns: leaves with _exit. */
__attribute__((noreturn)) void loom_worker_main(const struct loom_worker_post *post);

#ifdef __cplusplus
}
#endif
#endif
