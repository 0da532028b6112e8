/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * progress_text.h - how far a call is, as text: joblib's lines, tqdm's bar, JSON. Numbers look the same in every
 * locale.
 *
 * Each makes one line without a line end, cut where it does not fit. Nothing is asked of clock or terminal here.
 */
#ifndef LOOM_CORE_PROGRESS_TEXT_H
#define LOOM_CORE_PROGRESS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOOM_PROGRESS_UNKNOWN SIZE_MAX /* as n: of a source that does not say how much it will give */

enum loom_progress_phase { LOOM_PROGRESS_BEGIN, LOOM_PROGRESS_GOING, LOOM_PROGRESS_END };

struct loom_progress_facts {
    enum loom_progress_phase phase;
    const char *backend;
    int n_jobs;
    int level;   /* of the call: 0 in the program, 1 in a task, ... */
    size_t n;    /* tasks, or LOOM_PROGRESS_UNKNOWN */
    size_t done; /* of them have ended, however */
    size_t failed;
    uint64_t elapsed_ns;
    double rate; /* tasks a second of late; 0: not known */
};

void loom_progress_line(const struct loom_progress_facts *facts, char *text, size_t room);
void loom_progress_json(const struct loom_progress_facts *facts, char *text, size_t room);
/* columns: of the terminal; the last one stays empty, since some terminals go on in the next line by themselves. */
void loom_progress_bar(const struct loom_progress_facts *facts, int columns, bool is_utf8, char *text, size_t room);

#ifdef __cplusplus
}
#endif
#endif
