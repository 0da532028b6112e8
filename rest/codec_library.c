/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_library.c - opens the libraries that compress. */
#include "rest/codec_library.h"

#include "base/status.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void lock_libraries(void)
{
    pthread_mutex_lock(&lock);
}

static void unlock_libraries(void)
{
    pthread_mutex_unlock(&lock);
}

/* A child that is forked while another thread opens a library would wait for it for ever. */
__attribute__((constructor)) static void follow_forks(void)
{
    (void)pthread_atfork(lock_libraries, unlock_libraries, unlock_libraries);
}

/* Under the lock. The name of what is missing, or NULL. */
static const char *open_library(struct loom_codec_library *library)
{
    void *handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) return library->file;
    for (size_t k = 0; library->names[k] != NULL; k++) {
        void *symbol = dlsym(handle, library->names[k]);
        if (symbol == NULL) {
            dlclose(handle);
            return library->names[k];
        }
        memcpy((char *)library->calls + k * sizeof symbol, &symbol, sizeof symbol);
    }
    library->is_open = true;
    return NULL;
}

parloom_status loom_codec_library_open(struct loom_codec_library *library, parloom_error *error)
{
    pthread_mutex_lock(&lock);
    const char *missing = library->is_open ? NULL : open_library(library);
    pthread_mutex_unlock(&lock);
    if (missing == NULL) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0, "%s of %s is not there; on Debian: apt-get install %s",
                            missing, library->file, library->package);
}
