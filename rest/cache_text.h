/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_text.h - a text that grows, and values as JSON. */
#ifndef LOOM_REST_CACHE_TEXT_H
#define LOOM_REST_CACHE_TEXT_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All zero is empty. bytes end in a NUL, and are free()d by who made it. */
struct loom_cache_text {
    char *bytes;
    size_t length, room;
    bool is_short; /* memory was: what is there is not all */
};

void loom_cache_text_add(struct loom_cache_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void loom_cache_text_append(struct loom_cache_text *text, const char *bytes, size_t nbytes);
/* With 17 digits, and a point whatever the locale says; in quotes where it is no finite number, which JSON has not. */
void loom_cache_text_real(struct loom_cache_text *text, double value);
/* In quotes. Bytes that are no UTF-8 become \u00xx. */
void loom_cache_text_quote(struct loom_cache_text *text, const char *bytes, size_t nbytes);
/* The same; where it is longer than LOOM_CACHE_SHOWN_BYTES, digits stand for its middle ("": it is left out). */
void loom_cache_text_quote_short(struct loom_cache_text *text, const char *bytes, size_t nbytes, const char *digits);

#ifdef __cplusplus
}
#endif
#endif
