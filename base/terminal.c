/* SPDX-License-Identifier: BSD-3-Clause */
/* terminal.c - stderr: lines, and one bar below them (see terminal.h). */
#include "base/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CLEAR "\r\033[K" /* back to the first column, and nothing behind it */
enum { LINE_BYTES = 2048, COLUMNS_DEFAULT = 80 };

static char drawn[LINE_BYTES]; /* "": no bar */
static bool is_shared;

bool loom_terminal_can_draw(void)
{
    const char *kind = secure_getenv("TERM");
    return kind && kind[0] && strcmp(kind, "dumb") != 0 && isatty(STDERR_FILENO) == 1;
}

int loom_terminal_columns(void)
{
    struct winsize size;
    int saved = errno;
    bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    errno = saved;
    return is_known ? size.ws_col : COLUMNS_DEFAULT;
}

bool loom_terminal_is_utf8(void)
{
    static const char *const VARIABLES[] = { "LC_ALL", "LC_CTYPE", "LANG" }; /* the first that is set decides */
    for (size_t i = 0; i < sizeof VARIABLES / sizeof VARIABLES[0]; i++) {
        const char *locale = secure_getenv(VARIABLES[i]);
        if (locale && locale[0]) return strcasestr(locale, "utf-8") != NULL || strcasestr(locale, "utf8") != NULL;
    }
    return false;
}

/* One write(2), so that what several processes write to one terminal or pipe does not mix. */
static void write_text(const char *text, size_t length)
{
    int saved = errno;
    while (write(STDERR_FILENO, text, length) < 0 && errno == EINTR) {}
    errno = saved;
}

static size_t add(char *text, size_t used, const char *more, size_t most)
{
    size_t length = strnlen(more, most);
    memcpy(text + used, more, length);
    return used + length;
}

void loom_terminal_write(const char *line)
{
    char text[2 * LINE_BYTES + 16];
    size_t used = 0;
    if (drawn[0] || (is_shared && loom_terminal_can_draw())) used = add(text, used, CLEAR, sizeof CLEAR);
    used = add(text, used, line, LINE_BYTES - 1);
    used = add(text, used, "\n", 1);
    used = add(text, used, drawn, sizeof drawn);
    write_text(text, used);
}

static void keep(const char *bar)
{
    (void)snprintf(drawn, sizeof drawn, "%s", bar);
}

void loom_terminal_draw(const char *bar)
{
    keep(bar);
    char text[LINE_BYTES + 16];
    size_t used = add(text, 0, CLEAR, sizeof CLEAR);
    used = add(text, used, drawn, sizeof drawn);
    write_text(text, used);
}

void loom_terminal_leave(const char *line)
{
    keep("");
    char text[LINE_BYTES + 16];
    size_t used = add(text, 0, CLEAR, sizeof CLEAR);
    used = add(text, used, line, LINE_BYTES - 1);
    used = add(text, used, "\n", 1);
    write_text(text, used);
}

void loom_terminal_share(void)
{
    keep("");
    is_shared = true;
}
