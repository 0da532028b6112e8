/* SPDX-License-Identifier: BSD-3-Clause */
/* test_codec.cc - arrays compressed by every codec there is: the same again, readable by others, refused when damaged.
 */
#include "rest/packed.h"
#include "rest/samples.h"

#include <fcntl.h>
#include <unistd.h>

using Codec = Packed;

TEST_F(Codec, GivesBackWhatItWasGivenAtEveryLevel)
{
    std::vector<double> values = waves(3000);
    for (const std::string &codec : codecs())
        for (int level = 0; level <= 9; level++) {
            ASSERT_EQ(dump(values, "a", codec.c_str(), level), PARLOOM_OK) << codec << " " << error.message;
            Loaded loaded(path("a"));
            EXPECT_TRUE(loaded.equals(values)) << codec << ":" << level << " " << loaded.error.message;
        }
}

TEST_F(Codec, GivesBackEveryDtypeOrderAndDimension)
{
    for (const std::string &codec : codecs())
        for (const named_dtype &dtype : DTYPES)
            for (const std::vector<size_t> &shape : SHAPES)
                for (bool is_fortran : { false, true }) {
                    std::string memory;
                    parloom_array array = make(dtype, shape, is_fortran, memory);
                    ASSERT_EQ(parloom_array_dump(&array, path("a").c_str(), codec.c_str(), 0, &error), PARLOOM_OK);
                    Loaded loaded(path("a"));
                    ASSERT_EQ(loaded.status, PARLOOM_OK) << codec << " " << loaded.error.message;
                    EXPECT_EQ(in_c_order(loaded.array), in_c_order(array)) << codec << " " << dtype.numpy;
                }
}

TEST_F(Codec, GivesBackViewsAndNothing)
{
    std::vector<double> values = waves(400000), none;
    parloom_array whole = wrap(values), every_third;
    ASSERT_EQ(parloom_array_slice(&every_third, &whole, 0, 1, values.size(), 3, &error), PARLOOM_OK);
    std::vector<double> wanted;
    for (size_t k = 1; k < values.size(); k += 3) wanted.push_back(values[k]);
    for (const std::string &codec : codecs()) {
        ASSERT_EQ(parloom_array_dump(&every_third, path("a").c_str(), codec.c_str(), 1, &error), PARLOOM_OK) << codec;
        EXPECT_TRUE(Loaded(path("a")).equals(wanted)) << codec;
        ASSERT_EQ(dump(none, "a", codec.c_str()), PARLOOM_OK) << codec << " " << error.message;
        EXPECT_TRUE(Loaded(path("a")).equals(none)) << codec;
    }
}

TEST_F(Codec, WritesTheSameBytesForAnyNumberOfThreads)
{
    std::vector<double> values = waves(2500000); /* 20 MB: several frames */
    for (const std::string &codec : codecs()) {
        if (codec == "xz" || codec == "lzma" || codec == "bz2") continue; /* minutes under a sanitizer */
        std::string bytes;
        for (int n_jobs : { 1, 2, 3 }) {
            parloom_options options = PARLOOM_OPTIONS_INIT;
            options.n_jobs = n_jobs;
            ASSERT_EQ(parloom_scope_begin(&options, &error), PARLOOM_OK);
            ASSERT_EQ(dump(values, "a", codec.c_str(), 1), PARLOOM_OK) << codec << " " << error.message;
            parloom_scope_end();
            if (n_jobs == 1) bytes = read(path("a"));
            EXPECT_EQ(bytes == read(path("a")), true) << codec << " on " << n_jobs;
        }
        EXPECT_TRUE(Loaded(path("a")).equals(values)) << codec;
    }
}

TEST_F(Codec, CompressesInAScopeWhoseOptionsFitNoThreads)
{
    LOOM_NEEDS_CODECS("gzip");
    std::vector<double> values = waves(2500000);
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    options.require = PARLOOM_REQUIRE_ISOLATION;
    options.task_timeout = 1e-9;
    options.timeout = 1e-9;
    options.verbose = 50;
    ASSERT_EQ(parloom_scope_begin(&options, &error), PARLOOM_OK);
    parloom_status status = dump(values, "a.gz", nullptr);
    parloom_scope_end();
    ASSERT_EQ(status, PARLOOM_OK) << error.message;
    EXPECT_TRUE(Loaded(path("a.gz")).equals(values));
}

