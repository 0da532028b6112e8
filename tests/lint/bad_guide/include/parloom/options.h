/* SPDX-License-Identifier: BSD-3-Clause */
typedef struct parloom_options {
    int n_jobs;
    const char *backend; /* has no line; */
    void (*progress)(const void *so_far, void *state);
} parloom_options;
