/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * file.h - EINTR-safe I/O, files without a name, space that is reserved before it is used.
 * Functions that return int give 0 or an errno. Descriptors are close-on-exec and at least 3.
 */
#ifndef LOOM_BASE_FILE_H
#define LOOM_BASE_FILE_H

#include <parloom/parloom.h>

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

int loom_file_write_all(int fd, const void *data, size_t nbytes, uint64_t offset); /* pwrite, whole or errno */
int loom_file_read_all(int fd, void *data, size_t nbytes, uint64_t offset);        /* ENODATA: the file ends before */
/* A read-write file in folder that has no name: O_TMPFILE, else O_EXCL with a random name that is unlinked at once.
 * Mode 0600. IO or SPACE with the folder in the message. */
parloom_status loom_file_open_nameless(const char *folder, int *fd_out, parloom_error *error);
/* The system's folder for temporary files: TMPDIR, TMP, TEMP (secure_getenv; existing folders only), else /tmp. */
const char *loom_file_system_folder(void);
/* Extends the file to offset + nbytes and reserves the space in steps of at most 64 MiB, EINTR-safe, SIGXFSZ blocked;
 * where the file system cannot reserve (EOPNOTSUPP), writes zeros. ENOSPC, EDQUOT, EFBIG, ... */
int loom_file_reserve(int fd, uint64_t offset, uint64_t nbytes);
/* A second, read-only description of the same file; after it a non-root process cannot reopen it for writing
 * (mode 0400). -1 and errno on failure. */
int loom_file_reopen_read_only(int fd);
/* What a descriptor stands for: tells it from another file that took its number after somebody closed it. */
struct loom_file_identity {
    uint64_t device, inode;
    uint32_t mode;
};
void loom_file_identify(int fd, struct loom_file_identity *identity_out); /* not open: all zero, which no file has */
bool loom_file_is_still(int fd, const struct loom_file_identity *identity);
int loom_file_move_up(int fd);         /* the same file at a descriptor >= 3, close-on-exec; the old one is closed */
bool loom_file_is_tmpfs(int fd);       /* tmpfs, memfd and /dev/shm: the huge-page way is worth trying */
uint64_t loom_file_free_bytes(int fd); /* of its file system; UINT64_MAX: not known or not limited */
/* A small file (procfs, cgroupfs) as text, NUL-terminated and cut to size; length, or -1. */
ssize_t loom_file_read_text(const char *path, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
