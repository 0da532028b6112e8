/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reporter_text.c - in the program: the sentence that tells what a dead worker wrote down.
 *
 * The record comes from shared memory of a process that had gone wrong: copied, ended, made printable before use.
 */
#include "backends/names.h"
#include "backends/reporter.h"
#include "shm/code.h"
#include "shm/segment.h"
#include "shm/window.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NULL_PAGES = 64 * 1024, CODE_KERNEL = 128 };

void loom_reporter_signal_name(int signal_number, char *text, size_t size)
{
    const char *name = sigabbrev_np(signal_number);
    if (name != NULL)
        (void)snprintf(text, size, "SIG%s", name);
    else
        (void)snprintf(text, size, "signal %d", signal_number);
}

static void make_printable(char *text, size_t size)
{
    text[size - 1] = '\0';
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text == 127) *text = '?';
}

/* Whether something is mapped at the address in this process. */
static bool is_mapped_here(uint64_t address)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    bool is_found = false;
    while (maps != NULL && !is_found && fgets(line, sizeof line, maps) != NULL) {
        uint64_t begin, end;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &begin, &end) == 2) is_found = address >= begin && address < end;
    }
    if (maps != NULL) (void)fclose(maps);
    return is_found;
}

static bool is_in_window(uint64_t address)
{
    void *pointer;
    memcpy(&pointer, &address, sizeof pointer);
    return loom_window_contains(pointer);
}

/* What a task wrote to that it may only read. */
static void explain_read_only(uint64_t address, char *text, size_t size)
{
    void *pointer;
    memcpy(&pointer, &address, sizeof pointer);
    const struct loom_segment *segment = loom_segment_of(pointer);
    const char *advice =
        segment != NULL && segment->access == LOOM_SEGMENT_MAP_READ
            ? " of a file that is mapped with mode r: map it with r+ (PARLOOM_MMAP_RW) for writes to "
              "reach the file, or with c (PARLOOM_MMAP_C) for each task to have them for itself"
            : ", which tasks may only read: pass it as inout or out, or set mmap_mode to c (PARLOOM_MMAP_C); or the "
              "task ran past the end of another argument";
    (void)snprintf(text, size, ", writing to an in argument%s", advice);
}

static void explain_address(const struct loom_crash_shared *record, char *text, size_t size)
{
    const char *doing = record->was_write != 0 ? "writing" : "reading";
    if (record->address == record->instruction && record->address_is != LOOM_CRASH_STACK)
        (void)snprintf(text, size,
                       ", calling what is no code: a function pointer that was not set, was overwritten, or came from "
                       "the program inside an argument: functions lie elsewhere in a worker");
    else if (record->code == CODE_KERNEL && record->address == 0)
        (void)snprintf(text, size, ", using a pointer that is no address: not set, freed, or overwritten");
    else if (record->address < NULL_PAGES)
        (void)snprintf(text, size, ", %s through a null pointer", doing);
    else if (record->address_is == LOOM_CRASH_STACK)
        (void)snprintf(text, size,
                       ", the stack overflowed: endless recursion, or local arrays too large for the stack "
                       "(raise it with ulimit -s, or allocate them)");
    else if (strstr(record->mapping, LOOM_CODE_LABEL) != NULL && record->was_write != 0)
        (void)snprintf(text, size, ", writing to published code, which nobody may change: its data belongs elsewhere");
    else if (is_in_window(record->address) && record->address_is == LOOM_CRASH_MAPPED && record->was_write != 0)
        explain_read_only(record->address, text, size);
    else if (is_in_window(record->address))
        (void)snprintf(text, size, ", %s shared memory that was freed or lies beyond its end", doing);
    else if (record->address_is == LOOM_CRASH_MAPPED)
        (void)snprintf(text, size, ", %s memory that does not allow it%s%s", doing,
                       record->mapping[0] != '\0' ? ": " : "", record->mapping);
    else if (is_mapped_here(record->address))
        (void)snprintf(text, size,
                       ", %s private memory of the program: allocate it with parloom_alloc or pass it as an "
                       "argument",
                       doing);
    else
        (void)snprintf(text, size, ", %s memory that is not there: a pointer not set, freed, or run past its array",
                       doing);
}

static void explain_bus(const struct loom_crash_shared *record, char *text, size_t size)
{
    if (record->code == BUS_ADRALN)
        (void)snprintf(text, size, ", an access that is not aligned");
    else
        (void)snprintf(
            text, size,
            ", mapped bytes that are not there: the task ran past the end of an argument, or the file %s was "
            "cut short, or its disk is full",
            record->mapping[0] != '\0' ? record->mapping : "behind the mapping");
}

static void explain_fpe(const struct loom_crash_shared *record, char *text, size_t size)
{
    static const struct {
        int code;
        const char *what;
    } causes[] = { { FPE_INTDIV, "an integer division by zero (or of the least integer by -1)" },
                   { FPE_INTOVF, "an integer overflow" },
                   { FPE_FLTDIV, "a floating-point division by zero, which was set to trap" },
                   { FPE_FLTOVF, "a floating-point overflow, which was set to trap" },
                   { FPE_FLTUND, "a floating-point underflow, which was set to trap" },
                   { FPE_FLTINV, "an invalid floating-point operation, which was set to trap" } };
    text[0] = '\0';
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
        if (record->code == causes[i].code) (void)snprintf(text, size, ", %s", causes[i].what);
}

