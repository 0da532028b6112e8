/* SPDX-License-Identifier: BSD-3-Clause */
/* test_codec_bombs.cc - small files that stand for very much, in every format: nothing is written beyond the header's
 * word, and no memory is asked for that the file cannot fill. */
#include "rest/packed.h"
#include "support/sanitizers.h"

#include <climits>
#include <sys/resource.h>

namespace
{

#ifdef LOOM_TEST_SANITIZED
const bool is_sanitized = true; /* memory of its own for each byte */
#else
const bool is_sanitized = false;
#endif

class CodecBombs : public Packed
{
  protected:
    /* How large this process was at most. */
    static long largest_kib()
    {
        struct rusage usage = {};
        EXPECT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
        return usage.ru_maxrss;
    }
    /* Files "zstd", "lz4", ..., each with what the Python expression data gives, after a header of that shape. */
    void pack(const std::string &shape, const std::string &data)
    {
        if (run_python(folder, "import blosc, lz4.frame, numpy, zstandard\n") != "")
            GTEST_SKIP() << "python3-numpy, -blosc, -lz4 or -zstandard is not installed";
        std::string text = "{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + ", }";
        text += std::string(117 - text.size(), ' ') + "\n";
        write(path("header"), std::string("\x93NUMPY\x01\x00\x76\x00", 10) + text);
        ASSERT_EQ(run_python(folder, R"(
import blosc, bz2, gzip, lz4.frame, lzma, zlib, zstandard
header = open('header', 'rb').read()
data = )" + data + R"(
sized = zstandard.ZstdCompressor(write_content_size=True)
ways = {
    'gzip': gzip.compress, 'bz2': bz2.compress, 'zlib': zlib.compress, 'xz': lzma.compress,
    'lzma': lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    'zstd': zstandard.ZstdCompressor().compress, 'zstd-sized': sized.compress,
    'zstd-frames': lambda data: sized.compress(data[:128]) + sized.compress(data[128:]),
    'lz4': lambda data: lz4.frame.compress(data, store_size=False), 'lz4-sized': lz4.frame.compress,
    'lz4-frames': lambda data: lz4.frame.compress(data[:128]) + lz4.frame.compress(data[128:]),
    'blosc': lambda data: blosc.compress(data, 8, cname='lz4'),
    'blosc-frames': lambda data: blosc.compress(data[:128], 1) + blosc.compress(data[128:], 8, cname='zstd'),
}
for name, way in ways.items():
    open(name + '.packed', 'wb').write(way(header + data))
)"),
                  "");
    }
    /* Loads each file; none may make this process larger by much. */
    void expect_refused(size_t largest_nbytes)
    {
        size_t count = 0;
        for (const auto &file : std::filesystem::directory_iterator(folder)) {
            if (file.path().extension() != ".packed") continue;
            ASSERT_LE(file.file_size(), largest_nbytes) << file.path();
            const long was = largest_kib();
            Loaded loaded(file.path().string());
            /* A frame of blosc is unpacked whole before anybody sees what is in it. */
            long most_mib = file.path().filename().string().rfind("blosc", 0) == 0 ? 12 : 4;
            EXPECT_LE(largest_kib() - was, is_sanitized ? LONG_MAX : most_mib * 1024) << file.path();
            EXPECT_EQ(loaded.status, PARLOOM_ERR_FORMAT) << file.path() << ": " << loaded.error.message;
            EXPECT_NE(strstr(loaded.error.message, file.path().c_str()), nullptr) << loaded.error.message;
            count++;
        }
        EXPECT_EQ(count, 13u);
    }
};

} // namespace

/* 8 MB of zeros behind a header that declares eight items. */
TEST_F(CodecBombs, StandForMoreThanTheirHeaderSays)
{
    ASSERT_NO_FATAL_FAILURE(pack("(8,)", "bytes(8000000)"));
    if (!IsSkipped()) expect_refused(200000);
}

/* A header that declares 80 GB in a file that holds a thousand bytes. */
TEST_F(CodecBombs, DeclareMoreThanTheyHold)
{
    ASSERT_NO_FATAL_FAILURE(pack("(10000000000,)", "bytes(1000)"));
    if (!IsSkipped()) expect_refused(2000);
}

/* A header that declares a megabyte, in a file that stands for a quarter of it: not known before it is read. */
TEST_F(CodecBombs, EndBeforeTheirArray)
{
    ASSERT_NO_FATAL_FAILURE(pack("(125000,)", "bytes(250000)"));
    if (!IsSkipped()) expect_refused(20000);
}
