/* SPDX-License-Identifier: BSD-3-Clause */
/* hash_args.c - the public functions: an array, a list, a table, a set. */
#include "base/memory.h"
#include "base/status.h"
#include "rest/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A failure, with what was hashed before its message. */
static parloom_status tell(const parloom_error *why, const char *what, parloom_error *error)
{
    parloom_error told;
    parloom_status status = loom_status_fail(&told, why->status, 0, "while hashing %s: %s", what, why->message);
    if (error == NULL) return status;
    *error = *why;
    memcpy(error->message, told.message, sizeof told.message);
    return status;
}

static parloom_status tell_argument(const parloom_error *why, size_t k, parloom_error *error)
{
    char what[40];
    (void)snprintf(what, sizeof what, "argument %zu", k);
    return tell(why, what, error);
}

static parloom_status end(struct loom_hash *hash, const char *what, parloom_digest *digest_out, parloom_error *error)
{
    parloom_error why;
    if (hash->failed != PARLOOM_OK) return loom_hash_end(hash, digest_out, NULL);
    parloom_status status = loom_hash_end(hash, digest_out, &why);
    if (status != PARLOOM_OK) return tell(&why, what, error);
    loom_status_clear(error);
    return PARLOOM_OK;
}

static parloom_status refuse(const char *what, const char *text, parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "while hashing %s: %s", what, text);
}

static parloom_status begin(struct loom_hash *hash, const char *purpose, const char *what,
                            const parloom_hash_options *options, parloom_error *error)
{
    parloom_error why;
    parloom_status status = loom_hash_begin(hash, purpose, options, &why);
    return status == PARLOOM_OK ? PARLOOM_OK : tell(&why, what, error);
}

parloom_status parloom_hash_array(const parloom_array *array, const parloom_hash_options *options,
                                  parloom_digest *digest_out, parloom_error *error)
{
    struct loom_hash hash;
    parloom_error why;
    if (digest_out == NULL) return refuse("an array", "digest_out is NULL", error);
    if (options != NULL && options->n_ignored > 0)
        return refuse("an array", "ignored is for lists of arguments", error);
    parloom_status status = begin(&hash, "array", "an array", options, error);
    if (status == PARLOOM_OK && loom_hash_array(&hash, array, &why) != PARLOOM_OK) (void)tell(&why, "an array", error);
    return end(&hash, "an array", digest_out, error);
}

/* ----------------------------------------------------------------------- lists */

static parloom_status check_list(const parloom_arg *args, size_t n_args, const parloom_hash_options *options,
                                 const parloom_digest *digest_out, parloom_error *error)
{
    if (digest_out == NULL) return refuse("arguments", "digest_out is NULL", error);
    if (args == NULL && n_args > 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "while hashing arguments: args is NULL with n_args %zu",
                                n_args);
    if (options == NULL || options->ignored == NULL) return PARLOOM_OK;
    for (size_t k = 0; k < options->n_ignored; k++)
        if (options->ignored[k] >= n_args)
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                    "while hashing arguments: argument %zu is to be ignored, but there are %zu",
                                    options->ignored[k], n_args);
    return PARLOOM_OK;
}

static bool is_ignored(const parloom_hash_options *options, size_t k)
{
    for (size_t i = 0; i < options->n_ignored; i++)
        if (options->ignored[i] == k) return true;
    return false;
}

/* One word 0 for what is ignored: no kind of argument has it. */
static parloom_status add(struct loom_hash *hash, const parloom_arg *args, size_t k, parloom_error *error)
{
    parloom_error why;
    if (is_ignored(&hash->options, k)) return loom_hash_number(hash, 0, NULL);
    parloom_status status = loom_hash_arg(hash, &args[k], &why);
    return status == PARLOOM_OK ? PARLOOM_OK : tell_argument(&why, k, error);
}

parloom_status parloom_hash_args(const parloom_arg *args, size_t n_args, const parloom_hash_options *options,
                                 parloom_digest *digest_out, parloom_error *error)
{
    struct loom_hash hash;
    parloom_status status = check_list(args, n_args, options, digest_out, error);
    if (status != PARLOOM_OK) return status;
    status = begin(&hash, "args", "arguments", options, error);
    if (status == PARLOOM_OK) status = loom_hash_number(&hash, n_args, NULL);
    for (size_t k = 0; k < n_args && status == PARLOOM_OK; k++) status = add(&hash, args, k, error);
    return end(&hash, "arguments", digest_out, error);
}

/* ---------------------------------------------------------------------- tables */

