/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options_parse.c - text to values, strictly.
 * Written by hand where libc has functions, because those skip blanks, take hexadecimal numbers, "inf" and "nan", and
 * want a decimal comma under some locales. Threads: any.
 */
#include "base/options_parse.h"

#include "base/options.h"
#include "base/status.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { WORD_MOST = 64, FRACTION_MOST = 6 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits at *at, moved behind them; false without a digit or where the number does not fit. */
static bool take_digits(const char **at, uint64_t *number_out)
{
    uint64_t number = 0;
    if (!is_digit(**at)) return false;
    for (; is_digit(**at); (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (number > (UINT64_MAX - digit) / 10) return false;
        number = number * 10 + digit;
    }
    *number_out = number;
    return true;
}

/* "12" or "12.5": whole part, and the fraction in units of 1 / 10^FRACTION_MOST. */
static bool take_decimal(const char **at, uint64_t *whole_out, uint64_t *fraction_out)
{
    uint64_t fraction = 0;
    if (!take_digits(at, whole_out)) return false;
    if (**at == '.') {
        const char *start = ++*at;
        if (!take_digits(at, &fraction) || *at - start > FRACTION_MOST) return false;
        for (long digits = *at - start; digits < FRACTION_MOST; digits++) fraction *= 10;
    }
    *fraction_out = fraction;
    return true;
}

static parloom_status refuse(parloom_error *error, const char *name, const char *text, const char *wanted)
{
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "could not convert %.64s=\"%.100s\": %s", name, text,
                            wanted);
}

parloom_status loom_options_parse_integer(const char *name, const char *text, int *value_out, parloom_error *error)
{
    const char *at = text;
    bool negative = *at == '-';
    uint64_t number;
    if (negative) at++;
    if (!take_digits(&at, &number) || *at || number > INT_MAX)
        return refuse(error, name, text, "expected a whole number that fits an int, such as 4 or -1");
    *value_out = negative ? -(int)number : (int)number;
    return PARLOOM_OK;
}

parloom_status loom_options_parse_count(const char *name, const char *text, size_t *count_out, parloom_error *error)
{
    const char *at = text;
    uint64_t number;
    if (!take_digits(&at, &number) || *at || number == 0 || number > PTRDIFF_MAX)
        return refuse(error, name, text, "expected a whole number, 1 or more");
    *count_out = (size_t)number;
    return PARLOOM_OK;
}

/* The power of two of "K", "KB", "KiB", ...; -1 for any other word. */
static int parse_unit(const char *unit)
{
    static const char LETTERS[] = "KMGT";
    if (*unit == '\0' || strcmp(unit, "B") == 0) return 0;
    const char *letter = strchr(LETTERS, *unit);
    if (!letter) return -1;
    if (unit[1] && strcmp(unit + 1, "B") != 0 && strcmp(unit + 1, "iB") != 0) return -1;
    return 10 * (int)(letter - LETTERS + 1);
}

parloom_status loom_options_parse_nbytes(const char *name, const char *text, size_t *nbytes_out, parloom_error *error)
{
    static const uint64_t FRACTION_UNITS = 1000000; /* 10^FRACTION_MOST: below 2^20, so 40 bits of shift fit too */
    const char *at = text;
    uint64_t whole, fraction;
    if (strcmp(text, "never") == 0) {
        *nbytes_out = SIZE_MAX;
        return PARLOOM_OK;
    }
    bool is_number = take_decimal(&at, &whole, &fraction);
    int shift = is_number ? parse_unit(at) : -1;
    if (shift < 0 || (fraction > 0 && shift == 0))
        return refuse(error, name, text, "Invalid literal for size: give 1048576, 64K, 1.5G, 2T or \"never\"");
    if (whole > (SIZE_MAX >> shift) - 1) return refuse(error, name, text, "that many bytes do not fit this machine");
    uint64_t nbytes = (whole << shift) + (fraction << shift) / FRACTION_UNITS;
    if (nbytes == 0) return refuse(error, name, text, "0 has no meaning (1 stands for every size, \"never\" for none)");
    *nbytes_out = (size_t)nbytes;
    return PARLOOM_OK;
}

parloom_status loom_options_parse_seconds(const char *name, const char *text, double *seconds_out, parloom_error *error)
{
    bool negative = *text == '-';
    const char *at = negative ? text + 1 : text;
    uint64_t whole = 0, fraction = 0;
    bool never = strcmp(text, "never") == 0;
    if (!never && (!take_decimal(&at, &whole, &fraction) || *at))
        return refuse(error, name, text, "expected seconds such as 10 or 0.25, or \"never\"");
    if (!never && whole == 0 && fraction == 0)
        return refuse(error, name, text, "0 seconds has no meaning (\"never\" stands for no limit)");
    *seconds_out = never || negative ? -1.0 : (double)whole + (double)fraction / 1e6;
    return PARLOOM_OK;
}

parloom_status loom_options_parse_choice(const char *name, const char *text, const struct loom_options_choice *choices,
                                         int *value_out, parloom_error *error)
{
    char words[128] = "";
    size_t length = 0;
    for (const struct loom_options_choice *choice = choices; choice->word; choice++) {
        if (strcmp(text, choice->word) == 0) {
            *value_out = choice->value;
            return PARLOOM_OK;
        }
        int added = snprintf(words + length, sizeof words - length, "%s\"%s\"", length ? ", " : "", choice->word);
        length += added > 0 ? (size_t)added : 0;
        if (length >= sizeof words) length = sizeof words - 1;
    }
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "%.64s may be %s, not \"%.100s\"", name, words, text);
}

/* ---------------------------------------------------------------------- "did you mean" */

int loom_options_parse_distance(const char *a, const char *b)
{
    int row[WORD_MOST + 1];
    size_t length = strlen(b);
    if (strlen(a) > WORD_MOST || length > WORD_MOST) return WORD_MOST;
    for (size_t j = 0; j <= length; j++) row[j] = (int)j;
    for (size_t i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= length; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            int shift = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < shift ? change : shift;
        }
    }
    return row[length];
}
