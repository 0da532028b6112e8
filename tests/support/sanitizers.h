/* SPDX-License-Identifier: BSD-3-Clause */
/* sanitizers.h - LOOM_TEST_SANITIZED is defined where a sanitizer's runtime is part of the test. */
#ifndef LOOM_TESTS_SUPPORT_SANITIZERS_H
#define LOOM_TESTS_SUPPORT_SANITIZERS_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOOM_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define LOOM_TEST_SANITIZED 1
#endif
#endif

#endif
