/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status.h - fill, clear and carry one error record.
 *
 * The first function that knows what went wrong says it, with what, where, why and what to try; callers forward.
 * Outputs are set only on success. error may be NULL everywhere.
 */
#ifndef LOOM_BASE_STATUS_H
#define LOOM_BASE_STATUS_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Fills error (task PARLOOM_NO_TASK, worker -1) and returns status. sys_errno 0: no system call was involved;
 * else "%m" in the format stands for its text. */
parloom_status loom_status_fail(parloom_error *error, parloom_status status, int sys_errno, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* "%m" is glibc's, not ISO C's: without the mark -Wpedantic refuses the format at every call. */
#ifndef __clang_analyzer__
#define loom_status_fail(...) __extension__ loom_status_fail(__VA_ARGS__)
#else
/* Analysers look at one file at a time: here they see that a failure is not PARLOOM_OK. */
#define loom_status_fail(error, status, ...)                 \
    __extension__({                                          \
        parloom_status seen_ = (status);                     \
        (void)(loom_status_fail)(error, seen_, __VA_ARGS__); \
        seen_ != PARLOOM_OK ? seen_ : PARLOOM_ERR_INTERNAL;  \
    })
#endif
/* The status that fits an errno: ENOSPC and EDQUOT SPACE, ENOMEM MEMORY, EMFILE ENFILE EFBIG EAGAIN LIMIT, else IO. */
parloom_status loom_status_of_errno(int sys_errno);
void loom_status_clear(parloom_error *error);
/* Leaves at most length bytes of a text, and no part of a character (UTF-8). */
void loom_status_cut(char *text, size_t length);

#ifdef __cplusplus
}
#endif
#endif
