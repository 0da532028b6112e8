/* SPDX-License-Identifier: BSD-3-Clause */
/* test_unpack_frames.cc - streams that say how long they are: decompressed at once, and not believed. */
#include "rest/packed.h"
#include "rest/samples.h"

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

namespace
{

/* Codecs whose streams say how long they are. */
std::vector<std::string> sized_codecs()
{
    std::vector<std::string> found;
    for (const std::string &codec : codecs())
        if (codec == "zstd" || codec == "lz4" || codec.rfind("blosc", 0) == 0) found.push_back(codec);
    return found;
}

size_t threads_here()
{
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
}

/* Four streams, which become small. */
std::vector<double> steps()
{
    std::vector<double> values((static_cast<size_t>(25) << 20) / sizeof(double));
    for (size_t k = 0; k < values.size(); k++) values[k] = static_cast<double>(k / 1000);
    return values;
}

/* Where streams begin. */
std::vector<size_t> begins(const std::string &codec, const std::string &bytes)
{
    std::vector<size_t> found;
    std::string word = codec == "zstd" ? "\x28\xb5\x2f\xfd" : "\x04\x22\x4d\x18";
    if (codec.rfind("blosc", 0) != 0) {
        for (size_t at = 0; (at = bytes.find(word, at)) != std::string::npos; at++) found.push_back(at);
        return found;
    }
    for (size_t at = 0; at + 16 <= bytes.size();) {
        found.push_back(at);
        uint32_t nbytes = 0;
        memcpy(&nbytes, bytes.data() + at + 12, sizeof nbytes);
        at += nbytes;
    }
    return found;
}

} // namespace

class UnpackFrames : public Packed
{
  protected:
    parloom_status load(const std::string &file, int n_jobs, parloom_array *array)
    {
        parloom_load_options options = {};
        options.n_jobs = n_jobs;
        return parloom_array_load_with(array, path(file).c_str(), &options, &error);
    }
    void expect(const std::string &file, int n_jobs, const std::vector<double> &values, const std::string &what)
    {
        parloom_array array = {};
        ASSERT_EQ(load(file, n_jobs, &array), PARLOOM_OK) << what << ": " << error.message;
        ASSERT_EQ(parloom_array_nbytes(&array), values.size() * sizeof(double));
        EXPECT_EQ(memcmp(array.data, values.data(), values.size() * sizeof(double)), 0) << what;
        parloom_array_release(&array);
    }
};

TEST_F(UnpackFrames, GiveBackWhatOneAfterTheOtherGives)
{
    std::vector<double> values = steps(), halves;
    for (size_t k = 0; k < values.size(); k += 2) halves.push_back(values[k]);
    parloom_array whole = wrap(values), every_second;
    ASSERT_EQ(parloom_array_slice(&every_second, &whole, 0, 0, values.size(), 2, &error), PARLOOM_OK);
    for (const std::string &codec : sized_codecs()) {
        ASSERT_EQ(dump(values, "a", codec.c_str()), PARLOOM_OK) << error.message;
        ASSERT_EQ(parloom_array_dump(&every_second, path("b").c_str(), codec.c_str(), 0, &error), PARLOOM_OK);
        for (int n_jobs : { 1, 2, 3 }) {
            expect("a", n_jobs, values, codec + " on " + std::to_string(n_jobs));
            expect("b", n_jobs, halves, codec + ", a view, on " + std::to_string(n_jobs));
        }
    }
}

class UnpackFramesOf : public UnpackFrames, public ::testing::WithParamInterface<const char *>
{
};

/* Threads of a loop stay for the next one: before it there are none in this process. */
TEST_P(UnpackFramesOf, AreReadOnSeveralThreads)
{
    std::vector<double> values = steps();
    if (dump(values, "a", GetParam()) == PARLOOM_ERR_UNSUPPORTED) GTEST_SKIP() << error.message;
    size_t before = threads_here();
    expect("a", 1, values, "on one");
    EXPECT_EQ(threads_here(), before);
    expect("a", 2, values, "on two");
    EXPECT_GT(threads_here(), before);
}

INSTANTIATE_TEST_SUITE_P(Codecs, UnpackFramesOf, ::testing::Values("zstd", "lz4", "blosc"),
                         [](const auto &info) { return std::string(info.param); });

