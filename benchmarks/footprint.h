/* SPDX-License-Identifier: BSD-3-Clause */
/* footprint.h - private memory as a program has it, and how much memory a program and its workers use together. */
#ifndef BENCHMARKS_FOOTPRINT_H
#define BENCHMARKS_FOOTPRINT_H

#include <stddef.h>
#include <sys/types.h>

/* Private memory in pages of 4 KiB, every one written; NULL and a line on stderr when there is none. */
void *footprint_take(size_t nbytes);
void footprint_give_back(void *memory, size_t nbytes);

/*
 * Takes, touches and frees so much, just before memory is taken for a figure. The host of a virtual machine may have
 * taken free memory back (a balloon that reports free pages, after 2 s); then the first touch of a page costs
 * several times what the kernel does for it, and most of all for huge pages, since those are what is reported.
 */
void footprint_warm(size_t nbytes);

/*
 * Bytes of this process and of all its descendants: each page counted once (sum of Pss), with the shared memory that
 * is in use in the whole machine where that is more than what the processes have mapped, since a segment that nobody
 * has mapped just now takes room too. Only differences of it mean something.
 */
double footprint_bytes(void);

#endif
