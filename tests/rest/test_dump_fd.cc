/* SPDX-License-Identifier: BSD-3-Clause */
/* test_dump_fd.cc - arrays through descriptors: what follows them stays, what does not block is waited for. */
#include "rest/packed.h"

#include <csignal>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

class DumpFd : public Packed
{
  protected:
    void open_memory() { in = out = memfd_create("dump-fd", MFD_CLOEXEC); }
    void open_pipe(int flags)
    {
        int ends[2];
        ASSERT_EQ(pipe2(ends, O_CLOEXEC | flags), 0);
        out = ends[0];
        in = ends[1];
    }
    void TearDown() override
    {
        if (in != out && in >= 0) close(in);
        if (out >= 0) close(out);
        Packed::TearDown();
    }
    static parloom_status send(std::vector<double> values, int fd, const char *codec, parloom_error *error)
    {
        parloom_array array = wrap(values);
        return parloom_array_dump_fd(&array, fd, codec, 0, error);
    }

    int in = -1, out = -1;
};

TEST_F(DumpFd, ArraysFollowOneAnotherInAFileWithEveryCodec)
{
    open_memory();
    std::vector<std::string> all = codecs();
    all.insert(all.begin(), "none");
    for (size_t k = 0; k < all.size(); k++)
        ASSERT_EQ(send(waves(100 + 1000 * k), in, all[k].c_str(), &error), PARLOOM_OK) << error.message;
    ASSERT_EQ(lseek(out, 0, SEEK_SET), 0);
    for (size_t k = 0; k < all.size(); k++) {
        Loaded loaded(out, PARLOOM_MMAP_UNSET);
        EXPECT_TRUE(loaded.equals(waves(100 + 1000 * k))) << all[k] << ": " << loaded.error.message;
    }
    EXPECT_EQ(Loaded(out, PARLOOM_MMAP_UNSET).status, PARLOOM_ERR_FORMAT);
}

TEST_F(DumpFd, WhatFollowsAnUncompressedArrayStaysInThePipe)
{
    open_pipe(0);
    ASSERT_EQ(send(waves(100), in, nullptr, &error), PARLOOM_OK);
    ASSERT_EQ(::write(in, "tail", 4), 4);
    EXPECT_TRUE(Loaded(out, PARLOOM_MMAP_UNSET).equals(waves(100)));
    char tail[8] = {};
    EXPECT_EQ(::read(out, tail, sizeof tail), 4);
    EXPECT_STREQ(tail, "tail");
}

TEST_F(DumpFd, WhatFollowsACompressedOneInAPipeIsRefused)
{
    LOOM_NEEDS_CODECS("gzip");
    open_pipe(0);
    ASSERT_EQ(send(waves(100), in, "gzip", &error), PARLOOM_OK);
    ASSERT_EQ(::write(in, "tail", 4), 4);
    Loaded loaded(out, PARLOOM_MMAP_UNSET);
    EXPECT_EQ(loaded.status, PARLOOM_ERR_FORMAT);
    EXPECT_NE(strstr(loaded.error.message, "4 bytes behind"), nullptr) << loaded.error.message;
}

TEST_F(DumpFd, WaitsWhereTheDescriptorDoesNotBlock)
{
    LOOM_NEEDS_CODECS("zlib");
    open_pipe(O_NONBLOCK);
    std::vector<double> values = waves(300000);
    std::thread sender([&] { EXPECT_EQ(send(values, in, "zlib", nullptr), PARLOOM_OK); });
    EXPECT_TRUE(Loaded(out, PARLOOM_MMAP_UNSET).equals(values));
    sender.join();
}

TEST_F(DumpFd, AReaderThatHasGoneIsAnErrorAndNoSignal)
{
    LOOM_NEEDS_CODECS("gzip");
    struct sigaction before, after;
    sigaction(SIGPIPE, nullptr, &before);
    ASSERT_EQ(before.sa_handler, SIG_DFL); /* the signal would end this process */
    open_pipe(0);
    close(out);
    out = in;
    EXPECT_EQ(send(waves(100), in, nullptr, &error), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, EPIPE);
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    close(ends[0]);
    EXPECT_EQ(send(waves(100), ends[1], "gzip", &error), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, EPIPE);
    close(ends[1]);
    sigaction(SIGPIPE, nullptr, &after);
    EXPECT_EQ(after.sa_handler, before.sa_handler);
}

TEST_F(DumpFd, AFullDeviceIsAnError)
{
    LOOM_NEEDS_CODECS("zlib", "gzip");
    in = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (in < 0) GTEST_SKIP() << "there is no /dev/full";
    out = in;
    for (const char *codec : { "none", "zlib", "gzip" })
        EXPECT_EQ(send(waves(1000), in, codec, &error), PARLOOM_ERR_SPACE) << codec << " " << error.message;
}

TEST_F(DumpFd, APipeThatEndsTooSoonIsAnError)
{
    LOOM_NEEDS_CODECS("zlib", "gzip");
    std::vector<double> values = waves(50);
    for (const char *codec : { "none", "zlib", "gzip" }) {
        ASSERT_EQ(dump(values, "whole", codec), PARLOOM_OK);
        std::string bytes = read(path("whole"));
        for (size_t length = 0; length < bytes.size(); length += 7) {
            int ends[2];
            ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
            ASSERT_EQ(::write(ends[1], bytes.data(), length), static_cast<ssize_t>(length));
            close(ends[1]);
            EXPECT_EQ(Loaded(ends[0], PARLOOM_MMAP_UNSET).status, PARLOOM_ERR_FORMAT) << codec << " at " << length;
            close(ends[0]);
        }
    }
}

TEST_F(DumpFd, MapsAFileForWriting)
{
    std::vector<double> values = waves(100);
    ASSERT_EQ(dump(values, "a.npy", nullptr), PARLOOM_OK);
    in = out = open(path("a.npy").c_str(), O_RDWR | O_CLOEXEC);
    {
        Loaded loaded(out, PARLOOM_MMAP_RW);
        ASSERT_EQ(loaded.status, PARLOOM_OK) << loaded.error.message;
        static_cast<double *>(loaded.array.data)[3] = -7;
    }
    values[3] = -7;
    EXPECT_TRUE(Loaded(path("a.npy")).equals(values));
}
