/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - one line per event, to stderr or the program's sink; silent below warning unless PARLOOM_LOG says otherwise.
 * Any thread; a line is handed over whole.
 */
#ifndef LOOM_BASE_LOG_H
#define LOOM_BASE_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

enum loom_log_level { LOOM_LOG_ERROR = 1, LOOM_LOG_WARNING = 2, LOOM_LOG_INFO = 3, LOOM_LOG_DEBUG = 4 };

void loom_log(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define loom_log(...) __extension__ loom_log(__VA_ARGS__) /* allows "%m": base/status.h */
/* Regardless of the level that is set: for lines the user asked for (verbose). */
void loom_log_line(int level, const char *line);
void loom_log_set_sink(void (*sink)(int level, const char *line, void *state), void *state);

#ifdef __cplusplus
}
#endif
#endif
