/* SPDX-License-Identifier: BSD-3-Clause */
/* unpack_frames.h - streams of a file that say how long they are, decompressed at once. */
#ifndef LOOM_REST_UNPACK_FRAMES_H
#define LOOM_REST_UNPACK_FRAMES_H

#include "rest/unpack_source.h"

/* Reads as many of nbytes as can be read at once, *done_out of them; the source goes on behind. 0 where it cannot: from
 * pipes, on one thread, with codecs whose streams do not say how long they are. FORMAT as loom_unpack_source_read. */
parloom_status loom_unpack_frames(struct loom_unpack_source *source, char *data, size_t nbytes, size_t *done_out,
                                  parloom_error *error);

#endif
