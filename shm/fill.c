/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fill.c - reserve the space of a file and copy into it by the fastest way its file system allows.
 *
 * In memory, per block of 2 MiB: reserve one page, touch it, MADV_COLLAPSE, memcpy. That makes one huge page and needs
 * no privilege and no setting: 9 GB/s where write(2) makes 3 and mmap + memcpy 1.5, and workers fault once per block.
 * What is read from a file is put there while the block is in the cache. Bytes that may vanish under a memcpy go by
 * write(2) into the huge page: nearly as fast, and EFAULT where they are gone. The page must be touched: Linux 6.1
 * answers EINVAL otherwise, though the huge page is made. Reserving the whole block first would give small pages that
 * are then copied: 1.9 GB/s.
 *
 * What a refusal means, and what must follow:
 *   EINVAL   no huge pages here, or the file system is full: reserving the block tells which (ENOSPC)
 *   EBUSY    the memory cgroup is full: another place, never fallocate, which would end in an OOM kill
 *   ENOMEM   no huge page free: write(2), or plain reservation
 *   EAGAIN   again
 * Fragmented memory refuses nothing but takes 5 ms a block, and so does memory that a virtual machine's host has to
 * find first. So huge blocks run on credit: a block is worth what write(2) needs for it plus what workers save at their
 * first touch and freeing it later, and while the blocks so far cost less than they are worth, and a little more, huge
 * pages go on. When the credit is used up, a stretch goes by write(2) and says what that really costs.
 */
#include "shm/fill.h"

#include "base/atomics.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/memory_policy.h"
#include "shm/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* Of one block of 2 MiB, measured (3 GB/s; first touch by two workers 15 instead of 430 ns a page; freeing). */
#define WRITE_NS  INT64_C(700000)
#define LATER_NS  INT64_C(700000)
#define CREDIT_NS INT64_C(10000000) /* that a file may lose to slow blocks before write(2) is tried */
enum { STRETCH_BLOCKS = 16, REFUSED_BLOCKS = 4, AGAIN_TRIES = 16, PAGE_NBYTES = 4096 };
enum { WRITE_NBYTES = 1 << 20, BLOCK = LOOM_WINDOW_BLOCK };

static _Atomic uint64_t huge_blocks; /* a count for tests and logs */
static _Atomic bool slow_before;     /* a hint: any order will do */

uint64_t loom_fill_huge_blocks(void)
{
    return loom_load_relaxed(&huge_blocks);
}

/* The part of the source's bytes that belongs to [begin, end) of the file; false: none. */
static bool part_of(const struct loom_fill *fill, uint64_t begin, uint64_t end, uint64_t *from_out, size_t *nbytes_out)
{
    uint64_t data_end = (uint64_t)fill->lead + fill->source.nbytes;
    uint64_t from = begin > fill->lead ? begin : fill->lead;
    uint64_t to = end < data_end ? end : data_end;
    if (!loom_fill_has_source(&fill->source) || from >= to) return false;
    *from_out = from;
    *nbytes_out = (size_t)(to - from);
    return true;
}

void loom_fill_bring(const struct loom_fill_source *source, char *into, size_t from, size_t nbytes)
{
    if (source->data)
        memcpy(into, source->data + from, nbytes);
    else
        source->put(source->state, into, from, nbytes);
}

/* What is not in memory yet comes by way of a buffer: to put it where small pages are mapped takes longer. */
static int write_put(const struct loom_fill *fill, uint64_t from, size_t nbytes)
{
    char *buffer = loom_memory_zeroed(1, LOOM_FILL_PART_NBYTES);
    int failed = buffer ? 0 : ENOMEM;
    while (nbytes > 0 && !failed) {
        size_t piece = LOOM_FILL_PART_NBYTES - (size_t)(from - fill->lead) % LOOM_FILL_PART_NBYTES;
        if (piece > nbytes) piece = nbytes;
        loom_fill_bring(&fill->source, buffer, (size_t)(from - fill->lead), piece);
        failed = loom_file_write_all(fill->fd, buffer, piece, from);
        from += piece;
        nbytes -= piece;
    }
    free(buffer);
    return failed;
}

