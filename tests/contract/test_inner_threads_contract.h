/* SPDX-License-Identifier: BSD-3-Clause */
/* A body that the C++ part cannot have: it is compiled without OpenMP. */
#ifndef LOOM_TESTS_CONTRACT_TEST_INNER_THREADS_CONTRACT_H
#define LOOM_TESTS_CONTRACT_TEST_INNER_THREADS_CONTRACT_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* args[0]: int for each task: the threads of a parallel region in it. */
int contract_count_team(const parloom_task *task, void *const *args);

#ifdef __cplusplus
}
#endif
#endif
