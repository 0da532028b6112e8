/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment_record.h - what the files of segments know of a segment beyond what its users see.
 *
 * segment.c        the registry: slots, index of addresses, listener
 * segment_place.c  which folder or memfd, and the message when none has room
 * segment_code.c   sealing code and libraries
 * segment_file.c   files of the user's
 * segment_warm.c   which released segments are kept
 * segment_table.c  the table workers read, and what a worker maps by it
 */
#ifndef LOOM_SHM_SEGMENT_RECORD_H
#define LOOM_SHM_SEGMENT_RECORD_H

#include "shm/fill.h"
#include "shm/segment.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_SEGMENT_SLOTS = 8128 }; /* at most as many segments at once: the table fits the window's header */

/* A folder that was asked for. The same text names another one when the working folder has changed since, or what was
 * there was moved or mounted over. */
struct loom_segment_folder {
    const char *path;       /* NULL: the usual order */
    uint64_t device, inode; /* that the path led to when it was asked for; 0: to none */
};

struct loom_segment_record {
    struct loom_segment segment;       /* segment.internal points back here */
    uint64_t file_nbytes;              /* reserved: whole pages */
    struct loom_segment_folder folder; /* the path is its own */
    uint32_t fork_count;          /* of the process that made it: a child of fork must not free the parent's bytes */
    bool is_attached;             /* in a worker: the program's segment */
    bool is_kept;                 /* released, and warm */
    bool is_in_memory;            /* tmpfs or memfd */
    parloom_memory_policy policy; /* that its pages were reserved by */
    int private_fd;               /* in a worker, for private maps; -1: not asked for yet */
    uint32_t holds;               /* of a mapped file, beside its owner's; under the lock */
    struct loom_segment_record *older, *newer; /* while kept */
};

static inline struct loom_segment_record *loom_segment_record_of(const struct loom_segment *segment)
{
    return (struct loom_segment_record *)segment->internal;
}

/* ---- segment.c */

void loom_segment_lock(void);
void loom_segment_unlock(void);
/* A record that has neither place nor slot yet; folder: a copy is its own, or NULL. NULL: no memory. */
struct loom_segment_record *loom_segment_record_make(enum loom_segment_access access, const char *folder);
/* Gives it a slot, and tells workers; takes the lock. LIMIT MEMORY. */
parloom_status loom_segment_enroll(struct loom_segment_record *record, parloom_error *error);
/* Unmaps, closes and frees; under no lock, after it left the registry. */
void loom_segment_discard(struct loom_segment_record *record);
/* Takes it out of slot, index and table; under the lock. */
void loom_segment_withdraw(struct loom_segment_record *record);

/* ---- segment_index.c: which record lies at an address. Lookups take no lock. */

bool loom_segment_index_set(struct loom_segment_record *record); /* false: no memory */
void loom_segment_index_clear(const struct loom_segment_record *record);
struct loom_segment_record *loom_segment_index_find(const void *address);

/* ---- segment_place.c */

/* Where path leads now; NULL: the usual order. The path is borrowed by the result. */
struct loom_segment_folder loom_segment_place_look(const char *path);
/* Opens a file, maps it in the window, reserves space for what the source has and brings it to lead bytes behind its
 * start. Fills the record; on failure nothing is left. */
parloom_status loom_segment_place_fill(struct loom_segment_record *record, const struct loom_fill_source *source,
                                       size_t lead, parloom_error *error);

/* Maps record->segment.fd at free addresses of the window. 0 or an errno; EADDRNOTAVAIL: none are free, in words. */
int loom_segment_place_map(struct loom_segment_record *record, parloom_error *error);

/* ---- segment_file.c: of mapped files */

int loom_segment_file_protection(enum loom_segment_access access); /* the same in program and workers */
int loom_segment_file_kind(enum loom_segment_access access);       /* flags of mmap; MAP_SHARED for all others */
void loom_segment_file_gone(void);                                 /* one was discarded */

/* ---- segment_code.c */

static inline bool loom_segment_is_sealed(enum loom_segment_access access)
{
    return access == LOOM_SEGMENT_CODE || access == LOOM_SEGMENT_FILE;
}
int loom_segment_code_protection(enum loom_segment_access access); /* of those */
/* Filled: from now on nobody can write to it. Gives it its worker_fd. 0 or an errno. */
int loom_segment_code_seal(struct loom_segment_record *record);

/* ---- segment_warm.c: under the lock of the registry */

/* Keeps it; what falls out of the budget comes back as a list by ->older, withdrawn, to be discarded. false: not kept.
 */
bool loom_segment_warm_keep(struct loom_segment_record *record, struct loom_segment_record **dropped_out);
/* One that fits, no longer kept; NULL. */
struct loom_segment_record *loom_segment_warm_take(uint64_t nbytes, enum loom_segment_access access,
                                                   const struct loom_segment_folder *folder,
                                                   parloom_memory_policy policy);
/* All that is kept, withdrawn, as such a list. */
struct loom_segment_record *loom_segment_warm_drain(void);

/* ---- segment_table.c: the program's side, under the lock of the registry */

void loom_segment_table_publish(const struct loom_segment *segment);
void loom_segment_table_clear(uint32_t id);

#ifdef __cplusplus
}
#endif
#endif
