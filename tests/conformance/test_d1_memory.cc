/* SPDX-License-Identifier: BSD-3-Clause */
/* D1: how much memory it takes to dump and to load. */
#include "conformance/conformance.h"
#include "support/sanitizers.h"

using namespace conformance;

namespace
{

const size_t NBYTES = 100 * 1000 * 1000, KIB = 1024, BUFFER_KIB = 16 * KIB;

/* The most memory this process had since reset_peak. */
size_t peak_kib()
{
    std::ifstream status("/proc/self/status");
    std::string word;
    size_t kib = 0;
    while (status >> word)
        if (word == "VmHWM:") status >> kib;
    return kib;
}

bool reset_peak()
{
    std::ofstream file("/proc/self/clear_refs");
    file << "5" << std::flush;
    return file.good();
}

/* What work needed more than there was, at its peak. */
size_t growth_kib(const std::function<void()> &work)
{
    EXPECT_TRUE(reset_peak());
    size_t before = peak_kib();
    work();
    return peak_kib() - before;
}

/* NULL, and the codecs that take seconds, not minutes, for so much. */
std::vector<const char *> quick_codecs()
{
    const char *names[64];
    size_t count = std::min<size_t>(parloom_codec_list(names, 64), 64);
    std::vector<const char *> quick = { nullptr };
    for (const char *name : std::vector<const char *>(names, names + count))
        if (!is(name, "xz") && !is(name, "lzma") && !is(name, "bz2")) quick.push_back(name);
    return quick;
}

void dump(const parloom_array &array, const std::string &path, const char *codec)
{
    parloom_error error;
    EXPECT_EQ(parloom_array_dump(&array, path.c_str(), codec, codec != nullptr ? 1 : 0, &error), PARLOOM_OK)
        << error.message;
}

void load(const std::string &path)
{
    parloom_array array = {};
    parloom_error error;
    EXPECT_EQ(parloom_array_load(&array, path.c_str(), PARLOOM_MMAP_UNSET, &error), PARLOOM_OK) << error.message;
    /* Each page is looked at: what was written to shared memory by the kernel is not counted as ours before. */
    auto *bytes = static_cast<const volatile char *>(array.data);
    for (size_t k = 0; k < parloom_array_nbytes(&array); k += 4096) (void)bytes[k];
    parloom_array_release(&array);
}

void dump_archive(const parloom_array &array, const std::string &path, const char *codec)
{
    const char *name = "a";
    parloom_error error;
    EXPECT_EQ(parloom_npz_dump(path.c_str(), &name, &array, 1, codec, 0, &error), PARLOOM_OK) << error.message;
}

void load_archive(const std::string &path)
{
    parloom_npz *npz = nullptr;
    parloom_array array = {};
    parloom_error error;
    ASSERT_EQ(parloom_npz_open(&npz, path.c_str(), &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(parloom_npz_load(&array, npz, "a", PARLOOM_MMAP_UNSET, &error), PARLOOM_OK) << error.message;
    parloom_array_release(&array);
    parloom_npz_close(npz);
}

} // namespace

/* Dumping needs a buffer more than there is, loading the array and a buffer, packed or not. */
TEST_F(Conformance, D1_13_MemoryOfDumpAndLoad)
{
#ifdef LOOM_TEST_SANITIZED
    GTEST_SKIP() << "a sanitizer has memory of its own for each byte";
#endif
    if (!reset_peak()) GTEST_SKIP() << "this kernel does not forget the most memory a process had";
    std::vector<char> data(NBYTES, 7);
    Folder folder;
    const std::string file = folder.path + "/a";
    size_t half = NBYTES / 2;
    ptrdiff_t stride = 2;
    const parloom_array whole = parloom_array_wrap(data.data(), PARLOOM_U8, 1, &NBYTES);
    const parloom_array gaps = parloom_array_wrap_strided(data.data(), PARLOOM_U8, 1, 1, &half, &stride);
    size_t few = NBYTES / 5; /* several pieces */
    const parloom_array start = parloom_array_wrap(data.data(), PARLOOM_U8, 1, &few);
    for (const char *codec : quick_codecs()) { /* what the library makes once is there before anything is measured */
        dump(start, file, codec);
        load(file);
    }
    for (const char *codec : quick_codecs())
        for (const parloom_array &array : { whole, gaps }) {
            const size_t array_kib = parloom_array_nbytes(&array) / KIB;
            EXPECT_LE(growth_kib([&] { dump(array, file, codec); }), BUFFER_KIB) << (codec != nullptr ? codec : "");
            size_t loading = growth_kib([&] { load(file); });
            EXPECT_GE(loading, array_kib / 2) << "the measure sees the array";
            EXPECT_LE(loading, array_kib + BUFFER_KIB) << (codec != nullptr ? codec : "");
        }
    for (const char *codec : { static_cast<const char *>(nullptr), "zlib" }) {
        if (codec != nullptr && quick_codecs().size() == 1) continue;
        EXPECT_LE(growth_kib([&] { dump_archive(whole, file, codec); }), BUFFER_KIB);
        EXPECT_LE(growth_kib([&] { load_archive(file); }), NBYTES / KIB + BUFFER_KIB);
    }
}
