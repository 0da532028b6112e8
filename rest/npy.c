/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * npy.c - the header of .npy files: its length, its dictionary, and how ours is written.
 *
 * The dictionary is a Python literal. A cursor walks over it; whoever finds something else than expected says what and
 * at which byte. Types are read by npy_type.c.
 */
#include "rest/npy.h"

#include "base/memory.h"
#include "base/status.h"
#include "rest/npy_type.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAGIC_NBYTES = 6, ALIGNMENT = 64, GROWTH_DIGITS = 21 };

static const unsigned char MAGIC[MAGIC_NBYTES] = { 0x93, 'N', 'U', 'M', 'P', 'Y' };

/* ------------------------------------------------------------------------- length */

#define STREAM_ADVICE "what is compressed twice, or cut short, or in an archive is not unpacked here: do so first"
#define PICKLE_ADVICE "a pickle is a program, which is not run: write the array with numpy.save"

/* What people give for an array, and what to do with it. */
static const struct {
    const char *kind;
    const char *magic;
    size_t nbytes;
    const char *advice;
} FOREIGN[] = {
    { "gzip stream", "\x1f\x8b", 2, STREAM_ADVICE },
    { "zstd stream", "\x28\xb5\x2f\xfd", 4, STREAM_ADVICE },
    { "bzip2 stream", "BZh", 3, STREAM_ADVICE },
    { "xz stream", "\xfd\x37zXZ", 5, STREAM_ADVICE },
    { "lz4 stream", "\x04\x22\x4d\x18", 4, STREAM_ADVICE },
    { "zip archive (.npz)", "PK\x03\x04", 4, "parloom_npz_open opens archives, parloom_npz_load an array of one" },
    { "Python pickle", "\x80\x02", 2, PICKLE_ADVICE },
    { "Python pickle", "\x80\x03", 2, PICKLE_ADVICE },
    { "Python pickle", "\x80\x04", 2, PICKLE_ADVICE },
    { "Python pickle", "\x80\x05", 2, PICKLE_ADVICE },
};

static parloom_status refuse_magic(const void *bytes, size_t nbytes, const char *name, parloom_error *error)
{
    for (size_t k = 0; k < sizeof FOREIGN / sizeof FOREIGN[0]; k++)
        if (nbytes >= FOREIGN[k].nbytes && memcmp(bytes, FOREIGN[k].magic, FOREIGN[k].nbytes) == 0)
            return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0, "%.400s is a %s and no .npy file (%s)", name,
                                    FOREIGN[k].kind, FOREIGN[k].advice);
    return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0,
                            "%.400s does not start as a .npy file does (to read raw bytes, use parloom_array_map)",
                            name);
}

parloom_status loom_npy_measure(const void *bytes, size_t nbytes, const char *name, size_t *header_nbytes_out,
                                parloom_error *error)
{
    const unsigned char *prefix = bytes;
    if (nbytes < MAGIC_NBYTES || memcmp(prefix, MAGIC, MAGIC_NBYTES) != 0)
        return refuse_magic(bytes, nbytes, name, error);
    if (nbytes < LOOM_NPY_PREFIX_NBYTES)
        return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "%.400s ends within its first %d bytes", name,
                                (int)LOOM_NPY_PREFIX_NBYTES);
    unsigned major = prefix[6];
    if (major < 1 || major > 3 || prefix[7] != 0)
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "%.400s has version %u.%u of the .npy format: 1.0, 2.0 and 3.0 are known", name, major,
                                (unsigned)prefix[7]);
    size_t length = (size_t)prefix[8] | (size_t)prefix[9] << 8;
    if (major > 1) length |= (size_t)prefix[10] << 16 | (size_t)prefix[11] << 24;
    if (length > LOOM_NPY_HEADER_MAX_NBYTES)
        return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0,
                                "%.400s claims a header of %zu bytes: at most %d are read", name, length,
                                (int)LOOM_NPY_HEADER_MAX_NBYTES);
    *header_nbytes_out = length + (major > 1 ? 12 : 10);
    return PARLOOM_OK;
}

/* --------------------------------------------------------------------- dictionary */

enum { HAS_DESCR = 1, HAS_ORDER = 2, HAS_SHAPE = 4, HAS_ALL = 7 };

static parloom_status read_order(struct loom_npy_cursor *c, struct loom_npy_header *header)
{
    if (loom_npy_take_word(c, "True"))
        header->is_fortran = true;
    else if (loom_npy_take_word(c, "False"))
        header->is_fortran = false;
    else
        return loom_npy_refuse(c, "True or False for fortran_order");
    return PARLOOM_OK;
}

static parloom_status read_shape(struct loom_npy_cursor *c, struct loom_npy_header *header)
{
    if (!loom_npy_take(c, '(')) return loom_npy_refuse(c, "a tuple for shape");
    while (!loom_npy_take(c, ')')) {
        size_t length = 0;
        if (!loom_npy_take_number(c, &length)) return loom_npy_refuse(c, "a length that fits, not negative");
        if (header->ndim == PARLOOM_MAX_NDIM)
            return loom_status_fail(c->error, PARLOOM_ERR_UNSUPPORTED, 0,
                                    "%.400s has more than %d dimensions, which parloom's arrays cannot have", c->name,
                                    (int)PARLOOM_MAX_NDIM);
        header->shape[header->ndim++] = length;
        if (!loom_npy_take(c, ',') && !loom_npy_sees(c, ')')) return loom_npy_refuse(c, "a comma or ) in shape");
    }
    return PARLOOM_OK;
}