namespace
{

int dump_in_task(const parloom_task *task, void *const *args)
{
    std::vector<double> values = waves(700000);
    parloom_array array = wrap(values);
    std::string file = std::string(static_cast<const char *>(args[0])) + "/" + std::to_string(task->index);
    return parloom_array_dump(&array, file.c_str(), "gzip", 1, nullptr);
}

} // namespace

class CodecOn : public Packed, public ::testing::WithParamInterface<const char *>
{
};

TEST_P(CodecOn, CompressesInTasks)
{
    LOOM_NEEDS_CODECS("gzip");
    std::string name = folder.string();
    parloom_arg args[] = { parloom_in(name.c_str(), name.size() + 1) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.n_jobs = 2;
    options.backend = GetParam();
    ASSERT_EQ(parloom_for(4, dump_in_task, args, 1, &options, &error), PARLOOM_OK) << error.message;
    for (int k = 0; k < 4; k++) EXPECT_TRUE(Loaded(path(std::to_string(k))).equals(waves(700000))) << k;
}

INSTANTIATE_TEST_SUITE_P(Backends, CodecOn, ::testing::Values("sequential", "threads", "processes", "fork"),
                         [](const auto &info) { return std::string(info.param); });

/* -------------------------------------------------------------------------- names */

TEST_F(Codec, IsFoundByTheEndingOfANameInAnyCase)
{
    std::vector<double> values = waves(100);
    const struct {
        const char *ending, *magic;
    } ENDINGS[] = {
        { ".z", "\x78" },         { ".gz", "\x1f\x8b" }, { ".GZ", "\x1f\x8b" },          { ".bz2", "BZh" },
        { ".xz", "\xfd\x37zXZ" }, { ".lzma", "\x5d" },   { ".lz4", "\x04\x22\x4d\x18" }, { ".zst", "\x28\xb5\x2f\xfd" },
        { ".blosc", "\x02\x01" }, { "", "\x93NUMPY" }
    };
    for (const auto &named : ENDINGS) {
        std::string file = std::string("a.npy") + named.ending;
        parloom_status status = dump(values, file, nullptr);
        if (status == PARLOOM_ERR_UNSUPPORTED) continue; /* a build without it */
        ASSERT_EQ(status, PARLOOM_OK) << error.message;
        EXPECT_EQ(read(path(file)).substr(0, strlen(named.magic)), named.magic) << file;
    }
}

TEST_F(Codec, IsKnownByContentWhateverTheName)
{
    std::vector<double> values = waves(100);
    for (const std::string &codec : codecs()) {
        ASSERT_EQ(dump(values, "a.npy", codec.c_str()), PARLOOM_OK) << error.message;
        EXPECT_NE(read(path("a.npy")).substr(1, 5), "NUMPY");
        EXPECT_TRUE(Loaded(path("a.npy")).equals(values)) << codec;
    }
    ASSERT_EQ(dump(values, "a.gz", "none"), PARLOOM_OK);
    EXPECT_EQ(read(path("a.gz")).substr(1, 5), "NUMPY");
    EXPECT_TRUE(Loaded(path("a.gz")).equals(values));
}

TEST_F(Codec, RefusesNamesAndLevelsThatAreNone)
{
    LOOM_NEEDS_CODECS("zlib", "blosc");
    std::vector<double> values = waves(10);
    EXPECT_EQ(dump(values, "a", "zlb"), PARLOOM_ERR_INVALID);
    EXPECT_NE(strstr(error.message, "did you mean \"zlib\""), nullptr) << error.message;
    EXPECT_NE(strstr(error.message, "blosc"), nullptr) << error.message;
    EXPECT_EQ(dump(values, "a", ""), PARLOOM_ERR_INVALID);
    for (const char *codec : { "zlib:", "zlib:10", "zlib:-1", "zlib:a", "zlib:3:3", "zlib:3 ", "none:3" })
        EXPECT_EQ(dump(values, "a", codec), PARLOOM_ERR_INVALID) << codec;
    for (int level : { -1, 10, 1 << 20 }) EXPECT_EQ(dump(values, "a", "zlib", level), PARLOOM_ERR_INVALID) << level;
    EXPECT_EQ(dump(values, "a", "zlib:3", 4), PARLOOM_ERR_INVALID);
    EXPECT_EQ(dump(values, "a", "none", 4), PARLOOM_ERR_INVALID);
    EXPECT_FALSE(std::filesystem::exists(path("a")));
    EXPECT_EQ(dump(values, "a", "zlib:3", 3), PARLOOM_OK);
    EXPECT_EQ(dump(values, "a", "zlib:0"), PARLOOM_OK);
}

/* Also a build without any of their libraries knows their names and what they wrote. */
TEST_F(Codec, IsThereOrRefusedWithWhatItNeeds)
{
    std::vector<double> values = waves(10);
    const struct {
        const char *name, *begin, *option;
    } BUILT_IN[] = {
        { "zlib", "\x78\x9c", "PARLOOM_WITH_ZLIB" },       { "gzip", "\x1f\x8b\x08", "PARLOOM_WITH_ZLIB" },
        { "bz2", "BZh91AY&SY", "PARLOOM_WITH_BZ2" },       { "xz", "\xfd\x37zXZ", "PARLOOM_WITH_LZMA" },
        { "lz4", "\x04\x22\x4d\x18", "PARLOOM_WITH_LZ4" }, { "zstd", "\x28\xb5\x2f\xfd", "PARLOOM_WITH_ZSTD" }
    };
    for (const auto &codec : BUILT_IN) {
        bool is_there = missing_codec({ codec.name }).empty();
        EXPECT_EQ(dump(values, "a", codec.name), is_there ? PARLOOM_OK : PARLOOM_ERR_UNSUPPORTED) << codec.name;
        EXPECT_EQ(strstr(error.message, codec.option) != nullptr, !is_there) << error.message;
        EXPECT_EQ(strstr(error.message, "apt-get install") != nullptr, !is_there) << error.message;
        std::string bytes = codec.begin;
        bytes.resize(64);
        write(path("b"), bytes);
        Loaded loaded(path("b"));
        EXPECT_EQ(loaded.status, is_there ? PARLOOM_ERR_FORMAT : PARLOOM_ERR_UNSUPPORTED)
            << codec.name << " " << loaded.error.message;
        EXPECT_EQ(strstr(loaded.error.message, codec.option) != nullptr, !is_there) << loaded.error.message;
    }
}

/* joblib's compress=3. */
TEST_F(Codec, IsZlibWhereThereIsALevelAlone)
{
    std::vector<double> values = waves(20000);
    if (dump(values, "wanted", "zlib", 6) == PARLOOM_ERR_UNSUPPORTED) GTEST_SKIP() << "this build is without zlib";
    for (const char *file : { "a", "a.npy" }) {
        ASSERT_EQ(dump(values, file, nullptr, 6), PARLOOM_OK) << error.message;
        EXPECT_EQ(read(path(file)), read(path("wanted"))) << file;
    }
    ASSERT_EQ(dump(values, "a.npy.gz", nullptr, 6), PARLOOM_OK);
    EXPECT_EQ(read(path("a.npy.gz")).substr(0, 2), "\x1f\x8b"); /* what the name says wins */
    parloom_array array = wrap(values);
    int fd = open(path("fd").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(parloom_array_dump_fd(&array, fd, nullptr, 6, &error), PARLOOM_OK) << error.message;
    close(fd);
    EXPECT_EQ(read(path("fd")), read(path("wanted")));
}

TEST_F(Codec, CompressesMoreAtAHigherLevel)
{
    std::vector<double> values = waves(200000);
    for (const char *codec : { "zlib", "gzip", "zstd", "lz4" }) {
        if (dump(values, "fast", codec, 1) == PARLOOM_ERR_UNSUPPORTED) continue;
        ASSERT_EQ(dump(values, "small", codec, 9), PARLOOM_OK);
        EXPECT_LT(std::filesystem::file_size(path("small")), std::filesystem::file_size(path("fast"))) << codec;
    }
}

/* ------------------------------------------------------------------------- others */

static const char *const PYTHON_WAVES = R"(
import io, numpy as np
n = 1200000
k = np.arange(n, dtype=np.uint64)
waves = ((k * np.uint64(2654435761)) >> np.uint64(7)) % np.uint64(1000)
waves = waves.astype('f8') + np.where(k % np.uint64(7) == 0, 0.125, 0)
)";

TEST_F(Codec, IsReadByPython)
{
    LOOM_NEEDS_CODECS("zlib", "gzip", "bz2", "xz", "lzma");
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    std::vector<double> values = waves(1200000); /* 10 MB: more than a frame of most */
    for (const char *ending : { ".z", ".gz", ".bz2", ".xz", ".lzma" })
        ASSERT_EQ(dump(values, std::string("a.npy") + ending, nullptr, 1), PARLOOM_OK) << error.message;
    EXPECT_EQ(run_python(folder, std::string(PYTHON_WAVES) + R"(
import gzip, bz2, lzma, zlib
def check(file):
    assert np.array_equal(np.load(file), waves)
check(gzip.open('a.npy.gz'))
check(bz2.open('a.npy.bz2'))
check(lzma.open('a.npy.xz'))
check(lzma.open('a.npy.lzma'))
check(io.BytesIO(zlib.decompress(open('a.npy.z', 'rb').read())))
)"),
              "");
}

/* Parts that were compressed at once, as pigz does it: each but the last ends with an empty block. */
TEST_F(Codec, WritesZlibInPartsThatAreOneStream)
{
    LOOM_NEEDS_CODECS("zlib");
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    std::vector<double> values = waves(1200000); /* three parts */
    parloom_array whole = wrap(values), every_second;
    ASSERT_EQ(parloom_array_slice(&every_second, &whole, 0, 0, values.size(), 2, &error), PARLOOM_OK);
    for (const char *level : { "1", "3", "6" }) {
        parloom_dump_options options = {};
        options.codec = "zlib";
        options.level = level[0] - '0';
        options.n_jobs = 2;
        ASSERT_EQ(parloom_array_dump_with(&whole, path(level).c_str(), &options, &error), PARLOOM_OK) << error.message;
        EXPECT_TRUE(Loaded(path(level)).equals(values)) << level;
        std::string file = path(std::string("half") + level);
        ASSERT_EQ(parloom_array_dump_with(&every_second, file.c_str(), &options, &error), PARLOOM_OK);
        EXPECT_EQ(Loaded(file).status, PARLOOM_OK);
    }
    EXPECT_EQ(run_python(folder, std::string(PYTHON_WAVES) + R"(
import zlib
for level in '136':
    packed = open(level, 'rb').read()
    stream = zlib.decompressobj()
    data = stream.decompress(packed)
    assert stream.eof and not stream.unused_data, level
    assert np.array_equal(np.load(io.BytesIO(data)), waves), level
    assert packed[:2] == zlib.compress(b'', int(level))[:2], level
    assert packed.count(b'\x00\x00\xff\xff') >= 2, level
    half = zlib.decompress(open('half' + level, 'rb').read())
    assert np.array_equal(np.load(io.BytesIO(half)), waves[::2]), level
assert len(open('6', 'rb').read()) < 1.01 * len(zlib.compress(data, 6))
)"),
              "");
}

/* Where a part ends does not matter to who decompresses: also at sizes that leave no room for its last bytes. */
TEST_F(Codec, EndsPartsOfZlibAtAnySize)
{
    LOOM_NEEDS_CODECS("zlib");
    const size_t part = ((size_t)4 << 20) / sizeof(double);
    for (size_t n : { part - 16, part - 15, part + 1 })
        for (int level : { 1, 4 }) {
            for (bool is_noise : { false, true }) {
                std::vector<double> values(n, 1.5);
                uint64_t state = n;
                for (double &value : values) {
                    if (!is_noise) break;
                    state = state * 6364136223846793005u + 1442695040888963407u;
                    memcpy(&value, &state, sizeof value);
                }
                ASSERT_EQ(dump(values, "a", "zlib", level), PARLOOM_OK) << error.message;
                EXPECT_TRUE(Loaded(path("a")).equals(values)) << n << " at level " << level;
            }
        }
}

TEST_F(Codec, IsReadByPythonsPackages)
{
    LOOM_NEEDS_CODECS("lz4", "zstd", "blosc");
    if (std::system("/usr/bin/python3 -c 'import numpy, blosc, lz4.frame, zstandard' 2>/dev/null") != 0)
        GTEST_SKIP() << "python3-blosc, python3-lz4 or python3-zstandard is not installed";
    std::vector<double> values = waves(1200000);
    for (const char *codec : { "lz4", "zstd", "blosc", "blosc-zstd" })
        ASSERT_EQ(dump(values, codec, codec), PARLOOM_OK) << error.message;
    EXPECT_EQ(run_python(folder, std::string(PYTHON_WAVES) + R"(
import blosc, lz4.frame, zstandard, struct
def check(file):
    assert np.array_equal(np.load(file), waves)
check(lz4.frame.open('lz4'))
with open('zstd', 'rb') as f:
    check(io.BytesIO(zstandard.ZstdDecompressor().stream_reader(f, read_across_frames=True).read()))
for name in ('blosc', 'blosc-zstd'):
    packed = open(name, 'rb').read()
    whole, at = b'', 0
    while at < len(packed):
        nbytes = struct.unpack_from('<I', packed, at + 12)[0]
        whole += blosc.decompress(packed[at:at + nbytes])
        at += nbytes
    check(io.BytesIO(whole))
)"),
              "");
}

TEST_F(Codec, ReadsWhatPythonWrote)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    ASSERT_EQ(run_python(folder, std::string(PYTHON_WAVES) + R"(
import gzip, bz2, lzma, zlib
file = io.BytesIO()
waves = waves[:50000]
np.save(file, waves)
data = file.getvalue()
def save(name, packed):
    open(name, 'wb').write(packed)
save('zlib', zlib.compress(data))
save('gzip', gzip.compress(data))
save('bz2', bz2.compress(data))
save('xz', lzma.compress(data))
save('lzma', lzma.compress(data, format=lzma.FORMAT_ALONE))
save('members', gzip.compress(data[:1000]) + gzip.compress(data[1000:]))
try:
    import blosc, lz4.frame, zstandard
    save('lz4', lz4.frame.compress(data))
    save('zstd', zstandard.ZstdCompressor().compress(data))
    save('blosc', blosc.compress(data, typesize=8, cname='zstd'))
except ImportError:
    pass
np.save('swapped.npy', waves.astype('>f8'))
save('swapped', gzip.compress(open('swapped.npy', 'rb').read()))
)"),
              "");
    std::vector<double> values = waves(50000);
    for (const std::string name :
         { "zlib", "gzip", "bz2", "xz", "lzma", "members", "lz4", "zstd", "blosc", "swapped" }) {
        if (!std::filesystem::exists(path(name))) continue;
        if (!missing_codec({ name == "members" || name == "swapped" ? "gzip" : name }).empty()) continue;
        Loaded loaded(path(name));
        EXPECT_TRUE(loaded.equals(values)) << name << " " << loaded.error.message;
    }
}

/* ------------------------------------------------------------------------ mapping */

TEST_F(Codec, IsReadIntoMemoryWithOneWarningWhereAModeIsGiven)
{
    LOOM_NEEDS_CODECS("gzip");
    std::vector<double> values = waves(100);
    ASSERT_EQ(dump(values, "a.gz", nullptr), PARLOOM_OK);
    announce("compressed");
    Loaded loaded(path("a.gz"), PARLOOM_MMAP_R);
    EXPECT_TRUE(loaded.equals(values));
    EXPECT_TRUE(parloom_array_is_writable(&loaded.array));
    EXPECT_EQ(warnings().size(), 1u);
}
