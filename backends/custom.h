/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * custom.h - a backend that the program registered, and the calls that run on it (parloom/backend.h).
 *
 * Registered backends are kept in a list under one lock. Who uses one holds it: unregistering is refused meanwhile.
 * Their names, and they themselves, stay valid until the program ends: reports and tasks point to them.
 */
#ifndef LOOM_BACKENDS_CUSTOM_H
#define LOOM_BACKENDS_CUSTOM_H

#include "backends/run.h"

#ifdef __cplusplus
extern "C" {
#endif

struct loom_local_crew;

struct loom_custom {
    struct loom_backend backend; /* how core sees it */
    parloom_backend_ops ops;     /* what the program's struct did not have is NULL */
    void *state;
    parloom_status (*load)(void *state, parloom_error *error); /* offered; NULL: registered outright */
    void *load_state;
    char name[PARLOOM_BACKEND_NAME_BYTES];
    bool is_loaded; /* ops hold; this and the next two under the lock */
    bool is_registered;
    int users;
    struct loom_custom *next;
};

/* ---- who is registered (registry.c) */

/* NULL: nobody of that name. *custom_out may be an offer that is not loaded. */
struct loom_custom *loom_custom_find(const char *name, bool *is_loaded_out);
/* The k-th, held; NULL: there are no more. Offers that are not loaded are passed over. */
struct loom_custom *loom_custom_hold_nth(size_t k);
/* False: it is not registered any more. */
bool loom_custom_hold(struct loom_custom *custom);
void loom_custom_release(struct loom_custom *custom);
const char *loom_custom_default(void); /* NULL: none */

/* ---- its operations (custom.c) */

parloom_status loom_custom_configure(struct loom_custom *custom, int *n_jobs, const char *params,
                                     const char **fallback_out, parloom_error *error);
parloom_status loom_custom_open(struct loom_custom *custom, void **workers_out, const parloom_options *options,
                                int n_jobs, parloom_error *error);
void loom_custom_close(struct loom_custom *custom, void *opened);
parloom_status loom_custom_run(struct loom_custom *custom, void *workers, const struct loom_run *run,
                               parloom_error *error);
void loom_custom_shutdown(struct loom_custom *custom, bool kill);

/* ---- a call on it (custom_run.c) */

/* crew: whose worker_init has run, or NULL. MEMORY. */
parloom_status loom_custom_begin(parloom_backend_run **run_out, struct loom_custom *custom,
                                 struct loom_local_crew *crew, const struct loom_run *frozen, parloom_error *error);
/* After its run operation returned status and error. Waits for tasks that still run; what the call comes to. */
parloom_status loom_custom_end(parloom_backend_run *handle, parloom_status status, parloom_error *error);

/* ---- handles (custom_handle.c) */

struct loom_custom_run;
/* What a backend holds of a call is never freed but used again much later: who uses it after the call is told no. */
parloom_backend_run *loom_custom_handle_open(struct loom_custom_run *run);     /* NULL: no memory */
struct loom_custom_run *loom_custom_handle_enter(parloom_backend_run *handle); /* NULL: the call is over */
void loom_custom_handle_leave(parloom_backend_run *handle);
/* No one enters any more; hurry is called if someone has to be waited for. */
void loom_custom_handle_close(parloom_backend_run *handle, void (*hurry)(struct loom_custom_run *run));

#ifdef __cplusplus
}
#endif
#endif
