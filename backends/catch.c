/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * catch.c - stop, look, kill (see catch.h).
 *
 * A death takes a moment to arrive, and a worker that was just late may be in the next task, or in another call, by
 * then: it is stopped first, looked at again, and goes on if it has come out of what it was to be killed for. Workers
 * that inherit serve one call only and are killed without a detour: as the program's children they would tell it.
 */
#include "backends/catch.h"

#include "base/process.h"

#include <signal.h>
#include <unistd.h>

#define STOP_MOST_NS UINT64_C(100000000) /* stopping takes microseconds; in an uninterruptible sleep it waits */

static bool is_caught(struct loom_crew *crew, uint32_t seat, bool (*is_guilty)(const void *state), const void *state)
{
    const struct loom_crew_seat *mine = &crew->seats[seat];
    int pidfd = mine->pid > 0 && !crew->ops->inherits ? loom_process_pidfd(mine->pid) : -1;
    if (pidfd < 0) return is_guilty(state);
    (void)loom_process_stop(mine->pid, pidfd, STOP_MOST_NS);
    bool is_it = is_guilty(state);
    if (!is_it) (void)loom_process_signal(pidfd, SIGCONT);
    (void)close(pidfd);
    return is_it;
}

void loom_catch(struct loom_crew *crew, uint32_t seat, bool (*is_guilty)(const void *state), const void *state)
{
    struct loom_crew_seat *mine = &crew->seats[seat];
    if (mine->state == LOOM_CREW_EMPTY || mine->is_killed || !is_caught(crew, seat, is_guilty, state)) return;
    mine->is_killed = true;
    crew->ops->kill(crew, seat, mine->generation);
}
