/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mapping.h - map a file of the user's with the modes r, r+, w+, c.
 *
 * Such mappings lie in the window, so that workers map the same file at the same address, and calls copy nothing
 * (shm/segment_file.c). Where that cannot be (the window is not to be had, or half of the descriptors are taken by
 * files) they lie where the system puts them, and each call copies what it needs. The file is the user's: another
 * program that shortens it while it is mapped makes later accesses fail with SIGBUS, as with any mapped file.
 */
#ifndef LOOM_SHM_MAPPING_H
#define LOOM_SHM_MAPPING_H

#include "shm/segment.h"

#ifdef __cplusplus
extern "C" {
#endif

struct loom_mapping {
    void *start;                  /* page-aligned; NULL: nothing is mapped */
    size_t nbytes;                /* of the mapping */
    void *data;                   /* the byte at the offset that was asked for */
    struct loom_segment *segment; /* NULL: workers do not see it */
};

/* Opens a regular file that exists, for reading or, with RW and W, also for writing; never blocks, never truncates.
 * IO LIMIT; INVALID: no regular file. */
parloom_status loom_mapping_open_file(const char *path, parloom_mmap_mode mode, int *fd_out, uint64_t *file_nbytes_out,
                                      parloom_error *error);
/* Maps [offset, offset + nbytes) of the file, which must be as long; any offset. R: read-only; RW and W: shared, holes
 * of the file are reserved first, so that a full disk is SPACE here and no SIGBUS later; C: private. The descriptor
 * stays the caller's and may be closed. path: for messages. nbytes 0 maps nothing. */
parloom_status loom_mapping_create(struct loom_mapping *mapping_out, const char *path, int fd, parloom_mmap_mode mode,
                                   uint64_t offset, size_t nbytes, parloom_error *error);
void loom_mapping_destroy(struct loom_mapping *mapping);
/* The flags of enum loom_array_flag that a mode gives to its array. */
unsigned loom_mapping_flags(parloom_mmap_mode mode);
/* Is it a mode at all? INVALID with its number. */
parloom_status loom_mapping_check_mode(parloom_mmap_mode mode, parloom_error *error);

#ifdef __cplusplus
}
#endif
#endif
