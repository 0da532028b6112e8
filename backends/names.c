/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * names.c - ask libdw, else the loader, else say module and offset.
 *
 * libdw is opened when the first name is wanted: as a dependency it would cost every start of every program 0.3 ms.
 * Debug information is looked for in the module itself only: the standard search takes 4-8 ms and may go to the
 * network.
 */
#include "backends/names.h"

#include "backends/images.h"
#include "backends/modules.h"
#include "shm/code.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
    char function[256];
    uint64_t into; /* bytes from its start */
    char file[256];
    int line; /* 0: not known */
};

static const char *basename_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

void loom_name_readable(const char *symbol, char *text, size_t size)
{
    char *(*demangle)(const char *, char *, size_t *, int *);
    void *found = strncmp(symbol, "_Z", 2) == 0 ? dlsym(RTLD_DEFAULT, "__cxa_demangle") : NULL;
    char *readable = NULL;
    if (found != NULL) {
        int status = 0;
        memcpy(&demangle, &found, sizeof demangle);
        readable = demangle(symbol, NULL, NULL, &status);
    }
    (void)snprintf(text, size, "%s", readable != NULL ? readable : symbol);
    free(readable);
}

#ifdef PARLOOM_HAVE_LIBDW

#include <elfutils/libdwfl.h>

#define LOOM_NAMES_IMPORTS(X)       \
    X(dwfl_begin)                   \
    X(dwfl_end)                     \
    X(dwfl_report_begin)            \
    X(dwfl_report_elf)              \
    X(dwfl_report_end)              \
    X(dwfl_module_getelf)           \
    X(dwfl_module_addrinfo)         \
    X(dwfl_module_getsrc)           \
    X(dwfl_lineinfo)                \
    X(dwfl_module_nextcu)           \
    X(dwfl_build_id_find_elf)       \
    X(dwfl_offline_section_address) \
    X(dwarf_haspc)                  \
    X(dwarf_getsrc_die)             \
    X(dwarf_lineno)                 \
    X(dwarf_linesrc)

#define LOOM_NAMES_DECLARE(name) __typeof__(name) *(name);
static struct {
    LOOM_NAMES_IMPORTS(LOOM_NAMES_DECLARE)
    bool is_usable;
} libdw;
static pthread_once_t libdw_once = PTHREAD_ONCE_INIT;

static bool import_symbol(void *handle, const char *name, void *pointer_out)
{
    void *symbol = dlsym(handle, name);
    memcpy(pointer_out, &symbol, sizeof symbol);
    return symbol != NULL;
}

static void open_libdw(void)
{
    void *handle = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
    bool is_whole = handle != NULL;
#define LOOM_NAMES_IMPORT(name) is_whole = is_whole && import_symbol(handle, #name, &libdw.name);
    LOOM_NAMES_IMPORTS(LOOM_NAMES_IMPORT)
    libdw.is_usable = is_whole;
}

static int find_no_debuginfo(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base, const char *file,
                             const char *link, GElf_Word checksum, char **found)
{
    (void)module, (void)user, (void)name, (void)base, (void)file, (void)link, (void)checksum, (void)found;
    return -1;
}

/* clang writes no table from addresses to compile units: each is asked. */
static Dwarf_Line *scan_units(Dwfl_Module *module, Dwarf_Addr address)
{
    Dwarf_Die *unit = NULL;
    Dwarf_Addr bias = 0;
    while ((unit = libdw.dwfl_module_nextcu(module, unit, &bias)) != NULL)
        if (libdw.dwarf_haspc(unit, address - bias) == 1) return libdw.dwarf_getsrc_die(unit, address - bias);
    return NULL;
}

static void take_line(Dwfl_Module *module, Dwarf_Addr address, struct place *place)
{
    const char *file = NULL;
    Dwfl_Line *line = libdw.dwfl_module_getsrc(module, address);
    if (line != NULL) {
        file = libdw.dwfl_lineinfo(line, NULL, &place->line, NULL, NULL, NULL);
    } else {
        Dwarf_Line *scanned = scan_units(module, address);
        if (scanned != NULL && libdw.dwarf_lineno(scanned, &place->line) == 0)
            file = libdw.dwarf_linesrc(scanned, NULL, NULL);
    }
    if (file == NULL)
        place->line = 0;
    else
        (void)snprintf(place->file, sizeof place->file, "%s", basename_of(file));
}

