/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * deflate.h - members of zip archives that are packed, by zlib, which is opened when it is first needed.
 *
 * Both ways work on memory: the caller reads and writes the files.
 */
#ifndef LOOM_REST_DEFLATE_H
#define LOOM_REST_DEFLATE_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loom_deflate; /* one stream, one way */

enum loom_deflate_state {
    LOOM_DEFLATE_MORE,   /* all input is taken, or all room is used */
    LOOM_DEFLATE_END,    /* the stream is complete */
    LOOM_DEFLATE_DAMAGED /* it is none, or memory is short */
};

/* Bytes that are to be worked on and room for what they become; moved on by each step. */
struct loom_deflate_buffers {
    const void *in;
    size_t in_nbytes;
    void *out;
    size_t out_nbytes;
};

/* level 0: 6. UNSUPPORTED: there is no zlib; MEMORY. */
parloom_status loom_deflate_begin_packing(struct loom_deflate **stream_out, int level, parloom_error *error);
parloom_status loom_deflate_begin_unpacking(struct loom_deflate **stream_out, parloom_error *error);
/* is_last: there is no input after this. */
enum loom_deflate_state loom_deflate_pack(struct loom_deflate *stream, struct loom_deflate_buffers *buffers,
                                          bool is_last);
enum loom_deflate_state loom_deflate_unpack(struct loom_deflate *stream, struct loom_deflate_buffers *buffers);
void loom_deflate_end(struct loom_deflate *stream); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
