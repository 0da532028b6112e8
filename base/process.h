/* SPDX-License-Identifier: BSD-3-Clause */
/* process.h - what parloom asks of processes: identity, descriptors of them, threads, death of the parent. */
#ifndef LOOM_BASE_PROCESS_H
#define LOOM_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

int loom_process_pidfd(pid_t pid);                     /* close-on-exec, >= 3; -1 and errno */
int loom_process_signal(int pidfd, int signal_number); /* pidfd_send_signal: never a stranger; 0 or errno */
/* Stops it (SIGSTOP) and waits until it is: true; false where it is gone, or does not stop within limit_ns. */
bool loom_process_stop(pid_t pid, int pidfd, uint64_t limit_ns);
int loom_process_thread_count(void); /* of this process; 0: cannot tell */
bool loom_process_is_secure(void);   /* AT_SECURE: setuid, file capabilities */
/* All signals to default (but SIGTTIN and SIGTTOU ignored), none blocked: what a worker starts with. */
void loom_process_reset_signals(void);
/* SIGKILL to this process when its parent ends; false when the parent (expected) has ended already. */
bool loom_process_die_with_parent(pid_t expected_parent);
void loom_process_raise_oom_score(int score); /* adds to /proc/self/oom_score_adj; failure is ignored */
double loom_process_cpu_seconds(void);        /* user + system, of this process */
uint64_t loom_process_page_nbytes(void);
/* Memory that this process holds and does not share: neither shared segments nor files. 0: cannot tell. About 10 us. */
uint64_t loom_process_private_nbytes(void);

#ifdef __cplusplus
}
#endif
#endif
