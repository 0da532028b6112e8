/* SPDX-License-Identifier: BSD-3-Clause */
/* hash_xxh3_plain.c - XXH3-128 for every processor, and the choice among them (see hash_xxh3.h). */
#include "rest/hash_xxh3_code.h"

const struct loom_xxh3 loom_xxh3_plain = LOOM_XXH3_CODE;

const struct loom_xxh3 *loom_xxh3_choose(unsigned n)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && n-- == 0) return &loom_xxh3_avx512;
    if (__builtin_cpu_supports("avx2") && n-- == 0) return &loom_xxh3_avx2;
#endif
    return n == 0 ? &loom_xxh3_plain : NULL;
}
