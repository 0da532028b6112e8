/* SPDX-License-Identifier: BSD-3-Clause */
/* serve.h - a peer's end of peer.h: reads what to do, does it, answers, until there is nothing more to read. */
#ifndef BENCHMARKS_SERVE_H
#define BENCHMARKS_SERVE_H

#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct serve_job {
    const char *name;
    /* arguments: the rest of the line. Writes the answer without the end of the line. */
    void (*run)(const char *arguments, FILE *answer);
};

int serve(const struct serve_job *jobs, size_t n_jobs); /* what main returns */

#ifdef __cplusplus
}
#endif
#endif