static parloom_status read_entry(struct loom_npy_cursor *c, struct loom_npy_header *header, unsigned *seen)
{
    const char *key = NULL;
    size_t length = 0;
    if (!loom_npy_take_text(c, &key, &length) || !loom_npy_take(c, ':'))
        return loom_npy_refuse(c, "a key in quotes and a colon");
    unsigned which = 0;
    if (length == 5 && memcmp(key, "descr", 5) == 0) which = HAS_DESCR;
    if (length == 13 && memcmp(key, "fortran_order", 13) == 0) which = HAS_ORDER;
    if (length == 5 && memcmp(key, "shape", 5) == 0) which = HAS_SHAPE;
    if (which == 0 || (*seen & which) != 0) return loom_npy_refuse(c, "descr, fortran_order and shape, each once");
    *seen |= which;
    header->type_offset = which == HAS_DESCR ? (size_t)(c->at - c->begin) : header->type_offset;
    if (which == HAS_DESCR) return loom_npy_read_type(c, header);
    return which == HAS_ORDER ? read_order(c, header) : read_shape(c, header);
}

static parloom_status read_dictionary(struct loom_npy_cursor *c, struct loom_npy_header *header)
{
    unsigned seen = 0;
    if (!loom_npy_take(c, '{')) return loom_npy_refuse(c, "a dictionary");
    while (!loom_npy_take(c, '}')) {
        parloom_status status = read_entry(c, header, &seen);
        if (status != PARLOOM_OK) return status;
        if (!loom_npy_take(c, ',') && !loom_npy_sees(c, '}')) return loom_npy_refuse(c, "a comma or }");
    }
    if (seen != HAS_ALL) return loom_npy_refuse(c, "descr, fortran_order and shape");
    return loom_npy_is_at_end(c) ? PARLOOM_OK : loom_npy_refuse(c, "nothing after the dictionary");
}

static bool measure_payload(struct loom_npy_header *header)
{
    size_t nbytes = header->item_nbytes;
    bool is_empty = false;
    for (int axis = 0; axis < header->ndim; axis++) is_empty |= header->shape[axis] == 0;
    for (int axis = 0; axis < header->ndim && !is_empty; axis++)
        if (!loom_memory_mul(nbytes, header->shape[axis], &nbytes)) return false;
    header->payload_nbytes = is_empty ? 0 : nbytes;
    return nbytes <= PTRDIFF_MAX;
}

parloom_status loom_npy_parse(const void *bytes, size_t nbytes, const char *name, struct loom_npy_header *header_out,
                              parloom_error *error)
{
    size_t header_nbytes = 0;
    parloom_status status = loom_npy_measure(bytes, nbytes, name, &header_nbytes, error);
    if (status != PARLOOM_OK) return status;
    if (header_nbytes > nbytes)
        return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "%.400s ends within its header of %zu bytes", name,
                                header_nbytes);
    const char *text = bytes;
    size_t lead = text[6] == 1 ? 10 : 12;
    struct loom_npy_cursor cursor = { text + lead, text + header_nbytes, text, name, error };
    struct loom_npy_header header = { .payload_offset = header_nbytes };
    status = read_dictionary(&cursor, &header);
    if (status != PARLOOM_OK) return status;
    if (!measure_payload(&header))
        return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0,
                                "%.400s claims a shape whose size overflows, with items of %zu bytes", name,
                                header.item_nbytes);
    *header_out = header;
    return PARLOOM_OK;
}

/* -------------------------------------------------------------------------- write */

struct writer {
    char *text;
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void append(struct writer *writer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(writer->text + writer->used, LOOM_NPY_FORMAT_NBYTES - writer->used, format, arguments);
    va_end(arguments);
    if (length > 0) writer->used += (size_t)length;
}

static void append_shape(struct writer *writer, const parloom_array *array)
{
    append(writer, "(");
    for (int axis = 0; axis < array->ndim; axis++) {
        const char *after = axis + 1 < array->ndim ? ", " : array->ndim == 1 ? "," : "";
        append(writer, "%zu%s", array->shape[axis], after);
    }
    append(writer, ")");
}

/* Blanks, so that a length that grows can be written over in place. */
static void append_growth(struct writer *writer, const parloom_array *array, bool is_fortran)
{
    if (array->ndim == 0) return;
    int digits = snprintf(NULL, 0, "%zu", array->shape[is_fortran ? array->ndim - 1 : 0]);
    append(writer, "%*s", GROWTH_DIGITS - digits, "");
}

size_t loom_npy_format(const parloom_array *array, bool is_fortran, char text[LOOM_NPY_FORMAT_NBYTES])
{
    char type[LOOM_NPY_TYPE_NBYTES];
    struct writer writer = { text, 10 };
    loom_npy_format_type(array, type);
    append(&writer, "{'descr': '%s', 'fortran_order': %s, 'shape': ", type, is_fortran ? "True" : "False");
    append_shape(&writer, array);
    append(&writer, ", }");
    append_growth(&writer, array, is_fortran);
    /* At most 8 lengths of 20 digits: always within 512 bytes, and so within version 1. */
    size_t nbytes = (writer.used + 1 + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    memset(text + writer.used, ' ', nbytes - writer.used - 1);
    text[nbytes - 1] = '\n';
    memcpy(text, MAGIC, MAGIC_NBYTES);
    text[6] = 1;
    text[7] = 0;
    text[8] = (char)((nbytes - 10) & 0xff);
    text[9] = (char)((nbytes - 10) >> 8);
    return nbytes;
}
