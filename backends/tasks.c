/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tasks.c - a function becomes module + identity + offset, and a function again in another process. Published code is
 * its address; a library by value, its bytes and an offset.
 *
 * Caches    both ways, direct-mapped, emptied when the loader's epoch moved: an address may mean another function after
 *           a dlclose. A hit costs one visit to the loader and a copy.
 */
#include "backends/tasks.h"

#include "backends/images.h"
#include "backends/modules.h"
#include "base/status.h"
#include "shm/code.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

_Static_assert((int)LOOM_TASK_ID_BYTES == (int)LOOM_MODULE_ID_BYTES, "refs hold what modules have");
_Static_assert((int)LOOM_TASK_PATH_BYTES == (int)LOOM_MODULE_PATH_BYTES, "refs hold what modules have");
_Static_assert(sizeof(parloom_body) == sizeof(uint64_t), "a function is an address");

enum { CACHE_SLOTS = 64 }; /* 70 KiB: more functions than a program gives to its loops */

struct slot {
    uint64_t address; /* 0: empty */
    bool by_value;    /* as it was asked for */
    struct loom_task_ref ref;
};

static struct {
    pthread_mutex_t lock;
    struct loom_module_epoch epoch;
    struct slot slots[CACHE_SLOTS];
} refer_cache = { .lock = PTHREAD_MUTEX_INITIALIZER }, resolve_cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Whoever held a lock is not in the child, and what it was writing is not whole. */
static void renew_in_child(void)
{
    memset(refer_cache.slots, 0, sizeof refer_cache.slots);
    memset(resolve_cache.slots, 0, sizeof resolve_cache.slots);
    refer_cache.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    resolve_cache.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, renew_in_child);
}

static uint64_t address_of(parloom_body function)
{
    uint64_t address;
    memcpy(&address, &function, sizeof address);
    return address;
}

static size_t slot_of(uint64_t key)
{
    /* Fibonacci hashing: functions are 16-byte aligned, their low bits say nothing. */
    return (size_t)((key * 0x9e3779b97f4a7c15u) >> 58);
}
_Static_assert(CACHE_SLOTS == 1 << (64 - 58), "slot_of gives that many");

static void forget_if_moved(struct loom_module_epoch *known, struct slot *slots)
{
    struct loom_module_epoch now = loom_modules_epoch();
    if (now.loaded == known->loaded && now.unloaded == known->unloaded) return;
    for (size_t i = 0; i < CACHE_SLOTS; i++) slots[i].address = 0;
    *known = now;
}

static parloom_status refuse_no_module(uint64_t address, parloom_error *error)
{
    return loom_status_fail(
        error, PARLOOM_ERR_FUNCTION, 0,
        "the function at 0x%llx lies in no program or library file, so no worker process can find it: "
        "it is code made at run time (publish it: parloom_code_publish), or a nested (internal) function that needs "
        "its "
        "caller's stack (use a function of a file and pass what it needs as arguments), or published code that was "
        "released; or run on threads",
        (unsigned long long)address);
}

static parloom_status look_up(uint64_t address, bool by_value, struct loom_task_ref *ref, parloom_error *error)
{
    struct loom_module module;
    if (!loom_modules_find(address, &module)) return refuse_no_module(address, error);
    if (!module.is_code)
        return loom_status_fail(error, PARLOOM_ERR_FUNCTION, 0,
                                "0x%llx lies outside the code of %s: what was given is not a function",
                                (unsigned long long)address, module.path);
    by_value = by_value && !module.is_program; /* which every worker is */
    if (module.is_deleted && !module.is_program && !by_value)
        return loom_status_fail(error, PARLOOM_ERR_FUNCTION, 0,
                                "the function at 0x%llx lies in %s, which was deleted or replaced after it was loaded: "
                                "worker processes cannot load it; restart the program, run on threads, or let its "
                                "bytes travel from the first call on (modules = PARLOOM_MODULES_BY_VALUE)",
                                (unsigned long long)address, module.path);
    *ref = (struct loom_task_ref){ .offset = address - module.base,
                                   .id_nbytes = module.id_nbytes,
                                   .device = module.device,
                                   .inode = module.inode,
                                   .file_nbytes = module.file_nbytes,
                                   .mtime_ns = module.mtime_ns,
                                   .is_program = module.is_program };
    memcpy(ref->id, module.id, sizeof ref->id);
    memcpy(ref->path, module.path, sizeof ref->path);
    return by_value ? loom_image_take(&module, &ref->image, &ref->image_nbytes, error) : PARLOOM_OK;
}

