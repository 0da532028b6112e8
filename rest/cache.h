/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache.h - what the parts of the cache share.
 *
 *   cache            open, close, clear
 *   cache_warn       warnings that come once
 *   cache_bind       a definition is checked and copied
 *   cache_arguments  what a call says becomes one value for each parameter
 *   cache_key        the key, and the text that an entry of this call begins with
 *   cache_call       find, else wait for who computes it, else run and keep
 *   cache_run        results are made, the body runs
 *   cache_entry      an entry is read and written: .npy files and metadata.json
 *   cache_verify     digests of results, noted and compared
 *   cache_store      the folder: an item appears whole, is replaced, listed, locked, removed
 *   cache_folder     its folders: opened if they can be trusted, made; cache_removal, cache_listing: removed, listed
 *   cache_registry   stores of the program's own
 *   cache_reduce     limits
 *   cache_shelf      references
 *   cache_pack       functions as bytes
 *
 * Threads  a cache and a function do not change after they were made, except for what is named below.
 */
#ifndef LOOM_REST_CACHE_H
#define LOOM_REST_CACHE_H

#include <parloom/parloom.h>

#include <pthread.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LOOM_CACHE_KEY_BYTES = 33,       /* 32 digits */
    LOOM_CACHE_FOLDER_BYTES = 300,   /* a name whose characters all became three */
    LOOM_CACHE_ITEM_BYTES = 340,     /* folder, '/', key */
    LOOM_CACHE_IDENTITY_BYTES = 256, /* of code, or "version ..." */
    LOOM_CACHE_SHOWN_BYTES = 700     /* of one argument, in messages and metadata */
};

enum loom_cache_warning {
    LOOM_CACHE_NOT_KEPT = 1,
    LOOM_CACHE_NOT_REDUCED,
    LOOM_CACHE_NOT_READ,
    LOOM_CACHE_DAMAGED,
    LOOM_CACHE_ODD_LOCATION,
    LOOM_CACHE_ODD_OPTIONS,
    LOOM_CACHE_SHARED_NAME
};

struct parloom_cache {
    parloom_cache_options options; /* its texts are these copies */
    char *codec, *store_name;
    char *location; /* NULL: nothing is kept */
    parloom_cache_store_ops ops;
    void *store;
    struct loom_cache_store *registered; /* NULL: the local one */
    parloom_cache *next;                 /* that is open; under the lock of the registry */
    pthread_mutex_t lock;                /* of what follows */
    struct loom_cache_name *names;       /* of functions that were bound */
    size_t stored_count;                 /* since limits were last looked at */
    uint64_t stored_nbytes;
};

/* A name, and the code that had it first. */
struct loom_cache_name {
    struct loom_cache_name *next;
    char folder[LOOM_CACHE_FOLDER_BYTES];
    char identity[LOOM_CACHE_IDENTITY_BYTES];
};

struct parloom_cached {
    parloom_cache *cache;
    bool owns_cache;
    parloom_cache_function definition; /* params, results, ignore and their texts are copies, in block */
    struct loom_text_block *block;
    bool is_ignored[PARLOOM_CACHE_MOST_PARAMS];
    parloom_mmap_mode mmap_mode;
    int verbose;
    char folder[LOOM_CACHE_FOLDER_BYTES];
    char identity[LOOM_CACHE_IDENTITY_BYTES];
};

/* One call: who made it ends it. */
struct loom_cache_call {
    const parloom_cached *function;
    parloom_cache_value values[PARLOOM_CACHE_MOST_PARAMS];
    void *args[PARLOOM_CACHE_MOST_PARAMS]; /* for the body */
    char key[LOOM_CACHE_KEY_BYTES];
    char item[LOOM_CACHE_ITEM_BYTES];
    char *arguments; /* as JSON, in head */
    char *head;      /* what metadata.json of this call begins with */
    size_t head_nbytes;
};

