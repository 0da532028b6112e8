/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer.h - the driver's end of a side that is a process of its own: it sleeps in a read until it is told to do a
 * round, does it, and answers with numbers. The other end is serve.h, or a Python program that does the same.
 *
 * One line there ("loop guided empty 1000000 0 2"), one line back ("483000.0"). A line that starts with a letter is
 * the reason why there is no number.
 */
#ifndef BENCHMARKS_PEER_H
#define BENCHMARKS_PEER_H

#include <stddef.h>

struct peer;

/* A program beside this one (its name without a folder, "peer_openmp"), or NULL with a line on stderr. */
struct peer *peer_start(const char *program);
/* A program of benchmarks/peers, run by the Python that Debian's joblib belongs to. */
struct peer *peer_start_python(const char *script);
void peer_stop(struct peer *peer); /* waits until it has ended; NULL is fine */

/* The first number of the answer; ROUNDS_UNKNOWN when there is none (or no peer), and a line on stderr says why. */
double peer_ask(struct peer *peer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The k-th number of the last answer, from 0; ROUNDS_UNKNOWN when there were fewer (or no peer). */
double peer_answer(const struct peer *peer, size_t k);

#endif
