/* SPDX-License-Identifier: BSD-3-Clause */
/* test_array_read.cc - items of mapped files are what gathering gives, and a status where the file was cut short. */
#include "support/scratch.h"

#include "shm/array.h"

#include <cerrno>
#include <cstring>
#include <random>

namespace
{

class ArrayRead : public Scratch
{
  protected:
    void SetUp() override
    {
        Scratch::SetUp();
        std::mt19937 random(1);
        bytes.resize(NBYTES);
        for (char &byte : bytes) byte = static_cast<char>(random());
        write(path("raw"), bytes);
    }
    void TearDown() override
    {
        parloom_array_release(&mapped);
        Scratch::TearDown();
    }
    void map(size_t item_nbytes, const std::vector<size_t> &shape, const std::vector<ptrdiff_t> &strides,
             uint64_t offset = 0)
    {
        parloom_array_release(&mapped);
        ASSERT_EQ(parloom_array_map(&mapped, path("raw").c_str(), PARLOOM_MMAP_R, offset, PARLOOM_ITEM, item_nbytes,
                                    static_cast<int>(shape.size()), shape.data(), strides.data(), &error),
                  PARLOOM_OK)
            << error.message;
        ASSERT_TRUE(loom_array_is_file(&mapped));
    }
    std::string gathered(const parloom_array &array, size_t first, size_t count) const
    {
        std::string items(count * array.item_nbytes, '\0');
        loom_array_gather(&array, first, count, items.data());
        return items;
    }
    static constexpr size_t NBYTES = size_t{ 6 } << 20;
    std::string bytes;
    parloom_array mapped = {};
    parloom_error error = {};
};

} // namespace

/* Without gaps, with small ones, with large ones, backwards, turned, items longer than any buffer. */
TEST_F(ArrayRead, GivesWhatGatheringGives)
{
    const struct {
        size_t item;
        std::vector<size_t> shape;
        std::vector<ptrdiff_t> strides;
        uint64_t offset;
    } layouts[] = {
        { 8, { 700000 }, { 8 }, 0 },
        { 8, { 200000 }, { 24 }, 8 },
        { 1, { 3000, 500 }, { 2000, 3 }, 0 },
        { 8, { 1000, 600 }, { 8, 10000 }, 0 },
        { 3, { 100, 90, 7 }, { 7, 60000, 700 }, 5 },
        { 4, { 60, 25000 }, { 100000, 4 }, 0 },
        { 8, { 100, 600 }, { 60000, 8 }, 16 },
        { 8, { 5000 }, { -1000 }, 4999 * 1000 },
        { 16, { 40, 3, 50 }, { -100000, 32, -512 }, 39 * 100000 + 49 * 512 },
        { 300000, { 3, 4 }, { 400000, 1300000 }, 0 },
        { 8, {}, {}, 24 },
        { 4, { 7, 11 }, { 0, 0 }, 4 },
    };
    std::mt19937 random(2);
    for (const auto &layout : layouts) {
        map(layout.item, layout.shape, layout.strides, layout.offset);
        size_t count = loom_array_count(&mapped);
        for (int round = 0; round < 8; round++) {
            size_t first = round == 0 ? 0 : random() % count;
            size_t some = round == 0 ? count : random() % (count - first + 1);
            std::string items(some * layout.item, '\0');
            ASSERT_EQ(loom_array_read(&mapped, first, some, items.data()), 0);
            EXPECT_TRUE(items == gathered(mapped, first, some)) << layout.item << " " << first << " " << some;
        }
    }
}

/* Nobody looked at its length before: what is not there is a status, what is there is read. */
TEST_F(ArrayRead, OfAFileThatWasCutShortIsAStatus)
{
    const struct {
        std::vector<size_t> shape;
        std::vector<ptrdiff_t> strides;
    } layouts[] = { { { 700000 }, { 8 } }, { { 200000 }, { 24 } }, { { 1000, 600 }, { 8, 10000 } } };
    for (const auto &layout : layouts) {
        write(path("raw"), bytes);
        map(8, layout.shape, layout.strides);
        size_t count = loom_array_count(&mapped);
        std::string items(count * 8, '\0'), few(8, '\0');
        std::filesystem::resize_file(path("raw"), 1 << 20);
        EXPECT_EQ(loom_array_read(&mapped, 0, count, items.data()), EFAULT);
        EXPECT_EQ(loom_array_read(&mapped, 0, 1, few.data()), 0);
        EXPECT_EQ(few, bytes.substr(0, 8));
        EXPECT_EQ(loom_array_read_bytes(items.data(), mapped.data, 2 << 20), EFAULT);
    }
}

TEST_F(ArrayRead, OfPrivateMemoryAndOfNothingGathers)
{
    size_t shape[] = { 10, 20 };
    ptrdiff_t strides[] = { 8, 100 };
    parloom_array array = parloom_array_wrap_strided(bytes.data(), PARLOOM_F64, 0, 2, shape, strides);
    std::string items(200 * 8, '\0');
    EXPECT_FALSE(loom_array_is_file(&array));
    EXPECT_EQ(loom_array_read(&array, 0, 200, items.data()), 0);
    EXPECT_TRUE(items == gathered(array, 0, 200));
    array.shape[1] = 0;
    EXPECT_EQ(loom_array_read(&array, 0, 3, items.data()), 0);
}
