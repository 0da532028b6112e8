/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * depot.h - in the supervisor: the descriptors of all live segments, for workers that ask. One thread.
 */
#ifndef LOOM_BACKENDS_DEPOT_H
#define LOOM_BACKENDS_DEPOT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The id of all lent directories: their generation is their number. */
#define LOOM_DEPOT_DIRECTORY UINT32_MAX

void loom_depot_put(uint32_t id, uint32_t generation, int fd); /* takes fd; replaces what the id had */
void loom_depot_remove(uint32_t id, uint32_t generation);
/* Reads one request from a worker's socket and answers it. sync is called between the two: it takes in what the
 * program has said until now. 0, or an errno: the worker hung up or talks rubbish. */
int loom_depot_answer(int fetch_fd, void (*sync)(void));
void loom_depot_close_all(void); /* in a worker, which has no use for them */

#ifdef __cplusplus
}
#endif
#endif
