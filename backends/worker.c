/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker.c - the main loop inside a worker process.
 *
 * Path        start: segments, reporter, worker_init; then for ever: bell, join the oldest open call, claim tickets,
 *             run them, leave. Nothing but its own desk is written, and the program is rung only by the last to leave.
 * Ends        only by _exit, a signal, or with the supervisor (PDEATHSIG).
 */
#include "backends/worker.h"

#include "backends/inner_threads.h"
#include "backends/letter.h"
#include "backends/reporter.h"
#include "backends/shift.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/fpu.h"
#include "base/futex.h"
#include "base/options.h"
#include "base/process.h"
#include "base/status.h"
#include "shm/board.h"
#include "shm/segment.h"
#include "shm/window.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    RESOLVED = 64,            /* functions remembered, by the address of their reference */
    CHUNK_SHORT_NS = 50000,   /* chunks of auto batches grow while they take less, */
    CHUNK_LONG_NS = 200000,   /* and shrink when they take more */
    EXIT_NO_DESCRIPTOR = 123, /* a task closed what the worker needs: another one takes its place */
    EXIT_BROKEN_BOARD = 124
};

struct worker {
    const struct loom_worker_post *post;
    loom_segment_fetch fetch;
    void *fetch_state;
    struct loom_board_shared *board;
    struct loom_seat_shared *seat;
    struct loom_file_identity bell; /* what the bells were when the worker started */
    struct {
        uint64_t reference;
        parloom_body function;
    } resolved[RESOLVED];
    /* of the call that is served now */
    uint32_t slot_index;
    struct loom_slot_shared *slot;
    struct loom_desk_shared *desk;
    const struct loom_letter *letter;
    struct loom_work work;            /* of a list: the task that runs */
    const volatile uint32_t *is_here; /* 1; 0 in a process that a task forked */
    struct loom_inner_threads inner;  /* set last */
    const _Atomic uint64_t *epoch;    /* of the segments; what was allocated since is mapped before the next task */
    uint64_t synced;                  /* up to which segments are mapped */
    struct loom_shift shift;
};

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
    const struct worker *worker = state;
    if (*worker->is_here == 0) _exit(code);                                 /* a child that a task forked */
    loom_store_release(&worker->seat->exited, (uint32_t)(code & 0xff) + 1); /* read after its death */
    (void)fflush(stdout);
    _exit(code); /* the program's own exit handlers are not run a second time here */
}

static void ring_program(const struct worker *worker)
{
    uint64_t one = 1;
    int fd = worker->post->bell_fds[worker->slot_index];
    /* A task may have closed it, and opened a file under its number: then this death tells the program. */
    if (!loom_file_is_still(fd, &worker->bell)) _exit(EXIT_NO_DESCRIPTOR);
    ssize_t written = write(fd, &one, sizeof one);
    (void)written; /* a full counter is rung already */
}

static void map_segments(struct worker *worker)
{
    parloom_error error;
    if (loom_segment_sync(worker->fetch, worker->fetch_state, &error) == PARLOOM_OK) {
        worker->synced = loom_segment_synced_epoch();
        return;
    }
    if (fcntl(worker->post->fetch_fd, F_GETFD) < 0) _exit(EXIT_NO_DESCRIPTOR);
    loom_store_relaxed(&worker->seat->code, (int32_t)error.status); /* relaxed: ordered by state */
    memcpy(worker->seat->message, error.message, sizeof worker->seat->message - 1);
    loom_store_release(&worker->seat->state, LOOM_SEAT_UNFIT); /* release: code, message; pairs with the harvest */
    _exit(EXIT_BROKEN_BOARD);
}

static inline void sync_segments(struct worker *worker)
{
    /* acquire: the entries of the table; pairs with the program's raising it */
    if (__builtin_expect(worker->epoch != NULL && loom_load_acquire(worker->epoch) != worker->synced, 0))
        map_segments(worker);
}

/* ---------------------------------------------------------------- telling */

