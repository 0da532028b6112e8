/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * version.h - which parloom this is: at compile time by macros, at run time by a function.
 */
#ifndef PARLOOM_VERSION_H
#define PARLOOM_VERSION_H

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

#define PARLOOM_VERSION_MAJOR  0
#define PARLOOM_VERSION_MINOR  1
#define PARLOOM_VERSION_PATCH  0
#define PARLOOM_VERSION_STRING "0.1.0"

/* One number that grows with every release: 0.1.0 is 100, 1.2.3 is 10203. For #if and for comparing. */
#define PARLOOM_VERSION_ENCODE(major, minor, patch) ((major)*10000 + (minor)*100 + (patch))
#define PARLOOM_VERSION_NUMBER \
    PARLOOM_VERSION_ENCODE(PARLOOM_VERSION_MAJOR, PARLOOM_VERSION_MINOR, PARLOOM_VERSION_PATCH)
/* #if PARLOOM_VERSION_GE(0, 2, 0): these headers are of that release or a later one. */
#define PARLOOM_VERSION_GE(major, minor, patch) (PARLOOM_VERSION_NUMBER >= PARLOOM_VERSION_ENCODE(major, minor, patch))

/*
 * Says which library is loaded, which need not be the one whose headers were compiled against.
 *
 * Returns: "0.1.0"; static, never NULL.
 * Errors:  none.
 * Threads: any thread; async-signal-safe.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/07_control.c
 */
const char *parloom_version(void);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
