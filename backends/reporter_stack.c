/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reporter_stack.c - walk the stack of a crash, in its handler (see reporter_stack.h).
 *
 * The unwinder of the compiler's runtime reads tables that lie beside the code: no frame pointers are needed, and with
 * glibc 2.35 and later it takes no lock. It believes what the stack says. Where that is broken it reads what is not
 * there: that fault jumps out of it, and the frames found so far are kept.
 */
#include "backends/reporter_stack.h"

#include "backends/reporter_maps.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

static const int faults[] = { SIGSEGV, SIGBUS };
enum { FAULTS = sizeof faults / sizeof faults[0], MOST_STEPS = 64 };

/* Of the one crash that is looked at in this process. */
static struct {
    struct loom_crash_shared *record;
    pid_t thread;
    sigjmp_buf way_out;
    uint64_t callers[LOOM_CRASH_FRAMES];
    uint32_t n_callers, steps;
    bool is_past_crash; /* before: the handler, and what the kernel put between */
} walk;

static struct {
    char path[LOOM_CRASH_PATH_BYTES];
    uint64_t begin; /* of the last file that was seen from its start */
} file;

static _Unwind_Reason_Code take_frame(struct _Unwind_Context *context, void *state)
{
    (void)state;
    int is_exact = 0; /* else it is where the call returns to */
    uint64_t address = (uint64_t)_Unwind_GetIPInfo(context, &is_exact);
    if (walk.is_past_crash && address != 0) walk.callers[walk.n_callers++] = address - (is_exact ? 0 : 1);
    if (address == walk.record->instruction) walk.is_past_crash = true;
    bool is_enough = walk.n_callers == LOOM_CRASH_FRAMES || ++walk.steps == MOST_STEPS;
    return is_enough ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static void jump_out(int number)
{
    if (gettid() == walk.thread) siglongjmp(walk.way_out, 1);
    (void)signal(number, SIG_DFL); /* another thread crashes: it ends the process, as it would have */
}

/* A call of what is no code has pushed where it would return to, and there are no tables for where it is. */
static void take_call_into_nowhere(void)
{
#if defined(__x86_64__)
    uint64_t back = 0;
    if (walk.record->instruction != walk.record->address) return;
    memcpy(&back, (const void *)walk.record->stack_pointer, sizeof back); /* NOLINT: an address, perhaps a wrong one */
    walk.callers[walk.n_callers++] = back - 1;
#endif
}

static void walk_stack(void)
{
    struct sigaction jump = { .sa_handler = jump_out, .sa_flags = SA_ONSTACK };
    sigset_t unblocked, mask;
    (void)sigemptyset(&jump.sa_mask);
    (void)sigemptyset(&unblocked);
    for (int k = 0; k < FAULTS; k++) {
        (void)sigaction(faults[k], &jump, NULL);
        (void)sigaddset(&unblocked, faults[k]);
    }
    (void)pthread_sigmask(SIG_UNBLOCK, &unblocked, &mask);
    if (sigsetjmp(walk.way_out, 0) == 0) (void)_Unwind_Backtrace(take_frame, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &unblocked, NULL); /* where a fault jumped */
    if (walk.n_callers == 0 && sigsetjmp(walk.way_out, 0) == 0) take_call_into_nowhere();
    (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
    for (int k = 0; k < FAULTS; k++) (void)signal(faults[k], SIG_DFL); /* nothing more is to be taken down */
}

/* Its number, from 1; 0: of module_path; -1: there is no room. */
static int module_of(const char *path)
{
    struct loom_crash_shared *record = walk.record;
    if (strcmp(path, record->module_path) == 0) return 0;
    for (int k = 0; k < LOOM_CRASH_MODULES; k++) {
        if (record->modules[k][0] == '\0') memcpy(record->modules[k], path, strlen(path) + 1);
        if (strcmp(path, record->modules[k]) == 0) return k + 1;
    }
    return -1;
}

static void look_at(const struct loom_mapping_line *mapping)
{
    size_t length = strlen(mapping->path);
    if (mapping->file_offset == 0 && mapping->path[0] == '/' && length < sizeof file.path) {
        memcpy(file.path, mapping->path, length + 1);
        file.begin = mapping->begin;
    }
    if (file.begin == 0 || strcmp(file.path, mapping->path) != 0) return;
    for (uint32_t k = 0; k < walk.n_callers; k++) {
        if (walk.callers[k] < mapping->begin || walk.callers[k] >= mapping->end) continue;
        int module = module_of(file.path);
        struct loom_crash_frame *frame = &walk.record->frames[k];
        frame->offset = walk.callers[k] - loom_reporter_load_address(file.begin);
        frame->module = module >= 0 ? (uint32_t)module : UINT32_MAX;
    }
}

void loom_reporter_take_stack(struct loom_crash_shared *record)
{
    memset(&walk, 0, sizeof walk);
    walk.record = record;
    walk.thread = gettid();
    walk_stack();
    for (uint32_t k = 0; k < walk.n_callers; k++) record->frames[k].module = UINT32_MAX; /* in no file */
    if (walk.n_callers > 0) loom_reporter_walk_maps(look_at);
    /* release: the frames before their number; pairs with the program's wait for the death */
    __atomic_store_n(&record->n_frames, walk.n_callers, __ATOMIC_RELEASE);
}