static void append(struct worker *worker, const struct loom_log_entry *entry, const char *message)
{
    for (;;) {
        uint32_t moved = loom_load_full(&worker->desk->log_moved); /* full: before the try; pairs with the drain */
        if (loom_board_log_try_append(worker->desk, entry, message)) return;
        ring_program(worker);
        (void)loom_futex_wait_until(&worker->desk->log_moved, moved, LOOM_NEVER_NS);
    }
}

static void tell(struct loom_shift *shift, size_t begin, size_t end, const parloom_error *error)
{
    struct loom_log_entry entry = { .begin = begin, .end = end, .status = PARLOOM_ERR_CANCELLED };
    if (error != NULL) {
        entry.status = error->status;
        entry.code = error->code;
        entry.attempt = error->attempt;
        size_t length = strnlen(error->message, sizeof error->message - 1);
        if (length > 0) entry.message_nbytes = (uint32_t)length + 1;
    }
    append(shift->tell_state, &entry, error != NULL ? error->message : NULL);
}

/* The whole call cannot be run here: the program refuses it. */
static void tell_refusal(struct worker *worker, const parloom_error *error)
{
    struct loom_log_entry entry = { .begin = UINT64_MAX, .end = UINT64_MAX, .status = error->status };
    entry.message_nbytes = (uint32_t)strnlen(error->message, sizeof error->message - 1) + 1;
    loom_shift_lower(&worker->slot->stop_before, 0);
    append(worker, &entry, error->message);
}

static void refuse(struct loom_shift *shift, const parloom_error *error)
{
    tell_refusal(shift->tell_state, error);
}

/* -------------------------------------------------------------- functions */

static parloom_status resolve(struct worker *worker, uint64_t reference, parloom_body *function_out,
                              parloom_error *error)
{
    if (worker->letter->functions_inherited) {
        memcpy(function_out, &reference, sizeof *function_out);
        return PARLOOM_OK;
    }
    size_t at = (size_t)(reference / 64) % RESOLVED;
    if (worker->resolved[at].reference != reference) {
        const struct loom_task_ref *ref = (const struct loom_task_ref *)(uintptr_t)reference;
        parloom_status status = loom_task_resolve(ref, &worker->resolved[at].function, error);
        if (status != PARLOOM_OK) return status;
        worker->resolved[at].reference = reference;
    }
    *function_out = worker->resolved[at].function;
    return PARLOOM_OK;
}

static parloom_status read_work(struct worker *worker, size_t index, parloom_error *error)
{
    const struct loom_letter_work *work = (const struct loom_letter_work *)(uintptr_t)worker->letter->works + index;
    worker->work.arguments = (const struct loom_argument *)(uintptr_t)work->arguments;
    worker->work.n_arguments = (size_t)work->n_arguments;
    return resolve(worker, work->function, &worker->work.body, error);
}

/* A list: a function that cannot be reached from here stops the call; NULL: its task is not run. */
static const struct loom_work *find_work(struct loom_shift *shift, size_t index)
{
    struct worker *worker = shift->tell_state;
    parloom_error error;
    if (read_work(worker, index, &error) == PARLOOM_OK) return &worker->work;
    tell_refusal(worker, &error);
    return NULL;
}

/* ------------------------------------------------------------------ tasks */

static void run_tickets(struct worker *worker, uint64_t first, uint64_t count)
{
    uint64_t begin = loom_letter_begin(worker->letter, first);
    uint64_t end = loom_letter_end(worker->letter, first + count - 1);
    if (worker->letter->repairs != 0) {
        const struct loom_repair *repair = (const struct loom_repair *)(uintptr_t)worker->letter->repairs + first;
        worker->shift.task.attempt = (int)repair->attempt;
    }
    sync_segments(worker);
    (void)loom_shift_run(&worker->shift, (size_t)begin, (size_t)end);
    /* relaxed: progress only */
    loom_store_relaxed(&worker->desk->done, loom_load_relaxed(&worker->desk->done) + (end - begin));
}

