/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment.h - get, fill, share and release a piece of shared memory; always reserved, never named.
 *
 * A segment is a file without a name (or a memfd) mapped in the window. The program maps it read-write; workers map
 * it as its access says: READ from a read-only descriptor, so that no mprotect makes it writable. MADV_DONTDUMP.
 *
 * Where: the folder that was asked for; else /dev/shm if the reservation fits; else a memfd; else the system's
 * temporary folder. Space is reserved before use: full means PARLOOM_ERR_SPACE, never SIGBUS.
 *
 * Publication: the listener hears of a new segment first, then the table entry is written, then the epoch is raised:
 * a worker that sees the epoch can get the descriptor. Removal the other way round.
 */
#ifndef LOOM_SHM_SEGMENT_H
#define LOOM_SHM_SEGMENT_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

enum loom_segment_access {
    LOOM_SEGMENT_READ = 1,  /* workers map it PROT_READ, or MAP_PRIVATE for mmap_mode c */
    LOOM_SEGMENT_WRITE = 2, /* workers map it read-write */
    /* Sealed when it was filled, a memfd always (the folder is its label): nobody writes to it any more, the program
     * neither. */
    LOOM_SEGMENT_CODE = 3, /* mapped to be read and executed */
    LOOM_SEGMENT_FILE = 4, /* the bytes of a library, mapped to be read */
    /* A part of a file of the user's, mapped alike in the program and in workers. Its bytes are never copied, reserved
     * or freed here (segment_file.c). */
    LOOM_SEGMENT_MAP_READ = 5,   /* mode r: read-only for everybody */
    LOOM_SEGMENT_MAP_WRITE = 6,  /* modes r+ and w+: what anybody writes is the file's */
    LOOM_SEGMENT_MAP_PRIVATE = 7 /* mode c: each process has what it wrote for itself */
};

struct loom_fill_source; /* shm/fill.h */

struct loom_segment {
    uint32_t id;         /* slot in the table */
    uint32_t generation; /* counts the uses of that slot, from 1 */
    enum loom_segment_access access;
    int fd;               /* the program's, read-write */
    int worker_fd;        /* what workers get: fd, or a read-only description of the same file */
    char *address;        /* in the window, mapped read-write in the program */
    size_t nbytes;        /* room, a multiple of 2 MiB of addresses; the file is as long as what was asked, in pages. Of
                             a mapped file: whole pages */
    uint64_t file_offset; /* where the file is mapped from, whole pages; 0 but for mapped files */
    size_t used_nbytes;   /* what the creator asked for */
    char place[64];       /* "/dev/shm", "memfd", or the folder (cut) */
    void *owner;          /* of whoever made it: an arena, a spill; segment.c does not look at it */
    void *internal;
};

/* Whether segments can be made in that folder, as far as a look tells. INVALID: it is no folder. */
parloom_status loom_segment_check_folder(const char *folder, parloom_error *error);
/* Reserved and zero-filled; what is kept warm gives way where room lacks. folder NULL: the usual order. SPACE LIMIT IO
 * MEMORY INVALID (folder is no folder), UNSUPPORTED (CODE: the system forbids to execute it). */
parloom_status loom_segment_create(size_t nbytes, enum loom_segment_access access, const char *folder,
                                   struct loom_segment **segment_out, parloom_error *error);
/* The same, but its bytes are those of data (copied by the fastest way the place allows) lead bytes behind its start,
 * so that a copy can lie as the original does modulo 64. A warm segment of the same place and access and of fitting
 * size is used again where one was kept. Reserved as it goes. data NULL: they are whatever is there. */
parloom_status loom_segment_create_copy(const void *data, size_t nbytes, size_t lead, enum loom_segment_access access,
                                        const char *folder, struct loom_segment **segment_out, parloom_error *error);
/* The same, of what a source has. It brings its bytes before this returns, on this thread. */
parloom_status loom_segment_create_filled(const struct loom_fill_source *source, size_t lead,
                                          enum loom_segment_access access, const char *folder,
                                          struct loom_segment **segment_out, parloom_error *error);
