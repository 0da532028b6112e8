/* SPDX-License-Identifier: BSD-3-Clause */
/* waiting.h - wait until something is so, and not longer than a limit: instead of sleeping for a while. */
#ifndef LOOM_TESTS_SUPPORT_WAITING_H
#define LOOM_TESTS_SUPPORT_WAITING_H

#include <chrono>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>

namespace loom
{

/* False: it was not so within the limit. */
inline bool comes_true(const std::function<bool()> &condition, double seconds = 20.0)
{
    auto limit = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        std::this_thread::yield();
    }
    return true;
}

/* Ended with all of its threads, reaped or not: until then its sockets may still be open. A sanitizer gives a process
 * one thread more. */
inline bool is_gone(int pid)
{
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(file, line)) return true;
    size_t end = line.rfind(')');
    if (end == std::string::npos) return false;
    std::istringstream fields(line.substr(end + 1));
    char state = 0;
    long n_threads = 0;
    fields >> state;
    for (int field = 4; field <= 20; field++) fields >> n_threads;
    return state == 'Z' && n_threads <= 1;
}

} // namespace loom

#endif
