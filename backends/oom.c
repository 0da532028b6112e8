/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oom.c - read the kernel's counts of OOM kills.
 */
#include "backends/oom.h"

#include "base/file.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_count(const char *path, const char *key, uint64_t *count_out)
{
    char text[7168]; /* vmstat has 5 KiB */
    if (path[0] == '\0' || loom_file_read_text(path, text, sizeof text) <= 0) return false;
    size_t length = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, key, length) != 0 || line[length] != ' ') continue;
        *count_out = strtoull(line + length, NULL, 10);
        return true;
    }
    return false;
}

/* v2: "0::/group" and memory.events; v1: "5:memory:/group" and memory.oom_control. */
static void find_group(char *path, size_t size)
{
    char text[4096];
    if (loom_file_read_text("/proc/self/cgroup", text, sizeof text) <= 0) return;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        const char *group = strstr(line, ":memory:");
        if (group != NULL)
            (void)snprintf(path, size, "/sys/fs/cgroup/memory%s/memory.oom_control", group + strlen(":memory:"));
        else if (strncmp(line, "0::", 3) == 0 && path[0] == '\0')
            (void)snprintf(path, size, "/sys/fs/cgroup%s/memory.events", line + 3);
    }
}

uint64_t loom_oom_kill_count(void)
{
    static char group[4096];
    static bool is_known;
    if (!is_known) find_group(group, sizeof group);
    is_known = true;
    uint64_t count = 0, machine = 0;
    /* Both: an OOM of the whole machine is not counted in every group. */
    (void)read_count(group, "oom_kill", &count);
    (void)read_count("/proc/vmstat", "oom_kill", &machine);
    return count + machine;
}
