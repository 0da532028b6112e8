/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * named.h - arrays with a name in /dev/shm: their bytes, their locks, how the name appears and goes.
 *
 *   named_header.c   what the file begins with: written once, checked by who opens it
 *   named_file.c     the folder, names, opening what has one, locks
 *   named_make.c     a file that gets its name when it is whole
 *   named_clean.c    taking names away: asked for, or because their owner has ended
 *   named.c          create and open
 *
 * Two locks of open file descriptions (fcntl, F_OFD_SETLK) lie on bytes of the header; the kernel gives them back when
 * the last descriptor of the description is closed, so that neither a kill nor a number of a process that is used again
 * leaves a wrong one:
 *
 *   OWNER    held by who made the array, on a description that is handed to nobody, from before the name appears until
 *            the array is released. It is never taken again: whoever finds it free knows that there is no owner.
 *   REMOVAL  held while somebody looks whether the name still stands for this file, and takes it away if so: a name
 *            that was freed and given to another array in between keeps that.
 */
#ifndef LOOM_SHM_NAMED_H
#define LOOM_SHM_NAMED_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOOM_NAMED_FOLDER "/dev/shm"
enum { LOOM_NAMED_VERSION = 1, LOOM_NAMED_DATA_OFFSET = 4096, LOOM_NAMED_ALIGNMENT = 64 };

/*
 * The first bytes of the file; zeros follow up to LOOM_NAMED_DATA_OFFSET. docs/named-arrays.md describes it.
 *
 * Written  by who makes the array, before the file has a name, and never again.
 * Read     once by who opens it, into memory of his own (pread): other programs may write here at any time, and what
 *          was checked must be what is used.
 */
struct loom_named_shared {
    char magic[8];         /* "\223PARLOOM" */
    uint32_t byte_order;   /* 0x01020304 */
    uint32_t version;      /* LOOM_NAMED_VERSION */
    uint64_t file_nbytes;  /* of the whole file */
    uint64_t data_offset;  /* LOOM_NAMED_DATA_OFFSET */
    uint64_t first_offset; /* of the item [0, ..., 0]; a multiple of LOOM_NAMED_ALIGNMENT */
    uint32_t dtype;
    uint32_t ndim;
    uint64_t item_nbytes;
    uint64_t made_ns; /* since 1970; for people */
    uint64_t shape[PARLOOM_MAX_NDIM];
    int64_t strides[PARLOOM_MAX_NDIM];
    uint32_t maker_pid; /* for people: it may be another process by now */
    uint32_t reserved[13];
    uint64_t checksum; /* FNV-1a of all bytes before it: tells a header that was written over */
};

/* What of the file is mapped. */
struct loom_named_part {
    uint64_t offset;
    size_t nbytes;
    size_t before; /* of them lie before the item [0, ..., 0] */
};

/* ---- named_header.c */

/* Describes an array (all but data). INVALID: it makes no sense, or no file can be as long. */
parloom_status loom_named_describe(struct loom_named_shared *header_out, struct loom_named_part *part_out,
                                   const parloom_array *array, parloom_error *error);
bool loom_named_has_magic(const struct loom_named_shared *header);
/* Checks a copy of a header against the length of its file. FORMAT VERSION. */
parloom_status loom_named_check(const struct loom_named_shared *header, uint64_t file_nbytes, const char *name,
                                parloom_array *array_out, struct loom_named_part *part_out, parloom_error *error);

/* ---- named_file.c */

enum loom_named_lock { LOOM_NAMED_OWNER = 0, LOOM_NAMED_REMOVAL = 1 }; /* the byte that is locked */

parloom_status loom_named_check_name(const char *name, parloom_error *error);
parloom_status loom_named_open_folder(int *folder_fd_out, parloom_error *error);
/* access: O_RDONLY or O_RDWR. IO LIMIT; IO EPERM: another user's; FORMAT: no regular file. */
parloom_status loom_named_open(int folder_fd, const char *name, int access, int *fd_out, uint64_t *nbytes_out,
                               parloom_error *error);
/* A copy of the header. FORMAT: the file is no named array; IO. */
parloom_status loom_named_read(int fd, uint64_t nbytes, const char *name, struct loom_named_shared *header_out,
                               parloom_error *error);
/* 0, EAGAIN: somebody else has it, or another errno. fd is open for writing. Given back when it is closed. */
int loom_named_lock(int fd, enum loom_named_lock lock);
bool loom_named_is_locked(int fd, enum loom_named_lock lock); /* looks, and takes nothing */
parloom_status loom_named_refuse_lock(const char *name, int failed, parloom_error *error);

/* ---- named_make.c */

enum { LOOM_NAMED_HIDDEN_NBYTES = 40 };

struct loom_named_making {
    int folder_fd;
    int owner_fd; /* holds the lock of the owner */
    int map_fd;   /* another description of the same file: workers may have it, and must not hold the lock */
    const char *name;
    char hidden[LOOM_NAMED_HIDDEN_NBYTES]; /* where files without a name cannot be given one; "": it has none */
};

/* Names that files have while they are made have this form, and no others. */
bool loom_named_is_hidden(const char *name);
/* A file of that many bytes, reserved, with the header, locked, and without its name. SPACE LIMIT IO UNSUPPORTED. */
parloom_status loom_named_begin(struct loom_named_making *making, const char *name,
                                const struct loom_named_shared *header, parloom_error *error);
/* Gives it the name, in one step. IO EEXIST: it is taken. */
parloom_status loom_named_publish(struct loom_named_making *making, parloom_error *error);
/* Closes what is open (-1: not); a file that was not published is gone. */
void loom_named_end(struct loom_named_making *making);

#ifdef __cplusplus
}
#endif
#endif
