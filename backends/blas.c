/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * blas.c - find the BLAS libraries of this process and set how many threads they use (see blas.h).
 *
 *  library    counts are of      how
 *  OpenBLAS   the process        set, put back by the caller
 *  BLIS       the process, or    the caller sets and puts back; then each thread that still has another count does
 *             each thread (1.0)
 *  MKL        both               the process's in worker processes; in the caller's process each thread's own, which
 *                                outweighs it
 *
 * Threads     the list is made anew, under the lock, when modules were loaded or unloaded and no call uses it; so
 *             between begin and end it is read without the lock.
 */
#include "backends/blas.h"

#include "backends/modules.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef void (*set_function)(int64_t count);  /* BLIS's dim_t; an int is its lower half */
typedef int64_t (*get_function)(void);        /* of which only the lower half is looked at */
typedef int (*set_local_function)(int count); /* returns what was there; 0: nothing of the thread's own */

static const struct name {
    enum loom_inner_kind kind;
    const char *set, *get;
    const char *set_local; /* NULL: it has none */
    bool may_be_local;     /* set and get may be the thread's */
} NAMES[] = {
    { LOOM_INNER_OPENBLAS, "openblas_set_num_threads", "openblas_get_num_threads", NULL, false },
    { LOOM_INNER_OPENBLAS, "openblas_set_num_threads64_", "openblas_get_num_threads64_", NULL, false },
    { LOOM_INNER_OPENBLAS, "scipy_openblas_set_num_threads", "scipy_openblas_get_num_threads", NULL, false },
    { LOOM_INNER_OPENBLAS, "scipy_openblas_set_num_threads64_", "scipy_openblas_get_num_threads64_", NULL, false },
    { LOOM_INNER_BLIS, "bli_thread_set_num_threads", "bli_thread_get_num_threads", NULL, true },
    { LOOM_INNER_MKL, "MKL_Set_Num_Threads", "MKL_Get_Max_Threads", "MKL_Set_Num_Threads_Local", false },
};

struct library {
    enum loom_inner_kind kind;
    set_function set;
    get_function get;
    set_local_function set_local;
    bool may_be_local;
    int original; /* before the first of the calls that use it now */
};

static struct {
    pthread_mutex_t lock;
    bool is_known;
    struct loom_module_epoch epoch; /* when it was made */
    struct library libraries[LOOM_BLAS_MOST];
    int count;
    int users; /* calls */
} list = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void before_fork(void)
{
    pthread_mutex_lock(&list.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&list.lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork);
}

/* ------------------------------------------------------------------- finding */

