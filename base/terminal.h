/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * terminal.h - stderr: lines, and one bar below them that is drawn again and again.
 *
 * Each line and each drawing is one write(2). A line goes above the bar: the same write clears the bar, writes the line
 * and draws the bar anew. What tasks print by themselves comes behind the bar, which is drawn afresh by its next write.
 * Threads: under the lock of base/log.
 */
#ifndef LOOM_BASE_TERMINAL_H
#define LOOM_BASE_TERMINAL_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether stderr is a terminal on which a line can be drawn again. */
bool loom_terminal_can_draw(void);
/* As of now (windows change their size); 80 where the terminal does not say. */
int loom_terminal_columns(void);
/* Whether the environment says that text is UTF-8. */
bool loom_terminal_is_utf8(void);
/* line: without a line end; what is longer than 2 KiB is cut. */
void loom_terminal_write(const char *line);
/* The bar from now on. */
void loom_terminal_draw(const char *bar);
/* In place of the bar, a line that stays. */
void loom_terminal_leave(const char *line);
/* In a child process: the bar is its parent's. Before each line of this process the line it stands on is cleared, since
 * the parent may have drawn there. */
void loom_terminal_share(void);

#ifdef __cplusplus
}
#endif
#endif
