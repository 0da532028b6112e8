/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache.h - results of expensive functions, remembered on disk: the same function with the same arguments is run once,
 * whoever asks, whenever.
 *
 * A cached function is a name, a body, and what the body takes and gives, declared once (parloom_cache_bind). A result
 * is found again by the function's name, the identity of its code and the bytes of its arguments. Identity is the build
 * of the module that holds the body (its build-id) and where in it the body lies: any rebuild computes anew. Or it is a
 * version that the program says, and then nothing but that.
 *
 * Results are .npy files that NumPy opens; beside them metadata.json says of which call they are (docs/cache.md). An
 * entry is there whole or not at all, whoever reads, writes, clears or dies meanwhile. Of processes, threads and tasks
 * that ask for the same result at once, one computes it and the others wait for that one; if it dies, another one does.
 * What goes wrong with the store (a full disk, a folder that may not be written, an entry that was damaged) costs a
 * warning and the time to compute, never the result. Warnings come once for a location and reason, whatever handles and
 * tasks there are: a program has one line, with those that it forks, and each worker of "processes" one of its own.
 */
#ifndef PARLOOM_CACHE_H
#define PARLOOM_CACHE_H

#include <parloom/array.h>
#include <parloom/options.h>
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

/* A place where results are kept. */
typedef struct parloom_cache parloom_cache;
/* A function whose results are kept there. */
typedef struct parloom_cached parloom_cached;
/* One run of its body. */
typedef struct parloom_cache_run parloom_cache_run;

/* Whether what is found has to have the digest that was noted when it was kept. What has not is computed again. */
typedef enum parloom_cache_verify {
    PARLOOM_CACHE_VERIFY_UNSET = 0, /* READ */
    PARLOOM_CACHE_VERIFY_READ,      /* what is read into memory has; what is mapped is not read for it */
    PARLOOM_CACHE_VERIFY_ALWAYS,    /* what is mapped has, too: all of it is read once for each hit */
    PARLOOM_CACHE_VERIFY_NEVER
} parloom_cache_verify;

/* 0 in a field is its default. */
typedef struct parloom_cache_options {
    size_t struct_size; /* sizeof(parloom_cache_options); 0: all fields have to be unset */
    const char *store;  /* NULL: "local", a folder; else the name of a registered one (cache_store.h) */
    const char *codec;  /* of parloom_array_dump; NULL: mappable, not compressed, but by zlib where there is a level */
    int level;          /* of the codec; 0: its default */
    parloom_mmap_mode mmap_mode; /* of results, the first call's too. UNSET: read into memory; R, RW, C: mapped. RW:
                                  * what is written to a result becomes the kept one for all who map it, and damage for
                                  * who verifies it */
    /* Lines to the log, whatever its level. 0: none; 1: each run of a function; 5: also times, and what was found;
     * 10: also paths; 20: also each question to the store. */
    int verbose;
    bool is_durable; /* an entry is on the disk before it is seen: survives a power cut, and takes its time */
    /* Its folder may be another user's, and others may write there: all of them are trusted. false: that is refused. */
    bool is_shared;
    /* Automatic limits: least recently used entries go when all together have more bytes; 0: none. They are looked at
     * now and then: until that, up to an eighth of a limit may come on top with each handle that is open. */
    uint64_t nbytes;
    size_t n_items; /* ... or are more than this; 0: none */
    double age_s;   /* ... or were not used for so many seconds; 0: none */
    int n_jobs;     /* threads that digest large arguments and results; 0: as parloom_hash_array without options */
    parloom_cache_verify verify;
    uint64_t reserved[3]; /* 0 */
} parloom_cache_options;

#ifndef __cplusplus
/* PARLOOM_CACHE_OPTIONS(.mmap_mode = PARLOOM_MMAP_R) is a const parloom_cache_options * that lives as long as the
 * block.
 */
#define PARLOOM_CACHE_OPTIONS(...) \
    (&(const parloom_cache_options){ .struct_size = sizeof(parloom_cache_options), __VA_ARGS__ })
#endif