static parloom_status refer(parloom_body function, bool by_value, struct loom_task_ref *ref_out, parloom_error *error)
{
    uint64_t address = address_of(function);
    if (address == 0) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no function was given (NULL)");
    if (loom_code_holds((const void *)(uintptr_t)address)) { // NOLINT(performance-no-int-to-ptr)
        *ref_out = (struct loom_task_ref){ .offset = address, .is_published = 1 };
        return PARLOOM_OK;
    }
    (void)pthread_mutex_lock(&refer_cache.lock);
    forget_if_moved(&refer_cache.epoch, refer_cache.slots);
    struct slot *slot = &refer_cache.slots[slot_of(address)];
    parloom_status status = PARLOOM_OK;
    if (slot->address != address || slot->by_value != by_value) {
        slot->address = 0;
        status = look_up(address, by_value, &slot->ref, error);
        slot->by_value = by_value;
        if (status == PARLOOM_OK) slot->address = address;
    }
    if (status == PARLOOM_OK) *ref_out = slot->ref;
    (void)pthread_mutex_unlock(&refer_cache.lock);
    return status;
}

parloom_status loom_task_refer(parloom_body function, struct loom_task_ref *ref_out, parloom_error *error)
{
    return refer(function, false, ref_out, error);
}

parloom_status loom_task_refer_by_value(parloom_body function, struct loom_task_ref *ref_out, parloom_error *error)
{
    return refer(function, true, ref_out, error);
}

static void identify(const struct loom_task_ref *ref, char text[128])
{
    struct loom_module module = { .id_nbytes = ref->id_nbytes <= LOOM_TASK_ID_BYTES ? ref->id_nbytes : 0,
                                  .device = ref->device,
                                  .inode = ref->inode,
                                  .file_nbytes = ref->file_nbytes,
                                  .mtime_ns = ref->mtime_ns };
    memcpy(module.id, ref->id, sizeof module.id);
    loom_modules_write_identity(&module, text);
}

/* What was loaded from the path instead, for the message. */
static parloom_status refuse_other_build(const struct loom_task_ref *ref, void *handle, const char *identity,
                                         parloom_error *error)
{
    char found[128] = "unknown";
    void *any = dlsym(handle, "_init");
    struct loom_module module;
    if (any != NULL && loom_modules_find((uint64_t)(uintptr_t)any, &module))
        loom_modules_write_identity(&module, found);
    return loom_status_fail(
        error, PARLOOM_ERR_VERSION, 0,
        "%s is another build in the worker than in the program (identity %s there, %s here): it was "
        "replaced while the program ran; restart the program, or let its bytes travel from the first call on "
        "(modules = PARLOOM_MODULES_BY_VALUE)",
        ref->path, identity, found);
}

