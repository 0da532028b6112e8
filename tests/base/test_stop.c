/* SPDX-License-Identifier: BSD-3-Clause */
/* test_stop.c - the words of test_stop.cc: atomics, which C++ cannot include. */
#include "base/atomics.h"

#include <stdlib.h>

_Atomic uint64_t *stop_words_make(size_t count);
uint64_t stop_word_read(_Atomic uint64_t *words, size_t k);

/* Each 1; free() them. */
_Atomic uint64_t *stop_words_make(size_t count)
{
    _Atomic uint64_t *words = malloc(count * sizeof *words);
    for (size_t k = 0; words != NULL && k < count; k++) atomic_init(&words[k], 1);
    return words;
}

uint64_t stop_word_read(_Atomic uint64_t *words, size_t k)
{
    return loom_load_full(&words[k]); /* pairs with the request */
}