/* ---- cache */
/* A line of a verbose function. */
void loom_cache_say(const parloom_cached *function, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- warn */
/* Before a cache is used. Who forks later shares what is remembered. */
void loom_cache_warn_prepare(void);
/* Says a warning of this kind if none was said yet of this location, for this reason (status and errno of error) and of
 * this item, and at level info else. item, error: NULL is one like any other. */
void loom_cache_warn_once(const parloom_cache *cache, enum loom_cache_warning what, const char *item,
                          const parloom_error *error, const char *line);
/* What was said without an error may be said once more. */
void loom_cache_warn_again(const parloom_cache *cache, enum loom_cache_warning what, const char *item);
/* All of the location may. */
void loom_cache_warn_again_of_all(const parloom_cache *cache);

/* ---- arguments, key */
/* INVALID as parloom_cache_call. */
parloom_status loom_cache_match(const parloom_cached *function, const parloom_cache_value *args, size_t n_args,
                                struct loom_cache_call *call_out, parloom_error *error);
/* INVALID MEMORY. Digests what counts; fills the rest of the call. */
parloom_status loom_cache_make_key(struct loom_cache_call *call, parloom_error *error);
void loom_cache_end_call(struct loom_cache_call *call);
/* Adds what metadata.json of this key begins with, whatever the arguments are. */
struct loom_cache_text;
void loom_cache_describe(const parloom_cached *function, const char *key, struct loom_cache_text *head);
/* name(a=1, b=2): cut to room. */
void loom_cache_show_call(const struct loom_cache_call *call, char *text, size_t room);

/* ---- run */
/* Makes results, runs the body: they are the caller's on success, and released else. TASK CALLBACK; as parloom_alloc.
 */
parloom_status loom_cache_run_body(struct loom_cache_call *call, parloom_array *results_out, double *duration_s_out,
                                   parloom_error *error);
void loom_cache_release_results(const parloom_cached *function, parloom_array *results);

/* ---- verify */
struct loom_cache_digests {
    char text[PARLOOM_CACHE_MOST_RESULTS][PARLOOM_DIGEST_TEXT_BYTES]; /* of each result */
};
/* As parloom_hash_array. */
parloom_status loom_cache_digest_results(const parloom_cached *function, const parloom_array *results,
                                         struct loom_cache_digests *digests_out, parloom_error *error);
/* Whether the cache's options want to know it of what is read, or mapped, so. */
bool loom_cache_is_verified(const parloom_cache *cache, parloom_mmap_mode mode);
/* FORMAT: result k is not what was kept; as parloom_hash_array. */
parloom_status loom_cache_verify_result(const parloom_cached *function, const parloom_array *array, size_t k,
                                        const struct loom_cache_digests *digests, parloom_error *error);

/* ---- entry */
struct loom_cache_entry {
    parloom_cache_place place;
    double created_s, duration_s;
    char ending[16]; /* of the names of its files */
    struct loom_cache_digests digests;
};
/* is_there false: there is none. FORMAT: it is no entry of this call; VERSION: but of one
 * in another build or version; others as the store says. */
parloom_status loom_cache_entry_open(const parloom_cached *function, const char *item, const char *head,
                                     size_t head_nbytes, struct loom_cache_entry *entry_out, bool *is_there_out,
                                     parloom_error *error);
void loom_cache_entry_close(const parloom_cached *function, struct loom_cache_entry *entry);
/* FORMAT: not what was declared; as parloom_array_load. */
parloom_status loom_cache_entry_load(const parloom_cached *function, const struct loom_cache_entry *entry,
                                     parloom_array *results_out, parloom_error *error);
/* Of an error of these: what lies there is no entry as it should be, rather than that it cannot be read. */
bool loom_cache_is_damage(const parloom_error *error);
parloom_status loom_cache_entry_write(const struct loom_cache_call *call, const parloom_array *results,
                                      double duration_s, parloom_error *error);
/* All of it: open, load, touch, close; again where it was replaced or removed meanwhile. error is not NULL. */
parloom_status loom_cache_entry_get(const parloom_cached *function, const char *item, const char *head,
                                    size_t head_nbytes, parloom_array *results_out, bool *is_there_out,
                                    parloom_error *error);

/* ---- call */
struct loom_cache_outcome {
    bool is_forced; /* the body is to run */
    bool is_lazy;   /* being kept is enough: results are given only where they are not */
    bool is_told;   /* that the entry is damaged: once for a call */
    bool has_results;
    bool is_kept;
    double refused_s; /* when the entry was made that is_valid did not want; 0: none was */
    parloom_array results[PARLOOM_CACHE_MOST_RESULTS];
    parloom_cache_info info;
};
/* Finds or computes. As parloom_cache_call. */
parloom_status loom_cache_obtain(struct loom_cache_call *call, struct loom_cache_outcome *outcome,
                                 parloom_error *error);
/* Is it there, not expired, valid? Loads it unless being there is enough. */
bool loom_cache_find(struct loom_cache_call *call, struct loom_cache_outcome *outcome);

/* ---- store */
extern const parloom_cache_store_ops loom_cache_local_ops;
/* IO: the folder cannot be trusted. */
parloom_status loom_cache_local_settle(void *store, const parloom_cache_options *options, parloom_error *error);
void loom_cache_local_sweep(const void *store); /* removes what writers that died have left */
/* INVALID: no such store. */
parloom_status loom_cache_store_acquire(const char *name, parloom_cache_store_ops *ops_out, void **state_out,
                                        struct loom_cache_store **store_out, parloom_error *error);
void loom_cache_store_release(struct loom_cache_store *store);

/* ---- open caches of this process (cache_registry.c) */
void loom_cache_enter(parloom_cache *cache);
void loom_cache_leave(parloom_cache *cache); /* one that never entered is fine */
/* Two handles of one location: functions that travelled have one of their own. */
bool loom_cache_is_same_place(const parloom_cache *one, const parloom_cache *other);
/* The first that had the function's name in any of them with another identity: "" where none has. */
void loom_cache_find_namesake(const parloom_cached *function, char identity_out[LOOM_CACHE_IDENTITY_BYTES]);

/* ---- reduce */
void loom_cache_keep_limits(parloom_cache *cache, uint64_t stored_nbytes);

#ifdef __cplusplus
}
#endif
#endif
