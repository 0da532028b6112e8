/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * codec_registry.c - the codecs of the program's own beside the built-in ones.
 *
 * Threads    any. A registered codec is held while it is used; only what nobody holds is taken back.
 */
#include "rest/codec.h"

#include "base/memory.h"
#include "base/status.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loom_codec *registered; /* oldest first */

static void lock_registry(void)
{
    pthread_mutex_lock(&lock);
}

static void unlock_registry(void)
{
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void follow_forks(void)
{
    (void)pthread_atfork(lock_registry, unlock_registry, unlock_registry);
}

/* Under the lock. The k-th of all, or NULL. */
static struct loom_codec *nth(size_t k)
{
    size_t built_in = 0;
    for (; loom_codec_builtin(built_in) != NULL; built_in++)
        if (built_in == k) return loom_codec_builtin(k);
    struct loom_codec *codec = registered;
    for (; codec != NULL && k > built_in; k--) codec = codec->next;
    return codec;
}

/* Asks about each codec, under the lock, until one is meant; that one is held. */
static struct loom_codec *hold_first(bool (*is_meant)(const struct loom_codec *codec, const void *what, size_t nbytes),
                                     const void *what, size_t nbytes)
{
    struct loom_codec *codec = NULL;
    lock_registry();
    for (size_t k = 0; (codec = nth(k)) != NULL; k++)
        if (is_meant(codec, what, nbytes)) break;
    if (codec != NULL) codec->users++;
    unlock_registry();
    return codec;
}

static bool has_name(const struct loom_codec *codec, const void *name, size_t length)
{
    return strlen(codec->name) == length && memcmp(codec->name, name, length) == 0;
}

static bool has_ending(const struct loom_codec *codec, const void *path, size_t length)
{
    size_t ending = codec->ops.ending != NULL ? strlen(codec->ops.ending) : 0;
    return ending > 0 && length > ending && strcasecmp((const char *)path + length - ending, codec->ops.ending) == 0;
}

static bool recognises(const struct loom_codec *codec, const void *bytes, size_t nbytes)
{
    return codec->ops.recognise(codec->state, bytes, nbytes);
}

struct loom_codec *loom_codec_find(const char *name, size_t length)
{
    return hold_first(has_name, name, length);
}

struct loom_codec *loom_codec_find_ending(const char *path)
{
    return hold_first(has_ending, path, strlen(path));
}

struct loom_codec *loom_codec_recognise(const void *bytes, size_t nbytes)
{
    return hold_first(recognises, bytes, nbytes);
}

void loom_codec_release(struct loom_codec *codec)
{
    if (codec == NULL) return;
    lock_registry();
    codec->users--;
    unlock_registry();
}

/* -------------------------------------------------------------------------- use */

parloom_status loom_codec_check(const struct loom_codec *codec, parloom_error *error)
{
    if (codec->ops.open != NULL) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                            "this build of parloom is without the codec %s: configure it with %s=ON, which on Debian "
                            "wants apt-get install %s",
                            codec->name, codec->option, codec->package);
}

/* What a codec leaves unsaid is said for it. */
static parloom_status complete(const struct loom_codec *codec, parloom_status status, const char *what,
                               const parloom_error *own, parloom_error *error)
{
    if (status == PARLOOM_OK) return PARLOOM_OK;
    if (own->message[0] == '\0')
        return loom_status_fail(error, status, 0, "the codec %s failed to %s", codec->name, what);
    if (error != NULL) *error = *own;
    if (error != NULL) error->status = status;
    return status;
}

parloom_status loom_codec_open(const struct loom_codec *codec, int level, size_t item_nbytes, void **stream_out,
                               parloom_error *error)
{
    parloom_error own;
    loom_status_clear(&own);
    parloom_status status = loom_codec_check(codec, error);
    if (status != PARLOOM_OK) return status;
    status = codec->ops.open(codec->state, level, item_nbytes, stream_out, &own);
    return complete(codec, status, "begin", &own, error);
}

