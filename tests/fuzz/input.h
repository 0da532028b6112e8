/* SPDX-License-Identifier: BSD-3-Clause */
/* input.h - what fuzz targets share: a promise that ends the program when it is broken, and inputs as files in memory.
 */
#ifndef LOOM_TESTS_FUZZ_INPUT_H
#define LOOM_TESTS_FUZZ_INPUT_H

#include <parloom/parloom.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace fuzz
{

enum { MOST_FILE_NBYTES = 1 << 26 };

inline void require(bool holds)
{
    if (!holds) std::abort();
}

/* What a file that somebody else wrote may be answered with. */
inline bool is_refusal(parloom_status status)
{
    return status == PARLOOM_ERR_FORMAT || status == PARLOOM_ERR_UNSUPPORTED;
}

/* A file may justify more memory than there is, if it is compressed well enough, and a pipe any: here 64 MiB. */
inline bool is_shortage(parloom_status status)
{
    return status == PARLOOM_ERR_MEMORY || status == PARLOOM_ERR_SPACE || status == PARLOOM_ERR_LIMIT;
}

/* Once: no warnings, and no file grows beyond MOST_FILE_NBYTES, also none in memory. */
inline void prepare()
{
    static bool is_done = false;
    if (is_done) return;
    is_done = true;
    parloom_set_log([](int, const char *, void *) {}, nullptr);
    (void)signal(SIGXFSZ, SIG_IGN);
    rlimit limit = {};
    require(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = MOST_FILE_NBYTES;
    require(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* Reads all that an array says it has. */
inline void touch(const parloom_array &array)
{
    volatile unsigned sum = 0;
    for (size_t k = 0; k < parloom_array_nbytes(&array); k++) sum = sum + static_cast<const uint8_t *>(array.data)[k];
}

class File
{
  public:
    File(const uint8_t *bytes, size_t nbytes) : fd(memfd_create("fuzz", MFD_CLOEXEC))
    {
        require(fd >= 0 && pwrite(fd, bytes, nbytes, 0) == static_cast<ssize_t>(nbytes));
        std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    ~File() { close(fd); }

    int fd;
    char path[64];
};

/* Takes an input apart from its beginning; what is not there is 0. */
class Reader
{
  public:
    Reader(const uint8_t *begin, size_t nbytes) : at(begin), left(nbytes) {}
    unsigned number(size_t nbytes)
    {
        unsigned made = 0;
        for (size_t k = 0; k < nbytes && left > 0; k++, at++, left--) made |= static_cast<unsigned>(*at) << 8 * k;
        return made;
    }
    std::string bytes(size_t most)
    {
        size_t nbytes = most < left ? most : left;
        std::string made(reinterpret_cast<const char *>(at), nbytes);
        at += nbytes;
        left -= nbytes;
        return made;
    }

    const uint8_t *at;
    size_t left;
};

} // namespace fuzz

#endif
