/* SPDX-License-Identifier: BSD-3-Clause */
/* reporter_maps.c - /proc/self/maps in a signal handler: line by line, without a heap (see reporter_maps.h). */
#include "backends/reporter_maps.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

static const char *parse_hex(const char *at, uint64_t *value_out)
{
    uint64_t value = 0;
    for (;; at++) {
        int digit = *at >= '0' && *at <= '9' ? *at - '0' : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10 : -1;
        if (digit < 0) break;
        value = value * 16 + (uint64_t)digit;
    }
    *value_out = value;
    return at;
}

static const char *skip_field(const char *at)
{
    while (*at != '\0' && *at != ' ') at++;
    while (*at == ' ') at++;
    return at;
}

/* "begin-end perms offset device inode   path" */
static bool parse_mapping(const char *line, struct loom_mapping_line *mapping)
{
    const char *at = parse_hex(line, &mapping->begin);
    if (*at != '-') return false;
    at = parse_hex(at + 1, &mapping->end);
    if (*at != ' ') return false;
    mapping->is_accessible = at[1] == 'r' || at[2] == 'w' || at[3] == 'x';
    at = skip_field(at + 1);
    at = parse_hex(at, &mapping->file_offset);
    while (*at == ' ') at++;
    mapping->path = skip_field(skip_field(at));
    return true;
}

/* The load address of the ELF file whose first bytes are mapped at begin: where link-time address 0 would lie. */
uint64_t loom_reporter_load_address(uint64_t begin)
{
    ElfW(Ehdr) header;
    memcpy(&header, (const void *)begin, sizeof header); /* NOLINT: mapped, says the kernel */
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return begin;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        ElfW(Phdr) part;
        memcpy(&part, (const void *)(begin + header.e_phoff + i * sizeof part), sizeof part); /* NOLINT: as above */
        if (part.p_type == PT_LOAD) return begin - (part.p_vaddr & ~(uint64_t)4095);
    }
    return begin;
}

void loom_reporter_walk_maps(void (*look)(const struct loom_mapping_line *mapping))
{
    static char text[8192];
    size_t held = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while (fd >= 0) {
        ssize_t n = read(fd, text + held, sizeof text - 1 - held);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        held += (size_t)n;
        text[held] = '\0';
        char *line = text;
        for (char *end = strchr(line, '\n'); end != NULL; end = strchr(line, '\n')) {
            struct loom_mapping_line mapping;
            *end = '\0';
            if (parse_mapping(line, &mapping)) look(&mapping);
            line = end + 1;
        }
        held = (size_t)(text + held - line);
        memmove(text, line, held);
        if (held == sizeof text - 1) held = 0; /* no line is that long */
    }
    if (fd >= 0) (void)close(fd);
}
