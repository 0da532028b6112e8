/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * body.c - what a body may call: fail, at, cancelled, scratch, return, record. All of them reach the worker's shift
 * through task->internal, so a copied task serves as well.
 */
#include "backends/shift.h"
#include "backends/side_channel.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int parloom_fail(const parloom_task *task, int code, const char *format, ...)
{
    struct loom_shift *shift = task->internal;
    va_list list;
    va_start(list, format);
    (void)vsnprintf(shift->message, sizeof shift->message, format, list);
    va_end(list);
    shift->has_message = code != 0;
    shift->message_begin = shift->task.begin;
    return code;
}

int parloom_fail_text(const parloom_task *task, int code, const char *text)
{
    return parloom_fail(task, code, "%s", text == NULL ? "" : text);
}

void parloom_at(const parloom_task *task, size_t index)
{
    struct loom_shift *shift = task->internal;
    /* release: results of the indices before this one; pairs with the program's read after a death */
    loom_store_release(shift->current, ((uint64_t)index + 1) | LOOM_SHIFT_ANNOUNCED);
}

bool parloom_cancelled(const parloom_task *task)
{
    struct loom_shift *shift = task->internal;
    if (!loom_shift_is_cancelled(shift)) return false;
    loom_store_relaxed(&shift->cancelled_at, (uint64_t)shift->task.begin + 1); /* relaxed: read by the task's thread */
    return true;
}

/* Grown, it keeps its bytes; the part that is new is zero. */
void *parloom_scratch(const parloom_task *task, size_t nbytes)
{
    struct loom_shift *shift = task->internal;
    if (nbytes == 0) nbytes = 1;
    if (nbytes <= shift->scratch_nbytes) return shift->scratch;
    void *grown = loom_memory_aligned(64, loom_memory_round_up(nbytes, 64));
    if (grown == NULL) return NULL;
    if (shift->scratch_nbytes > 0) memcpy(grown, shift->scratch, shift->scratch_nbytes);
    memset((char *)grown + shift->scratch_nbytes, 0, nbytes - shift->scratch_nbytes);
    free(shift->scratch);
    shift->scratch = grown;
    shift->scratch_nbytes = nbytes;
    return grown;
}

int parloom_return(const parloom_task *task, const void *data, size_t nbytes)
{
    struct loom_shift *shift = task->internal;
    if (shift->give == NULL) return (int)PARLOOM_ERR_UNSUPPORTED;
    if (data == NULL && nbytes > 0) return (int)PARLOOM_ERR_INVALID;
    return (int)shift->give(shift, data, nbytes);
}

parloom_status parloom_record(const parloom_task *task, const char *channel, const void *data, size_t nbytes)
{
    struct loom_shift *shift = task->internal;
    if (channel == NULL || (data == NULL && nbytes > 0)) return PARLOOM_ERR_INVALID;
    for (uint32_t k = 0; shift->channels != NULL && k < shift->channels->n; k++)
        if (strcmp(shift->channels->channels[k].name, channel) == 0)
            return shift->record(shift, loom_shift_task(shift), k, data, nbytes);
    return PARLOOM_OK; /* nobody collects */
}
