/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replacement.h - write a file that appears whole or not at all.
 *
 *   begin ── a file without a name in the target's folder ── the caller writes ── commit ── it has the target's name
 *                                                                             └─ abort ─── nothing was there
 *
 * What had the name before stays whole until commit puts the new file in its place in one step; who has the old one
 * open or mapped keeps the old bytes. Mode and, where allowed, owner of the old file are kept; links are followed.
 * A program that dies leaves nothing where the file system knows O_TMPFILE, unless it dies between the two last steps
 * of commit; else one hidden file. The next one that writes the same file removes it (base/hidden_name.h). Unless it is
 * asked for nothing is forced to the disk: a crash of the program is survived, a power cut is up to the file system.
 */
#ifndef LOOM_BASE_REPLACEMENT_H
#define LOOM_BASE_REPLACEMENT_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loom_replacement; /* one file being written */

/* nbytes: how long the file will be. INVALID IO; SPACE and LIMIT when it would not fit, before anything is written. */
parloom_status loom_replacement_begin(struct loom_replacement **replacement_out, const char *path, uint64_t nbytes,
                                      parloom_error *error);
int loom_replacement_fd(const struct loom_replacement *replacement); /* read-write; borrowed until commit or abort */
/* Asks commit to have the new file on the disk before it has the name, and the name before it returns. */
void loom_replacement_make_durable(struct loom_replacement *replacement);
/* Takes the replacement, whatever it returns. */
parloom_status loom_replacement_commit(struct loom_replacement *replacement, parloom_error *error);
void loom_replacement_abort(struct loom_replacement *replacement); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
