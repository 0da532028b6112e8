/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * published.h - ranges whose owner promised not to change them: one copy serves every call.
 *
 * The copy is made when a call first needs it, and lives until the promise is taken back and no call uses it.
 * parloom_publish and parloom_unpublish are implemented in published.c.
 */
#ifndef LOOM_SHM_PUBLISHED_H
#define LOOM_SHM_PUBLISHED_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loom_published;

/* The range that is published and holds [data, data + nbytes): it is in use until released. NULL: none. Two loads
 * when nothing is published. */
struct loom_published *loom_published_acquire(const void *data, size_t nbytes);
/* Where the bytes at data are in its copy; makes the copy if there is none yet and adds its size to *made_nbytes. The
 * folder counts for the call that makes it. SPACE, LIMIT, MEMORY, IO, INVALID. */
parloom_status loom_published_copy(struct loom_published *published, const void *data, const char *folder,
                                   void **shared_out, size_t *made_nbytes, parloom_error *error);
const char *loom_published_place(const struct loom_published *published); /* of its copy, which exists */
void loom_published_release(struct loom_published *published);            /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
