/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard.c - a constructor that looks whether this process was started to be a supervisor.
 *
 * If it was and the worker preload is not at work (the loader dropped it: file capabilities, a changed LD_PRELOAD, a
 * hardened loader), the user's main would run a second time: leave before that.
 *
 * A fully static program has no loader that could preload anything: there the constructor itself becomes the
 * supervisor. The archive must follow the program's objects on the link line, so that their static initialisers ran.
 */
#include "backends/guard.h"

#include "backends/overseer.h"
#include "backends/startup.h"
#include "shm/window.h"

#include <dlfcn.h>
#include <sys/auxv.h>

void loom_guard_link(void) {}

static bool has_loader(void)
{
    if (getauxval(AT_BASE) != 0) return true;
    const ElfW(Phdr) *parts = (const ElfW(Phdr) *)getauxval(AT_PHDR); /* NOLINT: an address of the kernel */
    for (unsigned long i = 0; parts != NULL && i < getauxval(AT_PHNUM); i++)
        if (parts[i].p_type == PT_INTERP) return true;
    return false;
}

static bool preload_acts(void)
{
    int (*is_active)(void);
    void *symbol = dlsym(RTLD_DEFAULT, "parloom_preload_is_active");
    if (symbol == NULL) return false;
    memcpy(&is_active, &symbol, sizeof is_active);
    return is_active() != 0;
}

static __attribute__((noreturn)) void take_over(const char *value)
{
    static char entry[8192];
    (void)snprintf(entry, sizeof entry, "%s", value);
    loom_startup_restore_variables("LD_");
    loom_startup_restore_variables(LOOM_STARTUP_OMP);
    loom_startup_restore_variables(LOOM_STARTUP_OPENBLAS);
    (void)unsetenv(LOOM_STARTUP_VARIABLE);
    (void)close(LOOM_STARTUP_MEMFD);
    loom_overseer_main(entry);
    _exit(LOOM_STARTUP_EXIT_BROKEN);
}

/* Whether the variable means this very program, or may: a constructor that starts another program hands it on. */
static bool is_meant(const char *value)
{
    struct loom_startup startup;
    char program[LOOM_STARTUP_IDENTITY_BYTES];
    if (!loom_startup_parse(value, &startup)) return true;
    loom_startup_identify_program(program);
    return strcmp(program, startup.program) == 0;
}

/* As early as constructors may run: those of the program that come after it get no window of their own. */
__attribute__((constructor(101))) static void guard_main(void)
{
    const char *value = getenv(LOOM_STARTUP_VARIABLE);
    bool acts = preload_acts(); /* the variable may be gone: the preload removes it before the program's constructors */
    if (acts) loom_window_forbid(true); /* until the supervisor's main takes over */
    if (value == NULL || acts || !is_meant(value)) return;
    if (!has_loader()) take_over(value);
    _exit(LOOM_STARTUP_EXIT_GUARD);
}
