/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * npy_type.c - the words of a .npy header, and the types among them.
 *
 *   type    'byte-order kind digits'      "<f8"  "|b1"  ">U10"  "<M8[ns]"
 *         | [ field , ... ]               a record; it nests
 *   field   ( name , type [, shape ] )    name: text, or ( title , name ); shape: a number or a tuple of numbers
 *
 * Records are walked with a stack of our own, so that a deeply nested header cannot exhaust the real one. Only their
 * size and byte order matter here: to parloom a record is PARLOOM_ITEM.
 */
#include "rest/npy_type.h"

#include "base/memory.h"
#include "base/status.h"
#include "shm/array.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

enum { NESTING_MAX = 32 };

/* -------------------------------------------------------------------------- words */

static void skip_blanks(struct loom_npy_cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) c->at++;
}

parloom_status loom_npy_refuse(const struct loom_npy_cursor *c, const char *expected)
{
    return loom_status_fail(c->error, PARLOOM_ERR_FORMAT, 0, "the header of %.400s is damaged at byte %zu: expected %s",
                            c->name, (size_t)(c->at - c->begin), expected);
}

bool loom_npy_sees(struct loom_npy_cursor *c, char mark)
{
    skip_blanks(c);
    return c->at < c->end && *c->at == mark;
}

bool loom_npy_take(struct loom_npy_cursor *c, char mark)
{
    if (!loom_npy_sees(c, mark)) return false;
    c->at++;
    return true;
}

bool loom_npy_take_word(struct loom_npy_cursor *c, const char *word)
{
    size_t length = strlen(word);
    skip_blanks(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0) return false;
    c->at += length;
    return true;
}

/* Digits at *at, without blanks before them; false: none, or too many. */
static bool read_digits(const char **at, const char *end, size_t *number_out)
{
    const char *digit = *at;
    size_t number = 0;
    for (; digit < end && *digit >= '0' && *digit <= '9'; digit++)
        if (!loom_memory_mul(number, 10, &number) || !loom_memory_add(number, (size_t)(*digit - '0'), &number))
            return false;
    if (digit == *at) return false;
    *at = digit;
    *number_out = number;
    return true;
}

bool loom_npy_take_number(struct loom_npy_cursor *c, size_t *number_out)
{
    skip_blanks(c);
    if (!read_digits(&c->at, c->end, number_out)) return false;
    /* Files that Python 2 wrote have 3L for 3. */
    if (c->at < c->end && *c->at == 'L') c->at++;
    return true;
}

bool loom_npy_take_text(struct loom_npy_cursor *c, const char **text_out, size_t *length_out)
{
    skip_blanks(c);
    const char *at = c->at;
    if (at < c->end && (*at == 'u' || *at == 'b')) at++;
    if (at >= c->end || (*at != '\'' && *at != '"')) return false;
    const char quote = *at++;
    const char *start = at;
    while (at < c->end && *at != quote) {
        if (*at == '\\') at++;
        if (at < c->end) at++;
    }
    if (at >= c->end) return false;
    *text_out = start;
    *length_out = (size_t)(at - start);
    c->at = at + 1;
    return true;
}

bool loom_npy_is_at_end(struct loom_npy_cursor *c)
{
    skip_blanks(c);
    return c->at == c->end;
}

/* --------------------------------------------------------------------- plain types */

struct type {
    parloom_dtype dtype;
    size_t nbytes;
    size_t swap_nbytes; /* what byte order applies to; 1: to nothing */
    bool is_swapped;
};

static bool is_one_of(size_t number, size_t a, size_t b, size_t c, size_t d)
{
    return number == a || number == b || number == c || number == d;
}

/* Sizes doubled from first on, as the dtypes are listed: 1 2 4 8 for integers. */
static parloom_dtype nth_dtype(parloom_dtype first, size_t first_nbytes, size_t nbytes)
{
    int index = 0;
    for (; first_nbytes < nbytes; first_nbytes *= 2) index++;
    return (parloom_dtype)((int)first + index);
}

/* false: NumPy has no such type. */
static bool resolve(char kind, size_t number, struct type *type)
{
    *type = (struct type){ PARLOOM_ITEM, number, number, false };
    switch (kind) {
    case 'b':
        type->dtype = PARLOOM_BOOL;
        return number == 1;
    case 'i':
    case 'u':
        if (!is_one_of(number, 1, 2, 4, 8)) return false;
        type->dtype = nth_dtype(kind == 'i' ? PARLOOM_I8 : PARLOOM_U8, 1, number);
        return true;
    case 'f':
        if (number == 4 || number == 8) type->dtype = nth_dtype(PARLOOM_F32, 4, number);
        return is_one_of(number, 2, 4, 8, 16) || number == 12;
    case 'c':
        if (number == 8 || number == 16) type->dtype = nth_dtype(PARLOOM_C64, 8, number);
        type->swap_nbytes = number / 2;
        return is_one_of(number, 8, 16, 32, 24);
    case 'M':
    case 'm':
        return number == 8;
    case 'U':
        type->swap_nbytes = 4;
        return loom_memory_mul(number, 4, &type->nbytes);
    case 'S':
    case 'a':
    case 'V':
        type->swap_nbytes = 1;
        return true;
    default:
        return false;
    }
}