static bool ask_libdw(const char *path, uint64_t offset, bool with_line, struct place *place)
{
    (void)pthread_once(&libdw_once, open_libdw);
    if (!libdw.is_usable) return false;
    Dwfl_Callbacks callbacks = { .find_elf = libdw.dwfl_build_id_find_elf,
                                 .find_debuginfo = find_no_debuginfo,
                                 .section_address = libdw.dwfl_offline_section_address };
    Dwfl *session = libdw.dwfl_begin(&callbacks);
    if (session == NULL) return false;
    libdw.dwfl_report_begin(session);
    Dwfl_Module *module = libdw.dwfl_report_elf(session, path, path, -1, 0, false);
    (void)libdw.dwfl_report_end(session, NULL, NULL);

    GElf_Addr bias = 0;
    GElf_Off into = 0;
    GElf_Sym symbol;
    const char *name = NULL;
    if (module != NULL && libdw.dwfl_module_getelf(module, &bias) != NULL)
        name = libdw.dwfl_module_addrinfo(module, offset + bias, &into, &symbol, NULL, NULL, NULL);
    if (name != NULL) {
        loom_name_readable(name, place->function, sizeof place->function);
        place->into = into;
        if (with_line) take_line(module, offset + bias, place);
    }
    libdw.dwfl_end(session);
    return name != NULL;
}

#else

static bool ask_libdw(const char *path, uint64_t offset, bool with_line, struct place *place)
{
    (void)path, (void)offset, (void)with_line, (void)place;
    return false;
}

#endif

/* ---- without libdw: what is loaded here under the same path */

struct search {
    const char *path;
    uint64_t offset;
    struct loom_module module;
    bool is_found;
};

static int match_path(struct dl_phdr_info *loaded, size_t size, void *state)
{
    (void)size;
    struct search *search = state;
    uint64_t address = loaded->dlpi_addr + search->offset;
    bool is_named =
        loaded->dlpi_name[0] == '\0' || strcmp(basename_of(loaded->dlpi_name), basename_of(search->path)) == 0;
    if (!is_named || !loom_modules_find(address, &search->module)) return 0;
    search->is_found = search->module.base == loaded->dlpi_addr && strcmp(search->module.path, search->path) == 0;
    return search->is_found;
}

static bool ask_loader(struct search *search, struct place *place)
{
    (void)dl_iterate_phdr(match_path, search);
    if (!search->is_found) return false;
    uint64_t address = search->module.base + search->offset;
    void *pointer;
    memcpy(&pointer, &address, sizeof pointer);
    Dl_info exported;
    if (dladdr(pointer, &exported) == 0 || exported.dli_sname == NULL) return false;
    loom_name_readable(exported.dli_sname, place->function, sizeof place->function);
    place->into = address - (uint64_t)(uintptr_t)exported.dli_saddr;
    return true;
}

static void write_module(const struct search *search, char *text, size_t size)
{
    char id[2 * LOOM_MODULE_ID_BYTES + 1] = "";
    for (uint32_t i = 0; search->is_found && i < search->module.id_nbytes; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", search->module.id[i]);
    (void)snprintf(text, size, "%s+0x%" PRIx64 "%s%s%s", search->path[0] != '\0' ? basename_of(search->path) : "?",
                   search->offset, id[0] != '\0' ? " (build-id " : "", id, id[0] != '\0' ? ")" : "");
}

/* The program's own file also when it was deleted or replaced meanwhile; of a library by value, its bytes. */
static const char *file_of(const char *path, char image[64])
{
    if (loom_image_file(path, image, 64)) return image;
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0) return path;
    program[length] = '\0';
    size_t named = strlen(path);
    bool is_program =
        strncmp(program, path, named) == 0 && (program[named] == '\0' || strcmp(program + named, " (deleted)") == 0);
    return is_program ? "/proc/self/exe" : path;
}

void loom_name_of_code(const char *module_path, uint64_t offset, int with_offset, int with_line, char *text,
                       size_t size)
{
    char image[64];
    struct place place = { .line = 0 };
    if (strncmp(module_path, "/memfd:" LOOM_CODE_LABEL, sizeof "/memfd:" LOOM_CODE_LABEL - 1) == 0) {
        (void)snprintf(text, size, "published code+0x%" PRIx64, offset);
        return;
    }
    struct search search = { .path = module_path, .offset = offset };
    bool is_named = module_path[0] == '/' && ask_libdw(file_of(module_path, image), offset, with_line != 0, &place);
    if (!is_named) is_named = ask_loader(&search, &place);
    if (!is_named) {
        write_module(&search, text, size);
        return;
    }
    char into[24] = "", where[300] = "";
    if (with_offset != 0) (void)snprintf(into, sizeof into, "+0x%" PRIx64, place.into);
    if (with_line != 0 && place.line > 0) (void)snprintf(where, sizeof where, " (%s:%d)", place.file, place.line);
    (void)snprintf(text, size, "%s%s%s", place.function, into, where);
}

void loom_name_of_function(const void *function, char *text, size_t size)
{
    struct loom_module module;
    uint64_t address = (uint64_t)(uintptr_t)function;
    if (loom_modules_find(address, &module))
        loom_name_of_code(module.path, address - module.base, 0, 0, text, size);
    else
        (void)snprintf(text, size, "%s0x%" PRIx64, loom_code_holds(function) ? "published code at " : "", address);
}
