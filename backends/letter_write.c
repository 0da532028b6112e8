/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * letter_write.c - the program writes a call down for its workers (letter.h).
 *
 * Works and arguments are written once for a call; each round gets a letter of its own that refers to them. Function
 * references are kept for the life of the crew, so a worker resolves each function once.
 */
#include "backends/dispatch.h"
#include "backends/lane.h"
#include "backends/side_channel.h"
#include "backends/state.h"

#include "backends/modules.h"
#include "backends/shift.h"
#include "base/memory.h"
#include "base/status.h"
#include "shm/arena.h"
#include "shm/window.h"

#include <stdlib.h>
#include <string.h>

enum { BOOK_ENTRIES = 256 };

struct loom_letter_book {
    struct {
        parloom_body function;
        struct loom_task_ref *reference; /* in letter memory; never changed: workers remember it by its address */
        struct loom_module_epoch epoch;  /* of the modules when it was found; 0, 0: it is looked up each time */
    } entries[BOOK_ENTRIES];
};

static void *allocate(struct loom_crew *crew, size_t nbytes, parloom_error *error)
{
    if (crew->letters != NULL) return loom_arena_allocate(crew->letters, nbytes, 0, false, error);
    void *block = loom_memory_aligned(64, loom_memory_round_up(nbytes, 64));
    if (block == NULL) loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a letter of %zu bytes", nbytes);
    return block;
}

static void *allocate_for(struct loom_dispatch *dispatch, size_t nbytes, parloom_error *error)
{
    void *block = allocate(dispatch->crew, nbytes, error);
    if (block != NULL && dispatch->n_blocks < sizeof dispatch->blocks / sizeof *dispatch->blocks)
        dispatch->blocks[dispatch->n_blocks++] = block;
    return block;
}

static void release(struct loom_crew *crew, void *block)
{
    if (crew->letters != NULL)
        loom_arena_free(crew->letters, block);
    else
        free(block);
}

void loom_dispatch_free_letters(struct loom_dispatch *dispatch)
{
    for (size_t k = 0; k < dispatch->n_blocks; k++) release(dispatch->crew, dispatch->blocks[k]);
    dispatch->n_blocks = 0;
    loom_state_let_go(dispatch);
}

void loom_letter_book_destroy(struct loom_letter_book *book, struct loom_arena *letters)
{
    if (book == NULL) return;
    for (int k = 0; k < BOOK_ENTRIES; k++)
        if (book->entries[k].reference != NULL) loom_arena_free(letters, book->entries[k].reference);
    free(book);
}

/* -------------------------------------------------------------- functions */

static parloom_status new_reference(struct loom_crew *crew, size_t at, parloom_body function,
                                    const struct loom_task_ref *ref, parloom_error *error)
{
    struct loom_task_ref *copy = loom_arena_allocate(crew->letters, sizeof *copy, 0, false, error);
    if (copy == NULL) return error != NULL ? error->status : PARLOOM_ERR_SPACE;
    *copy = *ref;
    /* The one before stays where it is: a worker may know it by its address. */
    crew->book->entries[at].function = function;
    crew->book->entries[at].reference = copy;
    return PARLOOM_OK;
}

/* As long as no module came or went, a function of a file is where it was. Code that was published comes and goes
 * without one. */
static bool is_known_still(const struct loom_crew *crew, size_t at, parloom_body function, struct loom_module_epoch now)
{
    if (crew->book == NULL || crew->book->entries[at].function != function) return false;
    const struct loom_module_epoch *then = &crew->book->entries[at].epoch;
    return then->loaded != 0 && then->loaded == now.loaded && then->unloaded == now.unloaded;
}

