/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * streams.h - a random stream of its own for every task, the same in whichever process the task runs.
 */
#ifndef PLACES_STREAMS_H
#define PLACES_STREAMS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum stream_purpose { STREAM_BOOTSTRAP = 1, STREAM_ENVELOPE = 2, STREAM_THOMAS = 3 };

/* Draw k of a stream is a function of (seed, purpose, task, k) and of nothing else. */
struct stream {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t words[4];
    unsigned left; /* of words */
};

struct stream stream_open(uint64_t seed, enum stream_purpose purpose, uint32_t task);
uint32_t stream_word(struct stream *stream);
/* 0 .. n-1, each as likely as the other; n > 0. */
uint32_t stream_below(struct stream *stream, uint32_t n);
/* [0, 1), in steps of 2^-53. */
double stream_uniform(struct stream *stream);
/* Two independent standard normal numbers (Box and Muller 1958). */
void stream_normals(struct stream *stream, double normals_out[2]);

#ifdef __cplusplus
}
#endif
#endif
