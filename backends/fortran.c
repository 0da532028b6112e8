/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fortran.c - notice and repeat what gfortran's main does for its runtime library.
 */
#include "backends/fortran.h"

#include "base/file.h"

#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ARGUMENTS_MAX = 1024 };

struct tables {
    const ElfW(Sym) * symbols;
    const char *strings;
    const uint32_t *gnu_hash;
    const uint32_t *hash;
};

static void read_tables(const struct dl_phdr_info *program, struct tables *tables)
{
    for (int i = 0; i < program->dlpi_phnum; i++) {
        if (program->dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
        /* NOLINTBEGIN: addresses of the loader */
        const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(program->dlpi_addr + program->dlpi_phdr[i].p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++) {
            if (entry->d_tag == DT_SYMTAB) tables->symbols = (const ElfW(Sym) *)entry->d_un.d_ptr;
            if (entry->d_tag == DT_STRTAB) tables->strings = (const char *)entry->d_un.d_ptr;
            if (entry->d_tag == DT_GNU_HASH) tables->gnu_hash = (const uint32_t *)entry->d_un.d_ptr;
            if (entry->d_tag == DT_HASH) tables->hash = (const uint32_t *)entry->d_un.d_ptr;
        }
        /* NOLINTEND */
    }
}

/* Imports come first in the symbol table: those without an entry in the GNU hash table. */
static size_t count_imports(const struct tables *tables)
{
    if (tables->symbols == NULL || tables->strings == NULL) return 0;
    if (tables->hash != NULL) return tables->hash[1];
    return tables->gnu_hash == NULL ? 0 : tables->gnu_hash[1];
}

static int look_for_settings(struct dl_phdr_info *program, size_t size, void *state)
{
    (void)size;
    static const char *const setters[] = { "_gfortran_set_convert", "_gfortran_set_record_marker",
                                           "_gfortran_set_max_subrecord_length" };
    struct tables tables = { .symbols = NULL };
    read_tables(program, &tables);
    size_t count = count_imports(&tables);
    for (size_t i = 0; i < count; i++) {
        const char *name = tables.strings + tables.symbols[i].st_name;
        for (size_t k = 0; k < sizeof setters / sizeof setters[0]; k++)
            if (strcmp(name, setters[k]) == 0) *(bool *)state = true;
    }
    return 1; /* the program comes first, and only its main counts */
}

bool loom_fortran_needs_init(void)
{
    bool is_needed = false;
    (void)dl_iterate_phdr(look_for_settings, &is_needed);
    return is_needed;
}

void loom_fortran_set_arguments(int program_pid)
{
    /* The runtime keeps the pointers. */
    static char text[65536];
    static char *arguments[ARGUMENTS_MAX + 1];
    void *symbol = dlsym(RTLD_DEFAULT, "_gfortran_set_args");
    if (symbol == NULL) return;
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", program_pid);
    ssize_t length = loom_file_read_text(path, text, sizeof text);
    int count = 0;
    for (ssize_t at = 0; at < length && count < ARGUMENTS_MAX; at += (ssize_t)strlen(text + at) + 1)
        arguments[count++] = text + at;
    void (*set_arguments)(int count, char **arguments);
    memcpy(&set_arguments, &symbol, sizeof set_arguments);
    set_arguments(count, arguments);
}
