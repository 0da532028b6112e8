/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reporter.h - what a worker writes down before a signal kills it, and the sentence the program makes of it.
 */
#ifndef LOOM_BACKENDS_REPORTER_H
#define LOOM_BACKENDS_REPORTER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_CRASH_FRAMES = 12, LOOM_CRASH_MODULES = 3, LOOM_CRASH_PATH_BYTES = 320 };

/* One that called what crashed. */
struct loom_crash_frame {
    uint64_t offset; /* in its module, as module_offset; of the call, not behind it */
    uint32_t module; /* 0: module_path; k: modules[k - 1] */
    uint32_t reserved;
};

/*
 * Lives in shared memory (one per worker; layout version 2). The worker's handler writes it, signal last (release);
 * the program reads it after the worker's death, as data that may be rubbish.
 */
struct loom_crash_shared {
    uint32_t signal_number; /* 0: nothing was reported */
    int32_t code;           /* si_code */
    uint64_t address;       /* si_addr */
    uint64_t instruction;
    uint64_t stack_pointer;
    uint32_t was_write;
    uint32_t address_is;    /* enum loom_crash_address, as the worker's maps say */
    uint64_t module_offset; /* of the instruction in its module (file offset based load address) */
    char module_path[512];  /* "" unknown */
    char mapping[128];      /* what the maps say at the address: path, [stack], [heap], ""  */
    /* Who called it, innermost first; written after signal_number, so there may be none. */
    uint32_t n_frames, reserved;
    struct loom_crash_frame frames[LOOM_CRASH_FRAMES];
    char modules[LOOM_CRASH_MODULES][LOOM_CRASH_PATH_BYTES];
};

enum loom_crash_address { LOOM_CRASH_UNMAPPED, LOOM_CRASH_MAPPED, LOOM_CRASH_STACK };

/* In a worker: alternate stack and handlers for SEGV BUS FPE ILL ABRT TRAP SYS, only over SIG_DFL; also the sanitizer
 * death callback where one is loaded. The record stays the caller's. */
void loom_reporter_install(struct loom_crash_shared *record);

/*
 * In the program: " at 0x7f31c0de0010 in solve+0x2c (solve.c:88), reading private memory of the program: allocate it
 * with parloom_alloc or pass it as an argument". signal_number as waited for; record may be empty or rubbish (checked).
 * Tells apart: write to an in argument (the window, read-only), null pointer, private memory (mapped in this
 * process), stack overflow (address near the stack pointer), non-canonical pointer (code 128), SIGBUS.
 */
void loom_reporter_describe(const struct loom_crash_shared *record, int signal_number, char *text, size_t size);
/* ", called from step (solve.c:41), solve (solve.c:97)", as far as until, the name of the body; "": nobody is known.
 * Frames of the C and C++ libraries, and of the same function in a row, are passed over. */
void loom_reporter_describe_callers(const struct loom_crash_shared *record, int signal_number, const char *until,
                                    char *text, size_t size);
/* "SIGSEGV"; "signal 42" for those without a name. */
void loom_reporter_signal_name(int signal_number, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
