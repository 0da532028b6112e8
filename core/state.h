/* SPDX-License-Identifier: BSD-3-Clause */
/* state.h - captures what follows the program into its worker processes. */
#ifndef LOOM_CORE_STATE_H
#define LOOM_CORE_STATE_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loom_state;

/* As it is now; equal to the last one: the same. To be let go when the call has ended. CALLBACK MEMORY BUSY. */
parloom_status loom_state_capture(struct loom_state **state_out, parloom_error *error);
void loom_state_release(struct loom_state *state); /* NULL is fine */
/* Lets go of the last one, with what it keeps open; the next call captures anew. */
void loom_state_forget(void);

#ifdef __cplusplus
}
#endif
#endif
