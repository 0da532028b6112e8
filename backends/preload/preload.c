/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload.c - the worker preload: runs the supervisor in place of the program's main.
 *
 * Built as a shared object of its own whose only dependency is libc (preloading the library itself would put its
 * OpenMP runtime ahead of the program's), embedded in the library as bytes, loaded from a sealed memfd by LD_PRELOAD.
 *
 * It acts only in the program that asked for it: the identity of the main program is compared with the expected one,
 * everything else (a launcher, an emulator) passes through untouched.
 *
 * Path    ld.so -> constructors of libraries -> __libc_start_main (here) -> constructors of the program
 *         -> the replacement main -> loom_overseer_main, found by module identity and offset
 */
#include "backends/startup.h"

#include <dlfcn.h>

typedef int (*main_function)(int argc, char **argv, char **envp);
typedef int (*start_function)(main_function program_main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                              void (*rtld_fini)(void), void *stack_end);
typedef void (*entry_function)(const char *entry);

static char entry[8192]; /* the value of the variable, kept while the environment is put back */
static struct loom_startup startup;

struct search {
    uintptr_t found;
    bool is_first;
};

#define LOOM_EXPORTED __attribute__((visibility("default")))
LOOM_EXPORTED int parloom_preload_is_active(void);
LOOM_EXPORTED int __libc_start_main(main_function program_main, int argc, char **argv, void (*init)(void),
                                    void (*fini)(void), void (*rtld_fini)(void), void *stack_end);

/* Also asked by the guard in the library's constructor, before __libc_start_main is reached. */
int parloom_preload_is_active(void)
{
    if (startup.module_path != NULL) return 1;
    const char *value = getenv(LOOM_STARTUP_VARIABLE);
    char program[LOOM_STARTUP_IDENTITY_BYTES];
    if (value == NULL || strlen(value) >= sizeof entry) return 0;
    memcpy(entry, value, strlen(value) + 1);
    struct loom_startup expected;
    if (!loom_startup_parse(entry, &expected)) return 0;
    loom_startup_identify_program(program);
    if (strcmp(program, expected.program) != 0) return 0;
    startup = expected;
    return 1;
}

static int match_module(struct dl_phdr_info *module, size_t size, void *state)
{
    (void)size;
    struct search *search = state;
    char identity[LOOM_STARTUP_IDENTITY_BYTES];
    loom_startup_identify(module, search->is_first, identity);
    search->is_first = false;
    if (strcmp(identity, startup.module) != 0 || !loom_startup_is_loaded(module, startup.offset, 1)) return 0;
    search->found = module->dlpi_addr + startup.offset;
    return 1;
}

static uintptr_t find_entry(void)
{
    struct search search = { .found = 0, .is_first = true };
    (void)dl_iterate_phdr(match_module, &search);
    return search.found;
}

static int run_supervisor(int argc, char **argv, char **envp)
{
    (void)argc;
    (void)argv;
    (void)envp;
    loom_startup_restore_variables(LOOM_STARTUP_OMP);
    loom_startup_restore_variables(LOOM_STARTUP_OPENBLAS);
    (void)close(LOOM_STARTUP_MEMFD);

    /* Interpreters load the library late: here it is not there yet. */
    uintptr_t found = find_entry();
    if (found == 0 && dlopen(startup.module_path, RTLD_NOW | RTLD_LOCAL) != NULL) found = find_entry();
    if (found == 0) _exit(LOOM_STARTUP_EXIT_NO_ENTRY);

    entry_function enter;
    memcpy(&enter, &found, sizeof enter);
    enter(entry);
    _exit(LOOM_STARTUP_EXIT_BROKEN); /* the entry does not return */
}

int __libc_start_main(main_function program_main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end)
{
    start_function real;
    void *symbol = dlsym(RTLD_NEXT, "__libc_start_main");
    if (symbol == NULL) _exit(LOOM_STARTUP_EXIT_GUARD);
    memcpy(&real, &symbol, sizeof real);
    if (!parloom_preload_is_active()) return real(program_main, argc, argv, init, fini, rtld_fini, stack_end);

    /* Now, not later: constructors of the program may start programs of their own, for which a preload that exists
     * only in this process is an error message. Thread counts stay until all constructors have run. */
    loom_startup_restore_variables("LD_");
    (void)unsetenv(LOOM_STARTUP_VARIABLE);
    return real(run_supervisor, argc, argv, init, fini, rtld_fini, stack_end);
}
