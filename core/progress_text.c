/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * progress_text.c - how far a call is, as text (see progress_text.h).
 * Fractions are printed as two whole numbers: printf has a comma in some locales, which no reader of JSON takes.
 */
#include "core/progress_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)
#define MINUTE_NS (60 * SECOND_NS)
#define NEVER_NS  UINT64_MAX
enum { WORD = 48, DIGITS_UNKNOWN = 3, DIGITS_MAX = 20, COLUMNS_MOST = 300 };

/* ------------------------------------------------------------------------------ numbers */

static uint64_t as_ns(double seconds)
{
    return seconds < 1e9 ? (uint64_t)(seconds * 1e9) : NEVER_NS;
}

/* How long the rest takes at that many tasks a second. */
static uint64_t rest_ns(const struct loom_progress_facts *facts, double rate)
{
    if (facts->n == LOOM_PROGRESS_UNKNOWN || rate <= 0) return NEVER_NS;
    return as_ns((double)(facts->n - facts->done) / rate);
}

static int digits_of(size_t n)
{
    int digits = 1;
    if (n == LOOM_PROGRESS_UNKNOWN) return DIGITS_UNKNOWN;
    for (; n >= 10 && digits < DIGITS_MAX; n /= 10) digits++; /* the bound is for the compiler */
    return digits;
}

/* "12.34" */
static void format_hundredths(double value, char text[WORD])
{
    uint64_t hundredths = value < 1e15 ? (uint64_t)(value * 100 + 0.5) : (uint64_t)1e17;
    (void)snprintf(text, WORD, "%2" PRIu64 ".%02" PRIu64, hundredths / 100, hundredths % 100);
}

/* ----------------------------------------------------------------------- joblib's lines */

/* " %5.1fs", beyond a minute "%4.1fmin". */
static void format_time(uint64_t ns, char text[WORD])
{
    uint64_t seconds = (ns + SECOND_NS / 20) / (SECOND_NS / 10), minutes = (ns + MINUTE_NS / 20) / (MINUTE_NS / 10);
    if (ns > NEVER_NS - MINUTE_NS)
        (void)snprintf(text, WORD, "     ?");
    else if (ns > MINUTE_NS)
        (void)snprintf(text, WORD, "%2" PRIu64 ".%" PRIu64 "min", minutes / 10, minutes % 10);
    else
        (void)snprintf(text, WORD, " %3" PRIu64 ".%" PRIu64 "s", seconds / 10, seconds % 10);
}

static void format_end(const struct loom_progress_facts *facts, char text[2 * WORD])
{
    bool is_whole = facts->n == LOOM_PROGRESS_UNKNOWN || facts->done == facts->n;
    int used = snprintf(text, 2 * WORD, "%s", is_whole ? " finished" : " stopped");
    if (facts->failed > 0) (void)snprintf(text + used, 2 * WORD - (size_t)used, ", %zu failed", facts->failed);
}

/* All that have ended for each that has: as long as so far. */
static void format_remaining(const struct loom_progress_facts *facts, char text[2 * WORD])
{
    char time[WORD];
    double elapsed = 1e-9 * (double)facts->elapsed_ns, done = facts->done > 0 ? (double)facts->done : 1;
    format_time(as_ns(elapsed / done * (double)(facts->n - facts->done)), time);
    (void)snprintf(text, 2 * WORD, " remaining: %s", time);
}

static void format_done(const struct loom_progress_facts *facts, char text[2 * WORD])
{
    int digits = digits_of(facts->n);
    size_t n = facts->n;
    if (n == LOOM_PROGRESS_UNKNOWN && facts->phase == LOOM_PROGRESS_END) n = facts->done; /* it is known now */
    if (n == LOOM_PROGRESS_UNKNOWN)
        (void)snprintf(text, 2 * WORD, "Done %*zu tasks      |", digits, facts->done);
    else
        (void)snprintf(text, 2 * WORD, "Done %*zu out of %*zu |", digits, facts->done, digits, n);
}

void loom_progress_line(const struct loom_progress_facts *facts, char *text, size_t room)
{
    char done[2 * WORD], elapsed[WORD], tail[2 * WORD] = "";
    int used = snprintf(text, room, "%*s[Parallel(n_jobs=%d)]: ", 2 * facts->level, "", facts->n_jobs);
    if (used < 0 || (size_t)used >= room) return;
    text += used;
    room -= (size_t)used;
    if (facts->phase == LOOM_PROGRESS_BEGIN) {
        (void)snprintf(text, room, "Using backend %s with %d concurrent workers.", facts->backend, facts->n_jobs);
        return;
    }
    format_done(facts, done);
    format_time(facts->elapsed_ns, elapsed);
    if (facts->phase == LOOM_PROGRESS_END)
        format_end(facts, tail);
    else if (facts->n != LOOM_PROGRESS_UNKNOWN)
        format_remaining(facts, tail);
    (void)snprintf(text, room, "%s elapsed: %s%s", done, elapsed, tail);
}

/* ------------------------------------------------------------------------------ the bar */

/* "00:34", "1:00:34" */
static void format_clock(uint64_t ns, char text[WORD])
{
    uint64_t seconds = ns / SECOND_NS, hours = seconds / 3600;
    if (ns == NEVER_NS)
        (void)snprintf(text, WORD, "?");
    else if (hours > 0)
        (void)snprintf(text, WORD, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, hours, seconds / 60 % 60, seconds % 60);
    else
        (void)snprintf(text, WORD, "%02" PRIu64 ":%02" PRIu64, seconds / 60, seconds % 60);
}