struct named {
    const char *name;
    size_t index;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* Gives the names in order; NULL where a name is missing or there twice, or memory is short. */
static parloom_status sort_names(const char *const *names, size_t n, struct named **sorted_out, parloom_error *error)
{
    if (names == NULL && n > 0) return refuse("named arguments", "names is NULL", error);
    for (size_t k = 0; k < n; k++)
        if (names[k] == NULL)
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "while hashing named arguments: name %zu is NULL",
                                    k);
    struct named *sorted = loom_memory_zeroed(n, sizeof *sorted);
    if (sorted == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0,
                                "while hashing named arguments: memory is short for %zu names", n);
    for (size_t k = 0; k < n; k++) sorted[k] = (struct named){ names[k], k };
    qsort(sorted, n, sizeof *sorted, by_name);
    parloom_status status = PARLOOM_OK;
    for (size_t k = 1; k < n && status == PARLOOM_OK; k++)
        if (strcmp(sorted[k - 1].name, sorted[k].name) == 0)
            status =
                loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                 "while hashing named arguments: the name \"%.200s\" is there twice", sorted[k].name);
    if (status == PARLOOM_OK)
        *sorted_out = sorted;
    else
        free(sorted);
    return status;
}

parloom_status parloom_hash_named(const char *const *names, const parloom_arg *args, size_t n_args,
                                  const parloom_hash_options *options, parloom_digest *digest_out, parloom_error *error)
{
    struct loom_hash hash;
    struct named *sorted = NULL;
    parloom_status status = check_list(args, n_args, options, digest_out, error);
    if (status == PARLOOM_OK) status = sort_names(names, n_args, &sorted, error);
    if (status != PARLOOM_OK) return status;
    status = begin(&hash, "named", "named arguments", options, error);
    if (status == PARLOOM_OK) status = loom_hash_number(&hash, n_args, NULL);
    for (size_t k = 0; k < n_args && status == PARLOOM_OK; k++) {
        (void)loom_hash_text(&hash, sorted[k].name, NULL);
        status = add(&hash, args, sorted[k].index, error);
    }
    free(sorted);
    return end(&hash, "named arguments", digest_out, error);
}

/* ------------------------------------------------------------------------ sets */

struct element {
    unsigned char digest[LOOM_HASH_MOST_NBYTES];
};

static int by_digest(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct element));
}

/* The rest of a short digest stays 0. */
static parloom_status hash_element(const struct loom_hash *of, const parloom_arg *args, size_t k,
                                   struct element *element, parloom_error *error)
{
    struct loom_hash hash;
    parloom_digest digest;
    parloom_hash_options options = of->options;
    bool is_wide = of->state.algorithm == LOOM_HASH_SHA256;
    options.sha256_out = is_wide ? element->digest : NULL;
    parloom_status status = begin(&hash, "element", "a set", &options, error);
    if (status == PARLOOM_OK) (void)add(&hash, args, k, error);
    status = end(&hash, "a set", &digest, error);
    if (status == PARLOOM_OK && !is_wide) memcpy(element->digest, digest.bytes, sizeof digest.bytes);
    return status;
}

static parloom_status add_elements(struct loom_hash *hash, const parloom_arg *args, size_t n, parloom_error *error)
{
    struct element *elements = loom_memory_zeroed(n, sizeof *elements);
    parloom_status status = PARLOOM_OK;
    if (elements == NULL)
        status =
            loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "while hashing a set: memory is short for %zu digests", n);
    for (size_t k = 0; k < n && status == PARLOOM_OK; k++) status = hash_element(hash, args, k, &elements[k], error);
    if (status == PARLOOM_OK) qsort(elements, n, sizeof *elements, by_digest);
    for (size_t k = 0; k < n && status == PARLOOM_OK; k++)
        status = loom_hash_bytes(hash, elements[k].digest, loom_hash_nbytes(hash->state.algorithm), error);
    free(elements);
    return status;
}

parloom_status parloom_hash_set(const parloom_arg *args, size_t n_args, const parloom_hash_options *options,
                                parloom_digest *digest_out, parloom_error *error)
{
    struct loom_hash hash;
    parloom_status status = check_list(args, n_args, options, digest_out, error);
    if (status != PARLOOM_OK) return status;
    status = begin(&hash, "set", "a set", options, error);
    if (status == PARLOOM_OK) (void)loom_hash_number(&hash, n_args, NULL);
    if (status == PARLOOM_OK) hash.failed = add_elements(&hash, args, n_args, error);
    return end(&hash, "a set", digest_out, error);
}

void parloom_digest_text(const parloom_digest *digest, char text_out[PARLOOM_DIGEST_TEXT_BYTES])
{
    static const char DIGITS[] = "0123456789abcdef";
    for (size_t k = 0; k < sizeof digest->bytes; k++) {
        text_out[2 * k] = DIGITS[digest->bytes[k] >> 4];
        text_out[2 * k + 1] = DIGITS[digest->bytes[k] & 15];
    }
    text_out[2 * sizeof digest->bytes] = '\0';
}
