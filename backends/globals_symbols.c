/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * globals_symbols.c - section headers and symbols of a module's file (see globals_symbols.h).
 *
 * Read by hand: libdw would sort all symbols of all modules first, and names of sections are not for it. Everything
 * that is read is checked against the length of the file.
 */
#include "backends/globals_symbols.h"

#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef ElfW(Ehdr) elf_header;
typedef ElfW(Shdr) elf_section;
typedef ElfW(Sym) elf_symbol;

/* What parloom itself writes, where it was linked in as an archive: a static is known by its file and name. A test
 * compares this list with the library.
 */
static const struct {
    const char *file, *name;
} OWN[] = {
    { "arena.c", "all" },
    { "arena.c", "all_lock" },
    { "arena.c", "once" },
    { "arena.c", "public_arena" },
    { "arena.c", "public_lock" },
    { "binding.c", "bound" },
    { "binding.c", "is_told" },
    { "binding.c", "once" },
    { "binding.c", "process" },
    { "blas.c", "list" },
    { "cache_registry.c", "caches" },
    { "cache_registry.c", "first" },
    { "cache_registry.c", "lock" },
    { "cache_warn.c", "once" },
    { "cache_warn.c", "own_page" },
    { "cache_warn.c", "page" },
    { "channel.c", "book" },
    { "custom_handle.c", "closed" },
    { "codec_blosc.c", "blosc" },
    { "codec_blosc.c", "library" },
    { "codec_builtin.c", "codecs" },
    { "codec_builtin.c", "once" },
    { "codec_bz2.c", "bz2" },
    { "codec_bz2.c", "library" },
    { "codec_isal.c", "isal" },
    { "codec_isal.c", "library" },
    { "codec_library.c", "lock" },
    { "codec_lz4.c", "library" },
    { "codec_lz4.c", "lz4" },
    { "codec_lzma.c", "library" },
    { "codec_lzma.c", "lzma" },
    { "codec_registry.c", "lock" },
    { "codec_registry.c", "registered" },
    { "codec_zlib.c", "library" },
    { "codec_zlib.c", "zlib" },
    { "codec_zstd.c", "library" },
    { "codec_zstd.c", "zstd" },
    { "depot.c", "directories" },
    { "depot.c", "shelf_count" },
    { "depot.c", "shelves" },
    { "directory.c", "book" },
    { "directory.c", "home_fd" },
    { "fault.c", "armed_errno" },
    { "fault.c", "armed_from_then_on" },
    { "fault.c", "armed_kind" },
    { "fault.c", "armed_nth" },
    { "fault.c", "hits" },
    { "fill.c", "huge_blocks" },
    { "fill.c", "slow_before" },
    { "fortran.c", "arguments" },
    { "fortran.c", "text" },
    { "globals.c", "watched" },
    { "guard.c", "entry" },
    { "hash_sha256.c", "libcrypto" },
    { "hash_sha256.c", "libcrypto_once" },
    { "images.c", "images" },
    { "images.c", "last_fd" },
    { "images.c", "next_opened" },
    { "images.c", "opened" },
    { "inner_threads.c", "settled" },
    { "interrupt.c", "guard" },
    { "letters.c", "arenas" },
    { "letters.c", "lock" },
    { "letters.c", "once" },
    { "log.c", "bar_owner" },
    { "log.c", "current_sink" },
    { "log.c", "fork_once" },
    { "log.c", "is_bad_level" },
    { "log.c", "level_once" },
    { "log.c", "lock" },
    { "log.c", "sinks" },
    { "log.c", "threshold" },
    { "machine.c", "has_hwloc" },
    { "machine.c", "here" },
    { "machine.c", "here_once" },
    { "machine.c", "hwloc" },
    { "machine.c", "hwloc_once" },
    { "memory_policy.c", "asker" },
    { "memory_policy.c", "is_told" },
    { "names.c", "libdw" },
    { "names.c", "libdw_once" },
    { "oom.c", "group" },
    { "oom.c", "is_known" },
    { "options_environment.c", "complaint" },
    { "options_environment.c", "is_hushed" },
    { "options_environment.c", "is_read" },
    { "options_environment.c", "lock" },
    { "options_environment.c", "options" },
    { "options_environment.c", "outcome" },
    { "overseer.c", "signal_fd" },
    { "placement.c", "is_told" },
    { "placement.c", "last" },
    { "placement.c", "once" },
    { "plan.c", "is_told" },
    { "porter.c", "once" },
    { "porter.c", "porters" },
    { "processes.c", "nested_workers" },
    { "processes.c", "shared" },
    { "published.c", "once" },
    { "published.c", "registry" },
    { "registry.c", "chosen" },
    { "registry.c", "first" },
    { "registry.c", "lock" },
    { "registry.c", "retired" },
    { "reporter.c", "crash" },
    { "reporter.c", "file" },
    { "reporter.c", "worker_pid" },
    { "reporter_maps.c", "text" },
    { "reporter_stack.c", "file" },
    { "reporter_stack.c", "walk" },
    { "roster.c", "crew_count" },
    { "roster.c", "crew_room" },
    { "roster.c", "crews" },
    { "roster.c", "origin" },
    { "roster.c", "worker_count" },
    { "roster.c", "worker_room" },
    { "roster.c", "workers" },
    { "scope.c", "process_default" },
    { "segment.c", "once" },
    { "segment.c", "registry" },
    { "segment_file.c", "file_count" },
    { "segment_file.c", "waker" },
    { "segment_index.c", "root" },
    { "segment_sync.c", "fetcher" },
    { "segment_sync.c", "mapped" },
    { "segment_sync.c", "synced_epoch" },
    { "segment_warm.c", "kept_count" },
    { "segment_warm.c", "kept_nbytes" },
    { "segment_warm.c", "newest" },
    { "segment_warm.c", "oldest" },
    { "shift.c", "always_here" },
    { "state.c", "book" },
    { "state_apply.c", "had" },
    { "stop.c", "places" },
    { "supervisor.c", "fork_handler_once" },
    { "supervisor.c", "send_lock" },
    { "supervisor.c", "start_lock" },
    { "supervisor.c", "supervisor" },
    { "surroundings.c", "own" },
    { "tasks.c", "refer_cache" },
    { "tasks.c", "resolve_cache" },
    { "terminal.c", "drawn" },
    { "terminal.c", "is_shared" },
    { "threads.c", "is_told" },
    { "topology.c", "is_told" },
    { "topology.c", "quota" },
    { "topology.c", "read_at_ns" },
    { "wake.c", "boards" },
    { "window.c", "is_forbidden" },
    { "window.c", "once" },
    { "window.c", "window" },
    { "worker.c", "only" },
    { "worker.c", "unmarked" },
    { "worker_clock.c", "own" },
};

