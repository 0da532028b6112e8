/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker.c - the main loop inside a worker process.
 *
 * Path        start: segments, reporter, worker_init; then for ever: bell, join the oldest open call, claim tickets,
 *             run them, leave. Nothing but its own desk is written, and the program is rung only by the last to leave.
 *             Where no call is open, the belts of streams (worker_belt.c).
 * Ends        only by _exit, a signal, or with the supervisor (PDEATHSIG).
 */
#include "backends/worker_self.h"

#include "backends/inner_threads.h"

#include "backends/reporter.h"
#include "backends/state.h"
#include "base/futex.h"
#include "base/log.h"
#include "base/options.h"
#include "base/process.h"
#include "base/status.h"
#include "shm/window.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A word that reads 0 in processes forked from this one. */
static const volatile uint32_t *mark_process(void)
{
    static const volatile uint32_t unmarked = 1;
    size_t nbytes = (size_t)loom_process_page_nbytes();
    void *page = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return &unmarked;
    if (madvise(page, nbytes, MADV_WIPEONFORK) != 0) return &unmarked; /* before Linux 4.14 */
    *(volatile uint32_t *)page = 1;
    return page;
}

static void leave_at_once(int code, void *state)
{
    const struct loom_worker_self *worker = state;
    if (*worker->is_here == 0) _exit(code);                                 /* a child that a task forked */
    loom_store_release(&worker->seat->exited, (uint32_t)(code & 0xff) + 1); /* read after its death */
    (void)fflush(stdout);
    _exit(code); /* the program's own exit handlers are not run a second time here */
}

void loom_worker_ring(const struct loom_worker_self *worker, uint32_t bell)
{
    uint64_t one = 1;
    int fd = worker->post->bell_fds[bell];
    /* A task may have closed it, and opened a file under its number: then this death tells the program. */
    if (!loom_file_is_still(fd, &worker->bell)) _exit(LOOM_WORKER_NO_DESCRIPTOR);
    ssize_t written = write(fd, &one, sizeof one);
    (void)written; /* a full counter is rung already */
}

static void ring_program(const struct loom_worker_self *worker)
{
    loom_worker_ring(worker, worker->slot_index);
}

void loom_worker_map_segments(struct loom_worker_self *worker)
{
    parloom_error error;
    if (loom_segment_sync(worker->fetch, worker->fetch_state, &error) == PARLOOM_OK) {
        worker->synced = loom_segment_synced_epoch();
        return;
    }
    if (fcntl(worker->post->fetch_fd, F_GETFD) < 0) _exit(LOOM_WORKER_NO_DESCRIPTOR);
    loom_store_relaxed(&worker->seat->code, (int32_t)error.status); /* relaxed: ordered by state */
    memcpy(worker->seat->message, error.message, sizeof worker->seat->message - 1);
    loom_store_release(&worker->seat->state, LOOM_SEAT_UNFIT); /* release: code, message; pairs with the harvest */
    _exit(LOOM_WORKER_BROKEN_BOARD);
}

/* What it had of the call is done, or somebody else's. */
__attribute__((noreturn)) void loom_worker_retire(struct loom_worker_self *worker)
{
    (void)fflush(stdout);
    loom_store_relaxed(&worker->seat->exited, 1); /* with 0, where wait is lost; relaxed: ordered by state */
    loom_store_release(&worker->seat->state, LOOM_SEAT_RETIRED); /* pairs with the look at its end */
    _exit(0);
}

static void serve(struct loom_worker_self *worker, uint32_t slot)
{
    worker->slot_index = slot;
    worker->slot = &worker->board->slots[slot];
    worker->desk = loom_board_desk(worker->board, slot, worker->post->seat);
    uint64_t call = loom_board_join(worker->slot, worker->desk, worker->post->seat);
    if (call == LOOM_BOARD_TURNED_AWAY) ring_program(worker);
    if (call == 0 || call == LOOM_BOARD_TURNED_AWAY) return;
    loom_worker_sync(worker);
    /* relaxed: ordered by the acquire of the call in join */
    worker->letter = (const struct loom_letter *)(uintptr_t)loom_load_relaxed(&worker->slot->letter);
    if (worker->letter->magic != LOOM_LETTER_MAGIC || worker->letter->call != call) _exit(LOOM_WORKER_BROKEN_BOARD);
    loom_worker_run_call(worker);
    bool retires = loom_worker_is_worn(worker); /* before it leaves: the letter is the call's */
    if (loom_board_leave(worker->slot, worker->desk, call)) ring_program(worker);
    if (retires) loom_worker_retire(worker);
    loom_state_check(); /* here nobody waits for it */
    sigset_t none;
    sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL); /* what a task has blocked; here nobody waits for it */
    loom_retire_if_grown(&worker->retire);
}

