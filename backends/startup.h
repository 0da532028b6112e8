/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * startup.h - what the program, the worker preload and the guard agree on for the birth of the supervisor.
 *
 * Header only: the preload is an object of its own that may depend on libc alone, and must read identities exactly
 * as the program wrote them.
 */
#ifndef LOOM_BACKENDS_STARTUP_H
#define LOOM_BACKENDS_STARTUP_H

#include <elf.h>
#include <inttypes.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "<program identity> <module identity> <offset of the entry> <window base> <program's pid> <module path>" */
#define LOOM_STARTUP_VARIABLE "PARLOOM_SUPERVISOR_ENTRY"
/* Prefix of what the program's variables hold that differ in the spawn environment: LD_*, thread counts. */
#define LOOM_STARTUP_KEPT        "PARLOOM_SUPERVISOR_KEPT_"
#define LOOM_STARTUP_OWN_PREFIX  "PARLOOM_SUPERVISOR_"
#define LOOM_STARTUP_OMP         "OMP_NUM_THREADS"
#define LOOM_STARTUP_OPENBLAS    "OPENBLAS_NUM_THREADS"
#define LOOM_STARTUP_PRELOAD     "/proc/self/fd/8"
#define LOOM_STARTUP_PRELOAD_DIR "/proc/self/fd/"

/* Where the started process finds its descriptors; what lies above is closed. */
enum loom_startup_fd {
    LOOM_STARTUP_SOCKET = 3,
    LOOM_STARTUP_HEADER = 4,
    LOOM_STARTUP_PROGRAM = 5, /* pidfd */
    LOOM_STARTUP_STDOUT = 6,
    LOOM_STARTUP_STDERR = 7,
    LOOM_STARTUP_MEMFD = 8, /* LOOM_STARTUP_PRELOAD names it */
    LOOM_STARTUP_ABOVE = 9
};

enum loom_startup_exit {
    LOOM_STARTUP_EXIT_BROKEN = 123,   /* the variable makes no sense, or the supervisor could not set itself up */
    LOOM_STARTUP_EXIT_NO_ENTRY = 124, /* the module of the entry function is not what it was */
    LOOM_STARTUP_EXIT_GUARD = 125     /* the preload was not loaded: leave before main can run a second time */
};

enum { LOOM_STARTUP_ID_BYTES = 32, LOOM_STARTUP_IDENTITY_BYTES = 128 };

struct loom_startup {
    char program[LOOM_STARTUP_IDENTITY_BYTES];
    char module[LOOM_STARTUP_IDENTITY_BYTES];
    uint64_t offset;
    uint64_t window_base;
    int program_pid;
    const char *module_path; /* inside the parsed text */
};

static inline bool loom_startup_parse(const char *text, struct loom_startup *startup_out)
{
    struct loom_startup startup;
    int path_at = 0;
    int fields = sscanf(text, "%127s %127s %" SCNx64 " %" SCNx64 " %d %n", startup.program, startup.module,
                        &startup.offset, &startup.window_base, &startup.program_pid, &path_at);
    if (fields != 5 || path_at == 0) return false;
    startup.module_path = text + path_at;
    *startup_out = startup;
    return true;
}

/* Whether [address, address + nbytes) of the module is mapped: notes of some linkers lie in no loaded part. */
static inline bool loom_startup_is_loaded(const struct dl_phdr_info *module, uint64_t address, uint64_t nbytes)
{
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &module->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && address >= part->p_vaddr && nbytes <= part->p_memsz &&
            address - part->p_vaddr <= part->p_memsz - nbytes)
            return true;
    }
    return false;
}

/* The build-id in one note segment; its length, 0: none. */
static inline uint32_t loom_startup_scan_notes(const char *notes, uint64_t nbytes, uint64_t align,
                                               uint8_t id[LOOM_STARTUP_ID_BYTES])
{
    uint64_t at = 0;
    while (nbytes - at >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, notes + at, sizeof note);
        uint64_t name_at = at + sizeof note;
        uint64_t data_at = (name_at + note.n_namesz + align - 1) & ~(align - 1);
        uint64_t end = (data_at + note.n_descsz + align - 1) & ~(align - 1);
        if (data_at + note.n_descsz > nbytes) return 0;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(notes + name_at, "GNU", 4) == 0 &&
            note.n_descsz <= LOOM_STARTUP_ID_BYTES) {
            memcpy(id, notes + data_at, note.n_descsz);
            return note.n_descsz;
        }
        if (end >= nbytes) return 0;
        at = end;
    }
    return 0;
}