static int write_pieces(const struct loom_fill *fill, uint64_t begin, uint64_t end)
{
    uint64_t from = 0;
    size_t nbytes = 0;
    if (!part_of(fill, begin, end, &from, &nbytes)) return 0;
    if (!fill->source.data) return write_put(fill, from, nbytes);
    while (nbytes > 0) {
        size_t piece = nbytes < WRITE_NBYTES ? nbytes : WRITE_NBYTES;
        int failed = loom_file_write_all(fill->fd, fill->source.data + (from - fill->lead), piece, from);
        if (!failed && fill->source.told && !fill->source.told(fill->source.state, piece)) failed = ECANCELED;
        if (failed) return failed;
        from += piece;
        nbytes -= piece;
    }
    return 0;
}

/* [begin, end) is mapped, and reserved. */
static int copy_mapped(const struct loom_fill *fill, uint64_t begin, uint64_t end)
{
    uint64_t from = 0;
    size_t nbytes = 0;
    if (fill->source.may_vanish) return write_pieces(fill, begin, end);
    if (part_of(fill, begin, end, &from, &nbytes))
        loom_fill_bring(&fill->source, fill->address + from, (size_t)(from - fill->lead), nbytes);
    return 0;
}

/* [begin, end) in small pages: write(2) reserves what it writes in memory, and only there. */
static int fill_plainly(const struct loom_fill *fill, uint64_t begin, uint64_t end)
{
    if (begin >= end) return 0;
    uint64_t data_end = (uint64_t)fill->lead + fill->source.nbytes;
    bool is_written = fill->is_in_memory && loom_fill_has_source(&fill->source);
    bool is_covered = is_written && data_end + PAGE_NBYTES > end; /* the last page by its first bytes */
    int failed = is_covered ? 0 : loom_file_reserve(fill->fd, begin, end - begin);
    return failed ? failed : write_pieces(fill, begin, end);
}

/* One page at the block's start, present in the file and in our page table. */
static int touch_block(const struct loom_fill *fill, uint64_t begin)
{
    int failed = loom_file_reserve(fill->fd, begin, PAGE_NBYTES);
    if (!failed) *(volatile char *)(fill->address + begin) = 0;
    return failed;
}

static int collapse(char *address)
{
    for (int i = 0;; i++) {
        if (!loom_fault_hit(LOOM_FAULT_COLLAPSE) && madvise(address, BLOCK, MADV_COLLAPSE) == 0) return 0;
        if (errno != EAGAIN || i == AGAIN_TRIES) return errno;
    }
}

/* How the huge way goes in one file. */
struct trouble {
    int refused;
    int64_t credit_ns; /* below 0: a stretch by write(2) comes next */
    int64_t worth_ns;  /* of a huge block */
    uint64_t stretch;  /* blocks of the next stretch */
};

/* Of this thread: a block that took long because somebody else had the core was not slow. */
static int64_t cpu_ns(void)
{
    struct timespec now = { 0, 0 };
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + (int64_t)now.tv_nsec;
}

static int fill_block(const struct loom_fill *fill, uint64_t begin, struct trouble *trouble)
{
    int64_t start = cpu_ns();
    int failed = touch_block(fill, begin);
    if (failed) return failed;
    failed = collapse(fill->address + begin);
    if (failed == EBUSY) return EBUSY;
    if (failed) {
        trouble->refused += failed == EINVAL ? REFUSED_BLOCKS : 1; /* a setting will not change in between */
        return fill_plainly(fill, begin, begin + BLOCK);
    }
    loom_add_relaxed(&huge_blocks, 1u);
    failed = copy_mapped(fill, begin, begin + BLOCK);
    trouble->credit_ns += trouble->worth_ns - (cpu_ns() - start);
    return failed;
}

