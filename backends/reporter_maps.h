/* SPDX-License-Identifier: BSD-3-Clause */
/* reporter_maps.h - what is mapped where, for the handlers of a crash: async-signal-safe, one thread at a time. */
#ifndef LOOM_BACKENDS_REPORTER_MAPS_H
#define LOOM_BACKENDS_REPORTER_MAPS_H

#include <stdbool.h>
#include <stdint.h>

struct loom_mapping_line {
    uint64_t begin, end, file_offset;
    bool is_accessible;
    const char *path; /* "" or "[stack]" or a path; valid during the look */
};

/* By ascending address. */
void loom_reporter_walk_maps(void (*look)(const struct loom_mapping_line *mapping));
/* The load address of the ELF file whose first bytes are mapped at begin: where link-time address 0 would lie. */
uint64_t loom_reporter_load_address(uint64_t begin);

#endif
