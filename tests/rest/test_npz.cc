/* SPDX-License-Identifier: BSD-3-Clause */
/* test_npz.cc - archives of arrays: NumPy reads ours, we read NumPy's, stored members are mapped. */
#include "rest/samples.h"
#include "support/scratch.h"

#include "base/fault.h"
#include "rest/zip_writer.h"

#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace
{

std::vector<std::string> warnings;

void keep_warning(int, const char *line, void *)
{
    warnings.emplace_back(line);
}

class Npz : public Scratch
{
  protected:
    void SetUp() override
    {
        Scratch::SetUp();
        warnings.clear();
        parloom_set_log(keep_warning, nullptr);
    }
    void TearDown() override
    {
        parloom_set_log(nullptr, nullptr);
        Scratch::TearDown();
    }
    parloom_npz *open(const std::string &name)
    {
        parloom_npz *npz = nullptr;
        EXPECT_EQ(parloom_npz_open(&npz, path(name).c_str(), &error), PARLOOM_OK) << error.message;
        return npz;
    }
    /* Every dtype, dimension and order in one archive, under the names of file_name. */
    void dump_all(const std::string &name, const char *codec, int level)
    {
        std::vector<std::string> names, memories(std::size(DTYPES) * SHAPES.size() * 2);
        std::vector<parloom_array> arrays;
        for (size_t d = 0; d < std::size(DTYPES); d++)
            for (const auto &shape : SHAPES)
                for (bool is_fortran : { false, true }) {
                    arrays.push_back(make(DTYPES[d], shape, is_fortran, memories[names.size()]));
                    names.push_back(file_name(d, shape.size(), is_fortran));
                }
        std::vector<const char *> pointers;
        for (const std::string &each : names) pointers.push_back(each.c_str());
        ASSERT_EQ(
            parloom_npz_dump(path(name).c_str(), pointers.data(), arrays.data(), arrays.size(), codec, level, &error),
            PARLOOM_OK)
            << error.message;
    }
    void expect_all(const std::string &name, parloom_mmap_mode mode)
    {
        parloom_npz *npz = open(name);
        ASSERT_NE(npz, nullptr);
        EXPECT_EQ(parloom_npz_count(npz), std::size(DTYPES) * SHAPES.size() * 2);
        for (size_t d = 0; d < std::size(DTYPES); d++)
            for (const auto &shape : SHAPES)
                for (bool is_fortran : { false, true }) {
                    std::string memory, member = file_name(d, shape.size(), is_fortran);
                    parloom_array want = make(DTYPES[d], shape, false, memory), got;
                    ASSERT_EQ(parloom_npz_load(&got, npz, member.c_str(), mode, &error), PARLOOM_OK) << error.message;
                    EXPECT_EQ(got.dtype, want.dtype);
                    EXPECT_EQ(got.item_nbytes, want.item_nbytes);
                    ASSERT_EQ(got.ndim, want.ndim);
                    EXPECT_EQ(in_c_order(got), in_c_order(want)) << member;
                    EXPECT_TRUE(loom_array_is_contiguous(&got, is_fortran));
                    EXPECT_EQ(reinterpret_cast<uintptr_t>(got.data) % 64, 0U) << member;
                    EXPECT_EQ(parloom_array_is_writable(&got), mode != PARLOOM_MMAP_R);
                    parloom_array_release(&got);
                }
        parloom_npz_close(npz);
    }
    parloom_error error = {};
};

const char READ_ALL[] = R"(
import sys, zipfile
def check(name, method):
    assert zipfile.ZipFile(name).testzip() is None
    assert all(i.compress_type == method for i in zipfile.ZipFile(name).infolist())
    archive = np.load(name)
    assert len(archive.files) == len(dtypes) * len(shapes) * 2
    for d, dtype in enumerate(dtypes):
        for shape in shapes:
            n = int(np.prod(shape, dtype=int))
            for order in 'CF':
                got = archive['%d%s%d.npy' % (d, order.lower(), len(shape))]
                want = np.asarray(items(dtype, n).reshape(shape), order=order)
                assert got.dtype == np.dtype(dtype) and got.shape == shape, (d, shape, got.dtype)
                assert got.tobytes() == want.tobytes()
                assert got.flags['F_CONTIGUOUS'] == want.flags['F_CONTIGUOUS']
)";

