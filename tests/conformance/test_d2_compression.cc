/* SPDX-License-Identifier: BSD-3-Clause */
/* D2, and what of D1 is compressed: codecs by name, level and ending; through descriptors; codecs that are registered.
 */
#include "rest/packed.h"

#include <fcntl.h>
#include <set>
#include <sys/mman.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

class Conformance : public Packed
{
  protected:
    /* The first bytes of what was written. */
    std::string head(const std::string &file, size_t nbytes) const { return read(path(file)).substr(0, nbytes); }
    bool is_same(const std::string &file, const std::vector<double> &values) const
    {
        Loaded loaded(path(file));
        return loaded.equals(values);
    }
};

namespace
{

const struct {
    const char *codec, *ending, *magic;
} METHODS[] = {
    { "zlib", ".z", "\x78" },    { "gzip", ".gz", "\x1f\x8b" },           { "bz2", ".bz2", "BZ" },
    { "lzma", ".lzma", "\x5d" }, { "xz", ".xz", "\xfd\x37\x7a\x58\x5a" }, { "lz4", ".lz4", "\x04\x22\x4d\x18" }
};

/* A build may be without a library. */
bool has(const char *codec)
{
    std::vector<std::string> known = codecs();
    return std::find(known.begin(), known.end(), codec) != known.end();
}

/* A descriptor that is closed with its scope. */
struct Descriptor {
    explicit Descriptor(int opened) : fd(opened) {}
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    ~Descriptor()
    {
        if (fd >= 0) close(fd);
    }
    int fd;
};

parloom_status send(std::vector<double> values, int fd, const char *codec, parloom_error *error = nullptr)
{
    parloom_array array = wrap(values);
    return parloom_array_dump_fd(&array, fd, codec, 0, error);
}

} // namespace

TEST_F(Conformance, D1_06_ArrayLargerThanABuffer)
{
    std::vector<double> values = waves(((1 << 20) + 100) / sizeof(double) + 1);
    for (const std::string &codec : codecs()) {
        ASSERT_EQ(dump(values, "a", codec.c_str(), 1), PARLOOM_OK) << error.message;
        EXPECT_TRUE(is_same("a", values)) << codec;
    }
}

TEST_F(Conformance, D1_12_MapModeOfACompressedFileIsOneWarning)
{
    LOOM_NEEDS_CODECS("zlib");
    std::vector<double> values = waves(100);
    ASSERT_EQ(dump(values, "a", "zlib"), PARLOOM_OK);
    announce("compressed");
    Loaded loaded(path("a"), PARLOOM_MMAP_R);
    EXPECT_TRUE(loaded.equals(values));
    EXPECT_EQ(warnings().size(), 1u);
}

TEST_F(Conformance, D1_14_BothByteOrdersInAGzipFile)
{
    LOOM_NEEDS_CODECS("gzip");
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    ASSERT_EQ(run_python(folder, R"(
import gzip, io, numpy as np, zipfile
types = (('i', '<i4'), ('I', '>i4'), ('f', '<f8'), ('F', '>f8'), ('s', 'S5'), ('u', '<U5'), ('U', '>U5'))
with zipfile.ZipFile('all.npz', 'w', zipfile.ZIP_DEFLATED) as together: # one file with all of them
    for name, dtype in types:
        array = np.array(['12345'] if dtype[-1] == '5' else [1, 2, 70000], dtype)
        file = io.BytesIO()
        np.save(file, array)
        together.writestr(name + '.npy', file.getvalue())
        gzip.open(name + '.npy.gz', 'wb').write(file.getvalue())
)"),
              "");
    parloom_npz *npz = nullptr;
    ASSERT_EQ(parloom_npz_open(&npz, path("all.npz").c_str(), &error), PARLOOM_OK) << error.message;
    for (const char *name : { "i", "I", "f", "F", "s", "u", "U" }) {
        Loaded loaded(path(name + std::string(".npy.gz")));
        ASSERT_EQ(loaded.status, PARLOOM_OK) << loaded.error.message;
        parloom_array member;
        ASSERT_EQ(parloom_npz_load(&member, npz, name, PARLOOM_MMAP_UNSET, &error), PARLOOM_OK) << error.message;
        for (const parloom_array *array : { &loaded.array, &member }) {
            EXPECT_TRUE(parloom_array_is_native(array)) << name;
            if (strchr("iI", *name) != nullptr) {
                ASSERT_EQ(array->dtype, PARLOOM_I32);
                EXPECT_EQ(static_cast<const int *>(array->data)[2], 70000);
            } else if (strchr("fF", *name) != nullptr) {
                ASSERT_EQ(array->dtype, PARLOOM_F64);
                EXPECT_EQ(static_cast<const double *>(array->data)[2], 70000);
            } else if (*name == 's') {
                ASSERT_EQ(array->item_nbytes, 5u);
                EXPECT_EQ(memcmp(array->data, "12345", 5), 0);
            } else {
                ASSERT_EQ(array->item_nbytes, 20u);
                EXPECT_EQ(memcmp(array->data, U"12345", 20), 0);
            }
        }
        parloom_array_release(&member);
    }
    parloom_npz_close(npz);
}

