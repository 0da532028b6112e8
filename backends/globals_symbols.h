/* SPDX-License-Identifier: BSD-3-Clause */
/* globals_symbols.h - where a module has its data, and what lies there: from the section headers and symbols of its
 * file. */
#ifndef LOOM_BACKENDS_GLOBALS_SYMBOLS_H
#define LOOM_BACKENDS_GLOBALS_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loom_globals_section {
    char name[32];
    uint64_t address; /* in this process */
    uint64_t nbytes;
};

/* A module's file, mapped. */
struct loom_globals_module {
    uint64_t base;
    const char *file;
    size_t file_nbytes;
};

/* False: it cannot be read, or is no ELF file of this kind. */
bool loom_globals_open(const char *path, uint64_t base, struct loom_globals_module *module_out);
void loom_globals_close(struct loom_globals_module *module);
/* The k-th section of data that programs write; false: there are no more. */
bool loom_globals_section(const struct loom_globals_module *module, size_t k, struct loom_globals_section *section_out);

enum loom_globals_owner { LOOM_GLOBALS_PROGRAM, LOOM_GLOBALS_NOT_LOOKED_AT };
/* What lies at an address: its name ("" unknown), where it begins and ends, and whose it is. Statics of parloom, of the
 * compiler and of the C library in a program that has them linked in are not looked at. */
enum loom_globals_owner loom_globals_name(const struct loom_globals_module *module, uint64_t address, char *name,
                                          size_t size, uint64_t *begin_out, uint64_t *end_out);

#ifdef __cplusplus
}
#endif
#endif