#ifdef PARLOOM_HAVE_ZLIB
const bool has_zlib = true;
#else
const bool has_zlib = false;
#endif

} // namespace

TEST_F(Npz, IsReadByNumPyForEveryDtypeOrderAndDimension)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    ASSERT_NO_FATAL_FAILURE(dump_all("stored.npz", nullptr, 0));
    std::string program = std::string(PYTHON_ITEMS) + READ_ALL + "check('stored.npz', zipfile.ZIP_STORED)\n";
    if (has_zlib) {
        ASSERT_NO_FATAL_FAILURE(dump_all("packed.npz", "zlib", 9));
        program += "check('packed.npz', zipfile.ZIP_DEFLATED)\n";
    }
    EXPECT_EQ(run_python(folder, program), "");
}

TEST_F(Npz, IsLoadedAndMappedAsItWasDumped)
{
    ASSERT_NO_FATAL_FAILURE(dump_all("stored.npz", nullptr, 0));
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_UNSET, PARLOOM_MMAP_R, PARLOOM_MMAP_C })
        ASSERT_NO_FATAL_FAILURE(expect_all("stored.npz", mode));
    EXPECT_TRUE(warnings.empty());
    if (!has_zlib) return;
    for (int level : { 0, 1, 9 }) {
        ASSERT_NO_FATAL_FAILURE(dump_all("packed.npz", "zlib", level));
        ASSERT_NO_FATAL_FAILURE(expect_all("packed.npz", PARLOOM_MMAP_UNSET));
    }
}

TEST_F(Npz, OfNumPyIsRead)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    ASSERT_EQ(run_python(folder, std::string(PYTHON_ITEMS) + R"(
import zipfile
every = {}
for d, dtype in enumerate(dtypes):
    for shape in shapes:
        n = int(np.prod(shape, dtype=int))
        for order in 'CF':
            every['%d%s%d.npy' % (d, order.lower(), len(shape))] = \
                np.asarray(items(dtype, n).reshape(shape), order=order)
np.savez('saved.npz', **every)
np.savez_compressed('packed.npz', **every)
zipfile.ZIP64_LIMIT = zipfile.ZIP_FILECOUNT_LIMIT = 0
np.savez('wide.npz', **every)
)"),
              "");
    for (const char *name : { "saved.npz", "wide.npz" }) ASSERT_NO_FATAL_FAILURE(expect_all(name, PARLOOM_MMAP_UNSET));
    if (has_zlib) {
        ASSERT_NO_FATAL_FAILURE(expect_all("packed.npz", PARLOOM_MMAP_UNSET));
    }
    /* NumPy aligns nothing: what cannot be mapped says so, the rest is the same. */
    parloom_npz *npz = open("saved.npz");
    size_t mapped = 0;
    for (size_t k = 0; k < parloom_npz_count(npz); k++) {
        parloom_array array;
        parloom_status status = parloom_npz_load(&array, npz, parloom_npz_name(npz, k), PARLOOM_MMAP_R, &error);
        ASSERT_TRUE(status == PARLOOM_OK || status == PARLOOM_ERR_UNSUPPORTED) << error.message;
        if (status != PARLOOM_OK) continue;
        mapped++;
        parloom_array copy;
        ASSERT_EQ(parloom_npz_load(&copy, npz, parloom_npz_name(npz, k), PARLOOM_MMAP_UNSET, &error), PARLOOM_OK);
        EXPECT_EQ(in_c_order(array), in_c_order(copy));
        parloom_array_release(&copy);
        parloom_array_release(&array);
    }
    EXPECT_GT(mapped, 0U);
    parloom_npz_close(npz);
}

