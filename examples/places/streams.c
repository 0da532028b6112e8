/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * streams.c - Philox 4x32-10, a random number generator without a state to hand over (Salmon et al. 2011).
 *
 * Why this way   the words are an encryption of a counter, so task 7 has its numbers without anybody having drawn those
 *                of task 6: no stream depends on which worker ran what, and streams never overlap.
 */
#include "streams.h"

#include <math.h>

enum { ROUNDS = 10 };

/* One round mixes the counter with the key; multipliers and increments are those of the paper. */
static void mix(uint32_t words[4], const uint32_t key[2])
{
    uint64_t first = (uint64_t)0xD2511F53u * words[0];
    uint64_t second = (uint64_t)0xCD9E8D57u * words[2];
    uint32_t one = words[1];
    uint32_t three = words[3];
    words[0] = (uint32_t)(second >> 32) ^ one ^ key[0];
    words[1] = (uint32_t)second;
    words[2] = (uint32_t)(first >> 32) ^ three ^ key[1];
    words[3] = (uint32_t)first;
}

static void refill(struct stream *stream)
{
    uint32_t key[2] = { stream->key[0], stream->key[1] };
    for (int k = 0; k < 4; k++) stream->words[k] = stream->counter[k];
    for (int round = 0; round < ROUNDS; round++) {
        mix(stream->words, key);
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    if (++stream->counter[0] == 0) stream->counter[1]++;
    stream->left = 4;
}

struct stream stream_open(uint64_t seed, enum stream_purpose purpose, uint32_t task)
{
    struct stream stream = { { (uint32_t)seed, (uint32_t)(seed >> 32) }, { 0, 0, task, (uint32_t)purpose }, { 0 }, 0 };
    return stream;
}

uint32_t stream_word(struct stream *stream)
{
    if (stream->left == 0) refill(stream);
    return stream->words[4 - stream->left--];
}

/* Lemire (2019): the high half of word * n; the few low halves that would favour some numbers are drawn again. */
uint32_t stream_below(struct stream *stream, uint32_t n)
{
    uint64_t product = (uint64_t)stream_word(stream) * n;
    if ((uint32_t)product < n) {
        uint32_t unfair = -n % n; /* 2^32 mod n */
        while ((uint32_t)product < unfair) product = (uint64_t)stream_word(stream) * n;
    }
    return (uint32_t)(product >> 32);
}

double stream_uniform(struct stream *stream)
{
    uint64_t high = stream_word(stream) >> 5;
    uint64_t low = stream_word(stream) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

void stream_normals(struct stream *stream, double normals_out[2])
{
    double radius = sqrt(-2 * log(1 - stream_uniform(stream)));
    double angle = 6.283185307179586 * stream_uniform(stream);
    normals_out[0] = radius * cos(angle);
    normals_out[1] = radius * sin(angle);
}
