/* SPDX-License-Identifier: BSD-3-Clause */
/* waiting.h - wait until something is so, and not longer than a limit: instead of sleeping for a while. */
#ifndef LOOM_TESTS_SUPPORT_WAITING_H
#define LOOM_TESTS_SUPPORT_WAITING_H

#include <chrono>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

namespace loom
{

/* False: it was not so within the limit. */
inline bool comes_true(const std::function<bool()> &condition, double seconds = 5.0)
{
    auto limit = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        std::this_thread::yield();
    }
    return true;
}

/* Ended, reaped or not. */
inline bool is_gone(int pid)
{
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(file, line)) return true;
    size_t end = line.rfind(')');
    return end != std::string::npos && line.size() > end + 2 && line[end + 2] == 'Z';
}

} // namespace loom

#endif
