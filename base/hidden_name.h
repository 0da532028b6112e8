/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hidden_name.h - the name that a new file has on its way to its own, and what a dead writer left under it.
 *
 *   .parloom-<digest of the own name>-<k>.tmp     k counts from 0 until a name is free
 *
 * A writer holds flock on its file as long as it lives. Who gets that lock knows that nobody writes any more, and
 * removes the file: so the next writer of the same name finds what the last one left, without listing the folder.
 * After some names in use the next ones are random: nobody can take them all beforehand.
 */
#ifndef LOOM_BASE_HIDDEN_NAME_H
#define LOOM_BASE_HIDDEN_NAME_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_HIDDEN_NAME_NBYTES = 48, LOOM_HIDDEN_NAME_TRIES = 100 };

/* The k-th name for a file that will be called name; false, and errno: no random number. */
bool loom_hidden_name_make(char hidden_out[LOOM_HIDDEN_NAME_NBYTES], const char *name, unsigned k);
/* Marks fd as of a living writer until it is closed; false: a sweep took it for a leftover, it has no name now or soon.
 * Where a file system knows no locks it is true, and no sweep removes anything. */
bool loom_hidden_name_hold(int fd);
/* Removes what dead writers of this user left in the folder on the way to name. errno stays. */
void loom_hidden_name_sweep(int folder_fd, const char *name);

#ifdef __cplusplus
}
#endif
#endif
