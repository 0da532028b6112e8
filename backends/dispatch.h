/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dispatch.h - one call on a crew, as the program keeps it: rounds of tickets, until every task has its status.
 *
 * Round 0 hands out all tasks. Each later round hands out what deaths left undone: never started, the rest of a range,
 * a retry, a block of a reduction. Private to the program; guarded by the crew's lock.
 */
#ifndef LOOM_BACKENDS_DISPATCH_H
#define LOOM_BACKENDS_DISPATCH_H

#include "backends/crew.h"
#include "backends/letter.h"
#include "backends/loss.h"

struct loom_dispatch {
    struct loom_crew *crew;
    const struct loom_run *run;
    uint32_t slot;
    int first, end;             /* the seats whose workers take part: that of seat first is worker 0 of the call */
    uint64_t call;              /* number of this round on the board */
    struct loom_letter *letter; /* of this round */
    uint64_t tickets;
    char *bitmaps;           /* of the first seat; words of 64 tickets */
    size_t bitmap_stride;    /* bytes */
    uint64_t bitmap_tickets; /* room for so many */
    bool owns_bitmaps;       /* they are a block of the public arena, not part of the board */
    void *blocks[8];         /* letter memory of the call: freed at its end */
    size_t n_blocks;
    uint64_t state;              /* address of a struct loom_state_shared that workers apply first; held. 0: none */
    uint64_t *dead_claims;       /* what workers that died in this round had claimed; NULL: nobody died */
    uint64_t *told_until;        /* by seat: up to where its worker told of tasks it did not start in this round */
    struct loom_repair *repairs; /* for the next round */
    size_t n_repairs, repairs_room;
    uint64_t *skips; /* tasks of reductions that are not run again, sorted */
    size_t n_skips, skips_room;
    bool is_closed; /* nobody joins this round any more */
    bool is_timed_out, is_cancelled;
    bool is_refused; /* the call cannot be run: refusal says why */
    parloom_error refusal;
    uint64_t done_before; /* tasks that ended in earlier rounds and in dead workers' chunks: progress */
};

static inline struct loom_slot_shared *loom_dispatch_slot(const struct loom_dispatch *dispatch)
{
    return &dispatch->crew->board->slots[dispatch->slot];
}

static inline struct loom_desk_shared *loom_dispatch_desk(const struct loom_dispatch *dispatch, int seat)
{
    return loom_board_desk(dispatch->crew->board, dispatch->slot, (uint32_t)seat);
}

static inline bool loom_dispatch_has_seat(const struct loom_dispatch *dispatch, uint32_t seat)
{
    return (int)seat >= dispatch->first && (int)seat < dispatch->end;
}

/* Of the worker in that seat, as the call knows it. */
static inline int loom_dispatch_worker(const struct loom_dispatch *dispatch, uint32_t seat)
{
    return (int)seat - dispatch->first;
}

/* Whether tasks of this round are still to be taken. */
bool loom_dispatch_needs_workers(const struct loom_dispatch *dispatch);
/* Whether a worker is in this round now. */
bool loom_dispatch_is_in(const struct loom_dispatch *dispatch, int seat);
/* Takes what the desk's log holds into the tally. */
void loom_dispatch_drain(struct loom_dispatch *dispatch, uint32_t seat);
/* A worker died: settles what it had of this call, and clears its desk for the next one in that seat (harvest.c). */
void loom_dispatch_harvest(struct loom_dispatch *dispatch, uint32_t seat, const struct loom_death *death);
/* After the last worker left: notes as undone what nobody started (harvest.c). */
void loom_dispatch_collect_unstarted(struct loom_dispatch *dispatch);
/* Writes the letter of the next round (letter_write.c): all tasks, or the repairs. FUNCTION, MEMORY, SPACE. */
parloom_status loom_dispatch_write_letter(struct loom_dispatch *dispatch, parloom_error *error);
void loom_dispatch_free_letters(struct loom_dispatch *dispatch);
/* What all calls of a lane have in common, in letter memory; freed with loom_letter_free. */
parloom_status loom_letter_write_lane(struct loom_crew *crew, const struct loom_run *run,
                                      struct loom_letter **letter_out, parloom_error *error);
/* One of its calls, as parcel->letter; what that is before is a letter that nobody reads any more, or NULL. */
struct loom_parcel;
parloom_status loom_letter_write_parcel(struct loom_crew *crew, const struct loom_run *run, struct loom_parcel *parcel,
                                        parloom_error *error);
void loom_letter_free_parcel(struct loom_crew *crew, struct loom_letter_parcel *letter); /* NULL is fine */
void loom_letter_free(struct loom_crew *crew, void *block);                              /* NULL is fine */
void loom_letter_book_destroy(struct loom_letter_book *book, struct loom_arena *letters);
void loom_dispatch_add_repair(struct loom_dispatch *dispatch, uint64_t begin, uint64_t end, uint32_t attempt);
void loom_dispatch_refuse(struct loom_dispatch *dispatch, const parloom_error *error);

#endif
