/* SPDX-License-Identifier: BSD-3-Clause */
#include "contract/test_inner_threads_contract.h"

int contract_count_team(const parloom_task *task, void *const *args)
{
    int team = 0;
#pragma omp parallel reduction(+ : team)
    team += 1;
    ((int *)args[0])[task->index] = team;
    return 0;
}
