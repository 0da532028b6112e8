/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * codec.h - arrays compressed, and through descriptors: pipes, sockets, files in memory. And codecs of your own.
 *
 * parloom_array_dump and parloom_array_load (array.h) compress and decompress. A codec is named by text, "zlib", or
 * with a level, "zlib:3"; or it is found by the ending of the file's name:
 *
 *     zlib .z   gzip .gz   bz2 .bz2   xz .xz   lzma .lzma   lz4 .lz4   zstd .zst   blosc, blosc-zstd .blosc   none
 *
 * Levels are 1 (fast) to 9 (small); 0 is the codec's default; a level alone is zlib's. A load goes by what is in the
 * file, not by its name. Codecs whose streams may follow one another compress large arrays in pieces, at once on as
 * many threads as a loop would use that was given no n_jobs (parloom_effective_n_jobs(0)): in a scope that says so. The
 * bytes that are written do not depend on that number. Files of blosc, zstd and lz4 are decompressed in pieces, too.
 */
#ifndef PARLOOM_CODEC_H
#define PARLOOM_CODEC_H

#include <parloom/array.h>
#include <parloom/status.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* ---- descriptors */

/*
 * Writes an array as .npy to a descriptor, from its position on: a file, a pipe, a socket, a file in memory. Nothing
 * is undone when it fails. A reader that has gone is PARLOOM_ERR_IO with EPIPE, and no signal.
 *
 * array    borrows; C and Fortran order are kept, any other strides are stored in C order
 * fd       borrows; stays open. Where it does not block, the call waits for it
 * codec    "NAME" or "NAME:LEVEL"; "none": not compressed; NULL: not compressed, or with a level zlib
 * level    1 to 9; 0: that of codec, else its default
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      the array makes no sense, there is no such codec, or level is none
 *   PARLOOM_ERR_UNSUPPORTED  this build is without the codec, or its library is not there
 *   PARLOOM_ERR_SPACE        the file system is full
 *   PARLOOM_ERR_LIMIT        the file would be larger than is allowed
 *   PARLOOM_ERR_IO           it cannot be written: sys_errno
 *   PARLOOM_ERR_MEMORY       out of memory
 * Threads: any thread, also in a task body; one at a time for one descriptor.
 * Blocks:  until it is written.
 * Since:   0.1
 * Example: docs/guide/programs/compression_pipe.c
 */
parloom_status parloom_array_dump_fd(const parloom_array *array, int fd, const char *codec, int level,
                                     parloom_error *error);

/*
 * Loads an array from a descriptor, from its position on. What is not compressed is read to its last byte and no
 * further, so arrays may follow one another. So may compressed ones where the descriptor can seek; through pipes and
 * sockets a compressed array is the last thing that is sent.
 *
 * array_out set on success; gives: release it with parloom_array_release
 * fd        borrows; stays open. Where it does not block, the call waits for it
 * mode      UNSET: read into memory. Others: mapped as by parloom_array_load, where it is a regular file, not
 *           compressed and at position 0; else loaded into memory, with a warning in the log
 * error     NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      array_out is NULL, or mode is none
 *   PARLOOM_ERR_IO           it cannot be read: sys_errno
 *   PARLOOM_ERR_FORMAT       it is no .npy, is cut short, or contradicts itself
 *   PARLOOM_ERR_UNSUPPORTED  items or dimensions that a parloom_array cannot describe, or a codec whose library is not
 *                            there
 *   PARLOOM_ERR_SPACE, PARLOOM_ERR_MEMORY, PARLOOM_ERR_LIMIT  no room for it
 * Threads: any thread, also in a task body; one at a time for one descriptor.
 * Blocks:  until it is read.
 * Since:   0.1
 * Example: docs/guide/programs/compression_pipe.c
 */
parloom_status parloom_array_load_fd(parloom_array *array_out, int fd, parloom_mmap_mode mode, parloom_error *error);

/* ---- codecs of the program's own */

#define PARLOOM_CODEC_ABI 1u /* grows when what is here changes its meaning; fields are only ever appended */

