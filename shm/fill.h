/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fill.h - reserve the space of a file and bring bytes into it, by the fastest way its file system allows.
 *
 * Segments, arrays with a name and dumps into file systems in memory are filled here. Space is reserved as it goes: a
 * full file system is an errno, never a SIGBUS.
 */
#ifndef LOOM_SHM_FILL_H
#define LOOM_SHM_FILL_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_FILL_PART_NBYTES = 1 << 18 };

/* Where the bytes come from: memory, or who puts them there. All zero: from nowhere, space is reserved only. */
struct loom_fill_source {
    const char *data;
    size_t nbytes;
    /* What lies at data may be a file that somebody cuts short: it is read by the kernel only, so that this is EFAULT
     * and not a SIGBUS. */
    bool may_vanish;
    /* data NULL: puts bytes [from, from + nbytes) of the source into memory; in order, in pieces that are divided at
     * multiples of LOOM_FILL_PART_NBYTES (lead is 0), from the beginning again where another place is tried. Where it
     * fails it remembers that itself, and does nothing from then on. */
    void (*put)(void *state, char *into, size_t from, size_t nbytes);
    /* May vanish: told of each part that is in its place; false: it is no longer wanted, and ends with ECANCELED. */
    bool (*told)(void *state, size_t nbytes);
    /* Of how many threads, this one among them, large sources are brought; the others end with it, so that forking is
     * as safe afterwards as before. put and told are called by all of them then, in no order. 0: this one. */
    int n_threads;
    void *state;
};

static inline bool loom_fill_has_source(const struct loom_fill_source *source)
{
    return source->data != NULL || source->put != NULL;
}
/* Brings bytes [from, from + nbytes) of a source that has some, and may not vanish, into memory. */
void loom_fill_bring(const struct loom_fill_source *source, char *into, size_t from, size_t nbytes);
/* All of it into memory that is there already. */
void loom_fill_bring_all(const struct loom_fill_source *source, char *into);

struct loom_fill {
    int fd;
    char *address;   /* the file, mapped read-write from its start at a multiple of 2 MiB; NULL: it is not */
    uint64_t nbytes; /* to reserve */
    size_t lead;     /* where the bytes of the source begin; those before are reserved only */
    struct loom_fill_source source;
    bool is_in_memory; /* huge pages are worth trying */
};

/* Reserves all and brings the bytes. The file is as long as that afterwards, also where it fails. 0 or an errno; EBUSY:
 * the memory cgroup is full. */
int loom_fill(const struct loom_fill *fill);
/* The same for a file that is mapped nowhere: it is for as long as this takes, where that makes it faster. policy: of
 * the pages that are made in memory, whoever touches them; UNSET: as the kernel has it. */
int loom_fill_file(const struct loom_fill *fill, parloom_memory_policy policy);
/* Blocks of 2 MiB that became huge pages, in this process so far. */
uint64_t loom_fill_huge_blocks(void);

#ifdef __cplusplus
}
#endif
#endif
