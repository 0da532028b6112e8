/* SPDX-License-Identifier: BSD-3-Clause */
/* hash_xxh3_avx512.c - XXH3-128, 64 bytes at once (see hash_xxh3.h). Compiled with a flag of its own
 * (cmake/layers.cmake). */
#include "rest/hash_xxh3.h"

#ifdef __x86_64__
#include "rest/hash_xxh3_code.h"

const struct loom_xxh3 loom_xxh3_avx512 = LOOM_XXH3_CODE;
#endif
