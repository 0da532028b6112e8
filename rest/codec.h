/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * codec.h - which codecs there are, and which one somebody means.
 *
 *   codec_builtin   the table of those that come with the library; codec_zlib ... codec_blosc: their operations
 *   codec_registry  those and the registered ones, held while they are used
 *   codec_choose    "zlib:3" and "x.npy.gz" to a codec and a level
 */
#ifndef LOOM_REST_CODEC_H
#define LOOM_REST_CODEC_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_CODEC_PROBE_NBYTES = 16, LOOM_CODEC_LEVEL_MAX = 9 };

/* A format of one stream whose parts can be compressed apart. Of built-in codecs. bytes: room for 16. */
struct loom_codec_joint {
    size_t (*begin)(int level, unsigned char *bytes); /* writes what comes before the parts; how much */
    /* Then step, with is_last for the end of the part, and close are the codec's. */
    parloom_status (*open)(int level, bool is_final, void **stream_out, parloom_error *error);
    uint32_t (*check)(const void *stream); /* of what it was given */
    uint32_t (*combine)(uint32_t check, uint32_t next, uint64_t next_nbytes);
    size_t (*end)(uint32_t check, unsigned char *bytes); /* writes what comes after the parts; how much */
    uint32_t check_of_nothing;
};

/* Of a stream: its own length, and of what it holds. */
struct loom_codec_extent {
    uint64_t packed_nbytes, nbytes;
};

struct loom_codec {
    char name[PARLOOM_CODEC_NAME_BYTES];
    parloom_codec_ops ops; /* open NULL: this build is without it */
    void *state;
    const char *option, *package;         /* of a built-in one: what a build needs to have it */
    const struct loom_codec_joint *joint; /* NULL: streams are not cut */
    /* What the stream says of itself that begins at this byte of a file, without decompressing it; it may lie. false:
     * it does not say. Streams are compressed in one step, so that they can say it. NULL: they never do. */
    bool (*measure)(int fd, uint64_t at, struct loom_codec_extent *extent_out);
    size_t users; /* under the lock of codec_registry.c */
    struct loom_codec *next;
};

/* codec NULL: not compressed. Held: give it back with loom_codec_release. */
struct loom_codec_choice {
    struct loom_codec *codec;
    int level; /* 0: its default */
};

/* text: as for parloom_array_dump; NULL: by the ending of path, else zlib where there is a level. path NULL: no ending.
 * INVALID with the names that are known; UNSUPPORTED: not in this build. */
parloom_status loom_codec_choose(const char *text, const char *path, int level, struct loom_codec_choice *choice_out,
                                 parloom_error *error);

/* Held, or NULL. */
struct loom_codec *loom_codec_find(const char *name, size_t length);
struct loom_codec *loom_codec_find_ending(const char *path);
struct loom_codec *loom_codec_recognise(const void *bytes, size_t nbytes);
void loom_codec_release(struct loom_codec *codec); /* NULL is fine */
/* UNSUPPORTED with the option and the package that this build would have needed. */
parloom_status loom_codec_check(const struct loom_codec *codec, parloom_error *error);
/* level, as parloom_codec_ops.open; NULL there for an operation's state is fine. */
parloom_status loom_codec_open(const struct loom_codec *codec, int level, size_t item_nbytes, void **stream_out,
                               parloom_error *error);
/* INTERNAL where a step took or wrote more than it was given. */
parloom_status loom_codec_step(const struct loom_codec *codec, void *stream, parloom_codec_step *step,
                               parloom_error *error);

/* The k-th built-in one; NULL: there are no more. */
struct loom_codec *loom_codec_builtin(size_t k);

#ifdef __cplusplus
}
#endif
#endif