TEST_F(Conformance, D2_01_NameAndLevelWriteTheRightMagic)
{
    LOOM_NEEDS_CODECS("zlib", "gzip");
    std::vector<double> values = waves(100);
    ASSERT_EQ(dump(values, "z", "zlib", 3), PARLOOM_OK);
    ASSERT_EQ(dump(values, "g", "gzip:3"), PARLOOM_OK);
    EXPECT_EQ(head("z", 1), "\x78");
    EXPECT_EQ(head("g", 2), "\x1f\x8b");
}

TEST_F(Conformance, D2_02_ThreeWaysToBeWrongAreThreeErrors)
{
    LOOM_NEEDS_CODECS("zlib");
    std::vector<double> values = waves(10);
    std::set<std::string> said;
    for (const char *codec : { "zlib:3:extra", "secret:3", "zlib:secret" }) {
        EXPECT_EQ(dump(values, "a", codec), PARLOOM_ERR_INVALID) << codec;
        said.insert(error.message);
    }
    EXPECT_EQ(said.size(), 3u);
}

TEST_F(Conformance, D2_03_ANameSelectsTheMethod)
{
    LOOM_NEEDS_CODECS("zlib", "gzip");
    std::vector<double> values = waves(100);
    ASSERT_EQ(dump(values, "z.npy", "zlib"), PARLOOM_OK);
    ASSERT_EQ(dump(values, "g.npy", "gzip"), PARLOOM_OK);
    EXPECT_EQ(head("z.npy", 1), "\x78");
    EXPECT_EQ(head("g.npy", 2), "\x1f\x8b");
    EXPECT_TRUE(is_same("z.npy", values) && is_same("g.npy", values));
}

TEST_F(Conformance, D2_04_AllMethodsAndLevels)
{
    std::vector<std::vector<double>> kept = { {},         { 1 },       { 0, -0.0 },  waves(7),
                                              waves(100), waves(1000), waves(20000), std::vector<double>(30000, 1.5) };
    for (const auto &method : METHODS) {
        if (!has(method.codec)) continue;
        for (int level : { 1, 3, 6 })
            for (std::vector<double> &values : kept) {
                ASSERT_EQ(dump(values, "a", method.codec, level), PARLOOM_OK) << error.message;
                EXPECT_EQ(head("a", strlen(method.magic)), method.magic) << method.codec;
                EXPECT_TRUE(is_same("a", values)) << method.codec << ":" << level << " of " << values.size();
            }
    }
}

TEST_F(Conformance, D2_05_WhatAnotherToolUnpackedLoads)
{
    LOOM_NEEDS_CODECS("zlib", "gzip");
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    std::vector<double> values = waves(1000);
    ASSERT_EQ(dump(values, "a.npy.gz", nullptr), PARLOOM_OK);
    ASSERT_EQ(dump(values, "b.npy.z", nullptr), PARLOOM_OK);
    ASSERT_EQ(run_python(folder, R"(
import gzip, zlib
open('a.npy', 'wb').write(gzip.open('a.npy.gz').read())
open('b.npy', 'wb').write(zlib.decompress(open('b.npy.z', 'rb').read()))
)"),
              "");
    EXPECT_TRUE(is_same("a.npy", values) && is_same("b.npy", values));
}

