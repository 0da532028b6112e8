/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clean.cc - takes stock of the process before and after a test and compares.
 *
 * Upper layers are called only where the test links them: the references are weak and the archive brings an object in
 * only when something else needs it, so that a test of base/ stays a test of base/ alone.
 */
#include "support/clean.h"

#include "base/log.h"
#include "shm/arena.h"

#include <parloom/parloom.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fstream>
#include <functional>
#include <thread>
#include <unistd.h>

#pragma weak parloom_alloc
#pragma weak parloom_free
#pragma weak parloom_shutdown
extern "C" {
void loom_supervisor_end(void) __attribute__((weak));
void loom_segment_trim(void) __attribute__((weak));
size_t loom_segment_live_count(void) __attribute__((weak));
struct loom_arena *loom_letters_arena(enum loom_segment_access access, parloom_error *error) __attribute__((weak));
#pragma weak loom_arena_allocate
#pragma weak loom_arena_free
}

namespace
{

std::map<int, std::string> open_descriptors()
{
    std::map<int, std::string> found;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == nullptr) return found;
    while (const dirent *entry = readdir(folder)) {
        int fd = std::atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(folder)) continue;
        char target[512];
        ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
        found[fd] = length > 0 ? std::string(target, static_cast<size_t>(length)) : "?";
    }
    closedir(folder);
    return found;
}

std::set<int> child_processes()
{
    std::set<int> found;
    DIR *folder = opendir("/proc/self/task");
    if (folder == nullptr) return found;
    while (const dirent *entry = readdir(folder)) {
        if (entry->d_name[0] == '.') continue;
        std::ifstream file("/proc/self/task/" + std::string(entry->d_name) + "/children");
        for (int pid; file >> pid;) found.insert(pid);
    }
    closedir(folder);
    return found;
}

size_t live_segments()
{
    return loom_segment_live_count != nullptr ? loom_segment_live_count() : 0;
}

std::string working_folder()
{
    char path[4096];
    return getcwd(path, sizeof path) != nullptr ? path : "";
}

/* A process that was killed is gone a moment later: looks again until the condition holds, for two seconds at most. */
bool settles(const std::function<bool()> &condition)
{
    auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        std::this_thread::yield();
    }
    return true;
}

template <typename Container, typename Value> bool holds(const Container &container, const Value &value)
{
    return container.find(value) != container.end();
}

} // namespace

namespace loom
{

void Clean::take_line(int level, const char *line, void *state)
{
    auto *self = static_cast<Clean *>(state);
    if (level > LOOM_LOG_WARNING) return;
    std::lock_guard<std::mutex> hold(self->mutex_);
    self->warnings_.push_back(line);
}

void Clean::announce(const std::string &text)
{
    announced_.push_back(text);
}

std::vector<std::string> Clean::warnings()
{
    std::lock_guard<std::mutex> hold(mutex_);
    return warnings_;
}

void Clean::SetUp()
{
    /* The window and the first arenas are opened once per process and stay: before we take stock. */
    if (parloom_alloc != nullptr && parloom_free != nullptr) parloom_free(parloom_alloc(64, nullptr));
    for (auto access : { LOOM_SEGMENT_READ, LOOM_SEGMENT_WRITE }) {
        loom_arena *letters = loom_letters_arena != nullptr ? loom_letters_arena(access, nullptr) : nullptr;
        if (letters != nullptr) loom_arena_free(letters, loom_arena_allocate(letters, 64, 0, false, nullptr));
    }
    if (loom_segment_trim != nullptr) loom_segment_trim();
    loom_log_set_sink(take_line, this);
    descriptors_ = open_descriptors();
    children_ = child_processes();
    segments_ = live_segments();
    pthread_sigmask(SIG_SETMASK, nullptr, &signal_mask_);
    folder_ = working_folder();
}

std::vector<std::string> Clean::complaints()
{
    std::vector<std::string> found;
    for (const std::string &line : warnings()) {
        auto is_in_line = [&](const std::string &text) { return line.find(text) != std::string::npos; };
        if (std::none_of(announced_.begin(), announced_.end(), is_in_line)) found.push_back("logged: " + line);
    }
    for (const std::string &text : announced_) {
        auto lines = warnings();
        auto has_text = [&](const std::string &line) { return line.find(text) != std::string::npos; };
        if (std::none_of(lines.begin(), lines.end(), has_text)) found.push_back("announced but not logged: " + text);
    }
    for (int pid : child_processes()) {
        if (!holds(children_, pid)) found.push_back("left child process " + std::to_string(pid));
    }
    for (const auto &entry : open_descriptors()) {
        auto before = descriptors_.find(entry.first);
        if (before == descriptors_.end() || before->second != entry.second)
            found.push_back("left descriptor " + std::to_string(entry.first) + " open: " + entry.second);
    }
    if (live_segments() > segments_)
        found.push_back("left " + std::to_string(live_segments() - segments_) + " segment(s)");
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    for (int number = 1; number < NSIG; number++) {
        if (sigismember(&mask, number) != sigismember(&signal_mask_, number))
            found.push_back("changed the signal mask: " + std::to_string(number));
    }
    if (working_folder() != folder_) found.push_back("changed the working directory to " + working_folder());
    return found;
}

void Clean::TearDown()
{
    if (parloom_shutdown != nullptr) parloom_shutdown(true);
    if (loom_supervisor_end != nullptr) loom_supervisor_end();
    if (loom_segment_trim != nullptr) loom_segment_trim();
    settles([this] { return complaints().empty(); });
    for (const std::string &complaint : complaints()) ADD_FAILURE() << complaint;
    loom_log_set_sink(nullptr, nullptr);
}

} // namespace loom
