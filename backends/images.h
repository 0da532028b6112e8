/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * images.h - libraries by value: the bytes of a library as they are in the program, kept in a sealed memory file that
 * workers open as they would open the library.
 *
 * A library is what its bytes are: an image belongs to a loaded library when all that is mapped of it and cannot be
 * written, build-id and code among it, is the same in both.
 */
#ifndef LOOM_BACKENDS_IMAGES_H
#define LOOM_BACKENDS_IMAGES_H

#include "backends/modules.h"

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The program: the image of a loaded library, in shared memory; taken from its file when it is first asked for. The
 * file may be gone later. FUNCTION: it is gone or another one already. MEMORY SPACE LIMIT IO. Any thread. */
parloom_status loom_image_take(const struct loom_module *module, uint64_t *address_out, uint64_t *nbytes_out,
                               parloom_error *error);
/* Lets go of images whose library is not loaded any more. */
void loom_image_trim(void);

/* A worker: where that library is loaded; it is opened if it is not there yet, and stays. name is for messages. */
parloom_status loom_image_open(uint64_t address, uint64_t nbytes, const char *name, uint64_t *base_out,
                               parloom_error *error);

/* Of a path as the maps have it: the file that has the bytes of the image, for as long as it lives. false: no image. */
bool loom_image_file(const char *path, char *file, size_t size);

#ifdef __cplusplus
}
#endif
#endif