/* Guided: never more than a fair share of what is left, so that the end is balanced. */
static uint64_t fair(const struct worker *worker, uint64_t want)
{
    uint64_t taken = loom_load_relaxed(&worker->slot->counter); /* relaxed: a hint */
    uint64_t left = taken < worker->letter->tickets ? worker->letter->tickets - taken : 0;
    uint64_t share = left / (2 * (uint64_t)worker->letter->n_jobs);
    if (want > share) want = share;
    return want > 0 ? want : 1;
}

static bool is_stopped(const struct worker *worker, uint64_t ticket)
{
    /* relaxed: a late look runs one task more */
    return loom_letter_begin(worker->letter, ticket) >= loom_load_relaxed(&worker->slot->stop_before);
}

/* Chunks as long as the clock says; the time between claims is the time of the tasks. */
static void take_auto(struct worker *worker, _Atomic uint64_t *bitmap)
{
    uint64_t want = 1, first, count, before = loom_clock_ns();
    while ((count = loom_board_claim(worker->slot, bitmap, worker->letter->tickets, fair(worker, want), &first)) > 0) {
        run_tickets(worker, first, count);
        if (is_stopped(worker, first + count - 1)) return;
        uint64_t now = loom_clock_ns();
        if (now - before < CHUNK_SHORT_NS && count >= want)
            want *= 2;
        else if (now - before > CHUNK_LONG_NS && want > 1)
            want /= 2;
        before = now;
    }
}

/* The shortest way from ticket to body, for index loops with chunks of one. */
static void take_singles(struct worker *worker, _Atomic uint64_t *bitmap)
{
    uint64_t total = worker->letter->tickets, done = 0, first;
    while (loom_board_claim(worker->slot, bitmap, total, 1, &first) > 0) {
        sync_segments(worker);
        if (!loom_shift_run_plain(&worker->shift, (size_t)first)) break;
        loom_store_relaxed(&worker->desk->done, ++done); /* relaxed: progress only */
    }
}

static void take_one_by_one(struct worker *worker, _Atomic uint64_t *bitmap)
{
    uint64_t first;
    while (loom_board_claim(worker->slot, bitmap, worker->letter->tickets, 1, &first) > 0) {
        run_tickets(worker, first, 1);
        if (is_stopped(worker, first)) return;
    }
}

static void take_own(struct worker *worker, _Atomic uint64_t *bitmap)
{
    uint64_t stride = (uint64_t)worker->letter->n_jobs;
    for (uint64_t ticket = worker->post->seat; ticket < worker->letter->tickets; ticket += stride) {
        loom_board_mark(bitmap, ticket, 1);
        run_tickets(worker, ticket, 1);
        if (is_stopped(worker, ticket)) return;
    }
}

/* ------------------------------------------------------------------ calls */

static parloom_status begin_shift(struct worker *worker, parloom_error *error)
{
    const struct loom_letter *letter = worker->letter;
    struct loom_run run = {
        .n = (size_t)letter->n,
        .works = letter->is_list ? NULL : &worker->work,
        .is_list = letter->is_list,
        .is_range = letter->is_range,
        .most_arguments = letter->most_arguments,
        .batch_size = (size_t)letter->batch_size,
        .block_size = (size_t)letter->block_size,
        .n_jobs = letter->n_jobs,
        .level = letter->level,
        .backend_name = letter->backend,
        .go_on = letter->go_on,
        .scope = (const parloom_options *)(uintptr_t)letter->scope,
        .stop = (const parloom_stop *)(uintptr_t)letter->stop,
        /* Forked in the midst of a task: its words are the ones the program writes, or copies that stay as they are. */
        .around = letter->functions_inherited ? loom_shift_current() : NULL,
        .parallel_level = letter->parallel_level,
        .cores = letter->cores,
        .inner = letter->inner,
        .deadline_ns = LOOM_NEVER_NS, /* the program watches it */
    };
    if (!letter->is_list) {
        parloom_status status = read_work(worker, 0, error);
        if (status != PARLOOM_OK) return status;
    }
    parloom_status status = loom_shift_begin(&worker->shift, &run, (int)worker->post->seat, error);
    if (status != PARLOOM_OK) return status;
    worker->shift.is_stoppable = letter->is_stoppable;
    worker->shift.find_work = find_work;
    worker->shift.skips = (const uint64_t *)(uintptr_t)letter->skips;
    worker->shift.n_skips = (size_t)letter->n_skips;
    worker->shift.current = &worker->desk->current;
    worker->shift.range_begin = &worker->desk->range_begin;
    worker->shift.range_end = &worker->desk->range_end;
    worker->shift.stop_before = &worker->slot->stop_before;
    worker->shift.is_here = worker->is_here;
    worker->shift.tell = tell;
    worker->shift.refuse = refuse;
    worker->shift.tell_state = worker;
    return PARLOOM_OK;
}

