/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment_copy.c - reserve a segment's file and copy into it by the fastest way its file system allows.
 *
 * In memory, per block of 2 MiB: reserve one page, touch it, MADV_COLLAPSE, memcpy. That makes one huge page and needs
 * no privilege and no setting: 9 GB/s where write(2) makes 3 and mmap + memcpy 1.5, and workers fault once per block.
 * The page must be touched: Linux 6.1 answers EINVAL otherwise, though the huge page is made. Reserving the whole
 * block first would give small pages that are then copied: 1.9 GB/s.
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
#include "base/atomics.h"
#include "base/fault.h"
#include "base/file.h"
#include "shm/segment_record.h"
#include "shm/window.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* Of one block of 2 MiB, measured (3 GB/s; first touch by two workers 15 instead of 430 ns a page; freeing). */
#define WRITE_NS  INT64_C(700000)
#define LATER_NS  INT64_C(700000)
#define CREDIT_NS INT64_C(10000000) /* that a segment may lose to slow blocks before write(2) is tried */
enum { STRETCH_BLOCKS = 16, REFUSED_BLOCKS = 4, AGAIN_TRIES = 16, PAGE_NBYTES = 4096 };
enum { WRITE_NBYTES = 1 << 20, BLOCK = LOOM_WINDOW_BLOCK };

static _Atomic uint64_t huge_blocks; /* a count for tests and logs */
static _Atomic bool slow_before;     /* a hint: any order will do */

uint64_t loom_segment_copy_huge_blocks(void)
{
    return loom_load_relaxed(&huge_blocks);
}

/* The part of data that belongs to [begin, end) of the file; false: none. */
static bool part_of(const struct loom_segment_fill *fill, uint64_t begin, uint64_t end, uint64_t *from_out,
                    size_t *nbytes_out)
{
    uint64_t data_end = (uint64_t)fill->lead + fill->nbytes;
    uint64_t from = begin > fill->lead ? begin : fill->lead;
    uint64_t to = end < data_end ? end : data_end;
    if (!fill->data || from >= to) return false;
    *from_out = from;
    *nbytes_out = (size_t)(to - from);
    return true;
}

static void copy_mapped(const struct loom_segment_fill *fill, uint64_t begin, uint64_t end)
{
    uint64_t from = 0;
    size_t nbytes = 0;
    if (part_of(fill, begin, end, &from, &nbytes))
        memcpy(fill->address + from, fill->data + (from - fill->lead), nbytes);
}

static int write_pieces(const struct loom_segment_fill *fill, uint64_t begin, uint64_t end)
{
    uint64_t from = 0;
    size_t nbytes = 0;
    if (!part_of(fill, begin, end, &from, &nbytes)) return 0;
    while (nbytes > 0) {
        size_t piece = nbytes < WRITE_NBYTES ? nbytes : WRITE_NBYTES;
        int failed = loom_file_write_all(fill->fd, fill->data + (from - fill->lead), piece, from);
        if (failed) return failed;
        from += piece;
        nbytes -= piece;
    }
    return 0;
}

/* [begin, end) in small pages: write(2) reserves what it writes in memory, and only there. */
static int fill_plainly(const struct loom_segment_fill *fill, uint64_t begin, uint64_t end)
{
    if (begin >= end) return 0;
    uint64_t data_end = fill->data ? (uint64_t)fill->lead + fill->nbytes : 0;
    bool is_covered = fill->is_in_memory && data_end + PAGE_NBYTES > end; /* the last page by its first bytes */
    int failed = is_covered ? 0 : loom_file_reserve(fill->fd, begin, end - begin);
    return failed ? failed : write_pieces(fill, begin, end);
}

/* One page at the block's start, present in the file and in our page table. */
static int touch_block(const struct loom_segment_fill *fill, uint64_t begin)
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

/* How the huge way goes in one segment. */
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

static int fill_block(const struct loom_segment_fill *fill, uint64_t begin, struct trouble *trouble)
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
    copy_mapped(fill, begin, begin + BLOCK);
    trouble->credit_ns += trouble->worth_ns - (cpu_ns() - start);
    return 0;
}

/* Some blocks without huge pages, which say what a block is worth. */
static int fill_stretch(const struct loom_segment_fill *fill, uint64_t begin, struct trouble *trouble,
                        uint64_t *end_out)
{
    uint64_t left = (fill->file_nbytes - begin) / BLOCK;
    uint64_t blocks = trouble->stretch < left ? trouble->stretch : left;
    int64_t start = cpu_ns();
    int failed = fill_plainly(fill, begin, begin + blocks * BLOCK);
    trouble->worth_ns = (cpu_ns() - start) / (int64_t)blocks + LATER_NS;
    trouble->credit_ns = 0; /* one huge block more, and on if that was good */
    trouble->stretch *= 2;
    *end_out = begin + blocks * BLOCK;
    return failed;
}

static int fill_in_memory(const struct loom_segment_fill *fill)
{
    /* Where write(2) was better for the segment before, one slow block is enough to believe it. */
    struct trouble trouble = { .credit_ns = loom_load_relaxed(&slow_before) ? 0 : CREDIT_NS,
                               .worth_ns = WRITE_NS + LATER_NS,
                               .stretch = STRETCH_BLOCKS };
    uint64_t done = 0;
    int failed = 0;
    while (!failed && done + BLOCK <= fill->file_nbytes && trouble.refused < REFUSED_BLOCKS) {
        if (trouble.credit_ns < 0) {
            failed = fill_stretch(fill, done, &trouble, &done);
        } else {
            failed = fill_block(fill, done, &trouble);
            done += BLOCK;
        }
    }
    loom_store_relaxed(&slow_before, trouble.credit_ns <= 0);
    return failed || done >= fill->file_nbytes ? failed : fill_plainly(fill, done, fill->file_nbytes);
}

int loom_segment_copy_fill(const struct loom_segment_fill *fill)
{
    /* The last page first: the file has its size from now on, or RLIMIT_FSIZE said no before any work was done. */
    int failed = loom_file_reserve(fill->fd, fill->file_nbytes - PAGE_NBYTES, PAGE_NBYTES);
    if (failed) return failed;
    return fill->is_in_memory ? fill_in_memory(fill) : fill_plainly(fill, 0, fill->file_nbytes);
}