static bool is_byte_order(char mark)
{
    return mark == '<' || mark == '>' || mark == '|' || mark == '=';
}

static bool is_foreign(char byte_order)
{
    return byte_order == (__BYTE_ORDER == __LITTLE_ENDIAN ? '>' : '<');
}

/* "[ns]" after times; nothing after all others. */
static bool ends_well(char kind, const char *at, const char *end)
{
    if (at == end) return true;
    return (kind == 'M' || kind == 'm') && end - at > 2 && at[0] == '[' && end[-1] == ']';
}

static parloom_status read_plain(struct loom_npy_cursor *c, struct type *type)
{
    const char *at = NULL;
    size_t length = 0;
    size_t number = 0;
    struct loom_npy_cursor before = *c;
    if (!loom_npy_take_text(c, &at, &length)) return loom_npy_refuse(c, "a type in quotes, or a list of fields");
    const char *end = at + length;
    char byte_order = at < end && is_byte_order(*at) ? *at++ : '=';
    char kind = at < end ? *at++ : '\0';
    if (kind == 'O')
        return loom_status_fail(c->error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "%.400s holds Python objects, which only Python can read: convert them to numbers or "
                                "fixed-width text first",
                                c->name);
    if (!read_digits(&at, end, &number) || !ends_well(kind, at, end) || !resolve(kind, number, type))
        return loom_npy_refuse(&before, "a type that NumPy knows");
    type->is_swapped = type->swap_nbytes > 1 && is_foreign(byte_order);
    return PARLOOM_OK;
}

/* ------------------------------------------------------------------------- records */

static parloom_status read_name(struct loom_npy_cursor *c)
{
    const char *text = NULL;
    size_t length = 0;
    if (!loom_npy_take(c, '('))
        return loom_npy_take_text(c, &text, &length) ? PARLOOM_OK : loom_npy_refuse(c, "the name of a field");
    bool is_pair = loom_npy_take_text(c, &text, &length) && loom_npy_take(c, ',') &&
                   loom_npy_take_text(c, &text, &length) && loom_npy_take(c, ')');
    return is_pair ? PARLOOM_OK : loom_npy_refuse(c, "title and name of a field");
}

/* How many items the shape of a field is, times *count. */
static bool multiply_shape(struct loom_npy_cursor *c, size_t *count)
{
    size_t length = 0;
    if (!loom_npy_take(c, '(')) return loom_npy_take_number(c, &length) && loom_memory_mul(*count, length, count);
    while (!loom_npy_take(c, ')')) {
        if (!loom_npy_take_number(c, &length) || !loom_memory_mul(*count, length, count)) return false;
        if (!loom_npy_take(c, ',') && !loom_npy_sees(c, ')')) return false;
    }
    return true;
}

/* From behind the type of a field to behind the field; adds its size to that of its record. */
static parloom_status end_field(struct loom_npy_cursor *c, size_t nbytes, size_t *record_nbytes)
{
    if (loom_npy_take(c, ',') && !loom_npy_sees(c, ')') && !multiply_shape(c, &nbytes))
        return loom_npy_refuse(c, "the shape of a field, of a size that fits");
    if (!loom_npy_take(c, ')')) return loom_npy_refuse(c, "the end of a field");
    if (!loom_memory_add(*record_nbytes, nbytes, record_nbytes)) return loom_npy_refuse(c, "a record that fits");
    if (!loom_npy_take(c, ',') && !loom_npy_sees(c, ']')) return loom_npy_refuse(c, "a comma or ]");
    return PARLOOM_OK;
}

static parloom_status begin_field(struct loom_npy_cursor *c)
{
    if (!loom_npy_take(c, '(')) return loom_npy_refuse(c, "a field");
    parloom_status status = read_name(c);
    if (status != PARLOOM_OK) return status;
    return loom_npy_take(c, ',') ? PARLOOM_OK : loom_npy_refuse(c, "a comma after the name of a field");
}