/* NULL is fine. keep: hold it warm for reuse, within budgets of bytes and descriptors; else unmapped and its memory
 * freed now; a mapped file when nobody holds it any more. */
void loom_segment_release(struct loom_segment *segment, bool keep);
/* Maps [offset, offset + nbytes) of a file in the window; offset: whole pages. The descriptor stays the caller's, and
 * must be open as the access needs. 0 or an errno: ENOMEM, or (EMFILE, EADDRNOTAVAIL, ...) it cannot be shared with
 * workers now, and may be mapped elsewhere. */
int loom_segment_map_file(int fd, uint64_t offset, size_t nbytes, enum loom_segment_access access,
                          struct loom_segment **segment_out);
static inline bool loom_segment_is_mapped_file(enum loom_segment_access access)
{
    return access >= LOOM_SEGMENT_MAP_READ && access <= LOOM_SEGMENT_MAP_PRIVATE;
}
/* The mapped file of this process at the address, NULL where there is none; it stays mapped until it is released once
 * more. */
struct loom_segment *loom_segment_hold_file(const void *address);
/* MAP_PRIVATE: whether this process has written to these bytes, so that they are no longer the file's; true also where
 * the system does not tell. */
bool loom_segment_is_changed(const void *address, size_t nbytes);
/* Called, under no lock, when a mapped file has been taken out of the table: workers that sleep may let go of it. Set
 * while there is one thread. */
void loom_segment_set_file_waker(void (*wake)(void));
/* Whether the file is still as long as what is mapped of it: beyond its end is SIGBUS. */
bool loom_segment_is_whole(const struct loom_segment *segment);
void loom_segment_trim(void); /* free all that is kept warm */
/* Which live segment holds this address, or NULL. Any thread. */
struct loom_segment *loom_segment_of(const void *address);
/* Idempotent; before a file above registers its own fork handlers, so that locks are taken from above to below. */
void loom_segment_watch_forks(void);
size_t loom_segment_live_count(void); /* kept ones included */
size_t loom_segment_live_nbytes(void);

/* Who hands descriptors to workers. Called with the registry locked: must not call these functions. Setting it reports
 * all live segments at once; NULL takes it away. */
struct loom_segment_listener {
    void (*added)(const struct loom_segment *segment, void *state);
    void (*removed)(uint32_t id, uint32_t generation, void *state);
    void *state;
};
void loom_segment_set_listener(const struct loom_segment_listener *listener);

/* ---- in a worker (window attached) */

/* A descriptor of the segment that holds the address, as workers get it, for the caller to close; -1 and errno. */
int loom_segment_descriptor(const void *address);
const void *loom_segment_epoch_word(void); /* the epoch, an _Atomic uint64_t, for one acquire load a task; or NULL */
uint64_t loom_segment_epoch(void);
uint64_t loom_segment_synced_epoch(void); /* up to which this process has mapped */
/* Maps what is new and unmaps what is gone. fetch fills fds_out (read-write or read-only as the program gave them;
 * -1: gone meanwhile) for count segment ids, returns 0 or an errno. */
typedef int (*loom_segment_fetch)(const uint32_t *ids, const uint32_t *generations, size_t count, int *fds_out,
                                  void *state);
parloom_status loom_segment_sync(loom_segment_fetch fetch, void *state, parloom_error *error);
/* Maps nbytes of the segment that holds address once more, private and writable (mmap_mode c); restore drops what was
 * written there, so that the next task sees the program's bytes again. NULL and errno on failure. Its offset within a
 * page is that of address. In a worker MAP_PRIVATE is that already: it is the address itself. */
void *loom_segment_map_private(const void *address, size_t nbytes);
int loom_segment_restore_private(void *mapping, size_t nbytes);
void loom_segment_unmap_private(void *mapping, size_t nbytes);

#ifdef __cplusplus
}
#endif
#endif
