/* SPDX-License-Identifier: BSD-3-Clause */
/* scratch.h - a folder for one test, gone with it, and what the tests of files ask of it. */
#ifndef LOOM_TESTS_SUPPORT_SCRATCH_H
#define LOOM_TESTS_SUPPORT_SCRATCH_H

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

class Scratch : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        std::string pattern = (std::filesystem::temp_directory_path() / "parloom-test-XXXXXX").string();
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder); }

    std::string path(const std::string &name) const { return (folder / name).string(); }

    static std::string read(const std::string &file)
    {
        std::ostringstream bytes;
        bytes << std::ifstream(file, std::ios::binary).rdbuf();
        return bytes.str();
    }
    static void write(const std::string &file, const std::string &bytes)
    {
        std::ofstream stream(file, std::ios::binary | std::ios::trunc);
        stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    /* All names in the folder, hidden ones too. */
    std::vector<std::string> names() const
    {
        std::vector<std::string> found;
        for (const auto &entry : std::filesystem::directory_iterator(folder)) found.push_back(entry.path().filename());
        std::sort(found.begin(), found.end());
        return found;
    }
    static size_t open_descriptors()
    {
        auto list = std::filesystem::directory_iterator("/proc/self/fd");
        return static_cast<size_t>(std::distance(std::filesystem::begin(list), std::filesystem::end(list)));
    }

    std::filesystem::path folder;
};

/* The same in memory, where files are made of huge pages. */
class MemoryScratch : public Scratch
{
  protected:
    void SetUp() override
    {
        std::string pattern = "/dev/shm/parloom-test-XXXXXX";
        if (mkdtemp(pattern.data()) == nullptr) GTEST_SKIP() << "no folder can be made in /dev/shm";
        folder = pattern;
    }
};

/* Debian's python3 with NumPy: the independent reader and writer of the same format. */
inline bool has_numpy()
{
    return std::system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") == 0;
}

/* Runs a program of Python in a folder; "" when it ended well, else what it said. */
inline std::string run_python(const std::filesystem::path &folder, const std::string &program)
{
    std::string script = (folder / "script.py").string();
    std::ofstream(script) << program;
    std::string command = "cd '" + folder.string() + "' && /usr/bin/python3 script.py 2>&1";
    FILE *pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return "popen failed";
    std::string said;
    char block[512];
    for (size_t got; (got = fread(block, 1, sizeof block, pipe)) > 0;) said.append(block, got);
    int status = pclose(pipe);
    std::filesystem::remove(script);
    return status == 0 ? "" : "python ended with " + std::to_string(status) + ": " + said;
}

#endif
