/* SPDX-License-Identifier: BSD-3-Clause */
/* test_codec_hostile.cc - compressed files that were cut, changed, or made to lie: a status, and nothing taken. */
#include "rest/packed.h"
#include "support/corpus.h"

#include "rest/codec.h"
#include "rest/npy.h"

#include <sys/mman.h>
#include <unistd.h>

using CodecHostile = Packed;

namespace
{

/* A status that a damaged file may have. */
bool is_refusal(parloom_status status)
{
    return status == PARLOOM_ERR_FORMAT || status == PARLOOM_ERR_UNSUPPORTED || status == PARLOOM_ERR_MEMORY ||
           status == PARLOOM_ERR_SPACE;
}

/* A file in memory: thousands of them are written here. */
class MemoryFile
{
  public:
    MemoryFile() : fd(memfd_create("packed", MFD_CLOEXEC)) {}
    MemoryFile(const MemoryFile &) = delete;
    MemoryFile &operator=(const MemoryFile &) = delete;
    ~MemoryFile() { close(fd); }
    std::string path() const { return "/proc/self/fd/" + std::to_string(fd); }
    void write(const std::string &bytes) const
    {
        ASSERT_EQ(ftruncate(fd, static_cast<off_t>(bytes.size())), 0);
        ASSERT_EQ(pwrite(fd, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    }

  private:
    int fd;
};

std::string npy_header(const std::string &shape)
{
    std::string text = "{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + ", }";
    text += std::string(117 - text.size(), ' ') + "\n";
    return std::string("\x93NUMPY\x01\x00", 8) + std::string("\x76\x00", 2) + text;
}

/* "": there would be too much of it. */
std::string with_payload(const loom::Kept &kept)
{
    loom_npy_header header;
    std::string whole(kept.bytes.begin(), kept.bytes.end());
    if (kept.is_bad) return "";
    EXPECT_EQ(loom_npy_parse(whole.data(), whole.size(), "header", &header, nullptr), PARLOOM_OK);
    if (header.payload_offset + header.payload_nbytes > 2000) return "";
    whole.resize(header.payload_offset + header.payload_nbytes, '\1');
    return whole;
}

/* Any bytes, as one stream. */
std::string pack(const std::string &name, const std::string &plain)
{
    loom_codec *codec = loom_codec_find(name.data(), name.size());
    std::string packed(2 * plain.size() + 1024, '\0');
    void *stream = nullptr;
    parloom_error error;
    parloom_codec_step step = { plain.data(), plain.size(), packed.data(), packed.size(), true, false };
    EXPECT_EQ(loom_codec_open(codec, 1, 8, &stream, &error), PARLOOM_OK);
    while (!step.is_done && loom_codec_step(codec, stream, &step, &error) == PARLOOM_OK) {}
    EXPECT_TRUE(step.is_done) << name;
    codec->ops.close(stream);
    loom_codec_release(codec);
    packed.resize(packed.size() - step.out_nbytes);
    return packed;
}

} // namespace

TEST_F(CodecHostile, RefusesEveryPrefix)
{
    std::vector<double> values = waves(60);
    MemoryFile file;
    for (const std::string &codec : codecs()) {
        ASSERT_EQ(dump(values, "whole", codec.c_str()), PARLOOM_OK);
        std::string bytes = read(path("whole"));
        for (size_t length = 0; length < bytes.size(); length++) {
            file.write(bytes.substr(0, length));
            Loaded loaded(file.path());
            EXPECT_TRUE(is_refusal(loaded.status)) << codec << " at " << length << ": " << loaded.status;
        }
    }
}

TEST_F(CodecHostile, SurvivesEveryFlippedBit)
{
    std::vector<double> values = waves(30);
    MemoryFile file;
    for (const std::string &codec : codecs()) {
        ASSERT_EQ(dump(values, "whole", codec.c_str()), PARLOOM_OK);
        std::string bytes = read(path("whole"));
        for (size_t bit = 0; bit < bytes.size() * 8; bit++) {
            std::string flipped = bytes;
            flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
            file.write(flipped);
            Loaded loaded(file.path());
            bool has_checksum = codec.rfind("blosc", 0) != 0 && codec != "lzma";
            if (loaded.status == PARLOOM_OK && has_checksum)
                EXPECT_TRUE(loaded.equals(values)) << codec << " bit " << bit;
            else
                EXPECT_TRUE(loaded.status == PARLOOM_OK || is_refusal(loaded.status)) << codec << " " << loaded.status;
        }
    }
}

/* Every version, order and kind of dtype of which the fuzzer's corpus has a file, each with the next codec. */
TEST_F(CodecHostile, SurvivesFilesOfEveryKindCutAndFlipped)
{
    MemoryFile file;
    size_t files = 0;
    for (const loom::Kept &kept : loom::corpus("npy")) {
        std::vector<std::string> names = codecs();
        std::string plain = with_payload(kept);
        if (plain.empty()) continue;
        const std::string &codec = names[files++ % names.size()];
        std::string bytes = pack(codec, plain);
        for (size_t length = 0; length < bytes.size(); length++) {
            file.write(bytes.substr(0, length));
            EXPECT_TRUE(is_refusal(Loaded(file.path()).status)) << kept.path << " " << codec << " at " << length;
        }
        for (size_t bit = 0; bit < bytes.size() * 8; bit++) {
            bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
            file.write(bytes);
            parloom_status status = Loaded(file.path()).status;
            EXPECT_TRUE(status == PARLOOM_OK || is_refusal(status)) << kept.path << " " << codec << " bit " << bit;
            bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
        }
        file.write(bytes);
        EXPECT_EQ(Loaded(file.path()).status, PARLOOM_OK) << kept.path << " " << codec;
    }
    EXPECT_GE(files, 20U);
}

TEST_F(CodecHostile, RefusesWhatComesAfterTheArray)
{
    std::vector<double> values = waves(60);
    for (const std::string &codec : codecs()) {
        ASSERT_EQ(dump(values, "whole", codec.c_str()), PARLOOM_OK);
        std::string bytes = read(path("whole"));
        for (const std::string &more : { std::string("x"), std::string(100, 'x'), bytes }) {
            write(path("longer"), bytes + more);
            EXPECT_EQ(Loaded(path("longer")).status, PARLOOM_ERR_FORMAT) << codec << " and " << more.size();
        }
    }
}

/* Ten million zeros behind a header that declares eight items: what comes after them is never written. */
TEST_F(CodecHostile, WritesNotMoreThanTheHeaderDeclares)
{
    LOOM_NEEDS_CODECS("gzip", "bz2", "zlib", "xz");
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    write(path("header"), npy_header("(8,)"));
    ASSERT_EQ(run_python(folder, R"(
import gzip, bz2, lzma, zlib
data = open('header', 'rb').read() + bytes(10000000)
for name, packed in (('gzip', gzip.compress(data)), ('bz2', bz2.compress(data)), ('zlib', zlib.compress(data)),
                     ('xz', lzma.compress(data)), ('lzma', lzma.compress(data, format=lzma.FORMAT_ALONE))):
    open(name, 'wb').write(packed)
)"),
              "");
    for (const char *name : { "gzip", "bz2", "zlib", "xz", "lzma" }) {
        Loaded loaded(path(name));
        EXPECT_EQ(loaded.status, PARLOOM_ERR_FORMAT) << name;
        EXPECT_NE(strstr(loaded.error.message, "more than its header declares"), nullptr) << loaded.error.message;
    }
}

/* A header that declares 80 GB in a file of some hundred bytes: no memory is asked for, so none can be short. */
TEST_F(CodecHostile, AsksForNoMemoryThatTheFileCannotFill)
{
    LOOM_NEEDS_CODECS("gzip", "xz");
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    write(path("header"), npy_header("(10000000000,)"));
    ASSERT_EQ(run_python(folder, R"(
import gzip, lzma, zlib
data = open('header', 'rb').read() + bytes(1000)
for name, packed in (('gzip', gzip.compress(data)), ('zlib', zlib.compress(data)), ('xz', lzma.compress(data))):
    open(name, 'wb').write(packed)
)"),
              "");
    for (const char *name : { "gzip", "zlib", "xz" }) {
        Loaded loaded(path(name));
        EXPECT_EQ(loaded.status, PARLOOM_ERR_FORMAT) << name;
        EXPECT_NE(strstr(loaded.error.message, "cannot hold"), nullptr) << loaded.error.message;
    }
}