static parloom_status refer(struct loom_crew *crew, bool by_value, parloom_body function, uint64_t *function_out,
                            parloom_error *error)
{
    if (crew->ops->inherits) {
        *function_out = 0;
        memcpy(function_out, &function, sizeof function);
        return PARLOOM_OK;
    }
    uintptr_t key = 0;
    memcpy(&key, &function, sizeof function);
    size_t at = (key >> 4) % BOOK_ENTRIES;
    bool is_of_file = !by_value && !loom_window_contains((const void *)key); // NOLINT(performance-no-int-to-ptr)
    struct loom_module_epoch now = is_of_file ? loom_modules_epoch() : (struct loom_module_epoch){ 0, 0 };
    if (is_known_still(crew, at, function, now)) {
        *function_out = (uint64_t)(uintptr_t)crew->book->entries[at].reference;
        return PARLOOM_OK;
    }
    struct loom_task_ref ref;
    parloom_status status =
        by_value ? loom_task_refer_by_value(function, &ref, error) : loom_task_refer(function, &ref, error);
    if (status != PARLOOM_OK) return status;
    if (crew->book == NULL) crew->book = loom_memory_zeroed(1, sizeof *crew->book);
    if (crew->book == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory to note a function");
    bool known =
        crew->book->entries[at].function == function && loom_task_is_same(crew->book->entries[at].reference, &ref);
    if (!known) status = new_reference(crew, at, function, &ref, error);
    if (status == PARLOOM_OK) crew->book->entries[at].epoch = now; /* of before the look: what came since counts */
    *function_out = (uint64_t)(uintptr_t)crew->book->entries[at].reference;
    return status;
}

/* ------------------------------------------------------- works, arguments */

static size_t count_arrays(const struct loom_work *work)
{
    size_t count = 0;
    for (size_t k = 0; k < work->n_arguments; k++) count += work->arguments[k].form == LOOM_ARGUMENT_ARRAY;
    return count;
}

/* Where the next argument and the next array go. */
struct paper {
    struct loom_letter_work *works;
    struct loom_argument *arguments;
    parloom_array *arrays;
};

static void copy_arguments(struct paper *paper, const struct loom_work *work)
{
    for (size_t k = 0; k < work->n_arguments; k++) {
        *paper->arguments = work->arguments[k];
        if (work->arguments[k].form == LOOM_ARGUMENT_ARRAY) {
            *paper->arrays = *(const parloom_array *)(uintptr_t)work->arguments[k].array;
            paper->arrays->owner = NULL;
            paper->arguments->array = (uint64_t)(uintptr_t)paper->arrays++;
        }
        paper->arguments++;
    }
}

static parloom_status copy_works(struct loom_dispatch *dispatch, struct paper *paper, size_t count,
                                 parloom_error *error)
{
    for (size_t k = 0; k < count; k++) {
        const struct loom_work *work = &dispatch->run->works[k];
        uint64_t function = 0;
        if (k > 0 && work->body == work[-1].body) {
            function = paper->works[-1].function;
        } else {
            parloom_status status =
                refer(dispatch->crew, dispatch->run->modules_by_value, work->body, &function, error);
            if (status != PARLOOM_OK) return status;
        }
        paper->works->function = function;
        paper->works->arguments = (uint64_t)(uintptr_t)paper->arguments;
        paper->works->n_arguments = work->n_arguments;
        paper->works++;
        copy_arguments(paper, work);
    }
    return PARLOOM_OK;
}

static parloom_status write_work(struct loom_crew *crew, bool by_value, struct paper *paper,
                                 const struct loom_work *work, parloom_error *error)
{
    uint64_t function = 0;
    parloom_status status = refer(crew, by_value, work->body, &function, error);
    if (status != PARLOOM_OK) return status;
    *paper->works = (struct loom_letter_work){ function, (uint64_t)(uintptr_t)paper->arguments, work->n_arguments };
    copy_arguments(paper, work);
    return PARLOOM_OK;
}

enum { PARCEL_NBYTES = 256 }; /* letters come in steps of it, so that one mostly fits the next call */

static struct loom_letter_parcel *room_for(struct loom_crew *crew, struct loom_letter_parcel *spare, size_t nbytes,
                                           parloom_error *error)
{
    if (spare != NULL && spare->nbytes >= nbytes) return spare;
    loom_letter_free_parcel(crew, spare);
    nbytes = loom_memory_round_up(nbytes, PARCEL_NBYTES);
    struct loom_letter_parcel *letter = allocate(crew, nbytes, error);
    if (letter == NULL) return NULL;
    letter->nbytes = nbytes;
    letter->state = 0;
    return letter;
}

/* A letter that is used again mostly has it already. */
static parloom_status hold_state(struct loom_crew *crew, struct loom_letter_parcel *letter,
                                 const struct loom_state *state, parloom_error *error)
{
    const struct loom_state_shared *held = (const struct loom_state_shared *)(uintptr_t)letter->state;
    if (state != NULL && held != NULL && held->number == state->number) return PARLOOM_OK;
    loom_state_drop(crew, letter->state);
    return loom_state_hold(crew, state, &letter->state, error);
}

parloom_status loom_letter_write_parcel(struct loom_crew *crew, const struct loom_run *run, struct loom_parcel *parcel,
                                        parloom_error *error)
{
    const struct loom_work *work = &parcel->work;
    size_t arguments_nbytes = work->n_arguments * sizeof(struct loom_argument);
    size_t nbytes = sizeof(struct loom_letter_parcel) + arguments_nbytes + count_arrays(work) * sizeof(parloom_array);
    struct loom_letter_parcel *letter = room_for(crew, parcel->letter, nbytes, error);
    parcel->letter = letter;
    if (letter == NULL) return error != NULL ? error->status : PARLOOM_ERR_SPACE;
    char *arguments = (char *)(letter + 1);
    struct paper paper = { &letter->work, (void *)arguments, (void *)(arguments + arguments_nbytes) };
    parloom_status status = write_work(crew, run->modules_by_value, &paper, work, error);
    letter->fp_control = parcel->has_fp_control ? parcel->fp_control : run->fp_control;
    if (status == PARLOOM_OK) status = hold_state(crew, letter, parcel->state, error);
    if (status == PARLOOM_OK) return PARLOOM_OK;
    loom_letter_free_parcel(crew, letter);
    parcel->letter = NULL;
    return status;
}

void loom_letter_free_parcel(struct loom_crew *crew, struct loom_letter_parcel *letter)
{
    if (letter == NULL) return;
    loom_state_drop(crew, letter->state);
    release(crew, letter);
}

void loom_letter_free(struct loom_crew *crew, void *block)
{
    if (block != NULL) release(crew, block);
}

/* ------------------------------------------------------------------- scope */

/* The strings of options that tasks can ask for. */
static const char **string_of(parloom_options *options, int k)
{
    const char **strings[] = { &options->backend, &options->backend_params, &options->temp_folder,
                               &options->pre_dispatch, &options->bind };
    return k < 5 ? strings[k] : NULL;
}

static size_t scope_nbytes(const struct loom_run *run)
{
    if (run->scope == NULL) return 0;
    parloom_options scope = *run->scope;
    size_t nbytes = sizeof scope;
    for (int k = 0; string_of(&scope, k) != NULL; k++)
        if (*string_of(&scope, k) != NULL) nbytes += strlen(*string_of(&scope, k)) + 1;
    return nbytes;
}

/* Its strings lie behind it: letters have the same address everywhere. */
static void write_scope(const parloom_options *scope, char *at)
{
    parloom_options *copy = (void *)at;
    *copy = *scope;
    at += sizeof *copy;
    for (int k = 0; string_of(copy, k) != NULL; k++) {
        const char **string = string_of(copy, k);
        if (*string == NULL) continue;
        size_t nbytes = strlen(*string) + 1;
        memcpy(at, *string, nbytes);
        *string = at;
        at += nbytes;
    }
}

/* What is the same in each round, in one block: works, arguments, arrays, placement, scope. */
static parloom_status write_works(struct loom_dispatch *dispatch, struct loom_letter *kept, parloom_error *error)
{
    const struct loom_run *run = dispatch->run;
    size_t count = run->is_list ? run->n : 1, n_arguments = 0, n_arrays = 0;
    for (size_t k = 0; k < count; k++) {
        n_arguments += run->works[k].n_arguments;
        n_arrays += count_arrays(&run->works[k]);
    }
    size_t works_nbytes = loom_memory_round_up(count * sizeof(struct loom_letter_work), 64);
    size_t arguments_nbytes = loom_memory_round_up(n_arguments * sizeof(struct loom_argument), 64);
    size_t arrays_nbytes = loom_memory_round_up(n_arrays * sizeof(parloom_array), 64);
    size_t placement_nbytes = loom_memory_round_up(loom_placement_nbytes(run->placement), 64);
    size_t nbytes = works_nbytes + arguments_nbytes + arrays_nbytes + placement_nbytes + scope_nbytes(run);
    char *block = allocate_for(dispatch, nbytes, error);
    if (block == NULL) return error != NULL ? error->status : PARLOOM_ERR_SPACE;
    char *arguments = block + works_nbytes, *arrays = arguments + arguments_nbytes;
    char *placement = arrays + arrays_nbytes, *scope = placement + placement_nbytes;
    struct paper paper = { (void *)block, (void *)arguments, (void *)arrays };
    kept->works = (uint64_t)(uintptr_t)block;
    if (run->placement != NULL) {
        memcpy(placement, run->placement, loom_placement_nbytes(run->placement));
        kept->placement = (uint64_t)(uintptr_t)placement;
    }
    if (run->scope != NULL) {
        write_scope(run->scope, scope);
        kept->scope = (uint64_t)(uintptr_t)scope;
    }
    return copy_works(dispatch, &paper, count, error);
}

/* ----------------------------------------------------------------- letters */

static void fill(struct loom_letter *letter, const struct loom_run *run)
{
    memset(letter, 0, sizeof *letter);
    letter->magic = LOOM_LETTER_MAGIC;
    letter->n = run->n;
    letter->batch_size = run->batch_size;
    letter->fresh_worker_every = run->fresh_worker_every;
    letter->block_size = run->block_size;
    letter->fp_control = run->fp_control;
    letter->is_list = run->is_list;
    letter->is_range = run->is_range;
    letter->go_on = run->go_on;
    letter->n_jobs = run->n_jobs;
    letter->level = run->level;
    letter->parallel_level = run->parallel_level;
    letter->cores = run->cores;
    letter->inner = run->inner;
    letter->is_stoppable = loom_shift_run_is_stoppable(run);
    if (loom_window_contains(run->stop)) letter->stop = (uint64_t)(uintptr_t)run->stop;
    letter->most_arguments = (uint32_t)run->most_arguments;
    letter->wants_cpu = run->wants_cpu;
    letter->checks_globals = run->checks_globals;
    strncpy(letter->backend, run->backend_name, sizeof letter->backend - 1);
}

parloom_status loom_letter_write_lane(struct loom_crew *crew, const struct loom_run *run,
                                      struct loom_letter **letter_out, parloom_error *error)
{
    size_t placement_nbytes = loom_memory_round_up(loom_placement_nbytes(run->placement), 64);
    size_t channels_nbytes = run->channels != NULL ? sizeof *run->channels : 0;
    size_t nbytes = sizeof *letter_out[0] + channels_nbytes + placement_nbytes + scope_nbytes(run);
    struct loom_letter *letter = allocate(crew, nbytes, error);
    if (letter == NULL) return error != NULL ? error->status : PARLOOM_ERR_SPACE;
    char *channels = (char *)(letter + 1), *placement = channels + channels_nbytes;
    char *scope = placement + placement_nbytes;
    fill(letter, run);
    letter->is_list = true;
    letter->most_arguments = 1;
    letter->functions_inherited = crew->ops->inherits;
    letter->task_timeout_ns = run->task_timeout_ns;
    letter->deadline_ns = run->deadline_ns;
    if (run->channels != NULL) {
        memcpy(channels, run->channels, channels_nbytes);
        letter->channels = (uint64_t)(uintptr_t)channels;
    }
    if (run->scope != NULL) {
        write_scope(run->scope, scope);
        letter->scope = (uint64_t)(uintptr_t)scope;
    }
    if (run->placement != NULL) {
        memcpy(placement, run->placement, loom_placement_nbytes(run->placement));
        letter->placement = (uint64_t)(uintptr_t)placement;
    }
    *letter_out = letter;
    return PARLOOM_OK;
}

static int by_begin(const void *a, const void *b)
{
    const struct loom_repair *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* Moves what is to be repaired into the letter: ascending, so that claims still ascend. */
static parloom_status write_repairs(struct loom_dispatch *dispatch, struct loom_letter *letter, parloom_error *error)
{
    size_t repairs_nbytes = dispatch->n_repairs * sizeof *dispatch->repairs;
    size_t skips_nbytes = dispatch->n_skips * sizeof *dispatch->skips;
    qsort(dispatch->repairs, dispatch->n_repairs, sizeof *dispatch->repairs, by_begin);
    loom_records_drop(dispatch);
    char *block = allocate_for(dispatch, repairs_nbytes + skips_nbytes, error);
    if (block == NULL) return error != NULL ? error->status : PARLOOM_ERR_SPACE;
    memcpy(block, dispatch->repairs, repairs_nbytes);
    if (skips_nbytes > 0) memcpy(block + repairs_nbytes, dispatch->skips, skips_nbytes);
    letter->repairs = (uint64_t)(uintptr_t)block;
    letter->skips = (uint64_t)(uintptr_t)(block + repairs_nbytes);
    letter->n_skips = dispatch->n_skips;
    letter->tickets = dispatch->n_repairs;
    dispatch->n_repairs = 0;
    return PARLOOM_OK;
}

/* Forked workers read the caller's. */
static parloom_status write_channels(struct loom_dispatch *dispatch, struct loom_letter *letter, parloom_error *error)
{
    const struct loom_channels *channels = dispatch->run->channels;
    struct loom_channels *copy = NULL;
    if (channels != NULL && dispatch->crew->letters != NULL) {
        copy = allocate_for(dispatch, sizeof *copy, error);
        if (copy == NULL) return error != NULL ? error->status : PARLOOM_ERR_SPACE;
        *copy = *channels;
        channels = copy;
    }
    letter->channels = (uint64_t)(uintptr_t)channels;
    return PARLOOM_OK;
}

parloom_status loom_dispatch_write_letter(struct loom_dispatch *dispatch, parloom_error *error)
{
    bool is_first = dispatch->letter == NULL;
    struct loom_letter kept = { .works = 0 }; /* of the first round */
    if (!is_first) kept = *dispatch->letter;
    parloom_status status = PARLOOM_OK;
    if (is_first) {
        status = write_works(dispatch, &kept, error);
    } else if (dispatch->n_blocks > 1) {
        /* Nobody reads the letter of the round before any more: only the works stay. */
        while (dispatch->n_blocks > 1) release(dispatch->crew, dispatch->blocks[--dispatch->n_blocks]);
        dispatch->letter = NULL;
    }
    if (status != PARLOOM_OK) return status;
    struct loom_letter *letter = allocate_for(dispatch, sizeof *letter, error);
    if (letter == NULL) return error != NULL ? error->status : PARLOOM_ERR_SPACE;
    fill(letter, dispatch->run);
    letter->works = kept.works;
    letter->placement = kept.placement;
    letter->scope = kept.scope;
    status = loom_state_write(dispatch, &letter->state, error);
    if (status == PARLOOM_OK) status = write_channels(dispatch, letter, error);
    if (status != PARLOOM_OK) return status;
    letter->functions_inherited = dispatch->crew->ops->inherits;
    if (is_first) {
        bool is_auto;
        loom_letter_cut(dispatch->run, &letter->tickets, &letter->grain, &is_auto);
        letter->is_auto = is_auto;
        letter->is_static = dispatch->run->is_static;
    } else {
        status = write_repairs(dispatch, letter, error);
    }
    dispatch->letter = letter;
    dispatch->tickets = letter->tickets;
    return status;
}