/* Some blocks without huge pages, which say what a block is worth. */
static int fill_stretch(const struct loom_fill *fill, uint64_t begin, struct trouble *trouble, uint64_t *end_out)
{
    uint64_t left = (fill->nbytes - begin) / BLOCK;
    uint64_t blocks = trouble->stretch < left ? trouble->stretch : left;
    int64_t start = cpu_ns();
    int failed = fill_plainly(fill, begin, begin + blocks * BLOCK);
    trouble->worth_ns = (cpu_ns() - start) / (int64_t)blocks + LATER_NS;
    trouble->credit_ns = 0; /* one huge block more, and on if that was good */
    trouble->stretch *= 2;
    *end_out = begin + blocks * BLOCK;
    return failed;
}

static int fill_in_memory(const struct loom_fill *fill)
{
    /* Where write(2) was better for the file before, one slow block is enough to believe it. */
    struct trouble trouble = { .credit_ns = loom_load_relaxed(&slow_before) ? 0 : CREDIT_NS,
                               .worth_ns = WRITE_NS + LATER_NS,
                               .stretch = STRETCH_BLOCKS };
    uint64_t done = 0;
    int failed = 0;
    while (!failed && done + BLOCK <= fill->nbytes && trouble.refused < REFUSED_BLOCKS) {
        if (trouble.credit_ns < 0) {
            failed = fill_stretch(fill, done, &trouble, &done);
        } else {
            failed = fill_block(fill, done, &trouble);
            done += BLOCK;
        }
    }
    loom_store_relaxed(&slow_before, trouble.credit_ns <= 0);
    return failed || done >= fill->nbytes ? failed : fill_plainly(fill, done, fill->nbytes);
}

int loom_fill(const struct loom_fill *fill)
{
    /* The last byte first: the file has its size from now on, or RLIMIT_FSIZE said no before any work was done. */
    int failed = loom_file_reserve(fill->fd, fill->nbytes - 1, 1);
    if (failed) return failed;
    return fill->is_in_memory && fill->address ? fill_in_memory(fill) : fill_plainly(fill, 0, fill->nbytes);
}

/* ------------------------------------------------------- files that are not mapped */

struct lent_mapping {
    char *room; /* MAP_FAILED: none */
    size_t nbytes;
    char *address; /* in it, a multiple of 2 MiB */
};

/* Where it cannot be mapped (ulimit -v), it is filled without huge pages. */
static struct lent_mapping map_file(const struct loom_fill *fill)
{
    struct lent_mapping lent = { MAP_FAILED, loom_memory_round_up((size_t)fill->nbytes, BLOCK) + BLOCK, NULL };
    if (loom_fault_hit(LOOM_FAULT_MMAP)) return lent;
    lent.room = mmap(NULL, lent.nbytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (lent.room == MAP_FAILED) return lent;
    char *start = lent.room + (BLOCK - (uintptr_t)lent.room % BLOCK);
    void *mapped = mmap(start, (size_t)fill->nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fill->fd, 0);
    if (mapped == MAP_FAILED) return lent;
    (void)madvise(mapped, (size_t)fill->nbytes, MADV_DONTDUMP);
    (void)madvise(mapped, (size_t)fill->nbytes, MADV_DONTFORK); /* or a child would keep a file that is deleted */
    lent.address = mapped;
    return lent;
}

int loom_fill_file(const struct loom_fill *fill, parloom_memory_policy policy)
{
    if (!fill->is_in_memory || fill->nbytes > PTRDIFF_MAX / 2 ||
        (fill->nbytes < BLOCK && policy == PARLOOM_MEMORY_UNSET))
        return loom_fill(fill);
    struct loom_fill mapped = *fill;
    struct lent_mapping lent = map_file(fill);
    mapped.address = lent.address;
    if (mapped.address) loom_memory_policy_apply(mapped.address, (size_t)fill->nbytes, policy);
    int failed = loom_fill(&mapped);
    if (lent.room != MAP_FAILED) munmap(lent.room, lent.nbytes);
    return failed;
}
