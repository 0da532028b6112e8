/* SPDX-License-Identifier: BSD-3-Clause */
/* channel.h - the side channels of a call: which there are, and what becomes of its records. */
#ifndef LOOM_CORE_CHANNEL_H
#define LOOM_CORE_CHANNEL_H

#include "backends/side_channel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Those that a call made now has: the registered ones; in a task, those of the call that the task belongs to. False:
 * none. */
bool loom_channels_freeze(struct loom_channels *channels_out);
/* Hands the records to merge, in task order; in a task, on to that task. False: some were lost. */
bool loom_channels_merge(const struct loom_channels *channels, struct loom_records *records,
                         const struct loom_tally *tally);
/* The same of one task of a stream, which ended so. is_inner: the stream was opened in a task. */
bool loom_channels_merge_one(const struct loom_channels *channels, struct loom_records *records, parloom_status status,
                             bool is_inner);

#ifdef __cplusplus
}
#endif
#endif
