/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * environment.c - build the environment of the supervisor without touching that of the program.
 */
#include "backends/environment.h"

#include "backends/startup.h"
#include "base/memory.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

static bool add_item(struct loom_environment *environment, char *item)
{
    if (item == NULL) return false;
    if (environment->count + 1 >= environment->room) {
        size_t room = environment->room == 0 ? 64 : 2 * environment->room;
        char **items = loom_memory_grow(environment->items, room, sizeof *items);
        if (items == NULL) {
            free(item);
            return false;
        }
        environment->items = items;
        environment->room = room;
    }
    environment->items[environment->count++] = item;
    environment->items[environment->count] = NULL;
    return true;
}

bool loom_environment_add(struct loom_environment *environment, const char *format, ...)
{
    char *item = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&item, format, arguments);
    va_end(arguments);
    return length >= 0 && add_item(environment, item);
}

static bool begins(const char *variable, const char *prefix)
{
    return strncmp(variable, prefix, strlen(prefix)) == 0;
}

static bool add_current(struct loom_environment *environment)
{
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        bool is_added = true;
        if (begins(*variable, "LD_") || begins(*variable, LOOM_STARTUP_OMP "=") ||
            begins(*variable, LOOM_STARTUP_OPENBLAS "="))
            is_added = loom_environment_add(environment, "%s%s", LOOM_STARTUP_KEPT, *variable);
        else if (!begins(*variable, LOOM_STARTUP_OWN_PREFIX))
            is_added = add_item(environment, loom_memory_text(*variable));
        if (!is_added) return false;
    }
    return true;
}

/* Whole, whatever its length; a process may have megabytes of it. */
static bool read_start(struct loom_environment *environment)
{
    int fd = open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return true; /* without /proc there is no supervisor anyway: the spawn says so */
    size_t room = 16384, length = 0;
    char *text = loom_memory_grow(NULL, room, 1);
    while (text != NULL) {
        ssize_t n = read(fd, text + length, room - length - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        length += (size_t)n;
        if (length + 1 < room) continue;
        room *= 2;
        char *larger = loom_memory_grow(text, room, 1);
        if (larger == NULL) free(text);
        text = larger;
    }
    (void)close(fd);
    if (text == NULL) return false;
    text[length] = '\0';
    environment->at_start = text;
    environment->at_start_nbytes = length;
    return true;
}

/* In a worker, or under another supervisor, LD_PRELOAD has preloads like ours that mean nothing here. */
static char *without_ours(const char *list)
{
    char *kept = loom_memory_zeroed(strlen(list) + 1, 1);
    for (size_t length = 0; kept != NULL && *list != '\0'; list += length) {
        list += strspn(list, ": ");
        length = strcspn(list, ": ");
        if (length == 0 || begins(list, LOOM_STARTUP_PRELOAD_DIR)) continue;
        if (kept[0] != '\0') (void)strcat(kept, ":");
        (void)strncat(kept, list, length);
    }
    return kept;
}

static bool add_start(struct loom_environment *environment)
{
    static const char preload[] = "LD_PRELOAD=";
    const char *end = environment->at_start + environment->at_start_nbytes;
    for (const char *at = environment->at_start; at < end; at += strlen(at) + 1) {
        if (begins(at, preload) && environment->start_preload == NULL) {
            environment->start_preload = without_ours(at + sizeof preload - 1);
            if (environment->start_preload == NULL) return false;
        } else if (begins(at, "LD_") && !add_item(environment, loom_memory_text(at))) {
            return false;
        }
    }
    return true;
}

parloom_status loom_environment_begin(struct loom_environment *environment, parloom_error *error)
{
    *environment = (struct loom_environment){ .items = NULL };
    if (add_current(environment) && read_start(environment) &&
        (environment->at_start == NULL || add_start(environment)))
        return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_MEMORY, ENOMEM, "no memory for the environment of worker processes");
}

const char *loom_environment_start_preload(const struct loom_environment *environment)
{
    return environment->start_preload == NULL ? "" : environment->start_preload;
}

void loom_environment_end(struct loom_environment *environment)
{
    for (size_t i = 0; i < environment->count; i++) free(environment->items[i]);
    free(environment->items);
    free(environment->at_start);
    free(environment->start_preload);
    *environment = (struct loom_environment){ .items = NULL };
}
