/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_store.h - what lies in a cache: lists of it, limits to it, references to results, and stores of the program's
 * own.
 */
#ifndef PARLOOM_CACHE_STORE_H
#define PARLOOM_CACHE_STORE_H

#include <parloom/cache.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* ---- entries */

/* One entry as a store lists it. */
typedef struct parloom_cache_item {
    const char *name; /* "function/key" */
    const char *path; /* where it lies; "" where a store has no such thing */
    uint64_t nbytes;  /* of all its files */
    double used_s;    /* when it was last used: seconds since 1970 */
} parloom_cache_item;

/*
 * Lists the entries of a cache, in no order.
 *
 * cache    borrows
 * each     called for each entry, which is borrowed until it returns; it calls nothing of this cache
 * state    handed to each
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, also where nothing is; or
 * Errors:
 *   PARLOOM_ERR_INVALID  cache or each is NULL
 *   PARLOOM_ERR_IO       the folder cannot be read: sys_errno; others as the store says
 * Threads: any thread, also in a task body; each runs in it.
 * Blocks:  for as long as looking at each entry takes.
 * Since:   0.1
 * Example: docs/guide/programs/cache_evict.c
 */
parloom_status parloom_cache_list(parloom_cache *cache, void (*each)(const parloom_cache_item *item, void *state),
                                  void *state, parloom_error *error);

/*
 * Removes entries until a cache is within limits: those not used for longest go first; and what writers that died have
 * left. What is read or mapped by somebody stays readable for them.
 *
 * cache    borrows; without a location: nothing is done
 * nbytes   of all entries together; 0: no limit
 * n_items  how many entries; 0: no limit
 * age_s    entries not used for so many seconds go; 0: no limit
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  cache is NULL, or age_s is negative or no number
 *   PARLOOM_ERR_MEMORY   out of memory for the list of entries
 *   PARLOOM_ERR_IO       the folder cannot be read, or something could not be removed; others as the store says
 * Threads: any thread, also in a task body.
 * Blocks:  for as long as looking at each entry takes.
 * Since:   0.1
 * Example: docs/guide/programs/cache_evict.c
 */
parloom_status parloom_cache_reduce(parloom_cache *cache, uint64_t nbytes, size_t n_items, double age_s,
                                    parloom_error *error);

/* ---- references */

/* A result that was computed and is not read: a name for it, or without a location the result itself. */
typedef struct parloom_shelved parloom_shelved;

/*
 * Calls a function as parloom_cache_call does, and gives a reference to its results instead of them. Of results that
 * are there nothing but the description is read.
 *
 * shelved_out set on success; gives: release it with parloom_shelved_release, before the function is unbound
 * function, args, n_args, info_out, error  as parloom_cache_call
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   as parloom_cache_call, and
 *   PARLOOM_ERR_MEMORY  out of memory
 * Threads: any thread, also in a task body.
 * Blocks:  as parloom_cache_call.
 * Since:   0.1
 * Example: tests/rest/test_cache_shelf.cc
 */
parloom_status parloom_cache_shelve(parloom_shelved **shelved_out, parloom_cached *function,
                                    const parloom_cache_value *args, size_t n_args, parloom_cache_info *info_out,
                                    parloom_error *error);

/*
 * Refers to an entry by its key, as parloom_shelved_key gave it, here or in another process.
 *
 * shelved_out set on success; gives: release it with parloom_shelved_release, before the function is unbound
 * function    borrows until then; bound as where the key was made: without a version that is the same build of the
 *             module, not another executable of the same source
 * key         borrows
 * error       NULL is fine
 *
 * Returns: PARLOOM_OK: whether it is there, parloom_shelved_get says; or
 * Errors:
 *   PARLOOM_ERR_INVALID  key is none, or the function's cache has no location
 *   PARLOOM_ERR_MEMORY   out of memory
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/rest/test_cache_shelf.cc
 */
parloom_status parloom_shelved_open(parloom_shelved **shelved_out, parloom_cached *function, const char *key,
                                    parloom_error *error);

/*
 * Says the key of a reference: hexadecimal digits, to be sent or written anywhere.
 *
 * shelved  borrows
 *
 * Returns: the key, borrowed until shelved is released; "" for NULL, and where the cache has no location.
 * Errors:  none.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/rest/test_cache_shelf.cc
 */
const char *parloom_shelved_key(const parloom_shelved *shelved);

/*
 * Reads or maps what a reference stands for, expired, valid or not.
 *
 * shelved     borrows
 * results_out as parloom_cache_call; without a location they borrow the reference's memory until it is released
 * error       NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  shelved or results_out is NULL
 *   PARLOOM_ERR_IO       it is not there (any more): sys_errno is ENOENT; or it cannot be read: another sys_errno
 *   PARLOOM_ERR_VERSION  the key was made by another build or version of the function
 *   PARLOOM_ERR_FORMAT   the entry is corrupted
 *   PARLOOM_ERR_SPACE, PARLOOM_ERR_MEMORY, PARLOOM_ERR_LIMIT, PARLOOM_ERR_UNSUPPORTED  as parloom_array_load
 * Threads: any thread, also in a task body.
 * Blocks:  until it is read.
 * Since:   0.1
 * Example: tests/rest/test_cache_shelf.cc
 */
parloom_status parloom_shelved_get(parloom_shelved *shelved, parloom_array *results_out, parloom_error *error);

/*
 * Removes what a reference stands for. Twice is fine.
 *
 * shelved  borrows
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  shelved is NULL
 *   PARLOOM_ERR_IO       something could not be removed: sys_errno; others as the store says
 * Threads: any thread, also in a task body; without a location one at a time.
 * Blocks:  for as long as removing takes.
 * Since:   0.1
 * Example: tests/rest/test_cache_shelf.cc
 */