static bool find_symbol(void *handle, const char *name, void *function)
{
    void *symbol = name != NULL ? dlsym(handle, name) : NULL;
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static void add_libraries(void *handle)
{
    for (size_t k = 0; k < sizeof NAMES / sizeof NAMES[0]; k++) {
        struct library library = { .kind = NAMES[k].kind, .may_be_local = NAMES[k].may_be_local };
        if (!find_symbol(handle, NAMES[k].set, &library.set) || !find_symbol(handle, NAMES[k].get, &library.get))
            continue;
        (void)find_symbol(handle, NAMES[k].set_local, &library.set_local);
        bool is_new = list.count < LOOM_BLAS_MOST;
        for (int known = 0; known < list.count; known++) is_new &= list.libraries[known].set != library.set;
        if (is_new) list.libraries[list.count++] = library;
    }
}

struct paths {
    char *path[4 * LOOM_BLAS_MOST];
    int count;
};

static bool may_be_blas(const char *path)
{
    const char *file = strrchr(path, '/');
    file = file != NULL ? file + 1 : path;
    return strstr(file, "blas") != NULL || strstr(file, "blis") != NULL || strstr(file, "mkl") != NULL;
}

static int note_path(struct dl_phdr_info *module, size_t size, void *state)
{
    (void)size;
    struct paths *paths = state;
    if (paths->count == 4 * LOOM_BLAS_MOST) return 1;
    if (!may_be_blas(module->dlpi_name)) return 0;
    char *path = strdup(module->dlpi_name);
    if (path != NULL) paths->path[paths->count++] = path;
    return 0;
}

/* What was opened with RTLD_LOCAL is found by its path alone. It is not kept from being unloaded. */
static void add_local_libraries(void)
{
    struct paths paths = { .count = 0 };
    (void)dl_iterate_phdr(note_path, &paths); /* opened after the walk, which holds a lock of the loader */
    for (int k = 0; k < paths.count; k++) {
        void *handle = dlopen(paths.path[k], RTLD_LAZY | RTLD_NOLOAD);
        if (handle != NULL) {
            add_libraries(handle);
            (void)dlclose(handle);
        }
        free(paths.path[k]);
    }
}

/* Under the lock. */
static void refresh(void)
{
    struct loom_module_epoch now = loom_modules_epoch();
    bool is_same = list.is_known && now.loaded == list.epoch.loaded && now.unloaded == list.epoch.unloaded;
    if (list.users > 0 || is_same) return;
    list.count = 0;
    add_libraries(RTLD_DEFAULT);
    add_local_libraries();
    list.epoch = now;
    list.is_known = true;
}

/* ------------------------------------------------------------------- setting */

static bool set_count(const struct library *library, int count)
{
    if ((int)library->get() == count) return false;
    library->set(count);
    return true;
}

void loom_blas_settle(const struct loom_inner_threads *inner)
{
    pthread_mutex_lock(&list.lock);
    refresh();
    for (int k = 0; k < list.count; k++) (void)set_count(&list.libraries[k], inner->count[list.libraries[k].kind]);
    pthread_mutex_unlock(&list.lock);
}

/* Under the lock. */
static bool set_for_call(const struct loom_inner_threads *inner, struct loom_blas_of_call *call)
{
    bool is_set = false;
    for (int k = 0; k < list.count; k++) {
        struct library *library = &list.libraries[k];
        call->ours[k] = 0;
        if (library->set_local != NULL) continue;
        call->before[k] = (int)library->get();
        if (list.users == 0) library->original = call->before[k];
        call->ours[k] = inner->count[library->kind];
        is_set |= set_count(library, call->ours[k]);
    }
    return is_set;
}

bool loom_blas_begin(const struct loom_inner_threads *inner, struct loom_blas_of_call *call)
{
    pthread_mutex_lock(&list.lock);
    refresh();
    call->is_user = list.count > 0;
    bool is_set = call->is_user && set_for_call(inner, call);
    if (call->is_user) list.users++;
    pthread_mutex_unlock(&list.lock);
    return is_set;
}

/* Under the lock. A call inside a task puts back what its task had; among calls side by side the last one puts back. */
static bool put_back(const struct loom_blas_of_call *call)
{
    bool is_set = false;
    for (int k = 0; k < list.count; k++) {
        const struct library *library = &list.libraries[k];
        if (call->ours[k] == 0) continue;
        if (list.users == 0)
            is_set |= set_count(library, library->original);
        else if ((int)library->get() == call->ours[k])
            is_set |= set_count(library, call->before[k]);
    }
    return is_set;
}

bool loom_blas_end(struct loom_blas_of_call *call)
{
    if (!call->is_user) return false;
    pthread_mutex_lock(&list.lock);
    list.users--;
    bool is_set = put_back(call);
    pthread_mutex_unlock(&list.lock);
    return is_set;
}

void loom_blas_enter(const struct loom_inner_threads *inner, const struct loom_blas_of_call *call,
                     struct loom_blas_of_thread *thread)
{
    thread->count = 0;
    if (!call->is_user) return; /* then the list is not ours to read */
    for (int k = 0; k < list.count; k++) {
        const struct library *library = &list.libraries[k];
        int wanted = inner->count[library->kind];
        thread->is_set[k] = library->set_local != NULL || (library->may_be_local && (int)library->get() != wanted);
        if (!thread->is_set[k]) continue;
        thread->before[k] = library->set_local != NULL ? library->set_local(wanted) : (int)library->get();
        if (library->set_local == NULL) library->set(wanted);
    }
    thread->count = list.count;
}

void loom_blas_leave(struct loom_blas_of_thread *thread)
{
    for (int k = 0; k < thread->count; k++) {
        if (!thread->is_set[k]) continue;
        const struct library *library = &list.libraries[k];
        if (library->set_local != NULL)
            (void)library->set_local(thread->before[k]);
        else
            library->set(thread->before[k]);
    }
}