/* From behind the [ of a record to behind its ]. */
static parloom_status read_record(struct loom_npy_cursor *c, struct type *record)
{
    size_t nbytes[NESTING_MAX] = { 0 }; /* of the records that are open */
    int depth = 0;
    *record = (struct type){ PARLOOM_ITEM, 0, 0, false };
    for (;;) {
        parloom_status status = PARLOOM_OK;
        struct type field = { PARLOOM_ITEM, 0, 1, false };
        if (loom_npy_take(c, ']')) {
            if (depth == 0) break;
            depth--;
            status = end_field(c, nbytes[depth + 1], &nbytes[depth]);
        } else if ((status = begin_field(c)) == PARLOOM_OK && loom_npy_take(c, '[')) {
            if (++depth == NESTING_MAX) return loom_npy_refuse(c, "records that nest less deeply");
            nbytes[depth] = 0;
        } else if (status == PARLOOM_OK && (status = read_plain(c, &field)) == PARLOOM_OK) {
            record->is_swapped |= field.is_swapped;
            status = end_field(c, field.nbytes, &nbytes[depth]);
        }
        if (status != PARLOOM_OK) return status;
    }
    record->nbytes = nbytes[0];
    return PARLOOM_OK;
}

/* From behind the type of a field to behind the field: how often the type is there. */
static size_t pass_shape(struct loom_npy_cursor *c)
{
    size_t times = 1;
    if (loom_npy_take(c, ',') && !loom_npy_sees(c, ')')) (void)multiply_shape(c, &times);
    (void)loom_npy_take(c, ')');
    (void)loom_npy_take(c, ',');
    return times;
}

/* A record that is open: where it begins in the outermost one, and how many runs there were before it. */
struct open_record {
    size_t offset, first_run;
};

static bool list_field(struct loom_npy_cursor *c, size_t *at, const struct loom_npy_run_sink *sink)
{
    struct type field = { PARLOOM_ITEM, 0, 1, false };
    if (read_plain(c, &field) != PARLOOM_OK) return false;
    size_t nbytes = field.nbytes * pass_shape(c);
    struct loom_npy_run run = { *at, field.swap_nbytes, nbytes / field.swap_nbytes };
    *at += nbytes;
    return !field.is_swapped || run.count == 0 || sink->add(run, sink->state);
}

static bool close_record(struct loom_npy_cursor *c, const struct open_record *record, size_t *at,
                         const struct loom_npy_run_sink *sink)
{
    size_t nbytes = *at - record->offset;
    size_t times = pass_shape(c);
    *at = record->offset + nbytes * times;
    return sink->repeat(record->first_run, times, nbytes, sink->state);
}

static bool list_or_open(struct loom_npy_cursor *c, struct open_record open[NESTING_MAX], int *depth, size_t *at,
                         const struct loom_npy_run_sink *sink)
{
    if (begin_field(c) != PARLOOM_OK) return false;
    if (!loom_npy_take(c, '[')) return list_field(c, at, sink);
    if (++*depth == NESTING_MAX) return false;
    open[*depth] = (struct open_record){ *at, sink->count(sink->state) };
    return true;
}

bool loom_npy_list_runs(struct loom_npy_cursor *c, const struct loom_npy_run_sink *sink)
{
    struct open_record open[NESTING_MAX] = { { 0, 0 } };
    int depth = 0;
    size_t at = 0;
    bool is_whole = loom_npy_take(c, '[');
    while (is_whole) {
        if (!loom_npy_take(c, ']'))
            is_whole = list_or_open(c, open, &depth, &at, sink);
        else if (depth == 0)
            return true;
        else
            is_whole = close_record(c, &open[depth--], &at, sink);
    }
    return false;
}

parloom_status loom_npy_read_type(struct loom_npy_cursor *c, struct loom_npy_header *header)
{
    struct type type = { PARLOOM_ITEM, 0, 0, false };
    parloom_status status = loom_npy_take(c, '[') ? read_record(c, &type) : read_plain(c, &type);
    if (status != PARLOOM_OK) return status;
    /* NumPy writes them: text of no characters, records without fields. */
    if (type.nbytes == 0)
        return loom_status_fail(c->error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "the items of %.400s have no bytes: there is nothing to load", c->name);
    header->dtype = type.dtype;
    header->item_nbytes = type.nbytes;
    header->is_swapped = type.is_swapped;
    header->swap_nbytes = type.is_swapped ? type.swap_nbytes : 1;
    return PARLOOM_OK;
}

/* --------------------------------------------------------------------------- write */

void loom_npy_format_type(const parloom_array *array, char text[LOOM_NPY_TYPE_NBYTES])
{
    static const char KINDS[] = "?biiiiuuuuffccV"; /* in the order of the dtypes */
    char kind = KINDS[array->dtype];
    bool has_order = array->dtype != PARLOOM_ITEM && array->item_nbytes > 1;
    bool is_big = (__BYTE_ORDER == __BIG_ENDIAN) != ((array->flags & LOOM_ARRAY_SWAPPED) != 0);
    snprintf(text, LOOM_NPY_TYPE_NBYTES, "%c%c%zu", !has_order ? '|' : is_big ? '>' : '<', kind, array->item_nbytes);
}
