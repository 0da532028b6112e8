/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * atomics.h - the memory orders parloom uses, each with a name of its own, so that a reader sees the order at the
 * place of use. C only: no header that a C++ test includes may include this one.
 *
 * relaxed   only the value matters; no other data is ordered by it
 * acquire   what the releasing writer wrote before is visible after this load
 * release   what was written before is visible to who acquires this value
 * full      a single order with all other full operations (store, then load of another word: Dekker)
 */
#ifndef LOOM_BASE_ATOMICS_H
#define LOOM_BASE_ATOMICS_H

#include <stdatomic.h>
#include <stdint.h>

#define loom_load_relaxed(word)         atomic_load_explicit((word), memory_order_relaxed)
#define loom_load_acquire(word)         atomic_load_explicit((word), memory_order_acquire)
#define loom_load_full(word)            atomic_load_explicit((word), memory_order_seq_cst)
#define loom_store_relaxed(word, value) atomic_store_explicit((word), (value), memory_order_relaxed)
#define loom_store_release(word, value) atomic_store_explicit((word), (value), memory_order_release)
#define loom_store_full(word, value)    atomic_store_explicit((word), (value), memory_order_seq_cst)
#define loom_add_relaxed(word, value)   atomic_fetch_add_explicit((word), (value), memory_order_relaxed)
#define loom_add_full(word, value)      atomic_fetch_add_explicit((word), (value), memory_order_seq_cst)
#define loom_sub_full(word, value)      atomic_fetch_sub_explicit((word), (value), memory_order_seq_cst)
#define loom_exchange_full(word, value) atomic_exchange_explicit((word), (value), memory_order_seq_cst)
#define loom_cas_relaxed(word, expected, desired) \
    atomic_compare_exchange_weak_explicit((word), (expected), (desired), memory_order_relaxed, memory_order_relaxed)
#define loom_cas_full(word, expected, desired) \
    atomic_compare_exchange_strong_explicit((word), (expected), (desired), memory_order_seq_cst, memory_order_seq_cst)

/* Shared between processes: an atomic that took a lock would lock in one process only. */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2, "32- and 64-bit atomics must be lock-free");

#endif
