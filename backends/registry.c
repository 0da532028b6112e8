/* SPDX-License-Identifier: BSD-3-Clause */
/* registry.c - which backends the program registered or offered (see custom.h). */
#include "backends/custom.h"

#include "base/memory.h"
#include "base/status.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loom_custom *first, *retired; /* retired: unregistered, whose names may still be pointed to */
static struct loom_custom *chosen;          /* the default, or NULL */

static void lock_registry(void)
{
    pthread_mutex_lock(&lock);
}

static void unlock_registry(void)
{
    pthread_mutex_unlock(&lock);
}

/* Also where nothing is ever registered: each call asks for the default. */
__attribute__((constructor)) static void follow_forks(void)
{
    (void)pthread_atfork(lock_registry, unlock_registry, unlock_registry);
}

/* Under the lock. */
static struct loom_custom *find(const char *name)
{
    for (struct loom_custom *custom = first; custom != NULL; custom = custom->next)
        if (strcmp(custom->name, name) == 0) return custom;
    return NULL;
}

struct loom_custom *loom_custom_find(const char *name, bool *is_loaded_out)
{
    lock_registry();
    struct loom_custom *custom = find(name);
    if (custom != NULL) *is_loaded_out = custom->is_loaded;
    unlock_registry();
    return custom;
}

struct loom_custom *loom_custom_hold_nth(size_t k)
{
    lock_registry();
    struct loom_custom *custom = first;
    for (; custom != NULL; custom = custom->next)
        if (custom->is_loaded && k-- == 0) break;
    if (custom != NULL) custom->users++;
    unlock_registry();
    return custom;
}

bool loom_custom_hold(struct loom_custom *custom)
{
    lock_registry();
    bool is_registered = custom->is_registered;
    if (is_registered) custom->users++;
    unlock_registry();
    return is_registered;
}

void loom_custom_release(struct loom_custom *custom)
{
    lock_registry();
    custom->users--;
    unlock_registry();
}

const char *loom_custom_default(void)
{
    lock_registry();
    const char *name = chosen != NULL ? chosen->name : NULL;
    unlock_registry();
    return name;
}

/* ------------------------------------------------------------- registering */

static bool is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    size_t length = name != NULL ? strnlen(name, PARLOOM_BACKEND_NAME_BYTES) : 0;
    return length > 0 && length < PARLOOM_BACKEND_NAME_BYTES && strspn(name, allowed) == length;
}

static parloom_status check_name(const char *name, parloom_error *error)
{
    if (!is_name(name))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "a backend cannot have the name \"%.80s\": 1 to %d letters, digits, '_', '-' and '.'",
                                name != NULL ? name : "NULL", PARLOOM_BACKEND_NAME_BYTES - 1);
    const struct loom_backend *known = loom_backend_find(name);
    if (known == NULL || known->custom != NULL) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "\"%s\" is a backend of parloom's own: take another name",
                            name);
}

/* Bytes of a later release that are not 0 ask for what this one does not have. */
static bool asks_for_more(const parloom_backend_ops *ops)
{
    const unsigned char *bytes = (const unsigned char *)ops;
    for (size_t k = sizeof *ops; k < ops->struct_size; k++)
        if (bytes[k] != 0) return true;
    return false;
}

static parloom_status check_ops(const char *name, const parloom_backend_ops *ops, parloom_error *error)
{
    enum { MOST_NBYTES = 4096 };
    if (ops == NULL || ops->struct_size < offsetof(parloom_backend_ops, shutdown) || ops->struct_size > MOST_NBYTES)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "backend \"%s\": ops are NULL, or their struct_size is not that of "
                                "parloom_backend_ops",
                                name);
    if (ops->abi != PARLOOM_BACKEND_ABI || asks_for_more(ops))
        return loom_status_fail(error, PARLOOM_ERR_VERSION, 0,
                                "backend \"%s\" was made for ABI %u (%zu bytes of operations), this parloom has %u "
                                "(%zu bytes): compile it against these headers",
                                name, ops->abi, ops->struct_size, PARLOOM_BACKEND_ABI, sizeof *ops);
    if ((ops->flags & ~(unsigned)PARLOOM_BACKEND_SHARES_MEMORY) != 0)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0, "backend \"%s\": flags 0x%x are not known", name,
                                ops->flags);
    if (ops->run != NULL && (ops->open == NULL) == (ops->close == NULL)) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "backend \"%s\" needs the operation run, and open and close together or not at all", name);
}

