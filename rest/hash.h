/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hash.h - digests of lists of values, one value at a time. docs/hashing.md is the specification.
 *
 *     struct loom_hash hash;
 *     loom_hash_begin(&hash, "my purpose", NULL, error);
 *     loom_hash_bytes(&hash, name, strlen(name), error);
 *     loom_hash_array(&hash, &array, error);
 *     status = loom_hash_end(&hash, &digest, error);
 *
 * Message   "parloom1", the purpose, then one record for each value: all lengths stand before what they measure, so
 * that no two lists of values have one message, and no list of another purpose has it either. Failure   the first one
 * is kept: what is added after it is nothing, and the end returns it (error was filled where it happened). So only the
 * end needs to be asked.
 */
#ifndef LOOM_REST_HASH_H
#define LOOM_REST_HASH_H

#include "rest/hash_state.h"

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loom_hash {
    struct loom_hash_state state;
    parloom_hash_options options; /* borrowed pointers */
    parloom_status failed;
};

/* Each begin, also a failed one, is ended once. purpose: not "array", "args", "named", "set", "element", which are
 * those of the public functions. options: NULL is the default; ignored is not looked at. INVALID UNSUPPORTED MEMORY. */
parloom_status loom_hash_begin(struct loom_hash *hash, const char *purpose, const parloom_hash_options *options,
                               parloom_error *error);
parloom_status loom_hash_number(struct loom_hash *hash, uint64_t number, parloom_error *error);
/* Any bytes, NULL only where there are none. Above 1 MiB in pieces, as options->loop says. */
parloom_status loom_hash_bytes(struct loom_hash *hash, const void *data, size_t nbytes, parloom_error *error);
parloom_status loom_hash_text(struct loom_hash *hash, const char *text, parloom_error *error);
/* Any array, hostile ones are refused: INVALID. */
parloom_status loom_hash_array(struct loom_hash *hash, const parloom_array *array, parloom_error *error);
/* Kind, stride and value; an out without its bytes. */
parloom_status loom_hash_arg(struct loom_hash *hash, const parloom_arg *arg, parloom_error *error);
/* digest_out set on success, and options->sha256_out where it was given. */
parloom_status loom_hash_end(struct loom_hash *hash, parloom_digest *digest_out, parloom_error *error);

/* ---- hash_content.c: for hash.c */

/* Adds the items of a checked array in C order: as they are up to 1 MiB, else the digests of pieces of them. */
parloom_status loom_hash_add_items(struct loom_hash *hash, const parloom_array *array, parloom_error *error);

#ifdef __cplusplus
}
#endif
#endif