/*
 * Opens a cache. Its folder, LOCATION/parloom, is made with its first entry.
 *
 * cache_out set on success; gives: close it with parloom_cache_close
 * location  borrows; a folder, which is made where it is missing, or what a registered store wants; NULL: nothing is
 *           kept, calls run their function
 * options   borrows; NULL: all unset
 * error     NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  an option makes no sense, location is empty or too long, or there is no store or codec of that
 *                        name
 *   PARLOOM_ERR_VERSION  struct_size is not that of a parloom_cache_options, or it is 0 and a field is set
 *   PARLOOM_ERR_UNSUPPORTED  this build is without the codec
 *   PARLOOM_ERR_IO       the working directory of a relative location is not known: sys_errno; or LOCATION/parloom is a
 *                        link (ELOOP), or another user's or writable by others, and not is_shared (EPERM)
 *   PARLOOM_ERR_MEMORY   out of memory; others as the store says
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/cache_evict.c
 */
parloom_status parloom_cache_open(parloom_cache **cache_out, const char *location, const parloom_cache_options *options,
                                  parloom_error *error);

/*
 * Closes a cache; what it keeps stays.
 *
 * cache    takes, when its functions are unbound; NULL is fine
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread; nobody uses it or a function of it any more.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/cache_evict.c
 */
void parloom_cache_close(parloom_cache *cache);

/*
 * Removes all that a cache keeps, of every function and version, and what writers that died have left.
 *
 * cache    borrows; without a location: nothing is done
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_IO  something could not be removed: sys_errno; others as the store says
 * Threads: any thread, also in a task body.
 * Blocks:  for as long as removing takes; not for who computes: what they store then is kept.
 * Since:   0.1
 * Example: docs/guide/programs/cache_evict.c
 */
parloom_status parloom_cache_clear(parloom_cache *cache, parloom_error *error);

/* ---- functions */

typedef enum parloom_cache_type {
    PARLOOM_CACHE_I64 = 1, /* the body gets a const int64_t * */
    PARLOOM_CACHE_F64,     /* const double *; every bit counts, so -0.0 is another argument than 0.0 */
    PARLOOM_CACHE_TEXT,    /* const char * */
    PARLOOM_CACHE_BYTES,   /* const void *: a struct without pointers and without padding */
    PARLOOM_CACHE_ARRAY    /* const parloom_array * */
} parloom_cache_type;

enum { PARLOOM_CACHE_NAME_BYTES = 96, PARLOOM_CACHE_MOST_PARAMS = 32, PARLOOM_CACHE_MOST_RESULTS = 16 };

/* One argument of one call: made by the functions below. */
typedef struct parloom_cache_value {
    const char *name; /* NULL: the next parameter in order; borrowed until the call returns, like the rest */
    parloom_cache_type type;
    int reserved;
    int64_t integer;
    double real;
    const void *data; /* text, bytes, or a const parloom_array * */
    size_t nbytes;
} parloom_cache_value;

/* One argument that a function takes. */
typedef struct parloom_cache_param {
    const char *name; /* letters, digits, '_' */
    parloom_cache_type type;
    int reserved;
    const parloom_cache_value *fallback; /* where a call says nothing; no array. NULL: has to be said */
} parloom_cache_param;

/* One array that a function gives. */
typedef struct parloom_cache_result {
    const char *name; /* letters, digits, '_': of the file; NULL: "result", of the only one */
    parloom_dtype dtype;
    int ndim;            /* PARLOOM_CACHE_TOLD: the body makes the array, by parloom_cache_make */
    const size_t *shape; /* ndim lengths; NULL for ndim 0 */
    size_t item_nbytes;  /* 0: the dtype's */
} parloom_cache_result;

enum { PARLOOM_CACHE_TOLD = -1 };

/*
 * The work: args[k] is parameter k in declared order, results[k] result k, zero-filled in C order (those that are TOLD
 * after parloom_cache_make). Runs in the caller's process and thread. Returns 0, or a code of its own: then the call
 * fails as PARLOOM_ERR_TASK, and nothing is kept.
 */
typedef int (*parloom_cache_body)(parloom_cache_run *run, void *const *args, parloom_array *results);

