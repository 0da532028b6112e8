/* SPDX-License-Identifier: BSD-3-Clause */
/* named_arrays.h - names in /dev/shm for one test, gone with it. */
#ifndef LOOM_TESTS_SHM_NAMED_ARRAYS_H
#define LOOM_TESTS_SHM_NAMED_ARRAYS_H

#include "support/clean.h"

#include "shm/named.h"

#include <parloom/parloom.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace named
{

inline std::string path_of(const std::string &name)
{
    return "/dev/shm/" + name;
}

inline bool exists(const std::string &name)
{
    struct stat about;
    return lstat(path_of(name).c_str(), &about) == 0;
}

inline std::string read(const std::string &name)
{
    std::ifstream stream(path_of(name), std::ios::binary);
    return { std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>() };
}

inline void write(const std::string &name, const std::string &bytes)
{
    std::ofstream stream(path_of(name), std::ios::binary | std::ios::trunc);
    stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

template <typename T> T field_of(const std::string &bytes, size_t offset)
{
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

/* Ends in a child as if by kill -9; what it did before is done. False: it could not do it. */
template <typename Body> bool by_dead_program(Body body)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (body()) raise(SIGKILL);
        _exit(1);
    }
    int status = 0;
    return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

class Named : public loom::Clean
{
  protected:
    void SetUp() override
    {
        parloom_free(parloom_alloc(64, nullptr)); /* opens the window, which stays, before stock is taken */
        loom::Clean::SetUp();
        prefix = "parloom-test-" + std::to_string(getpid()) + "-";
    }
    void TearDown() override
    {
        for (const std::string &left : names()) std::filesystem::remove_all(path_of(left));
        loom::Clean::TearDown();
    }
    std::string name(const std::string &ending) const { return prefix + ending; }
    std::vector<std::string> names() const
    {
        std::vector<std::string> found;
        for (const auto &entry : std::filesystem::directory_iterator("/dev/shm"))
            if (entry.path().filename().string().rfind(prefix, 0) == 0) found.push_back(entry.path().filename());
        return found;
    }
    /* Doubles, count of them. */
    parloom_status create(parloom_array *array, const std::string &ending, size_t count)
    {
        return parloom_array_create_named(array, name(ending).c_str(), PARLOOM_F64, 0, 1, &count, nullptr, &error);
    }
    parloom_status open(parloom_array *array, const std::string &ending, parloom_mmap_mode mode = PARLOOM_MMAP_R)
    {
        return parloom_array_open_named(array, name(ending).c_str(), mode, &error);
    }
    parloom_status unlink(const std::string &ending)
    {
        return parloom_array_unlink_named(name(ending).c_str(), &error);
    }
    size_t clean(const std::string &ending = "")
    {
        size_t removed = 77;
        EXPECT_EQ(parloom_clean_named(name(ending).c_str(), &removed, &error), PARLOOM_OK) << error.message;
        return removed;
    }
    /* An array whose owner was killed. */
    bool leave(const std::string &ending)
    {
        return by_dead_program([&] {
            parloom_array array;
            return create(&array, ending, 10) == PARLOOM_OK;
        });
    }
    bool says(const std::string &text) const { return std::string(error.message).find(text) != std::string::npos; }

    std::string prefix;
    parloom_error error = {};
};

} // namespace named

#endif