static parloom_status find_base(const struct loom_task_ref *ref, uint64_t *base_out, bool *is_code_out,
                                parloom_error *error)
{
    char identity[128];
    identify(ref, identity);
    if (loom_modules_find_identity(identity, ref->path, ref->offset, base_out, is_code_out)) return PARLOOM_OK;
    if (ref->is_program)
        return loom_status_fail(error, PARLOOM_ERR_VERSION, 0,
                                "the worker runs another build of the program than %s (identity %s)", ref->path,
                                identity);

    /* Stays open: workers keep code that a later task may want again. */
    void *handle = dlopen(ref->path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return loom_status_fail(error, PARLOOM_ERR_FUNCTION, 0, "the worker could not load %s: %s", ref->path,
                                dlerror());
    if (!loom_modules_find_identity(identity, ref->path, ref->offset, base_out, is_code_out))
        return refuse_other_build(ref, handle, identity, error);
    return PARLOOM_OK;
}

static parloom_status find_image(const struct loom_task_ref *ref, uint64_t *base_out, bool *is_code_out,
                                 parloom_error *error)
{
    struct loom_module module;
    parloom_status status = loom_image_open(ref->image, ref->image_nbytes, ref->path, base_out, error);
    if (status != PARLOOM_OK) return status;
    *is_code_out = loom_modules_find(*base_out + ref->offset, &module) && module.is_code && module.base == *base_out;
    return PARLOOM_OK;
}

static parloom_status resolve_published(uint64_t address, parloom_body *function_out, parloom_error *error)
{
    if (!loom_code_holds((const void *)(uintptr_t)address)) // NOLINT(performance-no-int-to-ptr)
        return loom_status_fail(error, PARLOOM_ERR_FUNCTION, 0,
                                "the code that was published at 0x%llx is not in the worker: it was released while the "
                                "call began",
                                (unsigned long long)address);
    memcpy(function_out, &address, sizeof *function_out);
    return PARLOOM_OK;
}

static parloom_status resolve(const struct loom_task_ref *ref, uint64_t *address_out, parloom_error *error)
{
    uint64_t base = 0;
    bool is_code = false;
    parloom_status status =
        ref->image != 0 ? find_image(ref, &base, &is_code, error) : find_base(ref, &base, &is_code, error);
    if (status != PARLOOM_OK) return status;
    if (!is_code)
        return loom_status_fail(error, PARLOOM_ERR_FUNCTION, 0, "offset 0x%llx lies outside the code of %s",
                                (unsigned long long)ref->offset, ref->path);
    *address_out = base + ref->offset;
    return PARLOOM_OK;
}

/* Member by member: padding may differ. */
bool loom_task_is_same(const struct loom_task_ref *a, const struct loom_task_ref *b)
{
    return a->is_published == b->is_published && a->image == b->image && a->image_nbytes == b->image_nbytes &&
           a->offset == b->offset && a->id_nbytes == b->id_nbytes && a->device == b->device && a->inode == b->inode &&
           a->mtime_ns == b->mtime_ns && a->file_nbytes == b->file_nbytes && a->is_program == b->is_program &&
           memcmp(a->id, b->id, sizeof a->id) == 0 && strcmp(a->path, b->path) == 0;
}

parloom_status loom_task_resolve(const struct loom_task_ref *ref, parloom_body *function_out, parloom_error *error)
{
    /* The letter lies in shared memory: a copy cannot change under the comparison, and ends. */
    struct loom_task_ref wanted = *ref;
    wanted.path[sizeof wanted.path - 1] = '\0';
    if (wanted.is_published) return resolve_published(wanted.offset, function_out, error);
    uint64_t key = wanted.offset;
    for (size_t i = 0; i + sizeof(uint64_t) <= sizeof wanted.id; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, wanted.id + i, sizeof word);
        key ^= word;
    }

    (void)pthread_mutex_lock(&resolve_cache.lock);
    forget_if_moved(&resolve_cache.epoch, resolve_cache.slots);
    struct slot *slot = &resolve_cache.slots[slot_of(key)];
    uint64_t address = slot->address;
    parloom_status status = PARLOOM_OK;
    if (address == 0 || !loom_task_is_same(&slot->ref, &wanted)) {
        status = resolve(&wanted, &address, error);
        if (status == PARLOOM_OK) *slot = (struct slot){ .address = address, .ref = wanted };
    }
    (void)pthread_mutex_unlock(&resolve_cache.lock);
    if (status == PARLOOM_OK) memcpy(function_out, &address, sizeof *function_out);
    return status;
}