static void append(struct loom_custom *custom)
{
    struct loom_custom **last = &first;
    while (*last != NULL) last = &(*last)->next;
    *last = custom;
    custom->is_registered = true;
}

/* Under the lock. An offer of that name is what takes the operations. */
static parloom_status room_for(const char *name, bool is_offer, struct loom_custom **custom_out, parloom_error *error)
{
    struct loom_custom *custom = find(name);
    if (custom != NULL && (custom->is_loaded || is_offer))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "a backend \"%s\" is registered already", name);
    if (custom == NULL) {
        custom = loom_memory_zeroed(1, sizeof *custom);
        if (custom == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a backend");
        memcpy(custom->name, name, strlen(name));
        append(custom);
    }
    *custom_out = custom;
    return PARLOOM_OK;
}

static void fill(struct loom_custom *custom, const parloom_backend_ops *ops, void *state)
{
    bool is_shared = (ops->flags & PARLOOM_BACKEND_SHARES_MEMORY) != 0;
    memcpy(&custom->ops, ops, ops->struct_size < sizeof *ops ? ops->struct_size : sizeof *ops);
    custom->state = state;
    custom->backend.name = custom->name;
    custom->backend.custom = custom;
    custom->backend.memory = is_shared ? LOOM_MEMORY_SAME : LOOM_MEMORY_INHERITED;
    custom->is_loaded = true;
}

parloom_status parloom_backend_register(const char *name, const parloom_backend_ops *ops, void *state,
                                        bool make_default, parloom_error *error)
{
    struct loom_custom *custom;
    loom_status_clear(error);
    parloom_status status = check_name(name, error);
    if (status == PARLOOM_OK) status = check_ops(name, ops, error);
    if (status != PARLOOM_OK) return status;
    lock_registry();
    status = room_for(name, false, &custom, error);
    if (status == PARLOOM_OK) {
        fill(custom, ops, state);
        if (make_default) chosen = custom;
    }
    unlock_registry();
    return status;
}

parloom_status parloom_backend_offer(const char *name, parloom_status (*load)(void *state, parloom_error *error),
                                     void *state, parloom_error *error)
{
    struct loom_custom *custom;
    loom_status_clear(error);
    parloom_status status = check_name(name, error);
    if (status != PARLOOM_OK) return status;
    if (load == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "backend \"%s\" is offered with load NULL", name);
    lock_registry();
    status = room_for(name, true, &custom, error);
    if (status == PARLOOM_OK) {
        custom->load = load;
        custom->load_state = state;
    }
    unlock_registry();
    return status;
}

/* ----------------------------------------------------------- unregistering */

/* Under the lock. */
static void retire(struct loom_custom *custom)
{
    struct loom_custom **at = &first;
    while (*at != custom) at = &(*at)->next;
    *at = custom->next;
    custom->is_registered = false;
    custom->next = retired;
    retired = custom;
    if (chosen == custom) chosen = NULL;
}

parloom_status parloom_backend_unregister(const char *name, parloom_error *error)
{
    parloom_status status = PARLOOM_OK;
    loom_status_clear(error);
    lock_registry();
    struct loom_custom *custom = name != NULL ? find(name) : NULL;
    if (custom == NULL)
        status = loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no backend \"%s\" was registered",
                                  name != NULL ? name : "NULL");
    else if (custom->users > 0)
        status =
            loom_status_fail(error, PARLOOM_ERR_BUSY, 0, "the backend \"%s\" is in use, by a call or a pool", name);
    else
        retire(custom);
    unlock_registry();
    return status;
}

size_t parloom_backend_list(const char **names, size_t room)
{
    static const char *const builtin[] = { "sequential", "threads", "processes", "fork" };
    size_t count = sizeof builtin / sizeof *builtin;
    for (size_t k = 0; names != NULL && k < count && k < room; k++) names[k] = builtin[k];
    lock_registry();
    for (const struct loom_custom *custom = first; custom != NULL; custom = custom->next, count++)
        if (names != NULL && count < room) names[count] = custom->name;
    unlock_registry();
    return count;
}