TEST_F(Npz, HoldsPlainValuesViewsEmptyArraysAndAnyName)
{
    double value = 2.5;
    std::vector<int32_t> data(3000);
    for (size_t k = 0; k < data.size(); k++) data[k] = static_cast<int32_t>(k);
    size_t shape[] = { 100, 30 }, none[] = { 0, 7 };
    parloom_array arrays[4] = { parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr),
                                parloom_array_wrap(data.data(), PARLOOM_I32, 2, shape),
                                parloom_array_wrap(nullptr, PARLOOM_I8, 2, none),
                                {} };
    ASSERT_EQ(parloom_array_slice(&arrays[3], &arrays[1], 1, 1, 30, 3, &error), PARLOOM_OK);
    const char *names[] = { "value", "a/b.npy", "none", "sicht-\xc3\xa4" };
    for (const char *codec : { static_cast<const char *>(nullptr), "zlib" }) {
        if (codec != nullptr && !has_zlib) continue;
        ASSERT_EQ(parloom_npz_dump(path("n.npz").c_str(), names, arrays, 4, codec, 0, &error), PARLOOM_OK)
            << error.message;
        parloom_npz *npz = open("n.npz");
        ASSERT_EQ(parloom_npz_count(npz), 4U);
        for (size_t k = 0; k < 4; k++) {
            parloom_array got;
            EXPECT_STREQ(parloom_npz_name(npz, k), names[k]);
            ASSERT_EQ(parloom_npz_load(&got, npz, names[k], PARLOOM_MMAP_UNSET, &error), PARLOOM_OK) << error.message;
            EXPECT_EQ(in_c_order(got), in_c_order(arrays[k]));
            parloom_array_release(&got);
        }
        EXPECT_EQ(parloom_npz_name(npz, 4), nullptr);
        parloom_npz_close(npz);
        if (!has_numpy()) continue;
        EXPECT_EQ(run_python(folder, "import numpy as np\na = np.load('n.npz')\n"
                                     "assert a['value'] == 2.5 and a['value'].shape == ()\n"
                                     "assert a['none'].shape == (0, 7)\n"
                                     "assert (a['sicht-\\u00e4'] == a['a/b.npy'][:, 1::3]).all()\n"),
                  "");
    }
    ASSERT_EQ(parloom_npz_dump(path("e.npz").c_str(), nullptr, nullptr, 0, nullptr, 0, &error), PARLOOM_OK);
    parloom_npz *npz = open("e.npz");
    EXPECT_EQ(parloom_npz_count(npz), 0U);
    parloom_npz_close(npz);
}

TEST_F(Npz, ThatIsDeflatedIsReadWithOneWarningWhereItShouldBeMapped)
{
    if (!has_zlib) GTEST_SKIP() << "built without zlib";
    std::vector<double> data(1 << 18); /* 2 MiB, so that pieces and buffers are crossed */
    for (size_t k = 0; k < data.size(); k++) data[k] = static_cast<double>(k * k % 1013);
    size_t shape = data.size();
    parloom_array array = parloom_array_wrap(data.data(), PARLOOM_F64, 1, &shape), got;
    const char *name = "a";
    ASSERT_EQ(parloom_npz_dump(path("p.npz").c_str(), &name, &array, 1, "zlib", 1, &error), PARLOOM_OK);
    EXPECT_LT(read(path("p.npz")).size(), shape * 8 / 2);
    parloom_npz *npz = open("p.npz");
    ASSERT_EQ(parloom_npz_load(&got, npz, "a", PARLOOM_MMAP_R, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(memcmp(got.data, data.data(), shape * 8), 0);
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].find("cannot be mapped"), std::string::npos) << warnings[0];
    parloom_array_release(&got);
    parloom_npz_close(npz);
}