static void explain(const struct loom_crash_shared *record, int signal_number, char *text, size_t size)
{
    text[0] = '\0';
    if (strcmp(record->mapping, "[sanitizer]") == 0)
        (void)snprintf(text, size, ", a sanitizer ended it: its report is in the worker's standard error");
    else if (signal_number == SIGABRT)
        (void)snprintf(text, size,
                       ", abort() was called: a failed assertion, an uncaught exception or a broken heap; see "
                       "the worker's standard error");
    else if (record->code <= 0)
        (void)snprintf(text, size, ", sent by raise or kill");
    else if (signal_number == SIGSEGV)
        explain_address(record, text, size);
    else if (signal_number == SIGBUS)
        explain_bus(record, text, size);
    else if (signal_number == SIGFPE)
        explain_fpe(record, text, size);
    else if (signal_number == SIGILL)
        (void)snprintf(text, size,
                       ", an instruction this processor does not have: a trap of the compiler, or code built "
                       "for another machine");
    else if (signal_number == SIGSYS)
        (void)snprintf(text, size, ", a system call that a filter forbids");
}

void loom_reporter_describe(const struct loom_crash_shared *record, int signal_number, char *text, size_t size)
{
    struct loom_crash_shared copy;
    memcpy(&copy, record, sizeof copy);
    make_printable(copy.module_path, sizeof copy.module_path);
    make_printable(copy.mapping, sizeof copy.mapping);
    if (size > 0) text[0] = '\0';
    if (copy.signal_number == 0 || copy.signal_number != (uint32_t)signal_number) return;

    char address[32] = "", where[640] = "", why[400];
    bool is_fault = copy.code > 0 && signal_number != SIGABRT;
    bool has_address = is_fault && (signal_number == SIGSEGV || signal_number == SIGBUS) && copy.code != CODE_KERNEL;
    if (has_address) (void)snprintf(address, sizeof address, " at 0x%" PRIx64, copy.address);
    if (is_fault && copy.module_path[0] == '/') {
        memcpy(where, " in ", 4);
        loom_name_of_code(copy.module_path, copy.module_offset, 1, 1, where + 4, sizeof where - 4);
    }
    explain(&copy, signal_number, why, sizeof why);
    (void)snprintf(text, size, "%s%s%s", address, where, why);
}

/* ------------------------------------------------------------------- callers */

static const char *module_of(const struct loom_crash_shared *record, uint32_t module)
{
    if (module == 0) return record->module_path;
    return module <= LOOM_CRASH_MODULES ? record->modules[module - 1] : "";
}

/* What the C and C++ libraries do on their way to abort() says nothing about the program. */
static bool is_of_a_runtime(const char *path)
{
    static const char *const runtimes[] = { "libc.so",     "libc-",     "libstdc++.so", "libpthread",
                                            "libgcc_s.so", "libc++.so", "libc++abi.so" };
    const char *name = strrchr(path, '/');
    if (name == NULL) return true;
    for (size_t k = 0; k < sizeof runtimes / sizeof runtimes[0]; k++)
        if (strncmp(name + 1, runtimes[k], strlen(runtimes[k])) == 0) return true;
    return false;
}

/* Without the " (solve.c:88)" at its end, and what a compiler appends to a part that it moved away. */
static size_t length_of_function(const char *name)
{
    const char *line = NULL, *colon = strrchr(name, ':');
    for (const char *at = name; colon != NULL && at < colon; at++)
        if (at[0] == ' ' && at[1] == '(') line = at;
    bool has_line = line != NULL && colon[1] >= '0' && colon[1] <= '9';
    size_t length = has_line ? (size_t)(line - name) : strlen(name);
    const char *cold = strstr(name, ".cold"), *clone = strstr(name, " [clone ");
    if (clone != NULL) cold = clone;
    return cold != NULL && (size_t)(cold - name) < length ? (size_t)(cold - name) : length;
}

static bool is_same_function(const char *a, const char *b)
{
    size_t length = length_of_function(a);
    return length > 0 && length == length_of_function(b) && strncmp(a, b, length) == 0;
}

void loom_reporter_describe_callers(const struct loom_crash_shared *record, int signal_number, const char *until,
                                    char *text, size_t size)
{
    struct loom_crash_shared copy;
    char last[256] = "";
    size_t used = 0;
    memcpy(&copy, record, sizeof copy);
    make_printable(copy.module_path, sizeof copy.module_path);
    for (int k = 0; k < LOOM_CRASH_MODULES; k++) make_printable(copy.modules[k], sizeof copy.modules[k]);
    if (size > 0) text[0] = '\0';
    bool is_known = copy.signal_number == (uint32_t)signal_number && copy.n_frames <= LOOM_CRASH_FRAMES;
    for (uint32_t k = 0; is_known && k < copy.n_frames && used < size; k++) {
        char name[256];
        const char *path = module_of(&copy, copy.frames[k].module);
        if (path[0] != '/' || is_of_a_runtime(path)) continue;
        loom_name_of_code(path, copy.frames[k].offset, 0, 1, name, sizeof name);
        if (strncmp(name, "loom_", 5) == 0) return; /* who called the body is no news */
        if (is_same_function(name, last)) continue;
        memcpy(last, name, sizeof last);
        used += (size_t)snprintf(text + used, size - used, "%s%s", used == 0 ? ", called from " : ", ", name);
        if (is_same_function(name, until)) return;
    }
}