/* What is known of an entry, or of a call. */
typedef struct parloom_cache_info {
    char key[33];          /* of this function with these arguments: hexadecimal digits */
    bool is_hit;           /* it was found; false: the body ran */
    double duration_s;     /* of the run that computed it */
    double created_s;      /* when that was: seconds since 1970 */
    double age_s;          /* since then; 0 where clocks say less */
    const char *arguments; /* as in metadata.json, borrowed: in is_valid until it returns, else NULL */
    uint64_t reserved[3];
} parloom_cache_info;

/* All there is to say of a cached function. */
typedef struct parloom_cache_function {
    size_t struct_size; /* sizeof(parloom_cache_function) */
    const char *name;   /* of it in the cache, less than PARLOOM_CACHE_NAME_BYTES; "module/name" where names may meet */
    parloom_cache_body body;
    const char *version; /* NULL: the identity of the code; a text, not "": stands for it alone */
    const parloom_cache_param *params;
    size_t n_params;
    const parloom_cache_result *results;
    size_t n_results;
    const char *const *ignore; /* names of params that do not count */
    size_t n_ignore;
    /* Asked before an entry is used: false computes it anew. A call asks once for each entry that it finds: twice where
     * somebody replaced the entry meanwhile. Not asked by parloom_shelved_get. May be NULL. Any thread that calls. */
    bool (*is_valid)(const parloom_cache_info *info, void *state);
    void *is_valid_state;
    double expires_after_s;      /* entries that are older are computed anew (not by parloom_shelved_get); 0: never */
    parloom_mmap_mode mmap_mode; /* UNSET: the cache's */
    int verbose;                 /* 0: the cache's; -1: silent */
    uint64_t reserved[4];
} parloom_cache_function;

/*
 * Binds a function to a cache.
 *
 * function_out set on success; gives: release it with parloom_cache_unbind
 * cache        borrows until it is unbound
 * definition   borrows; copied, with its texts; is_valid_state is borrowed until it is unbound
 * error        NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID   definition is incomplete, a name is missing, too long, said twice or holds other characters,
 *                         ignore names no parameter, or a dtype, shape, type or mode makes no sense
 *   PARLOOM_ERR_VERSION   struct_size is not that of a parloom_cache_function
 *   PARLOOM_ERR_FUNCTION  the body lies in no file and no version was given
 *   PARLOOM_ERR_MEMORY    out of memory
 * Threads: any thread, also in a task body.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/cache_evict.c
 */
parloom_status parloom_cache_bind(parloom_cached **function_out, parloom_cache *cache,
                                  const parloom_cache_function *definition, parloom_error *error);

/*
 * Releases a function; its entries stay.
 *
 * function takes; NULL is fine
 *
 * Returns: nothing.
 * Errors:  none.
 * Threads: any thread; no call of it is under way.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/cache_evict.c
 */
void parloom_cache_unbind(parloom_cached *function);

/*
 * Makes one argument. name NULL: the next parameter in order; such arguments come first.
 *
 * name     borrows until the call returns
 * value    the number; the text, the bytes and the array are borrowed until the call returns
 * nbytes   of the bytes; 0: data is not read
 *
 * Returns: the argument.
 * Errors:  none here: the call checks it.
 * Threads: any thread.
 * Blocks:  never.
 * Since:   0.1
 * Example: docs/guide/programs/cache_evict.c
 */
parloom_cache_value parloom_cache_i64(const char *name, int64_t value);
parloom_cache_value parloom_cache_f64(const char *name, double value);
parloom_cache_value parloom_cache_text(const char *name, const char *value);
parloom_cache_value parloom_cache_bytes(const char *name, const void *data, size_t nbytes);
parloom_cache_value parloom_cache_array(const char *name, const parloom_array *value);

