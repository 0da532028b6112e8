/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arguments.c - stage what tasks need, deliver what they made (see arguments.h).
 *
 * Path        parloom_arg -> a range of bytes -> its shared copy (or itself) -> struct loom_argument.
 * Invariant   ranges[k], all[k] and the k-th argument of all calls in a row belong together.
 */
#include "core/arguments.h"

#include "base/memory.h"
#include "base/options.h"
#include "base/status.h"
#include "core/argument_kinds.h"
#include "shm/array.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(_Alignof(struct loom_argument) <= _Alignof(uint64_t) && _Alignof(parloom_array) <= _Alignof(uint64_t) &&
                   _Alignof(struct loom_spill_range) <= _Alignof(uint64_t),
               "one behind the other in one piece");

enum { ACCUMULATOR_ALIGNMENT = 128 }; /* neighbours are fetched in pairs of lines: no false sharing */

static uint64_t as_address(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

static bool is_written(const struct loom_arguments *arguments, const parloom_arg *arg)
{
    int direction = loom_kind_direction(arg);
    bool is_read_only = loom_kind_has(arg, LOOM_KIND_ARRAY) && !parloom_array_is_writable(arg->array);
    if (direction == LOOM_KIND_IN)
        return arguments->is_read_write && !is_read_only && !loom_kind_is_in_read_only_file(arg);
    return direction == LOOM_KIND_OUT || direction == LOOM_KIND_INOUT;
}

/* ------------------------------------------------------------------ ranges */

static parloom_status set_range(struct loom_arguments *arguments, size_t k, const parloom_arg *arg,
                                parloom_error *error)
{
    struct loom_spill_range *range = &arguments->ranges[k];
    *range = (struct loom_spill_range){ .data = arg->data, .nbytes = arg->nbytes };
    range->written = is_written(arguments, arg);
    if (loom_kind_has(arg, LOOM_KIND_ARRAY)) {
        const char *low;
        parloom_status status = loom_array_extent(arg->array, &low, &range->nbytes, error);
        if (status != PARLOOM_OK) return status;
        range->data = low;
        range->is_memmap = parloom_array_is_memmap(arg->array);
    }
    range->shared = (void *)(uintptr_t)range->data;
    return PARLOOM_OK;
}

static void count(struct loom_arguments *arguments, size_t *n_arrays_out)
{
    const struct loom_request *request = arguments->request;
    arguments->n_works = request->is_list ? request->n : 1;
    *n_arrays_out = 0;
    for (size_t i = 0; i < arguments->n_works; i++) {
        const parloom_call *call = &request->calls[i];
        arguments->n_all += call->n_args;
        for (size_t j = 0; j < call->n_args; j++) *n_arrays_out += loom_kind_has(&call->args[j], LOOM_KIND_ARRAY);
    }
}

/* One piece: four allocations would be a tenth of a short call, and more of one of a stream. */
static parloom_status make_room(struct loom_arguments *arguments, parloom_error *error)
{
    size_t n_arrays, each = sizeof *arguments->all + sizeof *arguments->ranges, nbytes = 0, more = 0;
    count(arguments, &n_arrays);
    bool fits = loom_memory_mul(arguments->n_works, sizeof *arguments->works, &nbytes) &&
                loom_memory_mul(arguments->n_all, each, &more) && loom_memory_add(nbytes, more, &nbytes) &&
                loom_memory_mul(n_arrays, sizeof *arguments->arrays, &more) && loom_memory_add(nbytes, more, &nbytes);
    if (fits && nbytes > sizeof arguments->few) arguments->block = loom_memory_large(nbytes);
    if (!fits || (nbytes > sizeof arguments->few && arguments->block == NULL))
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for the arguments of %zu calls",
                                arguments->n_works);
    arguments->works = arguments->block != NULL ? arguments->block : (void *)arguments->few;
    arguments->all = (void *)(arguments->works + arguments->n_works);
    arguments->ranges = (void *)(arguments->all + arguments->n_all);
    arguments->arrays = (void *)(arguments->ranges + arguments->n_all);
    return PARLOOM_OK;
}

static parloom_status set_ranges(struct loom_arguments *arguments, parloom_error *error)
{
    size_t k = 0;
    for (size_t i = 0; i < arguments->n_works; i++) {
        const parloom_call *call = &arguments->request->calls[i];
        for (size_t j = 0; j < call->n_args; j++, k++) {
            parloom_status status = set_range(arguments, k, &call->args[j], error);
            if (status != PARLOOM_OK) return status;
        }
    }
    return PARLOOM_OK;
}

