/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * codec_library.h - libraries of others that compress, opened when they are first needed: workers start no later for
 * them, and a program that never compresses does not need them.
 */
#ifndef LOOM_REST_CODEC_LIBRARY_H
#define LOOM_REST_CODEC_LIBRARY_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loom_codec_library {
    const char *file;         /* "libz.so.1" */
    const char *package;      /* Debian's, that has it */
    const char *const *names; /* of its functions, NULL at the end */
    void *calls;              /* a struct of as many pointers to functions, in that order */
    bool is_open;             /* under a lock of codec_library.c, as is calls until it is */
};

/* Opens the library unless that was done; it stays open. UNSUPPORTED: it, or one of the functions, is not there. */
parloom_status loom_codec_library_open(struct loom_codec_library *library, parloom_error *error);

#ifdef __cplusplus
}
#endif
#endif
