/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * roster.h - in the supervisor: crews and their workers; fork, kill, reap, report. One thread.
 */
#ifndef LOOM_BACKENDS_ROSTER_H
#define LOOM_BACKENDS_ROSTER_H

#include "backends/messages.h"

#include <poll.h>
#include <sys/resource.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What every worker needs to know of the supervisor it is forked from. */
struct loom_roster_origin {
    uint64_t window_base;
    int header_fd;
    int stdout_fd, stderr_fd;       /* the program's */
    struct rlimit descriptor_limit; /* the program's at the start; rlim_max 0: not known */
    void (*close_own)(void);        /* closes what belongs to the supervisor alone */
};

void loom_roster_begin(const struct loom_roster_origin *given);
/* fds: the event socket, then bell_count bells; takes them. */
void loom_roster_open(const struct loom_message_control *message, const int *fds, size_t n_fds);
void loom_roster_close(uint32_t id);
void loom_roster_start(uint32_t crew, uint32_t seat, uint32_t generation);
void loom_roster_kill(uint32_t crew, uint32_t seat, uint32_t generation);
/* Reaps whoever died, workers and what they left behind, and reports. */
void loom_roster_reap(void);
/* Descriptors to poll: the sockets of workers, and of crews that could not be told everything. */
size_t loom_roster_poll_count(void);
void loom_roster_fill_poll(struct pollfd *polls);
void loom_roster_serve(const struct pollfd *polls, size_t count, void (*sync)(void));
/* Kills all workers and whatever they left, and waits for their end (at most a second). */
void loom_roster_end(void);

#ifdef __cplusplus
}
#endif
#endif
