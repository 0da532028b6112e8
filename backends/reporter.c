/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reporter.c - in a worker: write down what a signal says before it kills.
 *
 * The handler stores and returns: the default action is back by then, the instruction faults again, and the process
 * dies of the true signal, with a core at the true place. Only async-signal-safe calls; no stack but the alternate one.
 *
 * Blind spots    a non-canonical pointer is reported as address 0 with code 128; an overflow of the stack of another
 *                thread leaves no record; a handler the task installs replaces this one.
 */
#include "backends/reporter.h"
#include "backends/reporter_maps.h"
#include "backends/reporter_stack.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

_Static_assert(sizeof(struct loom_crash_shared) == 1848, "layout version 2");
_Static_assert(offsetof(struct loom_crash_shared, module_path) == 48, "layout version 2");

enum { STACK_NBYTES = 64 * 1024, NEAR_STACK_BELOW = 64 * 1024, NEAR_STACK_ABOVE = 1024 * 1024 };

static struct loom_crash_shared *crash;
static pid_t worker_pid; /* a process that a task forked has the handlers too: the record is not its own */

static void copy_text(char *to, size_t size, const char *from)
{
    size_t i = 0;
    for (; i + 1 < size && from[i] != '\0'; i++) to[i] = from[i];
    to[i] = '\0';
}

static struct {
    char path[sizeof crash->module_path];
    uint64_t begin; /* of the last file that was seen from its start */
} file;

static void look_at(const struct loom_mapping_line *mapping)
{
    if (mapping->file_offset == 0 && mapping->path[0] == '/') {
        copy_text(file.path, sizeof file.path, mapping->path);
        file.begin = mapping->begin;
    }
    if (crash->address >= mapping->begin && crash->address < mapping->end) {
        copy_text(crash->mapping, sizeof crash->mapping, mapping->path);
        crash->address_is = mapping->is_accessible ? LOOM_CRASH_MAPPED : LOOM_CRASH_UNMAPPED;
    }
    if (crash->instruction >= mapping->begin && crash->instruction < mapping->end && file.begin != 0 &&
        strncmp(file.path, mapping->path, sizeof file.path - 1) == 0) {
        copy_text(crash->module_path, sizeof crash->module_path, file.path);
        crash->module_offset = crash->instruction - loom_reporter_load_address(file.begin);
    }
}

/* ---- the handler */

static void take_registers(const ucontext_t *context)
{
#if defined(__x86_64__)
    crash->instruction = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
    crash->stack_pointer = (uint64_t)context->uc_mcontext.gregs[REG_RSP];
    crash->was_write = (uint32_t)(context->uc_mcontext.gregs[REG_ERR] >> 1) & 1; /* bit 1 of the page fault code */
#elif defined(__aarch64__)
    crash->instruction = context->uc_mcontext.pc;
    crash->stack_pointer = context->uc_mcontext.sp;
    crash->was_write = 0; /* the syndrome lies in an optional record */
#else
    (void)context;
#endif
}

static bool is_fault(int number, int code)
{
    return code > 0 && (number == SIGSEGV || number == SIGBUS || number == SIGILL || number == SIGFPE);
}

static void note_signal(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    struct loom_crash_shared *record = crash;
    if (record->signal_number == 0 && getpid() == worker_pid) {
        record->code = info->si_code;
        record->address = is_fault(number, info->si_code) ? (uint64_t)(uintptr_t)info->si_addr : 0;
        record->address_is = LOOM_CRASH_UNMAPPED;
        take_registers(context);
        loom_reporter_walk_maps(look_at);
        bool is_near = record->address + NEAR_STACK_BELOW >= record->stack_pointer &&
                       record->address < record->stack_pointer + NEAR_STACK_ABOVE;
        if (number == SIGSEGV && is_near && record->address_is != LOOM_CRASH_MAPPED)
            record->address_is = LOOM_CRASH_STACK;
        /* release: the record before the number that makes it valid; pairs with the program's wait for the death. */
        __atomic_store_n(&record->signal_number, (uint32_t)number, __ATOMIC_RELEASE);
        loom_reporter_take_stack(record); /* last: what is known by now stays, whatever it meets */
    }
    errno = saved;
    /* A fault happens again on return; all others (raise, traps, system calls refused) would be lost. Blocked until the
     * handler returned, then it kills. */
    if (!is_fault(number, info->si_code)) (void)raise(number);
}

/* A sanitizer leaves by _exit after its report: make it the death of a signal that it is. */
static void note_sanitizer(void)
{
    if (getpid() == worker_pid) {
        crash->code = 0;
        crash->address = 0;
        copy_text(crash->mapping, sizeof crash->mapping, "[sanitizer]");
        __atomic_store_n(&crash->signal_number, (uint32_t)SIGABRT, __ATOMIC_RELEASE); /* as in note_signal */
    }
    (void)signal(SIGABRT, SIG_DFL);
    (void)raise(SIGABRT);
}

static void hook_sanitizer(void)
{
    void (*set_callback)(void (*)(void));
    void *symbol = dlsym(RTLD_DEFAULT, "__sanitizer_set_death_callback");
    if (symbol == NULL) return;
    memcpy(&set_callback, &symbol, sizeof set_callback);
    set_callback(note_sanitizer);
}

void loom_reporter_install(struct loom_crash_shared *record)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
    crash = record;
    worker_pid = getpid();
    stack_t stack = { .ss_size = STACK_NBYTES };
    stack.ss_sp = mmap(NULL, STACK_NBYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp != MAP_FAILED && sigaltstack(&stack, NULL) != 0) (void)munmap(stack.ss_sp, STACK_NBYTES);

    struct sigaction action = { .sa_sigaction = note_signal,
                                .sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND) };
    (void)sigfillset(&action.sa_mask); /* one report at a time */
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction old;
        if (sigaction(signals[i], NULL, &old) == 0 && (old.sa_flags & SA_SIGINFO) == 0 && old.sa_handler == SIG_DFL)
            (void)sigaction(signals[i], &action, NULL);
    }
    hook_sanitizer();
}
