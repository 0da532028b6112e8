/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

int main(void)
{
    printf("built-in or environment: %d\n", parloom_effective_n_jobs(0));
    if (parloom_set_defaults(PARLOOM_OPTIONS(.n_jobs = 3), NULL) != PARLOOM_OK) return 1;
    printf("process default: %d\n", parloom_effective_n_jobs(0));
    if (parloom_scope_begin(PARLOOM_OPTIONS(.n_jobs = 4), NULL) != PARLOOM_OK) return 1;
    printf("scope: %d\n", parloom_effective_n_jobs(0));
    if (parloom_scope_begin(PARLOOM_OPTIONS(.backend = "threads"), NULL) != PARLOOM_OK) return 1;
    printf("scope in a scope that does not say it: %d\n", parloom_effective_n_jobs(0));
    parloom_scope_end();
    parloom_scope_end();
    return parloom_set_defaults(NULL, NULL); /* none from now on */
}
