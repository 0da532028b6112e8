/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * directory.h - the working directory as it travels: recognised by what it is, not by its path, and entered through a
 * descriptor, so that it may have been renamed, removed or hidden meanwhile.
 *
 * The supervisor, and so every new worker, begins where the program was when it started the supervisor: home. Another
 * directory is lent to the supervisor as a descriptor, and workers fetch it there.
 */
#ifndef LOOM_BACKENDS_DIRECTORY_H
#define LOOM_BACKENDS_DIRECTORY_H

#include "shm/segment.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Lies in letters too: fixed width. The time of birth tells a directory from one that was made anew in its place. */
struct loom_directory_identity {
    uint64_t device, inode, born_ns;
};

/* Where this process is now; false: it cannot be said. */
bool loom_directory_identify(struct loom_directory_identity *identity_out);
bool loom_directory_is_same(const struct loom_directory_identity *a, const struct loom_directory_identity *b);

/* ---- in the program */

struct loom_directory; /* a directory that calls need; counted by who holds it: not this file's business */

/* Where the program is now; what workers cannot reach from home is lent. NULL: MEMORY. */
struct loom_directory *loom_directory_open(parloom_error *error);
void loom_directory_close(struct loom_directory *directory); /* NULL is fine */
const struct loom_directory_identity *loom_directory_identity_of(const struct loom_directory *directory);
const char *loom_directory_path(const struct loom_directory *directory); /* "" where it has none */
uint32_t loom_directory_number(const struct loom_directory *directory);  /* under which it is lent */

void loom_directory_note_home(void); /* before a supervisor is started */
void loom_directory_lend_all(void);  /* when it runs */

/* ---- in a worker */

/* Goes there. IO: it cannot be reached. */
parloom_status loom_directory_enter(const struct loom_directory_identity *identity, uint32_t number, const char *path,
                                    loom_segment_fetch fetch, void *fetch_state, parloom_error *error);

#ifdef __cplusplus
}
#endif
#endif
