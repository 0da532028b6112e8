/* SPDX-License-Identifier: BSD-3-Clause */
/* memory.h - sizes that cannot overflow, and malloc that the fault hooks can make fail. Release with free(). */
#ifndef LOOM_BASE_MEMORY_H
#define LOOM_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* false, and nothing set, where the result does not fit. */
bool loom_memory_mul(size_t a, size_t b, size_t *product_out);
bool loom_memory_add(size_t a, size_t b, size_t *sum_out);
size_t loom_memory_round_up(size_t value, size_t power_of_two); /* SIZE_MAX rounded down where it does not fit */
/* NULL when memory is short, or count * item_nbytes overflows. count 0 gives a pointer that can be freed. */
void *loom_memory_zeroed(size_t count, size_t item_nbytes);
/* realloc with overflow check; the old block stays when it fails. */
void *loom_memory_grow(void *block, size_t count, size_t item_nbytes);
/* Not zeroed; of huge pages where the system has them on request: taking 20 MiB page by page takes longer than filling
 * it. */
void *loom_memory_large(size_t nbytes);
void *loom_memory_aligned(size_t alignment, size_t nbytes); /* not zeroed; free() */
char *loom_memory_text(const char *text);                   /* a copy; NULL gives NULL */
/* No file is behind any of these bytes: nobody else can cut them short. false: some file is, or it is not known. Reads
 * the table of all mappings: for large blocks only. */
bool loom_memory_is_anonymous(const void *data, size_t nbytes);

#ifdef __cplusplus
}
#endif
#endif
