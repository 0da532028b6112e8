/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_text.c - a text that grows, and values as JSON (see cache_text.h). */
#include "rest/cache_text.h"

#include "base/memory.h"
#include "rest/cache.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_ROOM = 512 };

static bool make_room(struct loom_cache_text *text, size_t more)
{
    size_t wanted = 0;
    if (text->is_short) return false;
    if (loom_memory_add(text->length, more, &wanted) && loom_memory_add(wanted, 1, &wanted) && wanted <= text->room)
        return true;
    size_t room = text->room == 0 ? FIRST_ROOM : text->room;
    while (room < wanted && room <= SIZE_MAX / 2) room *= 2;
    char *bytes = loom_memory_grow(text->bytes, room, 1);
    text->is_short = bytes == NULL;
    if (bytes == NULL) return false;
    text->bytes = bytes;
    text->room = room;
    return true;
}

void loom_cache_text_append(struct loom_cache_text *text, const char *bytes, size_t nbytes)
{
    if (!make_room(text, nbytes)) return;
    if (nbytes > 0) memcpy(text->bytes + text->length, bytes, nbytes);
    text->length += nbytes;
    text->bytes[text->length] = '\0';
}

void loom_cache_text_add(struct loom_cache_text *text, const char *format, ...)
{
    char piece[1024]; /* what is longer is appended or quoted */
    va_list list;
    va_start(list, format);
    int length = vsnprintf(piece, sizeof piece, format, list);
    va_end(list);
    if (length < 0 || (size_t)length >= sizeof piece)
        text->is_short = true;
    else
        loom_cache_text_append(text, piece, (size_t)length);
}

void loom_cache_text_real(struct loom_cache_text *text, double value)
{
    char number[64];
    if (!isfinite(value)) {
        loom_cache_text_add(text, "\"%g\"", value);
        return;
    }
    (void)snprintf(number, sizeof number, "%.17g", value);
    /* What a locale has for a point may be several bytes. */
    size_t whole = strspn(number, "-0123456789"), point = strcspn(number + whole, "e0123456789");
    loom_cache_text_append(text, number, whole);
    if (point > 0) loom_cache_text_append(text, ".", 1);
    loom_cache_text_append(text, number + whole + point, strlen(number + whole + point));
}

/* Bytes of the UTF-8 character that begins here; 0: none does. */
static size_t character_at(const unsigned char *bytes, size_t nbytes)
{
    size_t length = bytes[0] < 0x80 ? 1 : bytes[0] >= 0xc2 && bytes[0] < 0xe0 ? 2 : (bytes[0] & 0xf0) == 0xe0 ? 3 : 0;
    if (bytes[0] >= 0xf0 && bytes[0] < 0xf5) length = 4;
    if (length == 0 || length > nbytes) return 0;
    for (size_t k = 1; k < length; k++)
        if ((bytes[k] & 0xc0) != 0x80) return 0;
    bool is_overlong = (bytes[0] == 0xe0 && bytes[1] < 0xa0) || (bytes[0] == 0xf0 && bytes[1] < 0x90);
    bool is_beyond = (bytes[0] == 0xed && bytes[1] >= 0xa0) || (bytes[0] == 0xf4 && bytes[1] >= 0x90);
    return is_overlong || is_beyond ? 0 : length;
}

static void escape(struct loom_cache_text *text, const char *bytes, size_t nbytes)
{
    for (size_t k = 0; k < nbytes;) {
        unsigned char byte = (unsigned char)bytes[k];
        size_t length = character_at((const unsigned char *)bytes + k, nbytes - k);
        if (byte == '"' || byte == '\\')
            loom_cache_text_add(text, "\\%c", byte);
        else if (length == 0 || byte < 0x20 || byte == 0x7f)
            loom_cache_text_add(text, "\\u%04x", byte);
        else
            loom_cache_text_append(text, bytes + k, length);
        k += length > 0 ? length : 1;
    }
}

void loom_cache_text_quote(struct loom_cache_text *text, const char *bytes, size_t nbytes)
{
    loom_cache_text_append(text, "\"", 1);
    escape(text, bytes, nbytes);
    loom_cache_text_append(text, "\"", 1);
}

void loom_cache_text_quote_short(struct loom_cache_text *text, const char *bytes, size_t nbytes, const char *digits)
{
    if (nbytes <= LOOM_CACHE_SHOWN_BYTES) {
        loom_cache_text_quote(text, bytes, nbytes);
        return;
    }
    size_t half = LOOM_CACHE_SHOWN_BYTES / 2 - 2;
    loom_cache_text_append(text, "\"", 1);
    escape(text, bytes, half);
    loom_cache_text_add(text, digits[0] != '\0' ? "... %s ..." : "...%s", digits);
    escape(text, bytes + nbytes - half, half);
    loom_cache_text_append(text, "\"", 1);
}
