/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * names.h - names of functions and lines for messages: "solve+0x2c (solve.c:88)". libdw is opened when first needed;
 * without it exported names (dladdr) or "module+0x1170" serve.
 */
#ifndef LOOM_BACKENDS_NAMES_H
#define LOOM_BACKENDS_NAMES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the name of the code at offset (from the load address) of the module file; with_line: and " (file.c:88)",
 * offset_in: and "+0x2c". Always writes something. */
void loom_name_of_code(const char *module_path, uint64_t offset, int with_offset, int with_line, char *text,
                       size_t size);
/* Of a function of this process: its bare name. */
void loom_name_of_function(const void *function, char *text, size_t size);
/* "ns::solve(double*)" of "_ZN2ns5solveEPd" where a C++ runtime is loaded, else as it is. */
void loom_name_readable(const char *symbol, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