static bool has_shared_range(const struct loom_arguments *arguments)
{
    for (size_t k = 0; k < arguments->n_all; k++)
        if (arguments->ranges[k].nbytes > 0 && loom_segment_of(arguments->ranges[k].data) != NULL) return true;
    return false;
}

/* Where nothing is copied, what parloom_alloc gave is still held: the caller may free it while tasks use it. */
static parloom_status copy_ranges(struct loom_arguments *arguments, const parloom_options *options, int n_threads,
                                  parloom_error *error)
{
    if (arguments->stage == LOOM_STAGE_NONE && !has_shared_range(arguments)) return PARLOOM_OK;
    struct loom_spill_limits limits = {
        .max_nbytes = options->max_nbytes > 0 ? options->max_nbytes : LOOM_OPTIONS_MAX_NBYTES_DEFAULT,
        .temp_folder = options->temp_folder,
        .inputs_stay = arguments->stage != LOOM_STAGE_ALL,
        .outputs_stay = arguments->stage == LOOM_STAGE_NONE,
        .account = arguments->account,
        .account_nbytes = sizeof arguments->account,
        .letter = arguments->letter,
        .letter_nbytes = arguments->letter_nbytes,
        .n_threads = n_threads,
    };
    return loom_spill_begin(&arguments->spill, arguments->ranges, arguments->n_all, &limits, error);
}

/* ------------------------------------------------------------ accumulators */

static size_t accumulator_stride(const parloom_arg *arg)
{
    return loom_memory_round_up(arg->nbytes, ACCUMULATOR_ALIGNMENT);
}

static parloom_status allocate_accumulators(struct loom_arguments *arguments, size_t nbytes, parloom_error *error)
{
    if (arguments->stage == LOOM_STAGE_NONE) {
        arguments->accumulators = loom_memory_aligned(ACCUMULATOR_ALIGNMENT, nbytes);
        if (arguments->accumulators != NULL) return PARLOOM_OK;
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for accumulators of %zu bytes", nbytes);
    }
    arguments->accumulators_arena = loom_arena_public(error);
    if (arguments->accumulators_arena != NULL)
        arguments->accumulators = loom_arena_allocate(arguments->accumulators_arena, nbytes, 0, false, error);
    return arguments->accumulators != NULL ? PARLOOM_OK : error->status;
}

static parloom_status make_accumulators(struct loom_arguments *arguments, parloom_error *error)
{
    size_t nbytes = 0, blocks = arguments->n_blocks;
    const parloom_call *call = &arguments->request->calls[0];
    for (size_t k = 0; k < call->n_args; k++) {
        size_t more = 0;
        if (loom_kind_direction(&call->args[k]) != LOOM_KIND_REDUCE) continue;
        if (!loom_memory_mul(accumulator_stride(&call->args[k]), blocks, &more) ||
            !loom_memory_add(nbytes, more, &nbytes))
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "%zu accumulators of %zu bytes are too large",
                                    blocks, call->args[k].nbytes);
    }
    return nbytes > 0 ? allocate_accumulators(arguments, nbytes, error) : PARLOOM_OK;
}

/* Each starts from the neutral element, also those of blocks that are never run. */
static void set_accumulators(struct loom_arguments *arguments)
{
    char *next = arguments->accumulators;
    const parloom_call *call = &arguments->request->calls[0];
    for (size_t k = 0; arguments->n_blocks > 0 && k < call->n_args; k++) {
        const parloom_arg *arg = &call->args[k];
        if (loom_kind_direction(arg) != LOOM_KIND_REDUCE) continue;
        struct loom_argument *argument = &arguments->all[k];
        argument->neutral = argument->address;
        argument->address = as_address(next);
        argument->stride = accumulator_stride(arg);
        for (size_t block = 0; block < arguments->n_blocks; block++, next += argument->stride)
            memcpy(next, arg->data, arg->nbytes);
    }
}

/* --------------------------------------------------------------- arguments */

