/* SPDX-License-Identifier: BSD-3-Clause */
/* process.c - what parloom asks of processes. Threads: any, but loom_process_reset_signals: one thread only. */
#include "base/process.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { OOM_SCORE_MOST = 1000 };

int loom_process_pidfd(pid_t pid)
{
    return loom_file_move_up((int)syscall(SYS_pidfd_open, pid, 0)); /* close-on-exec from birth */
}

int loom_process_signal(int pidfd, int signal_number)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0) == 0 ? 0 : errno;
}

/* 'R' running, 'T' stopped, 'Z' dead, ...; '\0': there is none. */
static char state_of(pid_t pid)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (loom_file_read_text(path, text, sizeof text) < 0) return '\0';
    const char *at = strrchr(text, ')');
    return at != NULL && at[1] == ' ' ? at[2] : '\0';
}

bool loom_process_stop(pid_t pid, int pidfd, uint64_t limit_ns)
{
    uint64_t until = loom_clock_ns() + limit_ns;
    if (loom_process_signal(pidfd, SIGSTOP) != 0) return false;
    for (;;) {
        char state = state_of(pid);
        if (state == 'T' || state == 't') return true;
        if (state == '\0' || state == 'Z' || state == 'X' || loom_clock_ns() > until) return false;
        sched_yield(); /* it takes as long as an interrupt */
    }
}

/* /proc/self/stat: "pid (name) state ppid ...": the name may hold blanks and brackets, so count from the last one. */
int loom_process_thread_count(void)
{
    enum { FIELDS_TO_THREADS = 18 };
    char text[1024];
    if (loom_file_read_text("/proc/self/stat", text, sizeof text) < 0) return 0;
    const char *at = strrchr(text, ')');
    for (int field = 0; at && field < FIELDS_TO_THREADS; field++) at = strchr(at + 1, ' ');
    return at ? (int)strtol(at, NULL, 10) : 0;
}

bool loom_process_is_secure(void)
{
    return getauxval(AT_SECURE) != 0;
}

void loom_process_reset_signals(void)
{
    /* First the actions, then the mask: a signal that waits behind the mask must not meet the program's handler. */
    for (int number = 1; number < _NSIG; number++) {
        /* A background process group would be stopped by them at the terminal; ignored, reads give EIO. */
        bool terminal = number == SIGTTIN || number == SIGTTOU;
        struct sigaction action = { .sa_handler = terminal ? SIG_IGN : SIG_DFL };
        sigaction(number, &action, NULL); /* SIGKILL, SIGSTOP and two of glibc's own refuse, rightly */
    }
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

bool loom_process_die_with_parent(pid_t expected_parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return false;
    return getppid() == expected_parent; /* asked after, since a death in between raises no signal */
}

void loom_process_raise_oom_score(int score)
{
    static const char PATH[] = "/proc/self/oom_score_adj";
    char text[32];
    if (loom_file_read_text(PATH, text, sizeof text) < 0) return;
    long sum = strtol(text, NULL, 10) + score;
    int length = snprintf(text, sizeof text, "%ld", sum > OOM_SCORE_MOST ? (long)OOM_SCORE_MOST : sum);
    int fd = loom_file_move_up(open(PATH, O_WRONLY | O_CLOEXEC));
    if (fd < 0) return;
    ssize_t ignored = write(fd, text, (size_t)length);
    (void)ignored;
    close(fd);
}

double loom_process_cpu_seconds(void)
{
    struct timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) return 0.0;
    return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}

uint64_t loom_process_page_nbytes(void)
{
    long nbytes = sysconf(_SC_PAGESIZE);
    return nbytes > 0 ? (uint64_t)nbytes : 4096U;
}

uint64_t loom_process_private_nbytes(void)
{
    char text[128];
    unsigned long long resident = 0, shared = 0;
    if (loom_file_read_text("/proc/self/statm", text, sizeof text) < 0) return 0;
    if (sscanf(text, "%*u %llu %llu", &resident, &shared) != 2 || resident < shared) return 0;
    return (uint64_t)(resident - shared) * loom_process_page_nbytes();
}
