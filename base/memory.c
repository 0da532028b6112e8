/* SPDX-License-Identifier: BSD-3-Clause */
/* memory.c - every size passes a check before it reaches malloc. Threads: any. */
#include "base/memory.h"

#include "base/fault.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Up to there glibc's malloc has blocks at hand for the thread; its calloc does not look for them. */
enum { FEW_BYTES = 1032 };

#define HUGE_NBYTES ((size_t)2 << 20) /* of a huge page; where they are larger, the advice is in vain */

bool loom_memory_mul(size_t a, size_t b, size_t *product_out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *product_out = product;
    return true;
}

bool loom_memory_add(size_t a, size_t b, size_t *sum_out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *sum_out = sum;
    return true;
}

size_t loom_memory_round_up(size_t value, size_t power_of_two)
{
    size_t mask = power_of_two - 1;
    return value > SIZE_MAX - mask ? SIZE_MAX & ~mask : (value + mask) & ~mask;
}

void *loom_memory_zeroed(size_t count, size_t item_nbytes)
{
    size_t nbytes;
    /* calloc checks the product too, but AddressSanitizer's ends the program when it does not fit. */
    if (loom_fault_hit(LOOM_FAULT_MALLOC) || !loom_memory_mul(count, item_nbytes, &nbytes)) return NULL;
    if (nbytes > FEW_BYTES) return calloc(nbytes, 1);
    void *block = malloc(nbytes ? nbytes : 1); /* malloc(0) may be NULL, which here means failure */
    return block ? memset(block, 0, nbytes) : NULL;
}

void *loom_memory_grow(void *block, size_t count, size_t item_nbytes)
{
    size_t nbytes;
    if (loom_fault_hit(LOOM_FAULT_MALLOC) || !loom_memory_mul(count, item_nbytes, &nbytes)) return NULL;
    return realloc(block, nbytes ? nbytes : 1); /* realloc(block, 0) would free the block */
}

void *loom_memory_aligned(size_t alignment, size_t nbytes)
{
    void *block = NULL;
    size_t least = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    if (loom_fault_hit(LOOM_FAULT_MALLOC)) return NULL;
    return posix_memalign(&block, least, nbytes ? nbytes : 1) == 0 ? block : NULL;
}

void *loom_memory_large(size_t nbytes)
{
    char *block = loom_memory_grow(NULL, 1, nbytes);
    if (block == NULL || nbytes < 2 * HUGE_NBYTES) return block;
    size_t skipped = loom_memory_round_up((uintptr_t)block, HUGE_NBYTES) - (uintptr_t)block;
    size_t inside = (nbytes - skipped) & ~(HUGE_NBYTES - 1);
    (void)madvise(block + skipped, inside, MADV_HUGEPAGE); /* not here: then page by page */
    return block;
}

char *loom_memory_text(const char *text)
{
    if (!text || loom_fault_hit(LOOM_FAULT_MALLOC)) return NULL;
    return strdup(text);
}

/* Mappings are listed in the order of their addresses. */
bool loom_memory_is_anonymous(const void *data, size_t nbytes)
{
    uintptr_t at = (uintptr_t)data, end = at + nbytes, from = 0, to = 0;
    unsigned long inode = 0;
    size_t room = 0;
    char *line = NULL;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) return false;
    while (at < end && getline(&line, &room, maps) > 0) {
        bool is_read = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %lu", &from, &to, &inode) == 3;
        if (!is_read || from > at || (to > at && inode != 0)) break;
        if (to > at) at = to;
    }
    free(line);
    fclose(maps);
    return at >= end;
}
