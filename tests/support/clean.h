/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clean.h - a fixture that fails a test which leaves something behind or logged a warning it did not announce.
 *
 * Left behind: a child process, an open descriptor, a live segment, another signal mask, another working directory.
 * Our files have no names, so a descriptor or a segment that stays is what a forgotten file would be elsewhere. What
 * the library keeps on purpose (shared workers, their supervisor, warm segments) is ended first, as a program can.
 *
 *     using Pool = loom::Clean;
 *     TEST_F(Pool, NamesTheWorkerThatDied) { announce("worker"); ... }
 */
#ifndef LOOM_TESTS_SUPPORT_CLEAN_H
#define LOOM_TESTS_SUPPORT_CLEAN_H

#include <csignal>
#include <gtest/gtest.h>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace loom
{

class Clean : public ::testing::Test
{
  protected:
    void SetUp() override;
    void TearDown() override;

    /* A warning or error that holds this text is expected; one that never comes fails the test. */
    void announce(const std::string &text);
    /* What was logged so far, warnings and errors only. */
    std::vector<std::string> warnings();
    /* What is wrong now, one line each; TearDown fails with them. */
    std::vector<std::string> complaints();

  private:
    static void take_line(int level, const char *line, void *state);

    std::mutex mutex_; /* lines come from any thread */
    std::vector<std::string> warnings_;
    std::vector<std::string> announced_;
    std::map<int, std::string> descriptors_;
    std::set<int> children_;
    size_t segments_ = 0;
    sigset_t signal_mask_;
    std::string folder_;
};

} // namespace loom

#endif
