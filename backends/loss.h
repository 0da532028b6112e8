/* SPDX-License-Identifier: BSD-3-Clause */
/* loss.h - how a worker ended, and the sentence that says what was lost with it. */
#ifndef LOOM_BACKENDS_LOSS_H
#define LOOM_BACKENDS_LOSS_H

#include "backends/crew.h"

/* How a worker ended. */
struct loom_death {
    parloom_status status; /* CRASHED, EXITED or TIMEOUT; OK: it retired */
    int wait_status;
    int pid;
    bool oom_killed;
    uint64_t peak_nbytes;
    uint64_t ended_ns; /* 0: not known */
};

/* What it ran then. */
struct loom_loss {
    const struct loom_crew *crew;
    uint32_t seat;
    int worker;          /* as the call knows it */
    uint64_t begin, end; /* tasks */
    size_t n;            /* of so many; 0: not known */
    parloom_body body;
    const struct loom_death *death;
};

/* Fills error: status, message, code, signal, address, worker, pid, peak. */
void loom_loss_describe(const struct loom_loss *loss, parloom_error *error);
/* The same for the last one of a storm, which ended in worker_init: CALLBACK. */
void loom_loss_describe_init(const struct loom_crew *crew, uint32_t seat, const struct loom_death *death,
                             parloom_error *error);

#endif