TEST_F(Npz, WrittenWithWideNumbersIsTheSame)
{
    std::string file = path("wide.npz"), text = "not an array";
    int fd = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    ASSERT_GE(fd, 0);
    loom_zip_writer *writer = loom_zip_writer_begin(file.c_str(), fd);
    writer->wide_from = 0;
    double value = 7;
    parloom_array array = parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr), got;
    ASSERT_EQ(parloom_array_dump(&array, path("v.npy").c_str(), nullptr, 0, &error), PARLOOM_OK);
    std::string bytes = read(path("v.npy"));
    for (const auto &[name, content] :
         { std::pair<const char *, std::string>{ "note.txt", text }, { "v.npy", bytes } }) {
        ASSERT_EQ(loom_zip_begin_member(writer, name, content.size(), false, 0, &error), PARLOOM_OK);
        ASSERT_EQ(loom_zip_add(writer, content.data(), content.size(), &error), PARLOOM_OK);
        ASSERT_EQ(loom_zip_end_member(writer, &error), PARLOOM_OK);
    }
    ASSERT_EQ(loom_zip_finish(writer, &error), PARLOOM_OK);
    loom_zip_writer_end(writer);
    close(fd);
    parloom_npz *npz = open("wide.npz");
    ASSERT_EQ(parloom_npz_count(npz), 1U); /* a note is no array */
    ASSERT_EQ(parloom_npz_load(&got, npz, "v", PARLOOM_MMAP_R, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(*static_cast<double *>(got.data), 7);
    parloom_array_release(&got);
    parloom_npz_close(npz);
    if (!has_numpy()) return;
    EXPECT_EQ(run_python(folder, "import numpy as np, zipfile\nassert zipfile.ZipFile('wide.npz').testzip() is None\n"
                                 "assert np.load('wide.npz')['v'] == 7\n"
                                 "assert zipfile.ZipFile('wide.npz').read('note.txt') == b'not an array'\n"),
              "");
}

TEST_F(Npz, TakesTheLevelWithTheCodecAsDumpsDo)
{
    std::vector<double> values(20000);
    for (size_t k = 0; k < values.size(); k++) values[k] = static_cast<double>(k * k % 1009);
    size_t count = values.size();
    parloom_array array = parloom_array_wrap(values.data(), PARLOOM_F64, 1, &count);
    const char *name[] = { "a" };
    auto dump = [&](const char *codec, int level) {
        parloom_status status = parloom_npz_dump(path("x.npz").c_str(), name, &array, 1, codec, level, &error);
        return status == PARLOOM_OK ? read(path("x.npz")) : std::string(parloom_status_name(status));
    };
    std::string stored = dump(nullptr, 0);
    EXPECT_EQ(dump("none", 0), stored);
    EXPECT_EQ(dump("none", 9), "PARLOOM_ERR_INVALID");
    for (const char *codec : { "zlib:x", "zlib:12", "zlib:" }) EXPECT_EQ(dump(codec, 0), "PARLOOM_ERR_INVALID");
    for (const char *codec : { "gzip:3", "zlibs", "nonesuch" }) EXPECT_EQ(dump(codec, 0), "PARLOOM_ERR_UNSUPPORTED");
    if (!has_zlib) return;
    for (int level : { 1, 9 }) {
        std::string text = "zlib:" + std::to_string(level);
        EXPECT_EQ(dump(text.c_str(), 0), dump("zlib", level));
        EXPECT_EQ(dump(text.c_str(), level), dump("zlib", level));
    }
    EXPECT_NE(dump("zlib:1", 0), dump("zlib:9", 0));
    EXPECT_EQ(dump("zlib:1", 9), "PARLOOM_ERR_INVALID") << "two levels";
    EXPECT_EQ(dump("zlib:0", 0), dump("zlib", 6));
}

TEST_F(Npz, SaysOfAnArrayAloneHowItIsLoaded)
{
    double values[] = { 1, 2, 3 };
    size_t three = 3;
    parloom_array array = parloom_array_wrap(values, PARLOOM_F64, 1, &three);
    ASSERT_EQ(parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    parloom_npz *npz = nullptr;
    EXPECT_EQ(parloom_npz_open(&npz, path("a.npy").c_str(), &error), PARLOOM_ERR_FORMAT);
    EXPECT_NE(std::string(error.message).find("parloom_array_load"), std::string::npos) << error.message;
    EXPECT_EQ(std::string(error.message).find("damaged"), std::string::npos) << error.message;
    write(path("text.npz"), "nothing of that kind, but long enough to be one");
    EXPECT_EQ(parloom_npz_open(&npz, path("text.npz").c_str(), &error), PARLOOM_ERR_FORMAT);
    EXPECT_NE(std::string(error.message).find("damaged"), std::string::npos) << error.message;
}

TEST_F(Npz, RefusesWhatMakesNoSense)
{
    double value = 1;
    parloom_array one = parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr), bad = one;
    bad.ndim = 99;
    parloom_array two[] = { one, one };
    const char *twins[] = { "a", "a" }, *empty[] = { "" }, *fine[] = { "a" };
    std::string file = path("x.npz");
    EXPECT_EQ(parloom_npz_dump(file.c_str(), twins, two, 2, nullptr, 0, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_npz_dump(file.c_str(), empty, &one, 1, nullptr, 0, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_npz_dump(file.c_str(), fine, &bad, 1, nullptr, 0, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_npz_dump(file.c_str(), fine, &one, 1, "zlib", 10, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_npz_dump(file.c_str(), fine, &one, 1, "lz4", 0, &error), PARLOOM_ERR_UNSUPPORTED);
    EXPECT_EQ(parloom_npz_dump(nullptr, fine, &one, 1, nullptr, 0, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_npz_dump(file.c_str(), nullptr, &one, 1, nullptr, 0, &error), PARLOOM_ERR_INVALID);
    EXPECT_TRUE(names().empty());
    ASSERT_EQ(parloom_npz_dump(file.c_str(), fine, &one, 1, nullptr, 0, &error), PARLOOM_OK);
    parloom_npz *npz = open("x.npz");
    parloom_array got;
    EXPECT_EQ(parloom_npz_load(&got, npz, "b", PARLOOM_MMAP_UNSET, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_npz_load(&got, npz, "a", PARLOOM_MMAP_RW, &error), PARLOOM_ERR_INVALID);
    EXPECT_NE(std::string(error.message).find("PARLOOM_MMAP_R, PARLOOM_MMAP_C"), std::string::npos) << error.message;
    EXPECT_EQ(parloom_npz_load(&got, npz, "a", PARLOOM_MMAP_W, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_npz_load(&got, nullptr, "a", PARLOOM_MMAP_UNSET, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_npz_load(nullptr, npz, "a", PARLOOM_MMAP_UNSET, &error), PARLOOM_ERR_INVALID);
    parloom_npz_close(npz);
    EXPECT_EQ(parloom_npz_open(&npz, path("none.npz").c_str(), &error), PARLOOM_ERR_IO);
    EXPECT_EQ(parloom_npz_open(&npz, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_npz_open(nullptr, file.c_str(), &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_npz_count(nullptr), 0U);
    parloom_npz_close(nullptr);
}

#ifdef PARLOOM_FAULTS
TEST_F(Npz, AnyCallThatFailsLeavesTheOldFileWholeAndNothingOpen)
{
    double data[] = { 1, 2, 3 };
    size_t three = 3;
    ptrdiff_t gap = -8;
    parloom_array arrays[] = { parloom_array_wrap_strided(&data[2], PARLOOM_F64, 0, 1, &three, &gap),
                               parloom_array_wrap(data, PARLOOM_F64, 1, &three) };
    const char *names_of[] = { "a", "b" };
    std::string file = path("a.npz");
    ASSERT_EQ(parloom_npz_dump(file.c_str(), names_of, arrays, 2, nullptr, 0, nullptr), PARLOOM_OK);
    std::string whole = read(file);
    parloom_array got;
    parloom_npz *npz = open("a.npz");
    ASSERT_EQ(parloom_npz_load(&got, npz, "a", PARLOOM_MMAP_UNSET, nullptr), PARLOOM_OK); /* makes the arena */
    parloom_array_release(&got);
    parloom_npz_close(npz);
    size_t descriptors = open_descriptors();
    for (int kind = 0; kind < LOOM_FAULT_KINDS; kind++)
        for (unsigned nth = 1;; nth++) {
            write(file, "old");
            loom_fault_arm(static_cast<loom_fault_kind>(kind), nth, ENOSPC, false);
            parloom_status status = parloom_npz_dump(file.c_str(), names_of, arrays, 2, nullptr, 0, &error);
            bool was_hit = loom_fault_hits(static_cast<loom_fault_kind>(kind)) >= nth;
            loom_fault_disarm();
            EXPECT_EQ(read(file), status == PARLOOM_OK ? whole : "old") << error.message;
            EXPECT_EQ(names(), std::vector<std::string>{ "a.npz" });
            EXPECT_EQ(open_descriptors(), descriptors);
            if (!was_hit) break;
        }
    for (int kind : { LOOM_FAULT_MALLOC, LOOM_FAULT_OPEN, LOOM_FAULT_MMAP })
        for (unsigned nth = 1;; nth++) {
            loom_fault_arm(static_cast<loom_fault_kind>(kind), nth, ENOMEM, false);
            parloom_status status = parloom_npz_open(&npz, file.c_str(), &error);
            if (status == PARLOOM_OK) {
                status = parloom_npz_load(&got, npz, "b", PARLOOM_MMAP_R, &error);
                if (status == PARLOOM_OK) parloom_array_release(&got);
                parloom_npz_close(npz);
            }
            bool was_hit = loom_fault_hits(static_cast<loom_fault_kind>(kind)) >= nth;
            loom_fault_disarm();
            EXPECT_EQ(open_descriptors(), descriptors);
            if (!was_hit) break;
            EXPECT_EQ(status, PARLOOM_ERR_MEMORY) << kind << " " << nth << error.message;
        }
}
#endif