TEST_F(UnpackFrames, LeaveThePositionBehindThem)
{
    std::vector<double> values = steps(), next = waves(10);
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    scope.n_jobs = 2;
    ASSERT_EQ(parloom_scope_begin(&scope, &error), PARLOOM_OK);
    for (const std::string &codec : sized_codecs()) {
        int fd = open(path("a").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        for (std::vector<double> *sent : { &values, &next }) {
            parloom_array array = wrap(*sent);
            ASSERT_EQ(parloom_array_dump_fd(&array, fd, codec.c_str(), 0, &error), PARLOOM_OK) << error.message;
        }
        ASSERT_EQ(lseek(fd, 0, SEEK_SET), 0);
        EXPECT_TRUE(Loaded(fd, PARLOOM_MMAP_UNSET).equals(values)) << codec;
        EXPECT_TRUE(Loaded(fd, PARLOOM_MMAP_UNSET).equals(next)) << codec;
        close(fd);
    }
    parloom_scope_end();
}

TEST_F(UnpackFrames, ThatWereChangedAreRefused)
{
    std::vector<double> values = steps();
    for (const std::string &codec : sized_codecs()) {
        ASSERT_EQ(dump(values, "whole", codec.c_str()), PARLOOM_OK);
        std::string bytes = read(path("whole"));
        std::vector<size_t> streams = begins(codec, bytes);
        ASSERT_GE(streams.size(), 4u) << codec;
        for (size_t at = streams[2]; at < streams[2] + 16; at++) {
            std::string changed = bytes;
            changed[at] = static_cast<char>(changed[at] ^ 1 << at % 8);
            write(path("changed"), changed);
            parloom_array array = {};
            parloom_status status = load("changed", 2, &array);
            if (status != PARLOOM_OK) {
                EXPECT_TRUE(status == PARLOOM_ERR_FORMAT || status == PARLOOM_ERR_UNSUPPORTED)
                    << codec << " " << status;
                EXPECT_NE(strstr(error.message, "changed"), nullptr) << error.message;
                continue;
            }
            /* blosc has no checksum. */
            bool is_same = memcmp(array.data, values.data(), values.size() * sizeof(double)) == 0;
            EXPECT_TRUE(is_same || codec.rfind("blosc", 0) == 0) << codec << " at " << at;
            parloom_array_release(&array);
        }
        for (size_t length : { streams[2] - 1, streams[2] + 3, streams[3] - 1, bytes.size() - 1 }) {
            write(path("changed"), bytes.substr(0, length));
            parloom_array array = {};
            EXPECT_EQ(load("changed", 2, &array), PARLOOM_ERR_FORMAT) << codec << " at " << length;
        }
        write(path("changed"), bytes + bytes.substr(streams[1]));
        parloom_array array = {};
        EXPECT_EQ(load("changed", 2, &array), PARLOOM_ERR_FORMAT) << codec;
    }
}

/* A stream that holds, or says it holds, more than is left of the array is written nowhere. */
TEST_F(UnpackFrames, ThatHoldMoreThanTheArrayAreRefused)
{
    std::vector<double> values = steps();
    for (const std::string &codec : sized_codecs()) {
        ASSERT_EQ(dump(values, "whole", codec.c_str()), PARLOOM_OK);
        std::string bytes = read(path("whole"));
        std::vector<size_t> streams = begins(codec, bytes);
        std::string third = bytes.substr(streams[2], streams[3] - streams[2]);
        write(path("more"), bytes.substr(0, streams[3]) + third + third); /* the array ends within a stream */
        parloom_array array = {};
        EXPECT_EQ(load("more", 2, &array), PARLOOM_ERR_FORMAT) << codec;
        EXPECT_NE(strstr(error.message, "more than its header declares"), nullptr) << error.message;
        EXPECT_EQ(array.data, nullptr);
    }
}

/* Frames of others may not say their length, or be followed by such. */
TEST_F(UnpackFrames, OfOthersAreReadWhateverTheySay)
{
    if (std::system("/usr/bin/python3 -c 'import numpy, lz4.frame, zstandard' 2>/dev/null") != 0)
        GTEST_SKIP() << "python3-lz4 or python3-zstandard is not installed";
    std::vector<double> values = waves(500000);
    ASSERT_EQ(dump(values, "plain.npy", nullptr), PARLOOM_OK);
    ASSERT_EQ(run_python(folder, R"(
import lz4.frame, zstandard
data = open('plain.npy', 'rb').read()
cuts = [0, 50, 1000000, 1000001, 1000300, 2500000, 3000000, len(data)]
parts = [data[a:b] for a, b in zip(cuts, cuts[1:])]
def zstd(part, k):
    packer = zstandard.ZstdCompressor(write_content_size=k % 2 == 0, write_checksum=k % 3 == 0, level=1 + k % 3)
    return packer.compress(part)
def lz4_frame(part, k):
    return lz4.frame.compress(part, store_size=k % 2 == 0, content_checksum=k % 3 == 0, block_checksum=k % 4 == 0,
                              block_linked=k % 2 == 1)
for name, pack in (('zstd', zstd), ('lz4', lz4_frame)):
    for shift in (0, 1):
        open(name + str(shift), 'wb').write(b''.join(pack(part, k + shift) for k, part in enumerate(parts)))
    open(name + '2', 'wb').write(b''.join(pack(part, 4 * k) for k, part in enumerate(parts)))
)"),
              "");
    for (const std::string codec : { "zstd", "lz4" }) {
        std::vector<std::string> all = codecs();
        if (std::find(all.begin(), all.end(), codec) == all.end()) continue;
        for (const char *shift : { "0", "1", "2" })
            for (int n_jobs : { 1, 2 }) expect(codec + shift, n_jobs, values, codec + shift);
    }
}