TEST_F(Conformance, D2_06_TheEndingSelectsTheMethod)
{
    std::vector<double> values = waves(100);
    for (const auto &method : METHODS) {
        if (!has(method.codec)) continue;
        ASSERT_EQ(dump(values, std::string("a.npy") + method.ending, nullptr), PARLOOM_OK) << error.message;
        EXPECT_EQ(head(std::string("a.npy") + method.ending, strlen(method.magic)), method.magic);
    }
    for (const char *plain : { "a.npy", "a" }) {
        ASSERT_EQ(dump(values, plain, nullptr), PARLOOM_OK);
        EXPECT_EQ(head(plain, 6), "\x93NUMPY");
    }
}

TEST_F(Conformance, D2_07_AnOpenFileIsWrittenAndItsCodecFoundByItself)
{
    std::vector<double> values = waves(5000);
    for (const std::string &codec : codecs()) {
        Descriptor file(open(path("a").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        ASSERT_EQ(send(values, file.fd, codec.c_str(), &error), PARLOOM_OK) << error.message;
        ASSERT_EQ(lseek(file.fd, 0, SEEK_SET), 0);
        EXPECT_TRUE(Loaded(file.fd, PARLOOM_MMAP_UNSET).equals(values)) << codec;
    }
}

TEST_F(Conformance, D2_08_InMemory)
{
    std::vector<double> values = waves(5000);
    Descriptor memory(memfd_create("memory", MFD_CLOEXEC));
    ASSERT_EQ(send(values, memory.fd, nullptr, &error), PARLOOM_OK) << error.message;
    ASSERT_EQ(lseek(memory.fd, 0, SEEK_SET), 0);
    EXPECT_TRUE(Loaded(memory.fd, PARLOOM_MMAP_UNSET).equals(values));
}

TEST_F(Conformance, D2_09_AnOpenFileIsMapped)
{
    std::vector<double> values = waves(5000);
    ASSERT_EQ(dump(values, "a.npy", nullptr), PARLOOM_OK);
    Descriptor file(open(path("a.npy").c_str(), O_RDONLY | O_CLOEXEC));
    Loaded loaded(file.fd, PARLOOM_MMAP_R);
    EXPECT_TRUE(loaded.equals(values)) << loaded.error.message;
    EXPECT_TRUE(parloom_array_is_memmap(&loaded.array));
    EXPECT_FALSE(parloom_array_is_writable(&loaded.array));
}

TEST_F(Conformance, D2_10_AnOpenCompressedFileIsNotMappedWithAWarning)
{
    LOOM_NEEDS_CODECS("gzip");
    std::vector<double> values = waves(5000);
    ASSERT_EQ(dump(values, "a.gz", nullptr), PARLOOM_OK);
    announce("not mapped");
    Descriptor file(open(path("a.gz").c_str(), O_RDONLY | O_CLOEXEC));
    Loaded loaded(file.fd, PARLOOM_MMAP_R);
    EXPECT_TRUE(loaded.equals(values)) << loaded.error.message;
    EXPECT_EQ(warnings().size(), 1u);
}

TEST_F(Conformance, D2_11_AStreamIsNotMappedWithAWarning)
{
    std::vector<double> values = waves(100);
    announce("not a regular file");
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    Descriptor out(ends[0]), in(ends[1]);
    ASSERT_EQ(send(values, in.fd, nullptr), PARLOOM_OK);
    EXPECT_TRUE(Loaded(out.fd, PARLOOM_MMAP_R).equals(values));
    EXPECT_EQ(warnings().size(), 1u);
}

TEST_F(Conformance, D2_12_AZlibStreamInOneDirectionAtATime)
{
    LOOM_NEEDS_CODECS("zlib");
    for (size_t n : { size_t{ 3 }, size_t{ 200000 } })
        for (const char *codec : { "zlib:1", "zlib:3", "zlib:9" }) {
            std::vector<double> values = waves(n);
            Descriptor writer(open(path("a").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
            ASSERT_EQ(send(values, writer.fd, codec, &error), PARLOOM_OK) << error.message;
            Loaded backwards(writer.fd, PARLOOM_MMAP_UNSET);
            EXPECT_EQ(backwards.status, PARLOOM_ERR_IO);
            Descriptor reader(open(path("a").c_str(), O_RDONLY | O_CLOEXEC));
            EXPECT_EQ(send(values, reader.fd, codec, &error), PARLOOM_ERR_IO);
            EXPECT_EQ(error.sys_errno, EBADF);
            EXPECT_TRUE(Loaded(reader.fd, PARLOOM_MMAP_UNSET).equals(values)) << codec;
            int closed = reader.fd;
            close(reader.fd);
            reader.fd = -1;
            EXPECT_EQ(Loaded(closed, PARLOOM_MMAP_UNSET).status, PARLOOM_ERR_IO);
            EXPECT_EQ(send(values, closed, codec), PARLOOM_ERR_IO);
        }
}

TEST_F(Conformance, D2_13_LevelsThatAreNone)
{
    LOOM_NEEDS_CODECS("zlib");
    std::vector<double> values = waves(10);
    for (int level : { -1, 10, 15 }) {
        EXPECT_EQ(dump(values, "a", "zlib", level), PARLOOM_ERR_INVALID) << level;
        EXPECT_NE(strstr(error.message, "integer between 1 and 9"), nullptr) << error.message;
    }
    for (const char *codec : { "zlib:-1", "zlib:10", "zlib:15", "zlib:a", "zlib:()", "zlib:{}" }) {
        EXPECT_EQ(dump(values, "a", codec), PARLOOM_ERR_INVALID) << codec;
        EXPECT_NE(strstr(error.message, "integer between 1 and 9"), nullptr) << error.message;
    }
}

TEST_F(Conformance, D2_14_ModesThatAreNone)
{
    LOOM_NEEDS_CODECS("zlib");
    std::vector<double> values = waves(10);
    ASSERT_EQ(dump(values, "a.z", nullptr), PARLOOM_OK);
    Descriptor file(open(path("a.z").c_str(), O_RDONLY | O_CLOEXEC));
    for (int mode : { -1, 5, 99 }) {
        auto none = static_cast<parloom_mmap_mode>(mode);
        EXPECT_EQ(Loaded(path("a.z"), none).status, PARLOOM_ERR_INVALID) << mode;
        EXPECT_EQ(Loaded(file.fd, none).status, PARLOOM_ERR_INVALID) << mode;
    }
}

TEST_F(Conformance, D2_15_WhatIsNoFile)
{
    LOOM_NEEDS_CODECS("zlib");
    std::vector<double> values = waves(10);
    EXPECT_EQ(send(values, -1, "zlib"), PARLOOM_ERR_IO);
    EXPECT_EQ(Loaded(-1, PARLOOM_MMAP_UNSET).status, PARLOOM_ERR_IO);
    Descriptor directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    EXPECT_EQ(Loaded(directory.fd, PARLOOM_MMAP_UNSET).status, PARLOOM_ERR_IO);
    parloom_array array = wrap(values);
    EXPECT_EQ(parloom_array_dump(&array, nullptr, "zlib", 3, &error), PARLOOM_ERR_INVALID);
}

TEST_F(Conformance, D2_18_ThroughASocket)
{
    LOOM_NEEDS_CODECS("gzip");
    std::vector<double> small = waves(10), large = waves(400000);
    for (const char *codec : { static_cast<const char *>(nullptr), "gzip" }) {
        int ends[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        Descriptor here(ends[0]), there(ends[1]);
        std::thread sender([&] {
            EXPECT_EQ(send(small, there.fd, nullptr), PARLOOM_OK);
            EXPECT_EQ(send(large, there.fd, codec), PARLOOM_OK);
        });
        EXPECT_TRUE(Loaded(here.fd, PARLOOM_MMAP_UNSET).equals(small));
        EXPECT_TRUE(Loaded(here.fd, PARLOOM_MMAP_UNSET).equals(large)); /* the socket stays open */
        sender.join();
    }
}

TEST_F(Conformance, D2_23_Lz4)
{
    if (!has("lz4")) GTEST_SKIP() << "this build is without liblz4";
    std::vector<double> values = waves(1000);
    ASSERT_EQ(dump(values, "a.lz4", nullptr), PARLOOM_OK);
    ASSERT_EQ(dump(values, "a", "lz4"), PARLOOM_OK);
    for (const char *file : { "a.lz4", "a" }) {
        EXPECT_EQ(head(file, 4), "\x04\x22\x4d\x18");
        EXPECT_TRUE(is_same(file, values));
    }
}

TEST_F(Conformance, D2_25_AnyNameOfAFile)
{
    LOOM_NEEDS_CODECS("zlib");
    std::vector<double> values = waves(100);
    for (const char *name : { "text.z",
                              "gr\xc3\xb6\xc3\x9f"
                              "e.z",
                              "bytes\xff\x01 .z" }) {
        ASSERT_EQ(dump(values, name, nullptr), PARLOOM_OK) << error.message;
        EXPECT_TRUE(is_same(name, values));
    }
}

/* --------------------------------------------------------------------- registered */

namespace
{

bool recognise_none(void *, const void *, size_t)
{
    return false;
}

parloom_status open_none(void *, int, size_t, void **stream_out, parloom_error *)
{
    *stream_out = nullptr;
    return PARLOOM_OK;
}

/* Never moves on. */
parloom_status step_none(void *, parloom_codec_step *, parloom_error *)
{
    return PARLOOM_OK;
}

void close_none(void *) {}

parloom_codec_ops empty_codec()
{
    parloom_codec_ops ops = {};
    ops.struct_size = sizeof ops;
    ops.abi = PARLOOM_CODEC_ABI;
    ops.recognise = recognise_none;
    ops.open = open_none;
    ops.step = step_none;
    ops.close = close_none;
    return ops;
}

} // namespace

TEST_F(Conformance, D2_20_ACodecHasAName)
{
    parloom_codec_ops ops = empty_codec();
    for (const char *name : { static_cast<const char *>(nullptr), "", "two words", "a:b", "none", "zlib",
                              "a-name-that-is-longer-than-is-allowed" })
        EXPECT_EQ(parloom_codec_register(name, &ops, nullptr, &error), PARLOOM_ERR_INVALID) << error.message;
}

TEST_F(Conformance, D2_21_ACodecHasAllItsOperations)
{
    parloom_codec_ops whole = empty_codec();
    std::vector<parloom_codec_ops> broken(5, whole);
    broken[0].recognise = nullptr;
    broken[1].open = nullptr;
    broken[2].step = nullptr;
    broken[3].close = nullptr;
    broken[4].struct_size = 0;
    for (const parloom_codec_ops &ops : broken)
        EXPECT_EQ(parloom_codec_register("own", &ops, nullptr, &error), PARLOOM_ERR_INVALID) << error.message;
    EXPECT_EQ(parloom_codec_register("own", nullptr, nullptr, &error), PARLOOM_ERR_INVALID);
    parloom_codec_ops newer = whole, flagged = whole;
    newer.abi++;
    flagged.flags = 1u << 20;
    EXPECT_EQ(parloom_codec_register("own", &newer, nullptr, &error), PARLOOM_ERR_VERSION);
    EXPECT_EQ(parloom_codec_register("own", &flagged, nullptr, &error), PARLOOM_ERR_UNSUPPORTED);
    ASSERT_EQ(parloom_codec_register("own", &whole, nullptr, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(parloom_codec_register("own", &whole, nullptr, &error), PARLOOM_ERR_INVALID);
    std::vector<double> values = waves(10);
    EXPECT_EQ(dump(values, "a", "own"), PARLOOM_ERR_INTERNAL); /* it never ends, and that is noticed */
    EXPECT_EQ(parloom_codec_unregister("own", &error), PARLOOM_OK);
    EXPECT_EQ(parloom_codec_unregister("own", &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_codec_unregister("zlib", &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(dump(values, "a", "own"), PARLOOM_ERR_INVALID);
}
