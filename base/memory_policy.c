/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory_policy.c - mbind(2) for shared memory (see memory_policy.h).
 *
 * The kernel keeps the policy of memory files with the file: it counts for whichever process touches a page first, and
 * for pages that are reserved.
 */
#include "base/memory_policy.h"

#include "base/atomics.h"
#include "base/log.h"
#include "base/options.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_NODES = 1024, WORD_BITS = 8 * (int)sizeof(unsigned long) };

static _Thread_local parloom_memory_policy current;
static parloom_memory_policy (*asker)(void); /* set before main */

parloom_memory_policy loom_memory_policy_set(parloom_memory_policy policy)
{
    parloom_memory_policy before = current;
    current = policy == PARLOOM_MEMORY_FIRST_TOUCH ? PARLOOM_MEMORY_UNSET : policy; /* the same, for warm segments */
    return before;
}

parloom_memory_policy loom_memory_policy_now(void)
{
    return current;
}

void loom_memory_policy_set_asker(parloom_memory_policy (*ask)(void))
{
    asker = ask;
}

parloom_memory_policy loom_memory_policy_around(void)
{
    const parloom_options *environment;
    if (asker) return asker();
    return loom_options_environment(&environment, NULL) == PARLOOM_OK ? environment->memory_policy
                                                                      : PARLOOM_MEMORY_UNSET;
}

static void tell_failure(const char *what)
{
    static _Atomic int is_told;
    if (loom_exchange_full(&is_told, 1)) return; /* whoever comes first says it */
    loom_log(LOOM_LOG_WARNING,
             "memory_policy %s has no effect: %m (a container may forbid mbind, or the kernel knows "
             "no NUMA nodes)",
             what);
}

static bool interleave(void *address, size_t nbytes)
{
    unsigned long nodes[MOST_NODES / WORD_BITS];
    memset(nodes, 0, sizeof nodes);
    if (syscall(SYS_get_mempolicy, NULL, nodes, (unsigned long)MOST_NODES, NULL, (unsigned long)MPOL_F_MEMS_ALLOWED))
        return false;
    /* One more than there are bits: the kernel takes the number less one. */
    return syscall(SYS_mbind, address, nbytes, MPOL_INTERLEAVE, nodes, (unsigned long)MOST_NODES + 1, 0U) == 0;
}

void loom_memory_policy_apply(void *address, size_t nbytes, parloom_memory_policy policy)
{
    int saved = errno;
    if (policy == PARLOOM_MEMORY_INTERLEAVE && !interleave(address, nbytes)) tell_failure("interleave");
    if (policy == PARLOOM_MEMORY_LOCAL && syscall(SYS_mbind, address, nbytes, MPOL_LOCAL, NULL, 0UL, 0U) != 0)
        tell_failure("local");
    errno = saved;
}
