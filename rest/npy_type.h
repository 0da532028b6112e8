/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * npy_type.h - the words of a .npy header, and the types among them. For npy.c only.
 *
 * The cursor skips blanks before each word and never leaves [at, end). take_... moves on only when the word is there.
 */
#ifndef LOOM_REST_NPY_TYPE_H
#define LOOM_REST_NPY_TYPE_H

#include "rest/npy.h"

enum { LOOM_NPY_TYPE_NBYTES = 32 }; /* room for the longest type that is written: |V and 20 digits */

struct loom_npy_cursor {
    const char *at;
    const char *end;
    const char *begin; /* of the file, for byte numbers in messages */
    const char *name;  /* of the file */
    parloom_error *error;
};

/* FORMAT: "expected what at byte so and so". */
parloom_status loom_npy_refuse(const struct loom_npy_cursor *cursor, const char *expected);
bool loom_npy_sees(struct loom_npy_cursor *cursor, char mark);
bool loom_npy_take(struct loom_npy_cursor *cursor, char mark);
bool loom_npy_take_word(struct loom_npy_cursor *cursor, const char *word);
/* Decimal; false also where it does not fit. */
bool loom_npy_take_number(struct loom_npy_cursor *cursor, size_t *number_out);
/* A Python string; what is between its quotes, escapes left as they are. */
bool loom_npy_take_text(struct loom_npy_cursor *cursor, const char **text_out, size_t *length_out);
bool loom_npy_is_at_end(struct loom_npy_cursor *cursor);

/* The value of descr: sets dtype, item_nbytes, is_swapped and swap_nbytes. FORMAT UNSUPPORTED. */
parloom_status loom_npy_read_type(struct loom_npy_cursor *cursor, struct loom_npy_header *header);
/* count fields of width bytes, one behind the other, offset bytes into their record, in the other byte order. */
struct loom_npy_run {
    size_t offset, width, count;
};
/* Who is told of runs. false ends the walk. */
struct loom_npy_run_sink {
    bool (*add)(struct loom_npy_run run, void *state);
    bool (*repeat)(size_t first, size_t times, size_t nbytes, void *state);
    size_t (*count)(void *state);
    void *state;
};
/* From the [ of a record that was read without complaint before: its runs. false: the sink did not want more. */
bool loom_npy_list_runs(struct loom_npy_cursor *cursor, const struct loom_npy_run_sink *sink);
/* The type of a checked array as NumPy names it, "<f8". */
void loom_npy_format_type(const parloom_array *array, char text[LOOM_NPY_TYPE_NBYTES]);

#endif