/* Reads the build-id of a loaded module; its length, 0: it has none. */
static inline uint32_t loom_startup_build_id(const struct dl_phdr_info *module, uint8_t id[LOOM_STARTUP_ID_BYTES])
{
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &module->dlpi_phdr[i];
        if (part->p_type != PT_NOTE || !loom_startup_is_loaded(module, part->p_vaddr, part->p_memsz)) continue;
        const char *notes = (const char *)(module->dlpi_addr + part->p_vaddr); /* NOLINT: an address of the loader */
        uint32_t length = loom_startup_scan_notes(notes, part->p_memsz, part->p_align < 8 ? 4 : 8, id);
        if (length > 0) return length;
    }
    return 0;
}

/* An identity as text: "b" and the build-id, or, without one, "f" and what tells files apart. */
static inline void loom_startup_write_id(const uint8_t *id, uint32_t id_nbytes, uint64_t device, uint64_t inode,
                                         uint64_t nbytes, uint64_t mtime_ns, char text[LOOM_STARTUP_IDENTITY_BYTES])
{
    if (id_nbytes == 0) {
        (void)snprintf(text, LOOM_STARTUP_IDENTITY_BYTES, "f%" PRIx64 ":%" PRIx64 ":%" PRIx64 ":%" PRIx64, device,
                       inode, nbytes, mtime_ns);
        return;
    }
    text[0] = 'b';
    for (uint32_t i = 0; i < id_nbytes; i++) (void)snprintf(text + 1 + 2 * i, 3, "%02x", id[i]);
}

/* The identity of a loaded module; "-" when it has no build-id and its file cannot be looked at. */
static inline void loom_startup_identify(const struct dl_phdr_info *module, bool is_program,
                                         char text[LOOM_STARTUP_IDENTITY_BYTES])
{
    uint8_t id[LOOM_STARTUP_ID_BYTES];
    struct stat file;
    memset(&file, 0, sizeof file);
    uint32_t id_nbytes = loom_startup_build_id(module, id);
    if (id_nbytes == 0 && stat(is_program ? "/proc/self/exe" : module->dlpi_name, &file) != 0) {
        memcpy(text, "-", 2);
        return;
    }
    uint64_t mtime_ns = (uint64_t)file.st_mtim.tv_sec * 1000000000u + (uint64_t)file.st_mtim.tv_nsec;
    loom_startup_write_id(id, id_nbytes, file.st_dev, file.st_ino, (uint64_t)file.st_size, mtime_ns, text);
}

static inline int loom_startup_identify_first(struct dl_phdr_info *module, size_t size, void *text)
{
    (void)size;
    loom_startup_identify(module, true, (char *)text);
    return 1; /* the program comes first */
}

static inline void loom_startup_identify_program(char text[LOOM_STARTUP_IDENTITY_BYTES])
{
    memcpy(text, "-", 2);
    (void)dl_iterate_phdr(loom_startup_identify_first, text);
}

/* Takes the variables that begin with prefix out of the environment. */
static inline void loom_startup_remove_variables(const char *prefix)
{
    char **variable = environ;
    while (variable != NULL && *variable != NULL) {
        char name[256];
        size_t length = strcspn(*variable, "=");
        if (strncmp(*variable, prefix, strlen(prefix)) != 0 || length >= sizeof name) {
            variable++;
            continue;
        }
        memcpy(name, *variable, length);
        name[length] = '\0';
        if (unsetenv(name) != 0) return; /* closes the gap: the next one is now here */
    }
}

/* Gives the variables that begin with prefix the values they have in the program. */
static inline void loom_startup_restore_variables(const char *prefix)
{
    char kept[256];
    (void)snprintf(kept, sizeof kept, "%s%s", LOOM_STARTUP_KEPT, prefix);
    loom_startup_remove_variables(prefix);
    for (size_t i = 0; environ != NULL && environ[i] != NULL; i++) {
        if (strncmp(environ[i], kept, strlen(kept)) != 0) continue;
        const char *setting = environ[i] + strlen(LOOM_STARTUP_KEPT);
        size_t length = strcspn(setting, "=");
        char name[256];
        if (length >= sizeof name || setting[length] == '\0') continue;
        memcpy(name, setting, length);
        name[length] = '\0';
        (void)setenv(name, setting + length + 1, 1);
    }
    loom_startup_remove_variables(kept);
}

#endif
