/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status.h - how a call says what went wrong: a code that programs can compare, and a record that people can read.
 *
 * Every function that can fail returns PARLOOM_OK (0) or a negative code, and takes a parloom_error * as its last
 * argument. That may be NULL; otherwise it is filled on failure and cleared on success.
 */
#ifndef PARLOOM_STATUS_H
#define PARLOOM_STATUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/*
 * All codes in one table: entry(name, value, sentence). -1 to -11 refuse or break a call; -20 to -25 say how tasks
 * ended; a call has the code of its first failed task. docs/errors.md says for each what to do. Values are never
 * given to another meaning.
 */
/* clang-format off */
#define PARLOOM_STATUS_MAP(entry)                                                                               \
    entry(PARLOOM_OK, 0, "success")                                                                             \
    entry(PARLOOM_ERR_INVALID, -1, "an argument or option makes no sense")                                      \
    entry(PARLOOM_ERR_MEMORY, -2, "out of memory: malloc or mmap failed")                                       \
    entry(PARLOOM_ERR_SPACE, -3, "no room in /dev/shm, the memory cgroup or the temporary folder")              \
    entry(PARLOOM_ERR_LIMIT, -4, "a resource limit was reached: descriptors, processes, mappings or file size") \
    entry(PARLOOM_ERR_IO, -5, "a system call failed")                                                           \
    entry(PARLOOM_ERR_FORMAT, -6, "a file is not what it claims to be")                                         \
    entry(PARLOOM_ERR_VERSION, -7, "a worker, module or file is of another build")                              \
    entry(PARLOOM_ERR_UNSUPPORTED, -8, "this backend or build cannot do what was asked")                        \
    entry(PARLOOM_ERR_FUNCTION, -9, "the function cannot be reached from a worker")                             \
    entry(PARLOOM_ERR_BUSY, -10, "the handle already runs something that excludes this")                        \
    entry(PARLOOM_ERR_CALLBACK, -11, "a callback of the program failed")                                        \
    entry(PARLOOM_ERR_TASK, -20, "a task returned a value other than zero")                                     \
    entry(PARLOOM_ERR_CRASHED, -21, "a worker died of a signal in a task")                                      \
    entry(PARLOOM_ERR_EXITED, -22, "a task ended its process")                                                  \
    entry(PARLOOM_ERR_TIMEOUT, -23, "a task or the whole call ran past its limit")                              \
    entry(PARLOOM_ERR_CANCELLED, -24, "not run, or stopped on request")                                         \
    entry(PARLOOM_ERR_POOL, -25, "workers cannot be kept alive")                                                \
    entry(PARLOOM_ERR_INTERNAL, -99, "a defect in parloom")
/* clang-format on */

#define PARLOOM_STATUS_ENUMERATOR(name, value, sentence) name = (value),
typedef enum parloom_status { PARLOOM_STATUS_MAP(PARLOOM_STATUS_ENUMERATOR) } parloom_status;
#undef PARLOOM_STATUS_ENUMERATOR

/* Refuses to compile under -fshort-enums: enums are as wide as int, also for other languages. */
typedef char parloom_enums_are_ints[sizeof(parloom_status) == sizeof(int) ? 1 : -1];

#define PARLOOM_NO_TASK SIZE_MAX /* in parloom_error.task: no task was involved */

enum { PARLOOM_MESSAGE_BYTES = 1024 };

/* One failure: plain data, without pointers, to be copied at will. The message alone is enough for people. */
typedef struct parloom_error {
    parloom_status status;
    int code;             /* TASK: what the task returned; EXITED: the exit code; CALLBACK: what it returned */
    int sys_errno;        /* 0: no system call was involved */
    int signal;           /* 0: no signal was involved */
    int worker;           /* number of the worker, -1: none */
    int pid;              /* its process id, 0: none */
    int attempt;          /* which run of the task it was: 0, then 1 .. for retries */
    size_t task;          /* index of the task, PARLOOM_NO_TASK: none */
    uint64_t address;     /* that faulted, 0: none, or not known */
    uint64_t peak_nbytes; /* most memory the worker ever held, in bytes; 0: not known */
    uint64_t reserved[4];
    char message[PARLOOM_MESSAGE_BYTES]; /* what, where, why, what to try; ends in a NUL, also when it was cut */
} parloom_error;

/*
 * Names a status.
 *
 * status   any value, also one that is no status
 *
 * Returns: "PARLOOM_ERR_CRASHED" and so on, a fixed text for other values; static, never NULL.
 * Errors:  none.
 * Threads: any thread, also in a task body; async-signal-safe.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/04_crash.c
 */
const char *parloom_status_name(parloom_status status);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
