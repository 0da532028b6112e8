/* SPDX-License-Identifier: BSD-3-Clause */
/* argument_kinds.c - the public constructors of arguments, and what makes an argument a mistake. */
#include "core/argument_kinds.h"

#include "base/memory.h"
#include "base/status.h"
#include "core/arguments.h"
#include "shm/array.h"
#include "shm/segment.h"

static parloom_arg bytes(int kind, const void *data, size_t nbytes)
{
    parloom_arg arg = { .kind = kind, .data = data, .nbytes = nbytes };
    return arg;
}

static parloom_arg of_array(int kind, const parloom_array *array)
{
    parloom_arg arg = { .kind = kind | LOOM_KIND_ARRAY, .array = array };
    if (array != NULL) arg.data = array->data;
    if (array != NULL) arg.nbytes = parloom_array_nbytes(array);
    return arg;
}

parloom_arg parloom_in(const void *data, size_t nbytes)
{
    return bytes(LOOM_KIND_IN, data, nbytes);
}

parloom_arg parloom_out(void *data, size_t nbytes)
{
    return bytes(LOOM_KIND_OUT, data, nbytes);
}

parloom_arg parloom_inout(void *data, size_t nbytes)
{
    return bytes(LOOM_KIND_INOUT, data, nbytes);
}

parloom_arg parloom_in_array(const parloom_array *array)
{
    return of_array(LOOM_KIND_IN, array);
}

parloom_arg parloom_out_array(const parloom_array *array)
{
    return of_array(LOOM_KIND_OUT, array);
}

parloom_arg parloom_inout_array(const parloom_array *array)
{
    return of_array(LOOM_KIND_INOUT, array);
}

parloom_arg parloom_each(parloom_arg arg, size_t stride)
{
    arg.kind |= LOOM_KIND_EACH;
    arg.stride = stride;
    return arg;
}

parloom_arg parloom_reduce(void *data, size_t nbytes, void (*combine)(void *into, const void *from))
{
    parloom_arg arg = bytes(LOOM_KIND_REDUCE, data, nbytes);
    arg.combine = combine;
    return arg;
}

/* ----------------------------------------------------------------- mistakes */

static parloom_status check_each(const parloom_arg *arg, size_t k, size_t n, parloom_error *error)
{
    size_t needed = 0;
    if (arg->stride == 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "argument %zu: parloom_each with a stride of 0", k);
    if (loom_kind_has(arg, LOOM_KIND_ARRAY) && !loom_array_is_contiguous(arg->array, false))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "argument %zu: parloom_each takes arrays whose items lie one behind the other in C "
                                "order: pass a view as it is and index it in the body, or copy it",
                                k);
    if (!loom_memory_mul(n, arg->stride, &needed) || needed > arg->nbytes)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "argument %zu: %zu elements of %zu bytes do not fit its %zu bytes", k, n, arg->stride,
                                arg->nbytes);
    return PARLOOM_OK;
}

static parloom_status check_array(const parloom_arg *arg, size_t k, parloom_error *error)
{
    if (arg->array == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "argument %zu: the array is NULL", k);
    parloom_status status = loom_array_check(arg->array, error);
    if (status != PARLOOM_OK) return status;
    if (loom_kind_direction(arg) != LOOM_KIND_IN && !parloom_array_is_writable(arg->array))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "argument %zu: the array is read-only and cannot be out or inout", k);
    return PARLOOM_OK;
}

bool loom_kind_is_in_read_only_file(const parloom_arg *arg)
{
    const struct loom_segment *segment = loom_segment_of(arg->data);
    return segment != NULL && segment->access == LOOM_SEGMENT_MAP_READ;
}

static parloom_status check_one(const parloom_arg *arg, size_t k, const struct loom_request *request,
                                parloom_error *error)
{
    int direction = loom_kind_direction(arg);
    bool is_loop_only = loom_kind_has(arg, LOOM_KIND_EACH) || direction == LOOM_KIND_REDUCE;
    if (direction < LOOM_KIND_IN || direction > LOOM_KIND_REDUCE)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "argument %zu was not made by parloom_in, _out, _inout or _reduce", k);
    if (is_loop_only && request->is_list)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "argument %zu: parloom_each and parloom_reduce are for loops, not for parloom_run", k);
    if (direction == LOOM_KIND_REDUCE &&
        (arg->combine == NULL || arg->nbytes == 0 || loom_kind_has(arg, LOOM_KIND_EACH)))
        return loom_status_fail(
            error, PARLOOM_ERR_INVALID, 0,
            "argument %zu: a reduction needs bytes and a function to combine them, and is not for each", k);
    if (loom_kind_has(arg, LOOM_KIND_ARRAY)) {
        parloom_status status = check_array(arg, k, error);
        if (status != PARLOOM_OK) return status;
    }
    if (arg->data == NULL && arg->nbytes > 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "argument %zu: data is NULL with %zu bytes", k,
                                arg->nbytes);
    if ((uintptr_t)arg->data + arg->nbytes < (uintptr_t)arg->data)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "argument %zu: %zu bytes do not fit the address space",
                                k, arg->nbytes);
    if (direction != LOOM_KIND_IN && loom_kind_is_in_read_only_file(arg))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "argument %zu lies in a file that is mapped read-only (mode r): map it with r+ "
                                "(PARLOOM_MMAP_RW) to write to it",
                                k);
    return loom_kind_has(arg, LOOM_KIND_EACH) ? check_each(arg, k, request->n, error) : PARLOOM_OK;
}

parloom_status loom_arguments_check(const struct loom_request *request, parloom_error *error)
{
    size_t count = request->is_list ? request->n : 1;
    if (request->n > LOOM_RUN_MOST_TASKS)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "n is %zu: at most %zu tasks", request->n,
                                LOOM_RUN_MOST_TASKS);
    if (request->calls == NULL && request->n > 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "calls is NULL");
    for (size_t i = 0; request->n > 0 && i < count; i++) {
        const parloom_call *call = &request->calls[i];
        if (call->function == NULL)
            return request->is_list
                       ? loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "the function of call %zu is NULL", i)
                       : loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                          "the body is NULL: a loop needs a function to call");
        if (call->args == NULL && call->n_args > 0)
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "args is NULL with n_args %zu", call->n_args);
        for (size_t k = 0; k < call->n_args; k++) {
            parloom_status status = check_one(&call->args[k], k, request, error);
            if (status != PARLOOM_OK) return status;
        }
    }
    return PARLOOM_OK;
}

bool loom_arguments_have_reduction(const struct loom_request *request)
{
    if (request->is_list) return false;
    for (size_t k = 0; k < request->calls[0].n_args; k++)
        if (loom_kind_direction(&request->calls[0].args[k]) == LOOM_KIND_REDUCE) return true;
    return false;
}