/* The oldest call that is open and that this worker has not been in; LOOM_BOARD_SLOTS: none. */
uint32_t loom_worker_oldest_call(const struct loom_worker_self *worker)
{
    uint32_t oldest = LOOM_BOARD_SLOTS;
    uint64_t lowest = UINT64_MAX;
    for (uint32_t k = 0; k < LOOM_BOARD_SLOTS; k++) {
        struct loom_slot_shared *slot = &worker->board->slots[k];
        uint64_t call = loom_load_acquire(&slot->call); /* a hint; join looks again */
        if (call == 0 || call >= lowest || !loom_board_has_seat(slot, worker->post->seat)) continue;
        if (loom_load_relaxed(&loom_board_desk(worker->board, k, worker->post->seat)->joined) == call) continue;
        lowest = call;
        oldest = k;
    }
    return oldest;
}

/* ------------------------------------------------------------------- start */

__attribute__((noreturn)) void loom_worker_serve(const struct loom_worker_post *post, loom_segment_fetch fetch,
                                                 void *fetch_state)
{
    loom_options_hush_environment();
    loom_log_share_terminal();
    static struct loom_worker_self only; /* one worker in a process */
    struct loom_worker_self *worker = &only;
    worker->post = post;
    worker->fetch = fetch;
    worker->fetch_state = fetch_state;
    worker->is_here = mark_process();
    loom_file_identify(post->bell_fds[0], &worker->bell);
    if (fetch != NULL && loom_segment_sync(fetch, fetch_state, NULL) != PARLOOM_OK) _exit(LOOM_WORKER_BROKEN_BOARD);
    if (fetch != NULL) worker->epoch = loom_segment_epoch_word();
    worker->synced = loom_segment_synced_epoch();
    worker->board = loom_board_attach((void *)(uintptr_t)post->board_address);
    if (worker->board == NULL || post->seat >= worker->board->seats) _exit(LOOM_WORKER_BROKEN_BOARD);
    worker->seat = loom_board_seat(worker->board, post->seat);
    _Static_assert(sizeof(struct loom_crash_shared) <= LOOM_BOARD_CRASH_BYTES, "fits the seat");
    loom_reporter_install((struct loom_crash_shared *)(void *)worker->seat->crash);
    (void)on_exit(leave_at_once, worker);
    if (post->inner != NULL) loom_inner_threads_settle(post->inner); /* what worker_init loads reads variables */
    if (!loom_worker_init(worker->board, worker->seat)) _exit(LOOM_WORKER_BROKEN_BOARD);
    loom_store_release(&worker->seat->state, LOOM_SEAT_READY); /* pairs with the harvest */
    loom_retire_begin(&worker->retire, worker->board, worker->seat);
    for (;;) {
        uint32_t seen = loom_load_full(&worker->board->bell); /* full: before the look at calls */
        uint32_t slot = loom_worker_oldest_call(worker);
        if (slot < LOOM_BOARD_SLOTS) {
            serve(worker, slot);
        } else if (loom_worker_serve_belts(worker)) {
            loom_retire_if_grown(&worker->retire);
        } else {
            loom_worker_sync(worker); /* what was released is let go of, and not only at the next call */
            loom_retire_await_bell(&worker->retire, seen);
        }
    }
}

void loom_worker_main(const struct loom_worker_post *post)
{
    int fetch_fd = post->fetch_fd;
    loom_worker_serve(post, loom_supervisor_fetch, &fetch_fd);
}
