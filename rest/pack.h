/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pack.h - an array to a descriptor: header and items, compressed or as they are.
 *
 *   header ++ items ──┬─ not compressed ──────────────────────────────┐
 *                     ├─ one stream (lzma) ── one coder ───────────────┼──> descriptor, from its position on
 *                     └─ streams, or parts of one (zlib), of frame_nbytes ── a coder each, in a loop ──┘
 */
#ifndef LOOM_REST_PACK_H
#define LOOM_REST_PACK_H

#include "rest/codec.h"
#include "rest/effort.h"

/* array: checked. name: of what fd is, for messages. effort: begun. Statuses as parloom_array_dump_with. */
parloom_status loom_pack(const parloom_array *array, int fd, const char *name, const struct loom_codec_choice *choice,
                         struct loom_effort *effort, parloom_error *error);

/* ---- between pack.c and pack_frames.c */

/* What is written: bytes 0 .. nbytes - 1, of which the first header_nbytes are the header. */
struct loom_pack {
    const parloom_array *array;
    char header[512];
    size_t header_nbytes;
    uint64_t nbytes;
    bool is_contiguous; /* items lie as they are to be written */
    int fd;
    const char *name;
    const struct loom_codec *codec;
    int level;
    struct loom_effort *effort;
};

/* Goes from byte at to byte end, in pieces that lie in memory. */
struct loom_pack_cursor {
    const struct loom_pack *pack;
    uint64_t at, end;
    size_t most;    /* bytes in a piece, so that it can be told how far it is; 0: as many as lie in a row */
    char *gathered; /* items that lie apart, one piece of them; free() it */
};
enum { LOOM_PACK_PIECE_NBYTES = 1 << 20 };

/* The next piece; *nbytes_out 0: there is no more. MEMORY. */
parloom_status loom_pack_next(struct loom_pack_cursor *cursor, const void **piece_out, size_t *nbytes_out,
                              parloom_error *error);
parloom_status loom_pack_write(const struct loom_pack *pack, const void *data, size_t nbytes, parloom_error *error);
parloom_status loom_pack_frames(const struct loom_pack *pack, parloom_error *error);

#endif
