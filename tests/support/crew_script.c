/* SPDX-License-Identifier: BSD-3-Clause */
/* crew_script.c - a crew by itself: the words of its board are atomics, which C++ cannot include. */
#include "support/crew_script.h"

#include "backends/crew.h"
#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

static parloom_status start(struct loom_crew *crew, uint32_t seat, uint32_t generation, parloom_error *error)
{
    struct crew_script *script = crew->ops_state;
    (void)seat, (void)generation;
    if (++script->starts == script->deaths_at)
        return loom_status_fail(error, PARLOOM_ERR_POOL, 0, "the supervisor has ended");
    return PARLOOM_OK;
}

static parloom_status reopen(struct loom_crew *crew, parloom_error *error)
{
    (void)error;
    ((struct crew_script *)crew->ops_state)->reopened++;
    return PARLOOM_OK;
}

static void kill_worker(struct loom_crew *crew, uint32_t seat, uint32_t generation)
{
    (void)crew, (void)seat, (void)generation;
}

static int next_event(struct loom_crew *crew, struct loom_worker_event *event_out)
{
    struct crew_script *script = crew->ops_state;
    if (script->next == script->n_events) return 0;
    *event_out = script->events[script->next++];
    return 1;
}

static void close_crew(struct loom_crew *crew)
{
    (void)crew;
}

/* inherits: letters, which nobody reads here, need no shared memory. */
static const struct loom_crew_ops ops = { .inherits = true,
                                          .start = start,
                                          .kill = kill_worker,
                                          .next_event = next_event,
                                          .reopen = reopen,
                                          .close = close_crew };

struct loom_crew *crew_open(struct crew_script *script)
{
    struct loom_crew *crew = NULL;
    size_t nbytes = loom_memory_round_up(loom_board_nbytes(CREW_SEATS), LOOM_BOARD_LINE);
    void *memory = loom_memory_aligned(LOOM_BOARD_LINE, nbytes);
    if (memory == NULL) return NULL;
    memset(memory, 0, nbytes);
    struct loom_board_shared *board = loom_board_init(memory, CREW_SEATS);
    if (loom_crew_create(&crew, &ops, script, board, NULL) != PARLOOM_OK) free(memory);
    return crew;
}

void crew_close(struct loom_crew *crew)
{
    void *memory = crew->board;
    loom_crew_destroy(crew);
    free(memory);
}

parloom_status crew_staff(struct loom_crew *crew, int n_jobs)
{
    crew->n_jobs = (uint32_t)n_jobs;
    return loom_crew_staff(crew, 0, n_jobs, NULL, NULL);
}

void crew_tell(struct loom_crew *crew, struct crew_script *script, uint32_t kind, uint32_t seat, int sys_errno)
{
    script->events[script->n_events++] = (struct loom_worker_event){
        .kind = kind, .seat = seat, .generation = crew->seats[seat].generation, .pid = 1, .sys_errno = sys_errno
    };
}

int crew_settle(struct loom_crew *crew)
{
    loom_crew_settle_events(crew);
    return loom_crew_strength(crew, CREW_SEATS);
}
