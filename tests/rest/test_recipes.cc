/* SPDX-License-Identifier: BSD-3-Clause */
/* test_recipes.cc - what the documentation tells Python to do with our bytes is done as it stands there. */
#include "shm/named_arrays.h"
#include "support/scratch.h"

#include <iterator>
#include <numeric>
#include <sstream>

namespace
{

/* All blocks "python" of a page that say a word, one after the other. */
std::string recipe(const std::string &page, const std::string &word)
{
    std::ifstream stream(std::string(PARLOOM_DOCS) + "/" + page);
    std::string line, block, all;
    bool is_inside = false;
    while (std::getline(stream, line)) {
        if (line == "```python")
            is_inside = true;
        else if (line == "```" && is_inside) {
            if (block.find(word) != std::string::npos) all += block;
            is_inside = false;
            block.clear();
        } else if (is_inside)
            block += line + "\n";
    }
    return all;
}

std::string replaced(std::string text, const std::string &what, const std::string &by)
{
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
        text.replace(at, what.size(), by);
    return text;
}

const double STEP = 0.25;

class CompressionRecipes : public Scratch
{
  protected:
    void dump(const char *name)
    {
        std::vector<double> values(1500000); /* 12 MB: more than one frame */
        for (size_t k = 0; k < values.size(); k++) values[k] = static_cast<double>(k % 1009) * STEP;
        size_t count = values.size();
        parloom_array array = parloom_array_wrap(values.data(), PARLOOM_F64, 1, &count);
        parloom_error error;
        ASSERT_EQ(parloom_array_dump(&array, path(name).c_str(), nullptr, 1, &error), PARLOOM_OK) << error.message;
    }
    std::string run(const std::string &program) const
    {
        return run_python(folder, "import numpy\nwanted = numpy.arange(1500000) % 1009 * 0.25\n" + program);
    }
};

class NamedRecipes : public named::Named
{
  protected:
    void SetUp() override
    {
        named::Named::SetUp();
        if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
        const size_t shape[] = { 400, 500 };
        ASSERT_EQ(parloom_array_create_named(&field, name("field").c_str(), PARLOOM_F64, 0, 2, shape, nullptr, &error),
                  PARLOOM_OK)
            << error.message;
        std::iota(items(), items() + 200000, 0.0);
    }
    void TearDown() override
    {
        parloom_array_release(&field);
        named::Named::TearDown();
    }
    double *items() const { return static_cast<double *>(field.data); }
    std::string run(const std::string &program) const
    {
        std::filesystem::path folder = std::filesystem::temp_directory_path() / prefix;
        std::filesystem::create_directory(folder);
        std::string text = replaced(program, "/dev/shm/field", "/dev/shm/" + name("field"));
        std::string said = run_python(folder, replaced(text, "\"field\"", "\"" + name("field") + "\""));
        std::filesystem::remove_all(folder);
        return said;
    }
    parloom_array field = {};
};

const char *const LOOK = "assert field.shape == (400, 500) and field.dtype == numpy.float64\n"
                         "assert (field == numpy.arange(200000.0).reshape(400, 500)).all()\n";

} // namespace

TEST_F(CompressionRecipes, OfPythonsOwnModulesReadWhatWasDumped)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    for (const char *name : { "a.npy.gz", "a.npy.z" }) ASSERT_NO_FATAL_FAILURE(dump(name));
    EXPECT_EQ(run(recipe("guide/compression.md", "gzip.open") + "assert (a == wanted).all()\n"), "");
    EXPECT_EQ(run(recipe("guide/compression.md", "zlib.decompress") + "assert (a == wanted).all()\n"), "");
}

TEST_F(CompressionRecipes, OfPackagesReadWhatWasDumped)
{
    if (std::system("/usr/bin/python3 -c 'import numpy, blosc, zstandard' 2>/dev/null") != 0)
        GTEST_SKIP() << "python3-blosc or python3-zstandard is not installed";
    for (const char *name : { "a.npy.zst", "a.npy.blosc" }) ASSERT_NO_FATAL_FAILURE(dump(name));
    EXPECT_EQ(run(recipe("guide/compression.md", "ZstdDecompressor") + "assert (a == wanted).all()\n"), "");
    EXPECT_EQ(run(recipe("guide/compression.md", "blosc.decompress") + "assert (a == wanted).all()\n"), "");
}

TEST_F(NamedRecipes, MapAnArrayByItsOffset)
{
    EXPECT_EQ(run(recipe("named-arrays.md", "offset=4096, shape") + LOOK + "field[1, 0] = -1\n"), "");
    EXPECT_EQ(items()[500], -1);
}

TEST_F(NamedRecipes, OpenAnArrayAsSharedMemory)
{
    EXPECT_EQ(run(recipe("named-arrays.md", "track=False") + LOOK + "field[1, 0] = -1\ndel field\n"), "");
    EXPECT_EQ(items()[500], -1);
    EXPECT_TRUE(named::exists(name("field"))) << "taken away by Python";
}

TEST_F(NamedRecipes, ReadTheHeader)
{
    EXPECT_EQ(run(recipe("named-arrays.md", "def open_named") + LOOK + "field[1, 0] = -1\n"), "");
    EXPECT_EQ(items()[500], -1);
}

TEST_F(NamedRecipes, ReadHeadersOfEveryDtype)
{
    const size_t shape[] = { 2, 3 };
    const ptrdiff_t strides[] = { -4, 8 };
    std::string program = recipe("named-arrays.md", "def open_named");
    for (int dtype = PARLOOM_BOOL; dtype <= PARLOOM_ITEM; dtype++) {
        parloom_array other;
        std::string label = name(parloom_dtype_name(static_cast<parloom_dtype>(dtype)));
        ASSERT_EQ(parloom_array_create_named(&other, label.c_str(), static_cast<parloom_dtype>(dtype),
                                             dtype == PARLOOM_ITEM ? 12 : 0, 2, shape,
                                             dtype == PARLOOM_F32 ? strides : nullptr, &error),
                  PARLOOM_OK)
            << error.message;
        program += "a = open_named(\"" + label + "\")\n" + "assert a.shape == (2, 3)\n" +
                   "assert a.strides[0] == " + std::to_string(other.strides[0]) + "\n" +
                   "assert a.dtype.itemsize == " + std::to_string(other.item_nbytes) + ", a.dtype\n" +
                   "assert a.dtype.kind == '" + std::string(1, "?biiiiuuuuffccV"[dtype]) + "', a.dtype\n";
        parloom_array_release(&other);
    }
    EXPECT_EQ(run(program), "");
}

TEST_F(NamedRecipes, MakeMemoryThatIsMapped)
{
    ASSERT_EQ(unlink("field"), PARLOOM_OK) << error.message;
    EXPECT_EQ(run(recipe("named-arrays.md", "create=True") + "field[399, 499] = -1\ndel field\n"), "");
    const size_t shape[] = { 400, 500 };
    parloom_array mapped;
    ASSERT_EQ(parloom_array_map(&mapped, named::path_of(name("field")).c_str(), PARLOOM_MMAP_RW, 0, PARLOOM_F64, 0, 2,
                                shape, nullptr, &error),
              PARLOOM_OK)
        << error.message;
    EXPECT_EQ(static_cast<double *>(mapped.data)[199999], -1);
    EXPECT_EQ(static_cast<double *>(mapped.data)[0], 0);
    parloom_array_release(&mapped);
}
