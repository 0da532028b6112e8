/* SPDX-License-Identifier: BSD-3-Clause */
/* footprint.c - see footprint.h. */
#include "footprint.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PROCESSES_MAX = 4096 };

struct process {
    int pid, parent;
};

void *footprint_take(size_t nbytes)
{
    char *memory = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("private memory");
        return NULL;
    }
    /* What malloc gives by default is not huge either, but the machine may be set to always. */
    madvise(memory, nbytes, MADV_NOHUGEPAGE);
    for (size_t at = 0; at < nbytes; at += 8) memcpy(memory + at, &at, sizeof at);
    return memory;
}

void footprint_give_back(void *memory, size_t nbytes)
{
    if (memory) munmap(memory, nbytes);
}

void footprint_warm(size_t nbytes)
{
    char *memory = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    madvise(memory, nbytes, MADV_HUGEPAGE); /* refused: small ones come from the same free memory */
    for (size_t at = 0; at < nbytes; at += 4096) memory[at] = 1;
    munmap(memory, nbytes);
}

/* The number in KiB behind a name in a file like /proc/meminfo, in bytes; 0 if it is not there. */
static double bytes_in(const char *path, const char *name)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kib = strtod(line + strlen(name), NULL);
            break;
        }
    }
    fclose(file);
    return kib * 1024;
}

static int parent_of(int pid)
{
    char path[64], line[512];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    /* pid (name) state parent: the name may hold anything, also brackets and spaces. */
    const char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (end) sscanf(end + 1, " %*c %d", &parent);
    fclose(file);
    return parent;
}

static size_t list_processes(struct process *list, size_t room)
{
    size_t count = 0;
    DIR *folder = opendir("/proc");
    if (!folder) return 0;
    for (struct dirent *entry; count < room && (entry = readdir(folder));) {
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        int pid = (int)strtol(entry->d_name, NULL, 10);
        list[count++] = (struct process){ pid, parent_of(pid) };
    }
    closedir(folder);
    return count;
}

static int parent_in(const struct process *list, size_t count, int pid)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].pid == pid) return list[i].parent;
    }
    return 0;
}

static bool is_descendant(const struct process *list, size_t count, int pid, int of)
{
    while (pid > 1 && pid != of) pid = parent_in(list, count, pid);
    return pid == of;
}

double footprint_bytes(void)
{
    static struct process list[PROCESSES_MAX];
    size_t count = list_processes(list, PROCESSES_MAX);
    double others = 0, mapped = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_descendant(list, count, list[i].pid, getpid())) continue;
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", list[i].pid);
        others += bytes_in(path, "Pss_Anon:") + bytes_in(path, "Pss_File:");
        mapped += bytes_in(path, "Pss_Shmem:");
    }
    double machine = bytes_in("/proc/meminfo", "Shmem:");
    return others + (machine > mapped ? machine : mapped);
}
