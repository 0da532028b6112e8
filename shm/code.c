/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * code.c - parloom_code_publish, parloom_code_release: one sealed segment for each block of code.
 *
 * The address is the same in every worker, so such a function travels as its address, and may be a body, a worker_init,
 * or what another body calls.
 */
#include "shm/code.h"

#include "base/log.h"
#include "base/status.h"
#include "shm/segment.h"

#include <string.h>

static const void *address_of(parloom_body function)
{
    const void *address;
    memcpy(&address, &function, sizeof address);
    return address;
}

bool loom_code_holds(const void *address)
{
    const struct loom_segment *segment = loom_segment_of(address);
    return segment && segment->access == LOOM_SEGMENT_CODE;
}

parloom_status parloom_code_publish(const void *code, size_t nbytes, parloom_body *function_out, parloom_error *error)
{
    struct loom_segment *segment = NULL;
    loom_status_clear(error);
    if (!code || nbytes == 0 || !function_out)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "code to publish is NULL or empty, or there is no place for the function");
    parloom_status status =
        loom_segment_create_copy(code, nbytes, 0, LOOM_SEGMENT_CODE, LOOM_CODE_LABEL, &segment, error);
    if (status != PARLOOM_OK) return status;
    __builtin___clear_cache(segment->address, segment->address + nbytes);
    memcpy(function_out, &segment->address, sizeof *function_out);
    return PARLOOM_OK;
}

void parloom_code_release(parloom_body function)
{
    const void *address = address_of(function);
    if (!address) return;
    struct loom_segment *segment = loom_code_holds(address) ? loom_segment_of(address) : NULL;
    if (segment && segment->fd >= 0 && (const void *)segment->address == address) {
        loom_segment_release(segment, false);
        return;
    }
    loom_log(LOOM_LOG_WARNING,
             "parloom_code_release: %p was not given by parloom_code_publish of this process, or is released already; "
             "nothing was done",
             address);
}
