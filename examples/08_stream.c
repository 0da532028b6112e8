/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 08_stream.c - results as they come: a source without an end, which is asked as its results are taken, and stopped
 * when the answer is found.
 *
 * Which numbers reach the highest points when 3n + 1 and n / 2 are applied in turn? Workers look through a thousand
 * numbers each time; the consumer keeps the records, and has enough after ten of them.
 */
#include <parloom/parloom.h>

#include <stdio.h>

enum { NUMBERS = 1000, RECORDS = 10 };

struct peak {
    unsigned long long start, height;
};

/* The highest of the numbers that begin at args[0]. */
static int climb(const parloom_task *task, void *const *args)
{
    unsigned long long first = *(const unsigned long long *)args[0];
    struct peak best = { 0, 0 };
    for (unsigned long long start = first; start < first + NUMBERS; start++)
        for (unsigned long long n = start; n > 1; n = n % 2 == 0 ? n / 2 : 3 * n + 1)
            if (n > best.height) best = (struct peak){ start, n };
    return parloom_return(task, &best, sizeof best);
}

struct source {
    unsigned long long first, next;
    parloom_arg args[1];
};

/* Never ends. The argument is copied before it is asked again. */
static int next_thousand(void *state, parloom_call *call_out)
{
    struct source *source = state;
    source->first = source->next;
    source->next += NUMBERS;
    source->args[0] = parloom_in(&source->first, sizeof source->first);
    *call_out = (parloom_call){ climb, source->args, 1 };
    return 1;
}

int main(void)
{
    struct source source = { 0, 1, { parloom_in(NULL, 0) } };
    parloom_stream *stream;
    parloom_error error;
    if (parloom_stream_open(&stream, next_thousand, &source, true, PARLOOM_OPTIONS(.n_jobs = 2), &error) !=
        PARLOOM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    unsigned long long highest = 0;
    for (int found = 0; found < RECORDS;) {
        parloom_result result;
        bool done;
        if (parloom_stream_next(stream, &result, &done, &error) != PARLOOM_OK || done) {
            fprintf(stderr, "%s\n", error.message);
            return 1;
        }
        const struct peak *peak = result.data;
        if (peak->height <= highest) continue;
        highest = peak->height;
        printf("%llu climbs to %llu\n", peak->start, peak->height);
        found++;
    }
    parloom_stream_close(stream); /* cancels what is still under way */
    return 0;
}
