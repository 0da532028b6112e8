/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <sys/mman.h>

int main(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    parloom_error error;
    union {
        void *address;
        parloom_body body;
    } made = { page }; /* as if a compiler had written it there at run time */
    if (page == MAP_FAILED) return 1;
    parloom_status status = parloom_for(4, made.body, NULL, 0, PARLOOM_OPTIONS(.n_jobs = 2), &error);
    printf("%s\n%s\n", parloom_status_name(status), error.message);
    return munmap(page, 4096);
}