/* Sections that the loader and the compiler write, and programs do not. */
static const char *const NOT_DATA[] = { ".got",        ".got.plt",       ".dynamic",       ".init_array",
                                        ".fini_array", ".preinit_array", ".ctors",         ".dtors",
                                        ".jcr",        ".data.rel.ro",   ".tm_clone_table" };

/* ----------------------------------------------------------------------- file */

bool loom_globals_open(const char *path, uint64_t base, struct loom_globals_module *module_out)
{
    struct stat file;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    void *bytes = MAP_FAILED;
    if (fstat(fd, &file) == 0 && file.st_size >= (off_t)sizeof(elf_header))
        bytes = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (bytes == MAP_FAILED) return false;
    *module_out = (struct loom_globals_module){ base, bytes, (size_t)file.st_size };
    const elf_header *header = bytes;
    bool is_ours = memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_shentsize == sizeof(elf_section) &&
                   header->e_shoff <= module_out->file_nbytes &&
                   header->e_shnum <= (module_out->file_nbytes - header->e_shoff) / sizeof(elf_section) &&
                   header->e_shstrndx < header->e_shnum;
    if (!is_ours) loom_globals_close(module_out);
    return is_ours;
}

void loom_globals_close(struct loom_globals_module *module)
{
    (void)munmap((void *)(uintptr_t)module->file, module->file_nbytes);
    module->file = NULL;
}

static const elf_header *header_of(const struct loom_globals_module *module)
{
    return (const void *)module->file;
}

static const elf_section *section_at(const struct loom_globals_module *module, size_t k)
{
    return (const elf_section *)(const void *)(module->file + header_of(module)->e_shoff) + k;
}

