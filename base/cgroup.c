/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cgroup.c - finds the control groups of this process and takes the tightest limit on the way up.
 *
 *   /proc/self/cgroup      4:memory:/batch/job7        which group, per hierarchy
 *   /proc/self/mountinfo   ... /batch /sys/fs/cgroup/memory ... - cgroup ... rw,memory
 *                              root of the mount: what of the path the mount point stands for already
 *   /sys/fs/cgroup/memory/job7, then /sys/fs/cgroup/memory: each may hold a limit
 *
 * Whatever is missing, empty or unreadable is no limit: containers show all kinds of parts of this tree.
 */
#include "base/cgroup.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* v1 says "no limit" as the largest multiple of a page in 63 bits; nothing real comes near it. */
#define V1_UNLIMITED (UINT64_C(1) << 60)

/* Called with each folder from the process's own group up to the mount point; lowers *least. */
typedef void (*read_limit)(const char *folder, uint64_t *least);

/* ------------------------------------------------------------------------ small files */

/* A number at the start of text; the place behind it, or NULL ("max", "-1", nothing). */
static const char *parse_number(const char *text, uint64_t *number_out)
{
    char *end;
    if (*text < '0' || *text > '9') return NULL;
    errno = 0;
    *number_out = strtoull(text, &end, 10);
    return errno ? NULL : end;
}

static bool read_number(const char *folder, const char *file, uint64_t *number_out)
{
    char path[PATH_MAX], text[64];
    if (snprintf(path, sizeof path, "%s/%s", folder, file) >= (int)sizeof path) return false;
    return loom_file_read_text(path, text, sizeof text) > 0 && parse_number(text, number_out) != NULL;
}

/* A counter "name number" of memory.stat, 0 where it is not there. */
static uint64_t read_counter(const char *folder, const char *name)
{
    char path[PATH_MAX], text[2048];
    uint64_t number = 0;
    if (snprintf(path, sizeof path, "%s/memory.stat", folder) >= (int)sizeof path) return 0;
    if (loom_file_read_text(path, text, sizeof text) <= 0) return 0;
    size_t length = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, name, length) == 0 && line[length] == ' ') parse_number(line + length + 1, &number);
    }
    return number;
}

static void lower(uint64_t *least, uint64_t value)
{
    if (value < *least) *least = value;
}

/* -------------------------------------------------------------- limits of one folder */

static void lower_to_quota(uint64_t *least, uint64_t quota, uint64_t period)
{
    if (quota == 0 || period == 0) return;
    lower(least, quota / period + (quota % period != 0));
}

static void read_cpu_v2(const char *folder, uint64_t *least)
{
    char path[PATH_MAX], text[64];
    uint64_t quota, period;
    if (snprintf(path, sizeof path, "%s/cpu.max", folder) >= (int)sizeof path) return;
    if (loom_file_read_text(path, text, sizeof text) <= 0) return;
    const char *at = parse_number(text, &quota);
    if (at && *at == ' ' && parse_number(at + 1, &period)) lower_to_quota(least, quota, period);
}

static void read_cpu_v1(const char *folder, uint64_t *least)
{
    uint64_t quota, period;
    if (read_number(folder, "cpu.cfs_quota_us", &quota) && read_number(folder, "cpu.cfs_period_us", &period))
        lower_to_quota(least, quota, period);
}

/* Cached file pages that nobody used lately count as usage but go when memory is asked for: they are room. Without
 * this a job that has read a large file would seem to have no memory left. */
static void lower_to_room(uint64_t *least, uint64_t limit, uint64_t usage, uint64_t cached)
{
    usage -= cached < usage ? cached : usage;
    lower(least, usage < limit ? limit - usage : 0);
}

static void read_memory_v2(const char *folder, uint64_t *least)
{
    uint64_t limit, usage;
    if (read_number(folder, "memory.max", &limit) && read_number(folder, "memory.current", &usage))
        lower_to_room(least, limit, usage, read_counter(folder, "inactive_file"));
}

static void read_memory_v1(const char *folder, uint64_t *least)
{
    uint64_t limit, usage;
    if (!read_number(folder, "memory.limit_in_bytes", &limit) || limit >= V1_UNLIMITED) return;
    if (read_number(folder, "memory.usage_in_bytes", &usage))
        lower_to_room(least, limit, usage, read_counter(folder, "total_inactive_file"));
}

/* --------------------------------------------------------------- lines of proc files */

static __attribute__((noinline)) FILE *open_lines(const char *root, const char *name)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/proc/self/%s", root, name) >= (int)sizeof path) return NULL;
    int fd = loom_file_move_up(open(path, O_RDONLY | O_CLOEXEC));
    FILE *lines = fd < 0 ? NULL : fdopen(fd, "r");
    if (!lines && fd >= 0) close(fd);
    return lines;
}

