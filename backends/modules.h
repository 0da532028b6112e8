/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * modules.h - the program and its libraries as the loader sees them: which one holds an address, and which file it is.
 */
#ifndef LOOM_BACKENDS_MODULES_H
#define LOOM_BACKENDS_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_MODULE_ID_BYTES = 32, LOOM_MODULE_PATH_BYTES = 1024 };

struct loom_module {
    uint64_t base; /* load address: what link-time addresses are relative to */
    uint32_t id_nbytes;
    uint8_t id[LOOM_MODULE_ID_BYTES];
    bool is_program;
    bool is_code;    /* the address that was asked for lies in executable bytes */
    bool is_deleted; /* the file is no longer the one that was loaded */
    uint64_t device, inode, file_nbytes, mtime_ns;
    char path[LOOM_MODULE_PATH_BYTES]; /* absolute */
};

/* Changes whenever a module was loaded or unloaded. */
struct loom_module_epoch {
    unsigned long long loaded, unloaded;
};
struct loom_module_epoch loom_modules_epoch(void);

/* The module that holds the address; false: none. Any thread. */
bool loom_modules_find(uint64_t address, struct loom_module *module_out);
/* A loaded module by identity (the text of startup.h): with this path if there are several, else any. Its load
 * address, and whether offset is executable; false: not loaded. */
bool loom_modules_find_identity(const char *identity, const char *path, uint64_t offset, uint64_t *base_out,
                                bool *is_code_out);
/* The identity of a module found above, as startup.h writes it. */
void loom_modules_write_identity(const struct loom_module *module, char text[128]);
/* The loaded runtime that demands to come first in LD_PRELOAD (AddressSanitizer of gcc and of clang
 * -shared-libasan); false: none. */
bool loom_modules_sanitizer(char *path, size_t size);

#ifdef __cplusplus
}
#endif
#endif