/* "222.22it/s", below one "5.00s/it". */
static void format_rate(double rate, char text[2 * WORD])
{
    char number[WORD];
    format_hundredths(rate >= 1 ? rate : rate > 0 ? 1 / rate : 0, number);
    (void)snprintf(text, 2 * WORD, "%s%s", rate > 0 ? number : "?", rate >= 1 || rate <= 0 ? "it/s" : "s/it");
}

/* "[00:34<00:10, 222.22it/s, 2 failed]" */
static void format_pace(const struct loom_progress_facts *facts, char text[6 * WORD])
{
    char elapsed[WORD], rest[WORD], rate[2 * WORD], failed[WORD] = "";
    bool is_endless = facts->n == LOOM_PROGRESS_UNKNOWN;
    format_clock(facts->elapsed_ns, elapsed);
    format_clock(rest_ns(facts, facts->rate), rest);
    format_rate(facts->rate, rate);
    if (facts->failed > 0) (void)snprintf(failed, WORD, ", %zu failed", facts->failed);
    (void)snprintf(text, 6 * WORD, "[%s%s%s, %s%s]", elapsed, is_endless ? "" : "<", is_endless ? "" : rest, rate,
                   failed);
}

static double part_done(const struct loom_progress_facts *facts)
{
    return facts->n > 0 ? (double)facts->done / (double)facts->n : 1;
}

/* width cells, of which the last one that is not empty may be filled in part; returns the bytes. */
static size_t fill_cells(double part, int width, bool is_utf8, char *text)
{
    static const char *const EIGHTHS[] = { " ",      "\u258f", "\u258e", "\u258d", "\u258c",
                                           "\u258b", "\u258a", "\u2589", "\u2588" };
    static const char *const TENTHS[] = { " ", "1", "2", "3", "4", "5", "6", "7", "8", "9", "#" };
    const char *const *cells = is_utf8 ? EIGHTHS : TENTHS;
    int steps = is_utf8 ? 8 : 10, filled = (int)(part * width * steps);
    size_t used = 0;
    for (int k = 0; k < width; k++, filled -= steps) {
        const char *cell = cells[filled >= steps ? steps : filled > 0 ? filled : 0];
        memcpy(text + used, cell, strlen(cell));
        used += strlen(cell);
    }
    return used;
}

void loom_progress_bar(const struct loom_progress_facts *facts, int columns, bool is_utf8, char *text, size_t room)
{
    char line[5 * COLUMNS_MOST], pace[6 * WORD], tail[8 * WORD];
    size_t most = (size_t)(columns > COLUMNS_MOST ? COLUMNS_MOST : columns < 2 ? 2 : columns) - 1;
    format_pace(facts, pace);
    if (facts->n == LOOM_PROGRESS_UNKNOWN) {
        (void)snprintf(text, room < most + 1 ? room : most + 1, "%zuit %s", facts->done, pace);
        return;
    }
    size_t used = (size_t)snprintf(line, WORD, "%3d%%|", (int)(100 * part_done(facts)));
    size_t length = (size_t)snprintf(tail, sizeof tail, "| %zu/%zu %s", facts->done, facts->n, pace);
    bool is_narrow = used + length >= most;
    if (!is_narrow) used += fill_cells(part_done(facts), (int)(most - used - length), is_utf8, line + used);
    (void)snprintf(line + used, sizeof line - used, "%s", tail);
    if (is_narrow) line[most] = '\0';
    (void)snprintf(text, room, "%s", line);
}

/* --------------------------------------------------------------------------------- JSON */

static void escape(const char *from, char text[2 * WORD])
{
    size_t used = 0;
    for (; *from && used < 2 * WORD - 3; from++) {
        if (*from == '"' || *from == '\\') text[used++] = '\\';
        text[used++] = (unsigned char)*from < ' ' ? ' ' : *from;
    }
    text[used] = '\0';
}

static void format_count(size_t count, char text[WORD])
{
    if (count == LOOM_PROGRESS_UNKNOWN)
        (void)snprintf(text, WORD, "null");
    else
        (void)snprintf(text, WORD, "%zu", count);
}

/* Seconds, to a thousandth. */
static void format_seconds(uint64_t ns, char text[WORD])
{
    uint64_t ms = ns / (SECOND_NS / 1000);
    if (ns == NEVER_NS)
        (void)snprintf(text, WORD, "null");
    else
        (void)snprintf(text, WORD, "%" PRIu64 ".%03" PRIu64, ms / 1000, ms % 1000);
}

void loom_progress_json(const struct loom_progress_facts *facts, char *text, size_t room)
{
    static const char *const EVENTS[] = { "begin", "progress", "end" };
    char backend[2 * WORD], n[WORD], elapsed[WORD], remaining[WORD], rate[WORD];
    escape(facts->backend, backend);
    format_count(facts->n, n);
    format_seconds(facts->elapsed_ns, elapsed);
    format_seconds(rest_ns(facts, facts->rate), remaining);
    format_hundredths(facts->rate, rate);
    (void)snprintf(text, room,
                   "{\"event\":\"%s\",\"level\":%d,\"backend\":\"%s\",\"n_jobs\":%d,\"tasks\":%s,\"done\":%zu,"
                   "\"failed\":%zu,\"elapsed\":%s,\"rate\":%s,\"remaining\":%s}",
                   EVENTS[facts->phase], facts->level, backend, facts->n_jobs, n, facts->done, facts->failed, elapsed,
                   rate[0] == ' ' ? rate + 1 : rate, remaining);
}