enum {
    PARLOOM_CODEC_FRAMES = 1, /* streams may follow one another: large arrays are cut, and cuts compressed at once */
    PARLOOM_CODEC_ITEMS = 2   /* with FRAMES: cut between items, and the header is a stream of its own */
};

enum { PARLOOM_CODEC_NAME_BYTES = 32, PARLOOM_CODEC_DECOMPRESS = -1 };

/* What a step is given and what it leaves: it moves in and out on by what it took and wrote. */
typedef struct parloom_codec_step {
    const void *in;
    size_t in_nbytes;
    void *out;
    size_t out_nbytes;
    bool is_last; /* nothing comes after in */
    bool is_done; /* set by the step: the stream has ended, and all of it is in out */
} parloom_codec_step;

/*
 * What a codec does. state: as registered. Operations are called by several threads at once, each with a stream of its
 * own. error is never NULL: fill status and message when returning a failure.
 */
typedef struct parloom_codec_ops {
    size_t struct_size; /* sizeof(parloom_codec_ops) */
    unsigned abi;       /* PARLOOM_CODEC_ABI */
    unsigned flags;     /* of PARLOOM_CODEC_FRAMES, PARLOOM_CODEC_ITEMS */
    const char *ending; /* of file names, with its dot: ".gz"; NULL: none */
    /* Is this how one of its streams begins? nbytes: at least 16, less where there are no more. Required. */
    bool (*recognise)(void *state, const void *bytes, size_t nbytes);
    /* level: 1 to 9, 0: the default, PARLOOM_CODEC_DECOMPRESS. item_nbytes: of an item, when compressing. Required. */
    parloom_status (*open)(void *state, int level, size_t item_nbytes, void **stream_out, parloom_error *error);
    /* Takes from in, writes to out, as much as it can, and keeps what it cannot use yet: given bytes and room it does
     * one of both. Decompressing: FORMAT for damage; what was written is not believed then. Required. */
    parloom_status (*step)(void *stream, parloom_codec_step *step, parloom_error *error);
    void (*close)(void *stream); /* at any time. Required */
    size_t frame_nbytes;         /* FRAMES: how much of an array goes into one stream; 0: 4 MiB */
    size_t most_expansion; /* bytes one compressed byte can stand for; files that claim more are refused. 0: any */
} parloom_codec_ops;

/*
 * Registers a codec: from now on dumps may name it, and loads recognise it. Worker processes start as the program does,
 * without main: to have it there as well, register it in a constructor.
 *
 * name     borrows; letters, digits, '_', '-' and '.', less than PARLOOM_CODEC_NAME_BYTES of them
 * ops      borrows; copied; their ending is borrowed until it is unregistered
 * state    borrows until it is unregistered; handed to the operations
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or, and then nothing is registered,
 * Errors:
 *   PARLOOM_ERR_INVALID      no name can be that, it is taken (also: by a built-in codec), or ops are incomplete
 *   PARLOOM_ERR_VERSION      ops are of another ABI
 *   PARLOOM_ERR_UNSUPPORTED  a flag is not known here
 *   PARLOOM_ERR_MEMORY       no memory for the copy
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/compression_codec.c
 */
parloom_status parloom_codec_register(const char *name, const parloom_codec_ops *ops, void *state,
                                      parloom_error *error);

/*
 * Takes a codec back.
 *
 * name     borrows
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK: nothing uses its state any more; or
 * Errors:
 *   PARLOOM_ERR_INVALID  no such name, or that of a built-in codec
 *   PARLOOM_ERR_BUSY     a dump or load runs with it
 * Threads: any thread; not in its operations.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/compression_codec.c
 */
parloom_status parloom_codec_unregister(const char *name, parloom_error *error);

/*
 * Lists the codecs that can be named: the built-in ones this build has, then those registered, oldest first.
 *
 * names    NULL, or room for that many; gives strings that stay until their codec is unregistered
 * room     how many fit
 *
 * Returns: how many there are, whatever the room.
 * Errors:  none.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/compression_codec.c
 */
size_t parloom_codec_list(const char **names, size_t room);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
