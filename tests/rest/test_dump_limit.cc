/* SPDX-License-Identifier: BSD-3-Clause */
/* test_dump_limit.cc - dumps into files that may not become as long: a status, and no SIGXFSZ. */
#include "rest/packed.h"

#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

class DumpLimit : public Packed
{
  protected:
    void SetUp() override
    {
        Packed::SetUp();
        ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
        values.resize(100000);
        uint64_t state = 1; /* noise, so that no codec makes it small */
        for (double &value : values) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            memcpy(&value, &state, sizeof value);
        }
        array = wrap(values);
    }
    void TearDown() override
    {
        setrlimit(RLIMIT_FSIZE, &before);
        Packed::TearDown();
    }
    void limit()
    {
        struct rlimit small = before;
        small.rlim_cur = 100000;
        ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    }
    static bool is_waiting()
    {
        sigset_t pending;
        sigpending(&pending);
        return sigismember(&pending, SIGXFSZ) == 1;
    }

    struct rlimit before = {};
    std::vector<double> values;
    parloom_array array = {};
    parloom_error error = {};
};

TEST_F(DumpLimit, OfADescriptorIsAStatus)
{
    int fd = open(path("plain.npy").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(fd, 0);
    limit();
    EXPECT_EQ(parloom_array_dump_fd(&array, fd, nullptr, 0, &error), PARLOOM_ERR_LIMIT) << error.message;
    EXPECT_EQ(error.sys_errno, EFBIG);
    EXPECT_FALSE(is_waiting());
    close(fd);
}

TEST_F(DumpLimit, OfACompressedFileIsAStatusForEveryCodec)
{
    limit();
    for (const std::string &codec : codecs()) {
        std::string file = path("packed");
        EXPECT_EQ(parloom_array_dump(&array, file.c_str(), codec.c_str(), 1, &error), PARLOOM_ERR_LIMIT)
            << codec << ": " << error.message;
        EXPECT_FALSE(std::filesystem::exists(file)) << codec;
        EXPECT_FALSE(is_waiting()) << codec;
    }
}

TEST_F(DumpLimit, LeavesASignalThatWaitedBefore)
{
    sigset_t xfsz, mask;
    sigemptyset(&xfsz);
    sigaddset(&xfsz, SIGXFSZ);
    ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &xfsz, &mask), 0);
    ASSERT_EQ(raise(SIGXFSZ), 0);
    int fd = open(path("plain.npy").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(fd, 0);
    limit();
    EXPECT_EQ(parloom_array_dump_fd(&array, fd, nullptr, 0, &error), PARLOOM_ERR_LIMIT) << error.message;
    EXPECT_TRUE(is_waiting());
    close(fd);
    int signal = 0;
    EXPECT_EQ(sigwait(&xfsz, &signal), 0);
    pthread_sigmask(SIG_SETMASK, &mask, nullptr);
}