parloom_status loom_codec_step(const struct loom_codec *codec, void *stream, parloom_codec_step *step,
                               parloom_error *error)
{
    parloom_error own;
    parloom_codec_step before = *step;
    loom_status_clear(&own);
    step->is_done = false;
    parloom_status status = codec->ops.step(stream, step, &own);
    if (status != PARLOOM_OK) return complete(codec, status, "go on", &own, error);
    size_t taken = before.in_nbytes - step->in_nbytes, written = before.out_nbytes - step->out_nbytes;
    if (step->in_nbytes <= before.in_nbytes && step->out_nbytes <= before.out_nbytes &&
        (const char *)step->in == (const char *)before.in + taken && (char *)step->out == (char *)before.out + written)
        return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INTERNAL, 0, "the codec %s says it took or wrote what it was not given",
                            codec->name);
}

/* ----------------------------------------------------------------------- public */

static bool can_be_name(const char *name)
{
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    size_t length = name != NULL ? strlen(name) : 0;
    return length > 0 && length < PARLOOM_CODEC_NAME_BYTES && strspn(name, LETTERS) == length &&
           strcmp(name, "none") != 0;
}

static parloom_status check_ops(const char *name, const parloom_codec_ops *ops, parloom_error *error)
{
    if (!can_be_name(name))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "a codec is named by letters, digits, '_', '-' and '.', less than %d of them, and not "
                                "\"none\"",
                                (int)PARLOOM_CODEC_NAME_BYTES);
    if (ops == NULL || ops->struct_size != sizeof *ops)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "the operations of codec %s have no struct_size", name);
    if (ops->abi != PARLOOM_CODEC_ABI)
        return loom_status_fail(error, PARLOOM_ERR_VERSION, 0, "codec %s is of ABI %u, this library of %u", name,
                                ops->abi, PARLOOM_CODEC_ABI);
    if ((ops->flags & ~(unsigned)(PARLOOM_CODEC_FRAMES | PARLOOM_CODEC_ITEMS)) != 0)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0, "codec %s has a flag that is not known: %#x", name,
                                ops->flags);
    const char *missing = ops->recognise == NULL ? "recognise"
                          : ops->open == NULL    ? "open"
                          : ops->step == NULL    ? "step"
                          : ops->close == NULL   ? "close"
                                                 : NULL;
    if (missing == NULL) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "codec %s has no operation %s", name, missing);
}

/* Under the lock: where a codec of that name is, or would be appended. */
static struct loom_codec **place_of(const char *name)
{
    struct loom_codec **place = &registered;
    while (*place != NULL && strcmp((*place)->name, name) != 0) place = &(*place)->next;
    return place;
}

static bool is_builtin(const char *name)
{
    for (size_t k = 0; loom_codec_builtin(k) != NULL; k++)
        if (strcmp(loom_codec_builtin(k)->name, name) == 0) return true;
    return false;
}

parloom_status parloom_codec_register(const char *name, const parloom_codec_ops *ops, void *state, parloom_error *error)
{
    parloom_status status = check_ops(name, ops, error);
    if (status != PARLOOM_OK) return status;
    struct loom_codec *codec = loom_memory_zeroed(1, sizeof *codec);
    if (codec == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for the codec %s", name);
    strncpy(codec->name, name, sizeof codec->name - 1);
    codec->ops = *ops;
    codec->state = state;
    lock_registry();
    struct loom_codec **place = place_of(name);
    bool is_taken = *place != NULL || is_builtin(name);
    if (!is_taken) *place = codec;
    unlock_registry();
    if (!is_taken) {
        loom_status_clear(error);
        return PARLOOM_OK;
    }
    free(codec);
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "there is a codec named %s already", name);
}

parloom_status parloom_codec_unregister(const char *name, parloom_error *error)
{
    lock_registry();
    struct loom_codec **place = name != NULL ? place_of(name) : NULL;
    struct loom_codec *codec = place != NULL ? *place : NULL;
    size_t users = codec != NULL ? codec->users : 0;
    if (codec != NULL && users == 0) *place = codec->next;
    unlock_registry();
    if (codec == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no codec was registered as %.64s",
                                name != NULL ? name : "NULL");
    if (users > 0)
        return loom_status_fail(error, PARLOOM_ERR_BUSY, 0, "the codec %.64s is in use by %zu dumps or loads", name,
                                users);
    free(codec);
    loom_status_clear(error);
    return PARLOOM_OK;
}

size_t parloom_codec_list(const char **names, size_t room)
{
    size_t count = 0;
    lock_registry();
    for (size_t k = 0; nth(k) != NULL; k++) {
        if (nth(k)->ops.open == NULL) continue;
        if (names != NULL && count < room) names[count] = nth(k)->name;
        count++;
    }
    unlock_registry();
    return count;
}
