/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - one line per event, to stderr or the program's sink; silent below warning unless PARLOOM_LOG says otherwise.
 * Any thread; a line is handed over whole.
 */
#ifndef LOOM_BASE_LOG_H
#define LOOM_BASE_LOG_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum loom_log_level { LOOM_LOG_ERROR = 1, LOOM_LOG_WARNING = 2, LOOM_LOG_INFO = 3, LOOM_LOG_DEBUG = 4 };

void loom_log(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define loom_log(...) __extension__ loom_log(__VA_ARGS__) /* allows "%m": base/status.h */
/* Regardless of the level that is set, and as it is: for lines the user asked for (verbose). */
void loom_log_line(int level, const char *line);
/* One bar at a time, below all lines on stderr (base/terminal.h). False: stderr is no terminal, there is a sink, or
 * another call has it. What is not the owner's call does nothing. */
bool loom_log_claim_bar(const void *owner);
void loom_log_draw_bar(const void *owner, const char *bar);
/* last: stays as a line; NULL: nothing was drawn. */
void loom_log_release_bar(const void *owner, const char *last);
/* In a worker process: the program may draw a bar on the terminal both write to. */
void loom_log_share_terminal(void);
void loom_log_set_sink(void (*sink)(int level, const char *line, void *state), void *state);

#ifdef __cplusplus
}
#endif
#endif
