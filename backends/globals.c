/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * globals.c - compares the data of the program after each task (see globals.h).
 *
 * Not looked at: libraries of the system (what they keep is theirs to keep), parloom's own, and what lies on the heap.
 * A warning for each name once in a worker, and no more than MOST: the first ones are those that help.
 */
#include "backends/globals.h"

#include "backends/globals_symbols.h"
#include "backends/names.h"
#include "backends/surroundings.h"
#include "base/clock.h"
#include "base/memory.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SECTIONS = 64, MOST_MODULES = 16, MOST_TOLD = 64 };

struct section {
    struct loom_globals_section place;
    size_t module;
    char *copy;
};

static struct {
    bool is_open;
    size_t n_modules, n_sections, n_told;
    struct loom_globals_module modules[MOST_MODULES];
    char names[MOST_MODULES][128];
    struct section sections[MOST_SECTIONS];
    uint64_t told[MOST_TOLD]; /* where they begin */
    char *environment;
    size_t environment_nbytes;
    struct loom_directory_identity directory;
} watched;

/* ----------------------------------------------------------------- what there is */

static bool is_of_system(const char *path)
{
    return strncmp(path, "/lib", 4) == 0 || strncmp(path, "/usr/lib", 8) == 0 || path[0] != '/';
}

static bool holds_parloom(const struct dl_phdr_info *info)
{
    uint64_t here = (uint64_t)(uintptr_t)&watched;
    for (int k = 0; k < info->dlpi_phnum; k++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[k];
        uint64_t begin = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && here >= begin && here - begin < part->p_memsz) return true;
    }
    return false;
}

/* The program comes first, without a name. */
static int add_module(struct dl_phdr_info *info, size_t size, void *state)
{
    (void)size, (void)state;
    bool is_program = watched.n_modules == 0 && info->dlpi_name[0] == '\0';
    const char *path = is_program ? "/proc/self/exe" : info->dlpi_name;
    if (!is_program && (is_of_system(path) || holds_parloom(info))) return 0;
    if (watched.n_modules == MOST_MODULES) return 1;
    if (!loom_globals_open(path, info->dlpi_addr, &watched.modules[watched.n_modules])) return 0;
    const char *slash = strrchr(path, '/');
    (void)snprintf(watched.names[watched.n_modules], sizeof watched.names[0], "%s",
                   is_program ? "the program" : slash + 1);
    watched.n_modules++;
    return 0;
}

static void *address_of(const struct section *section)
{
    return (void *)(uintptr_t)section->place.address;
}

static void add_sections(size_t module)
{
    struct section section = { .module = module };
    for (size_t k = 0; loom_globals_section(&watched.modules[module], k, &section.place); k++) {
        if (watched.n_sections == MOST_SECTIONS) return;
        section.copy = loom_memory_zeroed((size_t)section.place.nbytes, 1);
        if (section.copy != NULL) watched.sections[watched.n_sections++] = section;
    }
}

static void open_once(void)
{
    if (watched.is_open) return;
    watched.is_open = true;
    (void)dl_iterate_phdr(add_module, NULL);
    for (size_t k = 0; k < watched.n_modules; k++) add_sections(k);
}

static void copy_surroundings(void)
{
    free(watched.environment);
    watched.environment = loom_surroundings_copy_environment(&watched.environment_nbytes);
    (void)loom_directory_identify(&watched.directory);
}

/* AddressSanitizer has guards between globals, and stops a memcpy or memcmp that reads them, also one of a library that
 * was built without it. So globals are read here word by word, volatile: no compiler makes a memcpy of that. */
typedef uint64_t __attribute__((may_alias, aligned(1))) word;
#define UNGUARDED __attribute__((no_sanitize("address")))

UNGUARDED static void copy_globals(char *to, const char *from, size_t nbytes)
{
    size_t k = 0;
    for (; nbytes - k >= sizeof(word); k += sizeof(word)) *(word *)(to + k) = *(const volatile word *)(from + k);
    for (; k < nbytes; k++) to[k] = *(const volatile char *)(from + k);
}