static void set_array(struct loom_arguments *arguments, size_t k, const parloom_arg *arg, parloom_array *array)
{
    const struct loom_spill_range *range = &arguments->ranges[k];
    *array = *arg->array;
    array->owner = NULL;
    if (range->nbytes > 0)
        array->data = (char *)range->shared + ((const char *)arg->array->data - (const char *)range->data);
    if (range->is_memmap) array->flags |= LOOM_ARRAY_MEMMAP;
    if (!range->written && !arguments->all[k].copy_on_write) array->flags |= LOOM_ARRAY_READ_ONLY;
    arguments->all[k].array = as_address(array);
}

static uint32_t form_of(const parloom_arg *arg)
{
    if (loom_kind_direction(arg) == LOOM_KIND_REDUCE) return LOOM_ARGUMENT_REDUCE;
    if (loom_kind_has(arg, LOOM_KIND_EACH)) return LOOM_ARGUMENT_EACH;
    return loom_kind_has(arg, LOOM_KIND_ARRAY) ? LOOM_ARGUMENT_ARRAY : LOOM_ARGUMENT_BYTES;
}

/* mmap_mode is about in arguments in private memory; what the caller shares, it shares. A file has its own mode. */
static bool is_own_view(const struct loom_arguments *arguments, const parloom_arg *arg,
                        const struct loom_spill_range *range)
{
    if (loom_kind_direction(arg) != LOOM_KIND_IN || range->nbytes == 0 || range->written) return false;
    const struct loom_segment *segment = loom_segment_of(range->data);
    return segment != NULL ? segment->access == LOOM_SEGMENT_MAP_PRIVATE : arguments->is_copy_on_write;
}

static void set_argument(struct loom_arguments *arguments, size_t k, const parloom_arg *arg, parloom_array **arrays)
{
    const struct loom_spill_range *range = &arguments->ranges[k];
    struct loom_argument *argument = &arguments->all[k];
    *argument = (struct loom_argument){
        .form = form_of(arg), .address = as_address(range->shared), .nbytes = range->nbytes, .stride = arg->stride
    };
    argument->copy_on_write = is_own_view(arguments, arg, range);
    if (argument->form == LOOM_ARGUMENT_ARRAY) set_array(arguments, k, arg, (*arrays)++);
}

static void set_works(struct loom_arguments *arguments)
{
    parloom_array *arrays = arguments->arrays;
    size_t k = 0;
    for (size_t i = 0; i < arguments->n_works; i++) {
        const parloom_call *call = &arguments->request->calls[i];
        arguments->works[i] = (struct loom_work){ call->function, &arguments->all[k], call->n_args };
        for (size_t j = 0; j < call->n_args; j++, k++) set_argument(arguments, k, &call->args[j], &arrays);
    }
    set_accumulators(arguments);
}

parloom_status loom_arguments_stage(struct loom_arguments *arguments, const struct loom_request *request,
                                    const parloom_options *options, int memory, int n_threads, size_t block_size,
                                    parloom_error *error)
{
    memset(arguments, 0, offsetof(struct loom_arguments, few));
    arguments->request = request;
    arguments->is_read_write = options->mmap_mode == PARLOOM_MMAP_RW || options->mmap_mode == PARLOOM_MMAP_W;
    arguments->is_copy_on_write = options->mmap_mode == PARLOOM_MMAP_C;
    if (memory == LOOM_MEMORY_SEPARATE) arguments->stage = LOOM_STAGE_ALL;
    if (memory == LOOM_MEMORY_INHERITED) arguments->stage = LOOM_STAGE_OUTPUTS;
    arguments->block_size = block_size;
    if (block_size > 0) arguments->n_blocks = request->n / block_size + (request->n % block_size != 0);
    parloom_status status = make_room(arguments, error);
    if (status == PARLOOM_OK) status = set_ranges(arguments, error);
    if (status == PARLOOM_OK) status = loom_arguments_check_overlaps(arguments, error);
    if (status == PARLOOM_OK) status = copy_ranges(arguments, options, n_threads, error);
    if (status == PARLOOM_OK) status = make_accumulators(arguments, error);
    if (status == PARLOOM_OK) set_works(arguments);
    if (status != PARLOOM_OK) loom_arguments_release(arguments);
    return status;
}

void loom_arguments_release(struct loom_arguments *arguments)
{
    loom_spill_end(arguments->spill);
    if (arguments->accumulators_arena != NULL)
        loom_arena_free(arguments->accumulators_arena, arguments->accumulators);
    else
        free(arguments->accumulators);
    free(arguments->block);
    memset(arguments, 0, offsetof(struct loom_arguments, few));
}