parloom_status parloom_shelved_clear(parloom_shelved *shelved, parloom_error *error);

/*
 * Releases a reference; what it stands for stays in the cache.
 *
 * shelved  takes; NULL is fine
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/rest/test_cache_shelf.cc
 */
void parloom_shelved_release(parloom_shelved *shelved);

/* ---- functions that travel */

/*
 * Writes a bound function, with its cache's location and settings, as bytes that mean the same in every process of
 * this machine that has its module: to be an argument of tasks.
 *
 * function borrows
 * bytes    NULL, or room for that many
 * room     bytes
 *
 * Returns: how many bytes there are; they are written when room is enough. 0: its body lies in no file.
 * Errors:  none but 0.
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/cache_solver.c
 */
size_t parloom_cache_pack(const parloom_cached *function, void *bytes, size_t room);

/*
 * Makes a function of what parloom_cache_pack wrote, with a cache of its own. is_valid travels too, its state does not:
 * it is NULL.
 *
 * function_out set on success; gives: release it with parloom_cache_unbind, and the cache goes with it
 * bytes        borrows
 * nbytes       how many
 * error        NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_FORMAT    these are no such bytes
 *   PARLOOM_ERR_FUNCTION  its module is not here
 *   PARLOOM_ERR_VERSION   its module is another build here, or another release of parloom wrote it
 *   PARLOOM_ERR_MEMORY    out of memory; others as parloom_cache_open and parloom_cache_bind
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/cache_solver.c
 */
parloom_status parloom_cache_unpack(parloom_cached **function_out, const void *bytes, size_t nbytes,
                                    parloom_error *error);

/* ---- stores of the program's own */

#define PARLOOM_CACHE_STORE_ABI 1u /* grows when what is here changes its meaning; fields are only ever appended */

enum { PARLOOM_CACHE_PATH_BYTES = 2048 };

/* An item as a local folder, for as long as a store says. */
typedef struct parloom_cache_place {
    char path[PARLOOM_CACHE_PATH_BYTES];
    void *state;    /* the store's own */
    int descriptor; /* likewise */
    int reserved;
} parloom_cache_place;

/*
 * What a store does. Items are named "function/key", and are small folders of files; a store makes them appear whole
 * or not at all. Operations may be called by several threads and processes at once. error is never NULL.
 */
typedef struct parloom_cache_store_ops {
    size_t struct_size; /* sizeof(parloom_cache_store_ops) */
    unsigned abi;       /* PARLOOM_CACHE_STORE_ABI */
    unsigned flags;     /* 0 */
    /* Required, as all without "may be NULL". state: as registered. location: absolute where it is a path. */
    parloom_status (*open)(void *state, const char *location, void **store_out, parloom_error *error);
    void (*close)(void *store);
    /* The item as a folder to read from, until release. It is not there: PARLOOM_OK and *is_there_out false. */
    parloom_status (*fetch)(void *store, const char *item, parloom_cache_place *place_out, bool *is_there_out,
                            parloom_error *error);
    void (*release)(void *store, parloom_cache_place *place);
    /* A new folder to write an item in, until end, which takes it: keep puts it in the place of what was there. */
    parloom_status (*begin)(void *store, const char *item, parloom_cache_place *place_out, parloom_error *error);
    parloom_status (*end)(void *store, const char *item, parloom_cache_place *place, bool keep, parloom_error *error);
    /* item: "function/key", "function", or "": all. What is not there is removed already. */
    parloom_status (*remove)(void *store, const char *item, parloom_error *error);
    parloom_status (*list)(void *store, void (*each)(const parloom_cache_item *item, void *state), void *state,
                           parloom_error *error);
    /* Notes that the item was used now. May be NULL: then limits go by what list says. */
    void (*touch)(void *store, const char *item, parloom_cache_place *place);
    /* Waits until nobody has the lock of this item; it goes with its process. NULL: it cannot be locked, and may be
     * computed more than once at the same time. Both may be NULL. */
    void *(*lock)(void *store, const char *item);
    void (*unlock)(void *store, void *lock);
    /* The same without waiting: NULL, with *is_taken_out true where somebody has it. It is asked again and again where
     * a wait can be cancelled. NULL: such waits end with the lock. */
    void *(*try_lock)(void *store, const char *item, bool *is_taken_out);
} parloom_cache_store_ops;

/*
 * Registers a store: from now on parloom_cache_options may name it. Worker processes start as the program does, without
 * main: to have it there as well, register it in a constructor.
 *
 * name     borrows; letters, digits, '_', '-' and '.', less than PARLOOM_CACHE_NAME_BYTES of them, and not "local"
 * ops      borrows; copied
 * state    borrows until it is unregistered; handed to open
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or, and then nothing is registered,
 * Errors:
 *   PARLOOM_ERR_INVALID      no name can be that, it is taken, or ops are incomplete: the message names what is missing
 *   PARLOOM_ERR_VERSION      ops are of another ABI
 *   PARLOOM_ERR_UNSUPPORTED  a flag is not known here
 *   PARLOOM_ERR_MEMORY       no memory for the copy
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/rest/test_cache_registry.cc
 */
parloom_status parloom_cache_register(const char *name, const parloom_cache_store_ops *ops, void *state,
                                      parloom_error *error);

/*
 * Takes a store back.
 *
 * name     borrows
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK: nothing uses its state any more; or
 * Errors:
 *   PARLOOM_ERR_INVALID  no such name
 *   PARLOOM_ERR_BUSY     a cache on it is open
 * Threads: any thread; not in its operations.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/rest/test_cache_registry.cc
 */
parloom_status parloom_cache_unregister(const char *name, parloom_error *error);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