static void set_inner(struct worker *worker, const struct loom_inner_threads *inner)
{
    bool is_same = memcmp(inner, &worker->inner, sizeof worker->inner) == 0;
    if (is_same || !loom_inner_threads_are_chosen(inner)) return;
    worker->inner = *inner;
    loom_inner_threads_settle(inner);
}

static void set_environment(struct worker *worker)
{
    loom_fpu_write(worker->letter->fp_control);
    set_inner(worker, &worker->letter->inner);
}

static uint64_t cpu_ns(const struct worker *worker)
{
    struct timespec used;
    if (!worker->letter->wants_cpu || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) return 0;
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static void run_call(struct worker *worker)
{
    parloom_error error;
    if (begin_shift(worker, &error) != PARLOOM_OK) {
        tell_refusal(worker, &error);
        return;
    }
    uint64_t at = worker->letter->bitmaps + worker->post->seat * worker->letter->bitmap_stride;
    _Atomic uint64_t *bitmap = (_Atomic uint64_t *)(uintptr_t)at;
    uint64_t cpu_before = cpu_ns(worker);
    set_environment(worker);
    loom_shift_enter(&worker->shift);
    bool is_single = worker->shift.is_plain && worker->letter->grain == 1 && worker->letter->repairs == 0;
    if (worker->letter->is_static)
        take_own(worker, bitmap);
    else if (worker->letter->is_auto)
        take_auto(worker, bitmap);
    else if (is_single)
        take_singles(worker, bitmap);
    else
        take_one_by_one(worker, bitmap);
    loom_shift_leave(&worker->shift);
    loom_shift_end(&worker->shift);
    /* relaxed: ordered by leaving */
    loom_store_relaxed(&worker->seat->cpu_ns, loom_load_relaxed(&worker->seat->cpu_ns) + cpu_ns(worker) - cpu_before);
    if (__fpending(stdout) > 0) (void)fflush(stdout);
}

static void serve(struct worker *worker, uint32_t slot)
{
    worker->slot_index = slot;
    worker->slot = &worker->board->slots[slot];
    worker->desk = loom_board_desk(worker->board, slot, worker->post->seat);
    uint64_t call = loom_board_join(worker->slot, worker->desk, worker->post->seat);
    if (call == LOOM_BOARD_TURNED_AWAY) ring_program(worker);
    if (call == 0 || call == LOOM_BOARD_TURNED_AWAY) return;
    sync_segments(worker);
    /* relaxed: ordered by the acquire of the call in join */
    worker->letter = (const struct loom_letter *)(uintptr_t)loom_load_relaxed(&worker->slot->letter);
    if (worker->letter->magic != LOOM_LETTER_MAGIC || worker->letter->call != call) _exit(EXIT_BROKEN_BOARD);
    run_call(worker);
    if (loom_board_leave(worker->slot, worker->desk, call)) ring_program(worker);
    sigset_t none;
    sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL); /* what a task has blocked; here nobody waits for it */
}

