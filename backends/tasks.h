/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tasks.h - a function as it travels between processes: module + build-id + offset, for any function, static ones too;
 * the module's bytes + offset, for libraries by value; or its address, for code that was published.
 */
#ifndef LOOM_BACKENDS_TASKS_H
#define LOOM_BACKENDS_TASKS_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_TASK_ID_BYTES = 32, LOOM_TASK_PATH_BYTES = 1024 };

/* Plain data: is copied into letters. Without a build-id (id_nbytes 0) device, inode, size and mtime stand in. */
struct loom_task_ref {
    uint64_t offset; /* of the function from the module's load address */
    uint32_t id_nbytes;
    uint8_t id[LOOM_TASK_ID_BYTES];
    uint64_t device, inode, file_nbytes, mtime_ns;
    uint64_t image, image_nbytes;    /* address of the module's bytes in shared memory; 0: by reference */
    uint32_t is_program;             /* the module is the program itself */
    uint32_t is_published;           /* offset is the address, everywhere; no module */
    char path[LOOM_TASK_PATH_BYTES]; /* absolute, as first seen in the maps */
};

bool loom_task_is_same(const struct loom_task_ref *a, const struct loom_task_ref *b);
/* The bytes of its library, if it is in one, travel with it: it may be deleted or replaced by now, if it was not when
 * it was first referred to so. FUNCTION as below; MEMORY SPACE LIMIT IO. Any thread. */
parloom_status loom_task_refer_by_value(parloom_body function, struct loom_task_ref *ref_out, parloom_error *error);
/* FUNCTION: in no module (JIT code, a nested function's trampoline), in a module that was deleted, or outside its
 * code; the message names the remedy. Cached per address; the cache notices dlopen and dlclose. Any thread. */
parloom_status loom_task_refer(parloom_body function, struct loom_task_ref *ref_out, parloom_error *error);
/* In a worker: finds the module (build-id and path first, then build-id), opens it if needed, compares before it is
 * called. FUNCTION, VERSION (both ids named). Cached. */
parloom_status loom_task_resolve(const struct loom_task_ref *ref, parloom_body *function_out, parloom_error *error);

#ifdef __cplusplus
}
#endif
#endif
