/* SPDX-License-Identifier: BSD-3-Clause */
/* serve.c - see serve.h. */
#include "serve.h"

#include <string.h>

static const struct serve_job *find(const struct serve_job *jobs, size_t n_jobs, const char *line)
{
    size_t length = strcspn(line, " \n");
    for (size_t i = 0; i < n_jobs; i++) {
        if (strlen(jobs[i].name) == length && strncmp(jobs[i].name, line, length) == 0) return &jobs[i];
    }
    return NULL;
}

int serve(const struct serve_job *jobs, size_t n_jobs)
{
    char line[512];
    while (fgets(line, sizeof line, stdin)) {
        const struct serve_job *job = find(jobs, n_jobs, line);
        if (job) {
            job->run(line + strlen(job->name), stdout);
        } else {
            fputs("unknown job", stdout);
        }
        fputc('\n', stdout);
        fflush(stdout);
    }
    return 0;
}
