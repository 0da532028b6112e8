/* SPDX-License-Identifier: BSD-3-Clause */
/* scope.h - what is set from outside: the scopes of this thread, the process default, the environment. */
#ifndef LOOM_CORE_SCOPE_H
#define LOOM_CORE_SCOPE_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Fills what is unset in options: innermost scope, outer scopes, process default, environment. The strings live until
 * the scope ends or the default is replaced. INVALID: the environment does not parse. */
parloom_status loom_scope_fill(parloom_options *options, parloom_error *error);

/* What holds for the calls that tasks of a call made here will make: the same, without the environment (which they
 * have themselves) and without what means something in this thread or process alone: pool, stop, progress, worker_init.
 * The strings live as above. False: nothing. */
bool loom_scope_inherit(parloom_options *options);

#ifdef __cplusplus
}
#endif
#endif