static void copy_all(void)
{
    for (size_t k = 0; k < watched.n_sections; k++)
        copy_globals(watched.sections[k].copy, address_of(&watched.sections[k]),
                     (size_t)watched.sections[k].place.nbytes);
    copy_surroundings();
}

/* ----------------------------------------------------------------------- telling */

/* where: what it is told once for; 0: always. */
static bool may_tell(uint64_t where)
{
    for (size_t k = 0; k < watched.n_told; k++)
        if (watched.told[k] == where) return false;
    if (watched.n_told == MOST_TOLD) return false;
    watched.told[watched.n_told++] = where;
    return true;
}

static void tell(struct loom_shift *shift, uint64_t where, const char *what)
{
    char text[512];
    if (!may_tell(where)) return;
    size_t task = loom_shift_task(shift);
    char of[32] = ""; /* a stream does not know of how many */
    if (shift->task.count > 0) (void)snprintf(of, sizeof of, " of %zu", shift->task.count);
    (void)snprintf(text, sizeof text,
                   "task %zu%s left %s changed in worker %d: later tasks there find it so (check_globals)", task, of,
                   what, shift->task.worker);
    shift->warn(shift, task, text);
}

/* ---------------------------------------------------------------------- comparing */

/* The next byte from at on that differs; nbytes: none. */
UNGUARDED static size_t next_change(const struct section *section, size_t at)
{
    const char *now = address_of(section);
    const char *then = section->copy;
    size_t nbytes = (size_t)section->place.nbytes;
    while (nbytes - at >= sizeof(word) && *(const volatile word *)(now + at) == *(const word *)(then + at))
        at += sizeof(word);
    while (at < nbytes && *(const volatile char *)(now + at) == then[at]) at++;
    return at;
}

/* What has no symbol is told as one place to the next page. */
static uint64_t tell_change(struct loom_shift *shift, const struct section *section, size_t at)
{
    char name[256], readable[256], what[400];
    uint64_t begin, end, address = section->place.address + at;
    const struct loom_globals_module *module = &watched.modules[section->module];
    enum loom_globals_owner owner = loom_globals_name(module, address, name, sizeof name, &begin, &end);
    if (name[0] != '\0') {
        name[strcspn(name, ".")] = '\0'; /* a static of a function is called "count.0" */
        loom_name_readable(name, readable, sizeof readable);
        (void)snprintf(what, sizeof what, "the global %s of %s", readable, watched.names[section->module]);
    } else {
        (void)snprintf(what, sizeof what, "%s+0x%zx of %s", section->place.name, at, watched.names[section->module]);
        end = (address | 4095) + 1;
    }
    if (owner == LOOM_GLOBALS_PROGRAM) tell(shift, begin, what);
    return end;
}

static void compare_section(struct loom_shift *shift, struct section *section)
{
    size_t nbytes = (size_t)section->place.nbytes;
    for (size_t at = next_change(section, 0); at < nbytes; at = next_change(section, at)) {
        size_t end = (size_t)(tell_change(shift, section, at) - section->place.address);
        if (end > nbytes) end = nbytes;
        copy_globals(section->copy + at, (const char *)address_of(section) + at, end - at);
        at = end;
    }
}

static void compare_surroundings(struct loom_shift *shift)
{
    struct loom_directory_identity here;
    bool is_same = watched.environment != NULL &&
                   loom_surroundings_have_environment(watched.environment, watched.environment_nbytes);
    if (!is_same) tell(shift, 1, "the environment");
    (void)loom_directory_identify(&here);
    bool is_there = loom_directory_is_same(&here, &watched.directory);
    if (!is_there) tell(shift, 2, "the working directory");
    if (!is_same || !is_there) copy_surroundings();
}

/* After each task: nothing of it is a failure. */
static parloom_status look(struct loom_shift *shift)
{
    for (size_t k = 0; k < watched.n_sections; k++) compare_section(shift, &watched.sections[k]);
    compare_surroundings(shift);
    return PARLOOM_OK;
}

void loom_globals_watch(struct loom_shift *shift)
{
    open_once();
    copy_all();
    shift->look = look;
    shift->deadline_ns = LOOM_NEVER_NS; /* the program watches the clock */
}