/*
 * Calls a function: takes its results from the cache, or runs its body and keeps what that gave. The key is made before
 * the body runs, so it is of the arguments as they were then. parloom_cache_force always runs the body, and keeps what
 * it gave in place of what was there.
 *
 * function    borrows
 * args        borrows; NULL where n_args is 0
 * n_args      how many
 * results_out as many arrays as declared, set on success; gives: release each with parloom_array_release. In a task
 *             body those that are not mapped go with the task
 * info_out    NULL, or set on success
 * error       NULL is fine
 *
 * Returns: PARLOOM_OK, also when the result could not be kept (a warning says so); or
 * Errors:
 *   PARLOOM_ERR_INVALID    an argument is missing, given twice, too many, of another type, or makes no sense
 *   PARLOOM_ERR_TASK       the body failed: code is what it returned, message what it said (parloom_cache_fail)
 *   PARLOOM_ERR_CALLBACK   the body returned 0, and did not make a result that is TOLD
 *   PARLOOM_ERR_CANCELLED  it was not there, and the task that asked is cancelled, maybe while it waited for another
 *                          that computes it; outside of tasks: Ctrl-C was pressed (parloom_interrupt_begin)
 *   PARLOOM_ERR_SPACE, PARLOOM_ERR_MEMORY, PARLOOM_ERR_LIMIT, PARLOOM_ERR_IO, PARLOOM_ERR_UNSUPPORTED
 *                          no memory for results, as parloom_alloc
 * Threads: any thread, also in a task body.
 * Blocks:  for as long as the body takes, here or where it is being computed already; there at most until the task is
 *          cancelled.
 * Since:   0.1
 * Example: docs/guide/programs/cache_evict.c
 */
parloom_status parloom_cache_call(parloom_cached *function, const parloom_cache_value *args, size_t n_args,
                                  parloom_array *results_out, parloom_cache_info *info_out, parloom_error *error);
parloom_status parloom_cache_force(parloom_cached *function, const parloom_cache_value *args, size_t n_args,
                                   parloom_array *results_out, parloom_cache_info *info_out, parloom_error *error);

/*
 * Asks whether parloom_cache_call would find its results: there, of this call, not expired, and valid. Damage of the
 * data itself is seen by the call only.
 *
 * function     borrows
 * args, n_args as parloom_cache_call
 * is_there_out set on success; false without a location
 * error        NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID  as parloom_cache_call
 *   PARLOOM_ERR_MEMORY   out of memory
 * Threads: any thread, also in a task body.
 * Blocks:  never for long: it reads one small file.
 * Since:   0.1
 * Example: docs/guide/programs/cache_evict.c
 */
parloom_status parloom_cache_check(parloom_cached *function, const parloom_cache_value *args, size_t n_args,
                                   bool *is_there_out, parloom_error *error);

/*
 * Removes all entries of a function's name, of every version.
 *
 * function borrows
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_IO  something could not be removed: sys_errno; others as the store says
 * Threads: any thread, also in a task body.
 * Blocks:  for as long as removing takes.
 * Since:   0.1
 * Example: docs/guide/programs/cache_evict.c
 */
parloom_status parloom_cache_forget(parloom_cached *function, parloom_error *error);

/* ---- in a body */

/*
 * Makes a result that was declared as TOLD, and sets results[index] to it: zero-filled, C order.
 *
 * run      of the body
 * index    of the result
 * ndim     0 to PARLOOM_MAX_NDIM
 * shape    borrows; ndim lengths
 *
 * Returns: its memory, borrowed until the body returns. NULL: it is declared with a shape, was made before, makes no
 *          sense, or there is no memory; the body then returns something other than 0, and the call says which it was.
 * Errors:  none but NULL.
 * Threads: the one that runs the body.
 * Blocks:  for as long as reserving the space takes.
 * Since:   0.1
 * Example: tests/rest/test_cache.cc
 */
void *parloom_cache_make(parloom_cache_run *run, size_t index, int ndim, const size_t *shape);

/*
 * Says why a body fails; to be written as the last thing it does: return parloom_cache_fail(...).
 *
 * run      of the body
 * code     what the body returns
 * text     borrows; cut to PARLOOM_MESSAGE_BYTES; NULL: no message
 *
 * Returns: code.
 * Errors:  none.
 * Threads: the one that runs the body.
 * Blocks:  never.
 * Since:   0.1
 * Example: tests/rest/test_cache.cc
 */
int parloom_cache_fail(parloom_cache_run *run, int code, const char *text);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
