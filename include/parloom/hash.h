/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hash.h - digests of arrays and of lists of arguments: equal for equal values, on any machine, in any release.
 *
 *     parloom_digest digest;
 *     char text[33];
 *     parloom_hash_array(&array, NULL, &digest, &error);
 *     parloom_digest_text(&digest, text);
 *
 * A digest covers dtype with byte order, size of an item, shape, layout (C order, Fortran order, neither) and the bytes
 * of the items: those between items do not count, and neither do addresses. Numbers are compared as bytes: 0.0 and -0.0
 * differ, and so do 1 and 1.0; a NaN is equal to one of the same bits. docs/hashing.md says byte by byte what is
 * digested, so that other programs can compute the same; it changes only together with the word it begins with.
 *
 * Arrays above 1 MiB are digested in pieces, by the library's own loop; the digest does not depend on the number of
 * workers, nor on the backend.
 */
#ifndef PARLOOM_HASH_H
#define PARLOOM_HASH_H

#include <parloom/array.h>
#include <parloom/options.h>
#include <parloom/parallel.h>
#include <parloom/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

enum { PARLOOM_DIGEST_TEXT_BYTES = 33, PARLOOM_SHA256_BYTES = 32 };

/* Compared with memcmp; the first byte is the first in the text. */
typedef struct parloom_digest {
    unsigned char bytes[16];
} parloom_digest;

/* All zero is the default. */
typedef struct parloom_hash_options {
    /* "xxh3" (XXH3-128: fast, for names and caches; who wants to can make two values with one digest), or "sha256"
     * (where nobody may: the digest is its first half, sha256_out has all of it). NULL: "xxh3". */
    const char *algorithm;
    /* true: arrays of equal items agree however they lie: each is digested as its copy in C order would be. */
    bool any_layout;
    /* true: an array for which parloom_array_is_memmap says true differs from its copy in private memory (joblib's hash
     * without coerce_mmap). false: they agree. */
    bool memmap_differs;
    /* Numbers of arguments whose value, kind and size are not to count, in any order; the argument counts as one more
     * that is there. For lists of arguments only. */
    const size_t *ignored;
    size_t n_ignored;
    /* How arrays above 1 MiB are shared out. NULL: all unset. Backend, pool, prefer and require unset: threads, and no
     * task_timeout; n_jobs as in any call (1 outside a scope), but 1 below 32 MiB for "xxh3", where a thread has read
     * all of it about as soon as a second one is awake. */
    const parloom_options *loop;
    /* NULL, or PARLOOM_SHA256_BYTES bytes that are set on success, with "sha256" only. */
    unsigned char *sha256_out;
    uint64_t reserved[8]; /* 0 */
} parloom_hash_options;

/*
 * Digests one array. Byte order counts as part of the dtype; a structured item is its bytes, padding included.
 *
 * array      borrows; any strides; without items too. Nobody writes to it meanwhile
 * options    borrows; NULL: the default
 * digest_out set on success
 * error      NULL is fine
 *
 * Returns: PARLOOM_OK, or, with a message that begins with "while hashing",
 * Errors:
 *   PARLOOM_ERR_INVALID      array, digest_out or options make no sense; an algorithm that is none: the message lists
 *                            those there are
 *   PARLOOM_ERR_UNSUPPORTED  sha256 in a build, or on a system, without OpenSSL
 *   PARLOOM_ERR_MEMORY       out of memory
 *   PARLOOM_ERR_IO           a mapped file became shorter than the array, or could not be read
 *   others                   of the call that options->loop asks for: as parloom_for_range
 * Threads: any thread, also in a task body.
 * Blocks:  until all bytes are read.
 * Since:   0.1
 * Example: tests/rest/test_hash.cc
 */
parloom_status parloom_hash_array(const parloom_array *array, const parloom_hash_options *options,
                                  parloom_digest *digest_out, parloom_error *error);

/*
 * Digests a list of arguments, as a call would be given it: their number and order, of each its kind (in, out, inout,
 * reduction), whether it is an array or bytes, the stride of parloom_each, and its value: of in, inout and reductions
 * all of it, of out all but the bytes, which a task has yet to write. The function of a reduction does not count.
 *
 * args       borrows, with what they borrow; NULL where there are none
 * n_args     how many
 * options    borrows; NULL: the default
 * digest_out set on success
 * error      NULL is fine
 *
 * Returns: PARLOOM_OK, or, with a message that names the argument,
 * Errors:  as parloom_hash_array; also PARLOOM_ERR_INVALID for what parloom_in and its like did not make, for bytes
 *          that are NULL, and for ignored arguments that are not there.
 * Threads: any thread, also in a task body.
 * Blocks:  until all bytes are read.
 * Since:   0.1
 * Example: tests/rest/test_hash_args.cc
 */
parloom_status parloom_hash_args(const parloom_arg *args, size_t n_args, const parloom_hash_options *options,
                                 parloom_digest *digest_out, parloom_error *error);

/*
 * Digests values that have names: a table, keyword arguments, a configuration. The order in which they are given does
 * not count.
 *
 * names      borrows; n_args texts, none of them twice
 * args       borrows, with what they borrow; argument k is the value of names[k]
 * n_args     how many
 * options    borrows; NULL: the default
 * digest_out set on success
 * error      NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:  as parloom_hash_args; also PARLOOM_ERR_INVALID for a name that is NULL or there twice.
 * Threads: any thread, also in a task body.
 * Blocks:  until all bytes are read.
 * Since:   0.1
 * Example: docs/guide/programs/hashing_inputs.c
 */
parloom_status parloom_hash_named(const char *const *names, const parloom_arg *args, size_t n_args,
                                  const parloom_hash_options *options, parloom_digest *digest_out,
                                  parloom_error *error);

/*
 * Digests a set: the order of its elements does not count, how often each is there does. An element of several values,
 * or of sets, is given as the bytes of its digest.
 *
 * args       borrows, with what they borrow; the elements
 * n_args     how many
 * options    borrows; NULL: the default
 * digest_out set on success
 * error      NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:  as parloom_hash_args.
 * Threads: any thread, also in a task body.
 * Blocks:  until all bytes are read.
 * Since:   0.1
 * Example: tests/rest/test_hash_args.cc
 */
parloom_status parloom_hash_set(const parloom_arg *args, size_t n_args, const parloom_hash_options *options,
                                parloom_digest *digest_out, parloom_error *error);

/*
 * Writes a digest as text: 32 digits of 0-9a-f and a NUL.
 *
 * digest   borrows
 * text_out set
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/hashing_inputs.c
 */
void parloom_digest_text(const parloom_digest *digest, char text_out[PARLOOM_DIGEST_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
