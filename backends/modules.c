/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * modules.c - walk the loader's list; take paths from the maps.
 *
 * Why the maps    the loader keeps names as they were given: relative ones mean another file after a chdir. The maps
 *                 have the absolute path, and say when the file was deleted.
 */
#include "backends/modules.h"

#include "backends/startup.h"

#include <limits.h>

_Static_assert((int)LOOM_MODULE_ID_BYTES == (int)LOOM_STARTUP_ID_BYTES, "one size of build-ids");

struct walk {
    uint64_t address; /* wanted, or the offset */
    const char *identity;
    const char *path;
    struct loom_module *module;
    uint64_t base;
    size_t position;
    bool is_code;
    bool is_found;
};

static int read_epoch(struct dl_phdr_info *module, size_t size, void *state)
{
    (void)size;
    struct loom_module_epoch *epoch = state;
    epoch->loaded = module->dlpi_adds;
    epoch->unloaded = module->dlpi_subs;
    return 1;
}

struct loom_module_epoch loom_modules_epoch(void)
{
    struct loom_module_epoch epoch = { 0, 0 };
    (void)dl_iterate_phdr(read_epoch, &epoch);
    return epoch;
}

static bool is_code_at(const struct dl_phdr_info *module, uint64_t offset)
{
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &module->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0 && offset >= part->p_vaddr &&
            offset - part->p_vaddr < part->p_memsz)
            return true;
    }
    return false;
}

static int match_address(struct dl_phdr_info *module, size_t size, void *state)
{
    (void)size;
    struct walk *walk = state;
    size_t position = walk->position++;
    uint64_t offset = walk->address - module->dlpi_addr;
    if (!loom_startup_is_loaded(module, offset, 1)) return 0;
    walk->module->base = module->dlpi_addr;
    walk->module->is_program = position == 0;
    walk->module->is_code = is_code_at(module, offset);
    walk->module->id_nbytes = loom_startup_build_id(module, walk->module->id);
    return 1;
}

/* The path of the mapping that holds the address: "5a0-5b0 r-xp 00001000 fe:01 1234   /path". */
static bool read_mapping(uint64_t address, char *path, size_t size)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) return false;
    char line[PATH_MAX + 128];
    bool is_found = false;
    while (!is_found && fgets(line, sizeof line, maps) != NULL) {
        uint64_t begin, end;
        int path_at = 0;
        int fields = sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %n", &begin, &end, &path_at);
        if (fields != 2 || path_at == 0 || address < begin || address >= end) continue;
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(path, size, "%s", line + path_at);
        is_found = true;
    }
    (void)fclose(maps);
    return is_found;
}

static void take_file(struct loom_module *module, const char *path)
{
    struct stat file;
    if (stat(path, &file) != 0) return;
    module->device = file.st_dev;
    module->inode = file.st_ino;
    module->file_nbytes = (uint64_t)file.st_size;
    module->mtime_ns = (uint64_t)file.st_mtim.tv_sec * 1000000000u + (uint64_t)file.st_mtim.tv_nsec;
}

static void describe_file(struct loom_module *module, uint64_t address)
{
    if (!read_mapping(address, module->path, sizeof module->path)) return;

    /* Only the mark of the maps says that the file is gone: inodes there and in stat differ on overlay mounts. */
    static const char deleted[] = " (deleted)";
    size_t length = strlen(module->path), mark = sizeof deleted - 1;
    if (length > mark && strcmp(module->path + length - mark, deleted) == 0 && access(module->path, F_OK) != 0) {
        module->is_deleted = true;
        module->path[length - mark] = '\0';
    }
    take_file(module, module->is_program ? "/proc/self/exe" : module->path); /* which works for a deleted program too */
}

bool loom_modules_find(uint64_t address, struct loom_module *module_out)
{
    struct loom_module module = { .base = 0 };
    struct walk walk = { .address = address, .module = &module };
    if (dl_iterate_phdr(match_address, &walk) == 0) return false;
    describe_file(&module, address);
    *module_out = module;
    return true;
}

static int match_identity(struct dl_phdr_info *module, size_t size, void *state)
{
    (void)size;
    struct walk *walk = state;
    bool is_program = walk->position++ == 0;
    char identity[LOOM_STARTUP_IDENTITY_BYTES];
    loom_startup_identify(module, is_program, identity);
    if (strcmp(identity, walk->identity) != 0) return 0;

    bool is_same_path = !is_program && strcmp(module->dlpi_name, walk->path) == 0;
    if (!walk->is_found || is_same_path) {
        walk->is_found = true;
        walk->base = module->dlpi_addr;
        walk->is_code = is_code_at(module, walk->address);
    }
    return is_same_path;
}

bool loom_modules_find_identity(const char *identity, const char *path, uint64_t offset, uint64_t *base_out,
                                bool *is_code_out)
{
    struct walk walk = { .address = offset, .identity = identity, .path = path };
    (void)dl_iterate_phdr(match_identity, &walk);
    if (!walk.is_found) return false;
    *base_out = walk.base;
    *is_code_out = walk.is_code;
    return true;
}

void loom_modules_write_identity(const struct loom_module *module, char text[128])
{
    loom_startup_write_id(module->id, module->id_nbytes, module->device, module->inode, module->file_nbytes,
                          module->mtime_ns, text);
}

static int match_sanitizer(struct dl_phdr_info *module, size_t size, void *state)
{
    (void)size;
    static const char *const names[] = { "libasan.so", "libhwasan.so", "libclang_rt.asan", "libclang_rt.hwasan" };
    struct walk *walk = state;
    const char *slash = strrchr(module->dlpi_name, '/');
    const char *name = slash == NULL ? module->dlpi_name : slash + 1;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strncmp(name, names[i], strlen(names[i])) != 0) continue;
        walk->address = module->dlpi_addr;
        return 1;
    }
    return 0;
}

bool loom_modules_sanitizer(char *path, size_t size)
{
    struct walk walk = { .address = 0 };
    if (dl_iterate_phdr(match_sanitizer, &walk) == 0) return false;
    return read_mapping(walk.address, path, size);
}
