/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * progress.h - shows on stderr how far a call is: one line that is redrawn on a terminal, a line every tenth elsewhere.
 */
#ifndef PLACES_PROGRESS_H
#define PLACES_PROGRESS_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

struct progress {
    const char *what;
    bool on_terminal;
    size_t tenths; /* already told */
};

struct progress progress_of(const char *what);
/* For parloom_options: .progress = progress_show, .progress_state = the struct progress. */
void progress_show(const parloom_report *so_far, void *state);

#ifdef __cplusplus
}
#endif
#endif
