/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crew.h - the program's view of one set of worker processes: seats, events, and the calls in flight on them.
 *
 * Who starts workers is behind an ops table: the supervisor for `processes`, the caller itself for `fork`. Everything
 * else (rounds, accounting, limits) is the same and lives in dispatch.c and harvest.c.
 *
 * Threads     one lock for the crew; calls of several threads overlap in up to LOOM_BOARD_SLOTS slots. Whoever reads
 *             an event under the lock settles it for all calls, and rings the others' bells.
 */
#ifndef LOOM_BACKENDS_CREW_H
#define LOOM_BACKENDS_CREW_H

#include "backends/run.h"
#include "backends/supervisor.h"
#include "base/file.h"
#include "shm/board.h"

#include <pthread.h>

struct loom_crew;
struct loom_dispatch;
struct loom_crew_lane;
struct loom_state_shared;

struct loom_crew_ops {
    parloom_status (*start)(struct loom_crew *crew, uint32_t seat, uint32_t generation, parloom_error *error);
    void (*kill)(struct loom_crew *crew, uint32_t seat, uint32_t generation);
    int (*next_event)(struct loom_crew *crew, struct loom_worker_event *event_out); /* as the supervisor's */
    parloom_status (*reopen)(struct loom_crew *crew, parloom_error *error);         /* after SUPERVISOR_GONE */
    void (*close)(struct loom_crew *crew);
    bool inherits; /* workers inherit the caller's memory: letters need no shared memory, functions no names */
};

enum loom_crew_seat_state { LOOM_CREW_EMPTY, LOOM_CREW_ASKED, LOOM_CREW_ALIVE };

/* Since when a worker runs the same thing, as a call with a time limit sees it. */
struct loom_crew_watch {
    uint64_t call, current, since_ns;
};

struct loom_crew_seat {
    enum loom_crew_seat_state state;
    uint32_t generation;
    int pid;
    bool is_killed;                                   /* by us, for a limit */
    struct loom_crew_watch watched[LOOM_BOARD_SLOTS]; /* calls that overlap watch the same worker, each its own part */
    uint64_t cpu_ns_before;                           /* of its report when the call began */
};

struct loom_crew {
    pthread_mutex_t lock;
    pthread_cond_t slot_is_free;
    const struct loom_crew_ops *ops;
    void *ops_state;
    struct loom_board_shared *board;
    void *board_memory; /* how it is released is the ops' business */
    uint32_t n_seats;   /* room */
    uint32_t n_jobs;    /* seats that calls have used, or may: of a pool all its workers' */
    struct loom_crew_seat *seats;
    uint64_t *told_until;           /* LOOM_BOARD_SLOTS x n_seats: of the calls */
    int event_fd;                   /* readable when next_event has something */
    int bell_fds[LOOM_BOARD_BELLS]; /* of the slots, then of the lanes */
    uint64_t idle_ns;               /* after which workers retire where a call does not say it; 0: never */
    struct loom_file_identity bell; /* of the first: a program may close descriptors it does not know */
    struct loom_dispatch *calls[LOOM_BOARD_SLOTS];
    struct loom_crew_lane *lanes[LOOM_BOARD_BELTS];
    uint32_t waiting; /* threads that wait for a slot */
    uint64_t last_call;
    uint64_t lanes_ended;            /* calls on lanes that are closed */
    uint64_t progress_seen;          /* tasks known to have ended when a worker died last */
    uint32_t deaths_in_a_row;        /* without one finished task between them */
    uint64_t first_death_ns;         /* of that row */
    uint32_t gone_in_a_row;          /* supervisors that ended without having started a worker */
    bool is_gone;                    /* the supervisor ended; reopen before the next start */
    bool told_of_failed_start;       /* in this call: one line, not one for each worker */
    struct loom_arena *letters;      /* read-only for workers; NULL where they inherit */
    struct loom_letter_book *book;   /* functions that were referred to */
    struct loom_state_shared *state; /* of its last call, in letter memory; or NULL */
    char last_death[160];            /* for PARLOOM_ERR_POOL */
};

/* board: made by the caller (loom_board_init), with its memory. Bells are made here. */
parloom_status loom_crew_create(struct loom_crew **crew_out, const struct loom_crew_ops *ops, void *ops_state,
                                struct loom_board_shared *board, parloom_error *error);
void loom_crew_destroy(struct loom_crew *crew); /* no call is in flight; ops->close is called; NULL is fine */
/* Whether its descriptors are still its own; where not, it is left alone for good. */
bool loom_crew_is_intact(const struct loom_crew *crew);
/* Under the lock: asks for a worker in each of the seats [first, end) that has none. */
parloom_status loom_crew_staff(struct loom_crew *crew, int first, int end, struct loom_tally *tally,
                               parloom_error *error);
/* Under the lock: takes all events that are there and settles them for all calls. */
void loom_crew_settle_events(struct loom_crew *crew);
/* Under the lock: how many seats below n_jobs have a worker or will. */
int loom_crew_strength(const struct loom_crew *crew, int n_jobs);
void loom_crew_ring_program(struct loom_crew *crew, uint32_t slot); /* wakes the thread that waits for that call */

/* Runs one call on the crew (dispatch.c). */
parloom_status loom_crew_run(struct loom_crew *crew, const struct loom_run *run, parloom_error *error);

#endif