/* Of a table of strings; "": there is none. */
static const char *text_of(const struct loom_globals_module *module, size_t table, size_t at)
{
    if (table >= header_of(module)->e_shnum) return "";
    const elf_section *strings = section_at(module, table);
    if (strings->sh_offset > module->file_nbytes || strings->sh_size > module->file_nbytes - strings->sh_offset ||
        at >= strings->sh_size || module->file[strings->sh_offset + strings->sh_size - 1] != '\0')
        return "";
    return module->file + strings->sh_offset + at;
}

/* ------------------------------------------------------------------- sections */

static bool is_data(const elf_section *section, const char *name)
{
    bool is_written = (section->sh_flags & SHF_ALLOC) != 0 && (section->sh_flags & SHF_WRITE) != 0 &&
                      (section->sh_flags & SHF_TLS) == 0 && section->sh_size > 0;
    if (!is_written) return false;
    for (size_t k = 0; k < sizeof NOT_DATA / sizeof *NOT_DATA; k++)
        if (strcmp(name, NOT_DATA[k]) == 0) return false;
    return true;
}

bool loom_globals_section(const struct loom_globals_module *module, size_t k, struct loom_globals_section *section_out)
{
    const elf_header *header = header_of(module);
    for (size_t at = 0; at < header->e_shnum; at++) {
        const elf_section *section = section_at(module, at);
        const char *name = text_of(module, header->e_shstrndx, section->sh_name);
        if (!is_data(section, name) || k-- > 0) continue;
        (void)snprintf(section_out->name, sizeof section_out->name, "%s", name);
        section_out->address = module->base + section->sh_addr;
        section_out->nbytes = section->sh_size;
        return true;
    }
    return false;
}

/* --------------------------------------------------------------------- symbols */

static const elf_section *find_symbols(const struct loom_globals_module *module)
{
    for (size_t k = 0; k < header_of(module)->e_shnum; k++) {
        const elf_section *section = section_at(module, k);
        if (section->sh_type == SHT_SYMTAB && section->sh_entsize == sizeof(elf_symbol) &&
            section->sh_offset <= module->file_nbytes && section->sh_size <= module->file_nbytes - section->sh_offset)
            return section;
    }
    return NULL;
}

/* Of a static in a function gcc makes "once.0", and clang "start.once". */
static bool is_same_name(const char *symbol, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(symbol, name, length) == 0 && (symbol[length] == '\0' || symbol[length] == '.')) return true;
    const char *last = strrchr(symbol, '.');
    return last != NULL && strcmp(last + 1, name) == 0;
}

static bool is_own(const char *file, const char *name)
{
    if (strncmp(name, "loom_", 5) == 0 || strncmp(name, "parloom_", 8) == 0) return true;
    for (size_t k = 0; k < sizeof OWN / sizeof *OWN; k++)
        if (strcmp(file, OWN[k].file) == 0 && is_same_name(name, OWN[k].name)) return true;
    return false;
}

/* "__gcov0.main", "stdout@GLIBC_2.2.5": of the compiler, of the C library. */
static bool is_foreign(const char *name)
{
    return strncmp(name, "__", 2) == 0 || strchr(name, '@') != NULL || strcmp(name, "environ") == 0 ||
           strcmp(name, "_environ") == 0;
}

enum loom_globals_owner loom_globals_name(const struct loom_globals_module *module, uint64_t address, char *name,
                                          size_t size, uint64_t *begin_out, uint64_t *end_out)
{
    const elf_section *section = find_symbols(module);
    const elf_symbol *symbols = section != NULL ? (const void *)(module->file + section->sh_offset) : NULL;
    size_t count = section != NULL ? section->sh_size / sizeof *symbols : 0;
    const char *file = "";
    *begin_out = address;
    *end_out = address + 1;
    name[0] = '\0';
    for (size_t k = 0; k < count; k++) {
        const char *found = text_of(module, section->sh_link, symbols[k].st_name);
        if (ELF64_ST_TYPE(symbols[k].st_info) == STT_FILE) file = found;
        uint64_t begin = module->base + symbols[k].st_value;
        if (ELF64_ST_TYPE(symbols[k].st_info) != STT_OBJECT || address < begin || address - begin >= symbols[k].st_size)
            continue;
        *begin_out = begin;
        *end_out = begin + symbols[k].st_size;
        (void)snprintf(name, size, "%s", found);
        return is_own(file, found) || is_foreign(found) ? LOOM_GLOBALS_NOT_LOOKED_AT : LOOM_GLOBALS_PROGRAM;
    }
    return LOOM_GLOBALS_PROGRAM;
}