/* ---------------------------------------------------------------- delivery */

static bool is_staged(const struct loom_spill_range *range)
{
    return range->written && range->nbytes > 0 && range->shared != range->data;
}

static bool has_staged_outputs(const struct loom_arguments *arguments)
{
    for (size_t k = 0; k < arguments->n_all; k++)
        if (is_staged(&arguments->ranges[k])) return true;
    return false;
}

parloom_status loom_arguments_stage_call(struct loom_arguments *arguments, const parloom_call *call,
                                         const parloom_options *options, const char *taker, parloom_error *error)
{
    struct loom_request request = { .n = 1, .is_list = true, .calls = call };
    parloom_status status = loom_arguments_check(&request, error);
    if (status == PARLOOM_OK)
        status = loom_arguments_stage(arguments, &request, options, LOOM_MEMORY_SEPARATE, 1, 0, error);
    if (status != PARLOOM_OK) return status;
    arguments->request = NULL; /* gone after this call */
    if (!has_staged_outputs(arguments)) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "out and inout arguments of a %s are shared memory: nobody could say when they are to be "
                            "copied back; use parloom_alloc, or hand the result out with parloom_return",
                            taker);
}

void loom_arguments_restore(const struct loom_arguments *arguments, size_t begin, size_t end)
{
    for (size_t k = 0; k < arguments->n_all; k++) {
        const struct loom_spill_range *range = &arguments->ranges[k];
        if (arguments->all[k].form != LOOM_ARGUMENT_EACH || !is_staged(range)) continue;
        size_t stride = (size_t)arguments->all[k].stride;
        memcpy((char *)range->shared + begin * stride, (const char *)range->data + begin * stride,
               (end - begin) * stride);
    }
}

/* Elements of tasks that ended OK: between the ranges that the tally notes. */
static size_t deliver_elements(const struct loom_arguments *arguments, size_t k, const struct loom_tally *tally)
{
    const struct loom_spill_range *range = &arguments->ranges[k];
    size_t stride = (size_t)arguments->all[k].stride, begin = 0, copied = 0;
    for (size_t j = 0; j <= tally->n_ranges; j++) {
        size_t end = j < tally->n_ranges ? tally->ranges[j].begin : tally->n;
        memcpy((char *)(uintptr_t)range->data + begin * stride, (const char *)range->shared + begin * stride,
               (end - begin) * stride);
        copied += (end - begin) * stride;
        if (j < tally->n_ranges) begin = tally->ranges[j].end;
    }
    return copied;
}

static size_t deliver_one(const struct loom_arguments *arguments, size_t k, const parloom_arg *arg,
                          const struct loom_tally *tally)
{
    const struct loom_spill_range *range = &arguments->ranges[k];
    if (!is_staged(range)) return 0;
    if (arguments->all[k].form == LOOM_ARGUMENT_EACH) return deliver_elements(arguments, k, tally);
    if (arguments->all[k].form != LOOM_ARGUMENT_ARRAY) {
        memcpy((void *)(uintptr_t)range->data, range->shared, range->nbytes);
        return range->nbytes;
    }
    const parloom_array *from = (const parloom_array *)(uintptr_t)arguments->all[k].array;
    loom_array_copy_items(arg->array, from);
    return parloom_array_nbytes(arg->array);
}

static void combine(const struct loom_arguments *arguments)
{
    const parloom_call *call = &arguments->request->calls[0];
    for (size_t k = 0; arguments->n_blocks > 0 && k < call->n_args; k++) {
        const struct loom_argument *argument = &arguments->all[k];
        if (argument->form != LOOM_ARGUMENT_REDUCE) continue;
        for (size_t block = 0; block < arguments->n_blocks; block++)
            call->args[k].combine((void *)(uintptr_t)call->args[k].data,
                                  (const void *)(uintptr_t)(argument->address + block * argument->stride));
    }
}

size_t loom_arguments_deliver(const struct loom_arguments *arguments, const struct loom_tally *tally)
{
    size_t copied = 0, k = 0;
    bool has_staged = arguments->spill != NULL && loom_spill_has_written(arguments->spill);
    for (size_t i = 0; has_staged && i < arguments->n_works; i++) {
        const parloom_call *call = &arguments->request->calls[i];
        for (size_t j = 0; j < call->n_args; j++, k++) copied += deliver_one(arguments, k, &call->args[j], tally);
    }
    combine(arguments);
    return copied;
}
