/* SPDX-License-Identifier: BSD-3-Clause */
/* crew_script.h - a crew by itself: nobody is started, and what would be heard of workers is given. */
#ifndef LOOM_TESTS_SUPPORT_CREW_SCRIPT_H
#define LOOM_TESTS_SUPPORT_CREW_SCRIPT_H

#include "backends/supervisor.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CREW_SEATS = 8, CREW_EVENTS = 32 };

struct crew_script {
    struct loom_worker_event events[CREW_EVENTS];
    int n_events, next;
    int starts;    /* workers that were asked for */
    int deaths_at; /* the supervisor has ended when that many were; 0: it has not */
    int reopened;
};

/* NULL: none. */
struct loom_crew *crew_open(struct crew_script *script);
void crew_close(struct loom_crew *crew);
/* Asks for so many workers, as a call does that begins. */
parloom_status crew_staff(struct loom_crew *crew, int n_jobs);
/* Of the worker that was asked for last in that seat. */
void crew_tell(struct loom_crew *crew, struct crew_script *script, uint32_t kind, uint32_t seat, int sys_errno);
/* Takes what was told; how many workers there are, or will be. */
int crew_settle(struct loom_crew *crew);

#ifdef __cplusplus
}
#endif
#endif
