/* SPDX-License-Identifier: BSD-3-Clause */
/* stepped.h - a child that is stopped at each of its system calls, and killed before or after the k-th. */
#ifndef LOOM_TESTS_REST_STEPPED_H
#define LOOM_TESTS_REST_STEPPED_H

#include <csignal>
#include <functional>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace loom
{

/* What became of it. */
struct stepped {
    bool was_killed = false;
    int status = 0;          /* as of waitpid */
    std::vector<long> calls; /* numbers of the system calls that were begun, after the child was ready */
};

/* The number of the system call a stopped child is in; -1: not known on this machine. */
inline long call_of(pid_t child)
{
#if defined(__x86_64__)
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, child, nullptr, &registers) == 0) return static_cast<long>(registers.orig_rax);
#else
    (void)child;
#endif
    return -1;
}

/*
 * Runs work in a forked child, whose result is its exit status. kill_at: stop of the child at which it is killed, two
 * for each system call (before it, and after it); below 0: never. A call that is killed before it begins has no effect.
 * at_stop is called at each of them, in this process, while the child stands still.
 */
inline stepped run_stepped(const std::function<int()> &work, int kill_at,
                           const std::function<void(int)> &at_stop = nullptr)
{
    stepped result;
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        raise(SIGSTOP);
        _exit(work());
    }
    waitpid(child, &result.status, 0);
    ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    for (int stop = 0; WIFSTOPPED(result.status); stop++) {
        if (stop == kill_at) {
            result.was_killed = true;
            kill(child, SIGKILL);
            waitpid(child, &result.status, 0);
            return result;
        }
        if (at_stop) at_stop(stop);
        int number = WSTOPSIG(result.status);
        bool is_call = number == (SIGTRAP | 0x80) || number == SIGSTOP;
        ptrace(PTRACE_SYSCALL, child, nullptr, is_call ? 0 : number);
        waitpid(child, &result.status, 0);
        if (WIFSTOPPED(result.status) && stop % 2 == 0) result.calls.push_back(call_of(child));
    }
    return result;
}

} // namespace loom

#endif