/* The oldest call that is open and that this worker has not been in; LOOM_BOARD_SLOTS: none. */
static uint32_t oldest_call(const struct worker *worker)
{
    uint32_t oldest = LOOM_BOARD_SLOTS;
    uint64_t lowest = UINT64_MAX;
    for (uint32_t k = 0; k < LOOM_BOARD_SLOTS; k++) {
        struct loom_slot_shared *slot = &worker->board->slots[k];
        uint64_t call = loom_load_acquire(&slot->call); /* a hint; join looks again */
        if (call == 0 || call >= lowest || worker->post->seat >= loom_load_relaxed(&slot->seats)) continue;
        if (loom_load_relaxed(&loom_board_desk(worker->board, k, worker->post->seat)->joined) == call) continue;
        lowest = call;
        oldest = k;
    }
    return oldest;
}

static void run_init(struct worker *worker)
{
    const struct loom_init_letter *letter = (const struct loom_init_letter *)(uintptr_t)worker->board->init_letter;
    if (letter == NULL) return;
    parloom_error error = { 0 };
    parloom_body found = NULL;
    int code = (int)PARLOOM_ERR_FUNCTION;
    if (letter->function_address != 0)
        memcpy(&found, &letter->function_address, sizeof found);
    else if (loom_task_resolve(&letter->function, &found, &error) != PARLOOM_OK)
        found = NULL;
    if (found != NULL) {
        int (*init)(void *);
        memcpy(&init, &found, sizeof init);
        void *state = NULL;
        if (letter->nbytes > 0) {
            state = malloc((size_t)letter->nbytes);
            if (state != NULL) memcpy(state, letter + 1, (size_t)letter->nbytes);
        }
        code = init(state); /* the state stays: init may have kept pointers into it */
    }
    if (code == 0) return;
    loom_store_relaxed(&worker->seat->code, code); /* relaxed: ordered by state */
    memcpy(worker->seat->message, error.message, sizeof worker->seat->message - 1);
    loom_store_release(&worker->seat->state, LOOM_SEAT_INIT_FAILED); /* release: code; pairs with the harvest */
    _exit(EXIT_BROKEN_BOARD);
}

__attribute__((noreturn)) void loom_worker_serve(const struct loom_worker_post *post, loom_segment_fetch fetch,
                                                 void *fetch_state)
{
    loom_options_hush_environment();
    static struct worker only; /* one worker in a process */
    struct worker *worker = &only;
    worker->post = post;
    worker->fetch = fetch;
    worker->fetch_state = fetch_state;
    worker->is_here = mark_process();
    loom_file_identify(post->bell_fds[0], &worker->bell);
    if (fetch != NULL && loom_segment_sync(fetch, fetch_state, NULL) != PARLOOM_OK) _exit(EXIT_BROKEN_BOARD);
    if (fetch != NULL) worker->epoch = loom_segment_epoch_word();
    worker->synced = loom_segment_synced_epoch();
    worker->board = loom_board_attach((void *)(uintptr_t)post->board_address);
    if (worker->board == NULL || post->seat >= worker->board->seats) _exit(EXIT_BROKEN_BOARD);
    worker->seat = loom_board_seat(worker->board, post->seat);
    _Static_assert(sizeof(struct loom_crash_shared) <= LOOM_BOARD_CRASH_BYTES, "fits the seat");
    loom_reporter_install((struct loom_crash_shared *)(void *)worker->seat->crash);
    (void)on_exit(leave_at_once, worker);
    if (post->inner != NULL) set_inner(worker, post->inner); /* before worker_init, as what it loads reads variables */
    run_init(worker);
    loom_store_release(&worker->seat->state, LOOM_SEAT_READY); /* pairs with the harvest */
    for (;;) {
        uint32_t seen = loom_load_full(&worker->board->bell); /* full: before the look at calls */
        uint32_t slot = oldest_call(worker);
        if (slot < LOOM_BOARD_SLOTS)
            serve(worker, slot);
        else
            loom_board_await_bell(worker->board, seen);
    }
}

void loom_worker_main(const struct loom_worker_post *post)
{
    int fetch_fd = post->fetch_fd;
    loom_worker_serve(post, loom_supervisor_fetch, &fetch_fd);
}