/* Is word one of "cpu,cpuacct"? */
static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; at; at = strchr(at, ',')) {
        if (*at == ',') at++;
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0')) return true;
    }
    return false;
}

/* "\040" in mountinfo is a blank; in place. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
            *to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 3;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

struct mount {
    char *root; /* the group that the mount point shows */
    char *point;
};

/* Cuts a line of mountinfo in place; false where it is not the hierarchy of controller (NULL: version 2). */
static bool parse_mount(char *line, const char *controller, struct mount *mount_out)
{
    enum { ROOT = 3, POINT = 4, FIELDS = 5 };
    char *field[FIELDS] = { NULL };
    line[strcspn(line, "\n")] = '\0';
    char *tail = strstr(line, " - ");
    if (!tail) return false;
    *tail = '\0';
    char *rest = line;
    for (int i = 0; i < FIELDS; i++)
        if (!(field[i] = strsep(&rest, " "))) return false;
    char *type = tail + 3;
    char *source = strchr(type, ' ');
    char *options = source ? strchr(source + 1, ' ') : NULL;
    if (!options) return false;
    *source = '\0';
    if (strcmp(type, controller ? "cgroup" : "cgroup2") != 0) return false;
    if (controller && !has_word(options + 1, controller)) return false;
    unescape(field[ROOT]);
    unescape(field[POINT]);
    *mount_out = (struct mount){ field[ROOT], field[POINT] };
    return true;
}

/* What of group lies below the mount point: NULL when the mount shows another part of the hierarchy. */
static const char *below(const char *group, const char *mount_root)
{
    size_t length = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);
    if (strncmp(group, mount_root, length) != 0 || (group[length] != '/' && group[length] != '\0')) return NULL;
    if (strstr(group, "/..")) return NULL; /* outside of our cgroup namespace */
    return group + length;
}

/* --------------------------------------------------------------------------- the walk */

/* Not inlined: one path in a frame is enough. */
static __attribute__((noinline)) void walk_up(char *folder, size_t mount_length, read_limit read, uint64_t *least)
{
    for (;;) {
        size_t length = strlen(folder);
        while (length > mount_length && folder[length - 1] == '/') folder[--length] = '\0';
        read(folder, least);
        if (length <= mount_length) return;
        *strrchr(folder, '/') = '\0';
    }
}

/* Walks the first mount that shows the group; else (a bind mount of some other part) what the first one shows. */
static void walk_group(const char *root, const char *controller, const char *group, read_limit read, uint64_t *least)
{
    char folder[PATH_MAX] = "";
    size_t mount_length = 0, capacity = 0;
    char *line = NULL;
    FILE *lines = open_lines(root, "mountinfo");
    bool found = false;
    while (lines && !found && getline(&line, &capacity, lines) > 0) {
        struct mount mount;
        if (!parse_mount(line, controller, &mount)) continue;
        const char *rest = below(group, mount.root);
        found = rest != NULL;
        if (!found && folder[0]) continue;
        int length = snprintf(folder, sizeof folder, "%s%s%s", root, mount.point, rest ? rest : "");
        if (length >= (int)sizeof folder) folder[0] = '\0';
        mount_length = strlen(root) + strlen(mount.point);
    }
    if (lines) fclose(lines);
    free(line);
    if (folder[0]) walk_up(folder, mount_length, read, least);
}

/* Every hierarchy that may limit the controller: on hybrid machines both versions are there. */
static uint64_t least_limit(const char *root, const char *controller, read_limit read_v1, read_limit read_v2)
{
    uint64_t least = UINT64_MAX;
    char *line = NULL;
    size_t capacity = 0;
    FILE *lines = open_lines(root, "cgroup");
    while (lines && getline(&line, &capacity, lines) > 0) {
        line[strcspn(line, "\n")] = '\0';
        char *group = line;
        const char *number = strsep(&group, ":");
        const char *controllers = strsep(&group, ":");
        if (!group) continue;
        if (strcmp(number, "0") == 0 && controllers[0] == '\0')
            walk_group(root, NULL, group, read_v2, &least);
        else if (has_word(controllers, controller))
            walk_group(root, controller, group, read_v1, &least);
    }
    if (lines) fclose(lines);
    free(line);
    return least;
}

int loom_cgroup_cpu_quota(const char *root)
{
    uint64_t cpus = least_limit(root, "cpu", read_cpu_v1, read_cpu_v2);
    return cpus > INT_MAX ? 0 : (int)cpus;
}

uint64_t loom_cgroup_memory_headroom(const char *root)
{
    return least_limit(root, "memory", read_memory_v1, read_memory_v2);
}
