/* SPDX-License-Identifier: BSD-3-Clause */
/* berth.h - what a worker does between its fork and its first task. */
#ifndef LOOM_BACKENDS_BERTH_H
#define LOOM_BACKENDS_BERTH_H

#include "backends/supervisor.h"

#include <sys/resource.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loom_berth {
    pid_t supervisor;
    uint64_t window_base;
    int header_fd;
    int stdout_fd, stderr_fd;
    struct rlimit descriptor_limit; /* to go back to; rlim_max 0: as it is */
};

/* Becomes a worker. Never returns. */
__attribute__((noreturn)) void loom_berth_run(const struct loom_berth *berth, const struct loom_worker_post *post);

#ifdef __cplusplus
}
#endif
#endif
