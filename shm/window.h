/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window.h - one range of addresses, the same in the program and in every worker.
 *
 * The range is an agreement, not a reservation: one header page is mapped at its base with MAP_FIXED_NOREPLACE (which
 * also keeps a second copy of the library in one program out of it), and each segment at a 2 MiB-aligned address
 * inside. The header page holds the table of segments and its epoch; the program writes it, workers read it.
 *
 * The lower half belongs to the process that chose the base. A worker that needs memory of its own (calls nested in a
 * task) takes it from the upper part: level k owns [1 - 2^-k, 1 - 2^-(k+1)) of the window.
 *
 *      base                                  1/2                 3/4      7/8
 *      |header|seg|guard|seg|guard|   ...    | level 1 ...       | level 2 | ...
 */
#ifndef LOOM_SHM_WINDOW_H
#define LOOM_SHM_WINDOW_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_WINDOW_BLOCK = 2 << 20 };           /* alignment and unit of segments: one huge page */
enum { LOOM_WINDOW_HEADER_NBYTES = 256 << 10 }; /* mapped at the base */
enum { LOOM_WINDOW_TABLE_OFFSET = 64 };         /* of the table of segments in the header */
enum { LOOM_WINDOW_BLOCKS_MAX = 2 << 20 };      /* of the largest window: 4 TiB */

/* The program: chooses a base and maps the header page (memfd). Idempotent; any thread. MEMORY, LIMIT, UNSUPPORTED
 * (no base is free). A child of fork gets a header of its own at its first call, empty. */
parloom_status loom_window_open(parloom_error *error);
/* A worker (or the supervisor): maps the header of its program at base, read-only. level: of the worker, 1 and up;
 * from then on loom_window_take takes from that level's part. header_fd stays the caller's. Again with the same base:
 * only the level changes. INVALID VERSION MEMORY IO. */
parloom_status loom_window_attach(uint64_t base, int header_fd, int level, parloom_error *error);
/* Where the program is started again as a supervisor its constructors run once more: until that is over, memory of
 * their own would lie where the program's belongs. While forbidden, open refuses: UNSUPPORTED. */
void loom_window_forbid(bool forbidden);
uint64_t loom_window_base(void); /* 0: not open */
uint64_t loom_window_nbytes(void);
int loom_window_header_fd(void); /* of the program, a read-only description; -1 */
bool loom_window_contains(const void *address);
/* A free range of addresses, 2 MiB-aligned, nbytes rounded up to 2 MiB; nothing is mapped. A block behind it stays
 * free, so that running over the end is a fault. LIMIT when it is full. */
parloom_status loom_window_take(size_t nbytes, uint64_t *address_out, parloom_error *error);
void loom_window_give(uint64_t address, size_t nbytes);

/* ---- for the files of segments */

/* Maps the file from offset on where nothing is mapped yet; kind: MAP_SHARED, or MAP_PRIVATE and what goes with it. 0
 * or an errno; EEXIST: something foreign is there. */
int loom_window_map(uint64_t address, size_t nbytes, int protection, int kind, int fd, uint64_t offset);
/* Shared, from the file's start, over what is mapped there already. */
int loom_window_map_over(uint64_t address, size_t nbytes, int protection, int fd);
bool loom_window_is_attached(void);
void *loom_window_table(void);            /* LOOM_WINDOW_TABLE_OFFSET behind the base; read-only when attached */
uint32_t loom_window_header_serial(void); /* changes when this process gets another header: it is empty then */
uint32_t loom_window_fork_count(void);    /* how many forks lie between the first process and this one */
void loom_window_watch_forks(void);       /* idempotent; before a file above registers its own fork handlers */

#ifdef __cplusplus
}
#endif
#endif
