/* SPDX-License-Identifier: BSD-3-Clause */
/* unpack_source.h - the bytes of a descriptor in sequence, decompressed where they are compressed. */
#ifndef LOOM_REST_UNPACK_SOURCE_H
#define LOOM_REST_UNPACK_SOURCE_H

#include "rest/codec.h"
#include "rest/effort.h"

struct loom_unpack_source {
    int fd;
    const char *name;
    uint64_t left;            /* bytes from the position to the end when it was opened; UINT64_MAX: not known */
    struct loom_codec *codec; /* held; NULL: not compressed */
    void *stream;             /* NULL: between two streams */
    size_t streams;           /* begun so far */
    unsigned char *buffer;    /* [at, have) was read and not yet taken */
    size_t at, have;
    bool has_ended;             /* the descriptor has no more */
    struct loom_effort *effort; /* advanced by what is read; NULL: by nothing yet */
};

/* Reads the first bytes, and knows by them what it is. IO MEMORY UNSUPPORTED; FORMAT: neither .npy nor compressed. */
parloom_status loom_unpack_source_open(struct loom_unpack_source *source, int fd, const char *name,
                                       parloom_error *error);
/* *got_out below nbytes: that was all. FORMAT: damaged, or cut short within a stream. */
parloom_status loom_unpack_source_read(struct loom_unpack_source *source, void *data, size_t nbytes, size_t *got_out,
                                       parloom_error *error);
/* The same, and not beyond the stream that it is in. */
parloom_status loom_unpack_source_read_stream(struct loom_unpack_source *source, void *data, size_t nbytes,
                                              size_t *got_out, parloom_error *error);
/* Of compressed bytes that are next, between two streams: where in the file they begin. false: it is no file. */
bool loom_unpack_source_place(const struct loom_unpack_source *source, uint64_t *place_out);
/* Goes on there, past so many streams. */
void loom_unpack_source_move(struct loom_unpack_source *source, uint64_t place, size_t streams);
/* Names the file that a codec, which does not know it, refused. */
parloom_status loom_unpack_source_blame(const struct loom_unpack_source *source, parloom_status status,
                                        const parloom_error *own, parloom_error *error);
/* Reads the end of the stream, with its checksum. FORMAT: it holds more, or is_all and there is something after it;
 * else puts the position behind the stream, or FORMAT where bytes that came after it were read and cannot be put back.
 */
parloom_status loom_unpack_source_finish(struct loom_unpack_source *source, bool is_all, parloom_error *error);
void loom_unpack_source_close(struct loom_unpack_source *source);

#endif
