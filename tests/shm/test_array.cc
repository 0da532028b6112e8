/* SPDX-License-Identifier: BSD-3-Clause */
/* test_array.cc - arrays are described, cut, measured and copied as their strides say, and nonsense is refused. */
#include "shm/array.h"

#include <gtest/gtest.h>

#include <climits>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

namespace
{

const parloom_dtype ALL_DTYPES[] = { PARLOOM_BOOL, PARLOOM_I8,  PARLOOM_I16, PARLOOM_I32, PARLOOM_I64,
                                     PARLOOM_U8,   PARLOOM_U16, PARLOOM_U32, PARLOOM_U64, PARLOOM_F32,
                                     PARLOOM_F64,  PARLOOM_C64, PARLOOM_C128 };

/* The address of one item, the slow and obvious way; index counts in C order. */
char *item_at(const parloom_array &array, size_t index)
{
    char *address = static_cast<char *>(array.data);
    for (int axis = array.ndim - 1; axis >= 0; axis--) {
        address += static_cast<ptrdiff_t>(index % array.shape[axis]) * array.strides[axis];
        index /= array.shape[axis];
    }
    return address;
}

} // namespace

TEST(Array, CreateGivesZeroedAlignedSharedMemoryForEveryDtype)
{
    const size_t nbytes[] = { 1, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 8, 16 };
    for (size_t k = 0; k < std::size(ALL_DTYPES); k++) {
        size_t shape[] = { 3, 5 };
        parloom_array array;
        parloom_error error;
        ASSERT_EQ(parloom_array_create(&array, ALL_DTYPES[k], 2, shape, &error), PARLOOM_OK) << error.message;
        EXPECT_EQ(array.item_nbytes, nbytes[k]);
        EXPECT_EQ(parloom_array_nbytes(&array), 15 * nbytes[k]);
        EXPECT_EQ(array.strides[0], static_cast<ptrdiff_t>(5 * nbytes[k]));
        EXPECT_EQ(reinterpret_cast<uintptr_t>(array.data) % 64, 0U);
        EXPECT_TRUE(parloom_array_is_memmap(&array));
        EXPECT_TRUE(parloom_array_is_writable(&array));
        const char *bytes = static_cast<const char *>(array.data);
        for (size_t b = 0; b < 15 * nbytes[k]; b++) ASSERT_EQ(bytes[b], 0);
        parloom_array_release(&array);
        EXPECT_EQ(array.data, nullptr);
        EXPECT_EQ(array.owner, nullptr);
    }
}

TEST(Array, DtypesHaveNames)
{
    const char *names[] = { "bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "c64", "c128" };
    for (size_t k = 0; k < std::size(ALL_DTYPES); k++) EXPECT_STREQ(parloom_dtype_name(ALL_DTYPES[k]), names[k]);
    EXPECT_STREQ(parloom_dtype_name(PARLOOM_ITEM), "item");
    for (int none : { 0, -1, PARLOOM_ITEM + 1, INT_MAX, INT_MIN })
        EXPECT_STREQ(parloom_dtype_name(static_cast<parloom_dtype>(none)), "?");
}

TEST(Array, CreateRefusesWhatHasNoSize)
{
    size_t huge[] = { SIZE_MAX / 2, 4 };
    size_t one = 1;
    parloom_array array;
    parloom_error error;
    EXPECT_EQ(parloom_array_create(&array, PARLOOM_F64, 2, huge, &error), PARLOOM_ERR_INVALID);
    EXPECT_STRNE(error.message, "");
    EXPECT_EQ(parloom_array_create(&array, PARLOOM_ITEM, 1, &one, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_create(&array, static_cast<parloom_dtype>(0), 1, &one, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_create(&array, static_cast<parloom_dtype>(99), 1, &one, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_create(&array, PARLOOM_F64, 1, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_create(&array, PARLOOM_F64, PARLOOM_MAX_NDIM + 1, huge, nullptr), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_create(nullptr, PARLOOM_F64, 1, &one, nullptr), PARLOOM_ERR_INVALID);
}

TEST(Array, CreateThatMemoryCannotHoldFailsWithAStatus)
{
    size_t shape = static_cast<size_t>(PTRDIFF_MAX) / 8;
    parloom_array array;
    parloom_error error;
    parloom_status status = parloom_array_create(&array, PARLOOM_F64, 1, &shape, &error);
    EXPECT_LT(status, PARLOOM_OK);
    EXPECT_EQ(status, error.status);
    EXPECT_EQ(parloom_array_create(&array, PARLOOM_F64, 1, &shape, nullptr), status);
}

TEST(Array, WithoutItemsIsFineAndHasNoBytes)
{
    size_t shape[] = { 4, 0, 2 };
    parloom_array array;
    parloom_error error;
    ASSERT_EQ(parloom_array_create(&array, PARLOOM_F64, 3, shape, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(parloom_array_nbytes(&array), 0U);
    EXPECT_EQ(loom_array_count(&array), 0U);
    EXPECT_EQ(loom_array_check(&array, &error), PARLOOM_OK);
    parloom_array_release(&array);
}

TEST(Array, WithoutAxesHasOneItem)
{
    double value = 2.5;
    parloom_array array = parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr);
    EXPECT_EQ(parloom_array_nbytes(&array), 8U);
    EXPECT_EQ(loom_array_count(&array), 1U);
    EXPECT_EQ(loom_array_check(&array, nullptr), PARLOOM_OK);
}

TEST(Array, WrappedPrivateMemoryIsNoMemmapAndParloomMemoryIs)
{
    double value = 0;
    size_t one = 1;
    parloom_array own = parloom_array_wrap(&value, PARLOOM_F64, 1, &one);
    EXPECT_FALSE(parloom_array_is_memmap(&own));
    EXPECT_TRUE(parloom_array_is_writable(&own));
    parloom_error error;
    void *memory = parloom_alloc(64, &error);
    ASSERT_NE(memory, nullptr) << error.message;
    parloom_array shared = parloom_array_wrap(memory, PARLOOM_F64, 1, &one);
    EXPECT_TRUE(parloom_array_is_memmap(&shared));
    parloom_array_release(&shared);
    static_cast<double *>(memory)[0] = 1; /* released was the description, not the memory */
    parloom_free(memory);
}

TEST(Array, ReleaseTakesNullAndClearedArrays)
{
    parloom_array array;
    std::memset(&array, 0, sizeof array);
    parloom_array_release(nullptr);
    parloom_array_release(&array);
    EXPECT_EQ(parloom_array_nbytes(nullptr), 0U);
    EXPECT_FALSE(parloom_array_is_memmap(nullptr));
    EXPECT_FALSE(parloom_array_is_writable(nullptr));
}

TEST(Slice, SeesEveryStepOfOneAxis)
{
    std::vector<int32_t> data(4 * 6);
    std::iota(data.begin(), data.end(), 0);
    size_t shape[] = { 4, 6 };
    parloom_array array = parloom_array_wrap(data.data(), PARLOOM_I32, 2, shape);
    parloom_array view;
    parloom_error error;
    ASSERT_EQ(parloom_array_slice(&view, &array, 1, 1, 6, 2, &error), PARLOOM_OK) << error.message;
    ASSERT_EQ(view.shape[1], 3U);
    ASSERT_EQ(parloom_array_slice(&view, &view, 0, 2, 4, 1, &error), PARLOOM_OK) << error.message;
    const int32_t expected[] = { 13, 15, 17, 19, 21, 23 };
    for (size_t k = 0; k < 6; k++) {
        int32_t got;
        std::memcpy(&got, item_at(view, k), sizeof got);
        EXPECT_EQ(got, expected[k]);
    }
}

TEST(Slice, OfAnOwnerBorrowsAndCutInPlaceStillOwns)
{
    size_t shape[] = { 8 };
    parloom_array array;
    parloom_array view;
    ASSERT_EQ(parloom_array_create(&array, PARLOOM_F64, 1, shape, nullptr), PARLOOM_OK);
    ASSERT_EQ(parloom_array_slice(&view, &array, 0, 2, 8, 3, nullptr), PARLOOM_OK);
    EXPECT_EQ(view.owner, nullptr);
    EXPECT_TRUE(parloom_array_is_memmap(&view));
    parloom_array_release(&view);
    static_cast<double *>(array.data)[7] = 1;
    ASSERT_EQ(parloom_array_slice(&array, &array, 0, 4, 8, 1, nullptr), PARLOOM_OK);
    EXPECT_NE(array.owner, nullptr);
    EXPECT_EQ(static_cast<double *>(array.data)[3], 1);
    parloom_array_release(&array);
}

TEST(Slice, RefusesWhatDoesNotLieInTheAxis)
{
    double data[6] = { 0 };
    size_t shape[] = { 6 };
    parloom_array array = parloom_array_wrap(data, PARLOOM_F64, 1, shape);
    parloom_array view;
    parloom_error error;
    EXPECT_EQ(parloom_array_slice(&view, &array, 1, 0, 1, 1, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_slice(&view, &array, -1, 0, 1, 1, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_slice(&view, &array, 0, 0, 7, 1, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_slice(&view, &array, 0, 3, 2, 1, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_slice(&view, &array, 0, 0, 6, 0, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_slice(nullptr, &array, 0, 0, 6, 1, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_slice(&view, nullptr, 0, 0, 6, 1, &error), PARLOOM_ERR_INVALID);
}

TEST(Slice, OfNothingAndOfHugeStepsStaysInside)
{
    double data[6] = { 0 };
    size_t shape[] = { 6 };
    parloom_array array = parloom_array_wrap(data, PARLOOM_F64, 1, shape);
    parloom_array view;
    ASSERT_EQ(parloom_array_slice(&view, &array, 0, 6, 6, 1, nullptr), PARLOOM_OK);
    EXPECT_EQ(view.shape[0], 0U);
    ASSERT_EQ(parloom_array_slice(&view, &array, 0, 5, 6, SIZE_MAX, nullptr), PARLOOM_OK);
    EXPECT_EQ(view.shape[0], 1U);
    EXPECT_EQ(view.data, &data[5]);
    const char *low = nullptr;
    size_t extent = 0;
    ASSERT_EQ(loom_array_extent(&view, &low, &extent, nullptr), PARLOOM_OK);
    EXPECT_EQ(extent, 8U);
}

TEST(ArrayLayout, ExtentReachesBothWaysWithNegativeStrides)
{
    char data[100];
    size_t shape[] = { 3, 4 };
    ptrdiff_t strides[] = { -20, 5 };
    parloom_array array = parloom_array_wrap_strided(data + 50, PARLOOM_ITEM, 3, 2, shape, strides);
    const char *low = nullptr;
    size_t extent = 0;
    parloom_error error;
    ASSERT_EQ(loom_array_extent(&array, &low, &extent, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(low, data + 10);
    EXPECT_EQ(extent, 40U + 15U + 3U);
}

TEST(ArrayLayout, CheckRefusesEachFieldThatMakesNoSense)
{
    double data[4] = { 0 };
    size_t shape[] = { 2, 2 };
    const parloom_array good = parloom_array_wrap(data, PARLOOM_F64, 2, shape);
    parloom_error error;
    ASSERT_EQ(loom_array_check(&good, &error), PARLOOM_OK);
    auto refused = [&](auto change, parloom_status expected, const char *word) {
        parloom_array bad = good;
        change(bad);
        EXPECT_EQ(loom_array_check(&bad, &error), expected) << word;
        EXPECT_NE(std::strstr(error.message, word), nullptr) << error.message;
    };
    refused([](parloom_array &a) { a.dtype = static_cast<parloom_dtype>(15); }, PARLOOM_ERR_INVALID, "dtype");
    refused([](parloom_array &a) { a.ndim = -1; }, PARLOOM_ERR_INVALID, "ndim");
    refused([](parloom_array &a) { a.ndim = 9; }, PARLOOM_ERR_INVALID, "ndim");
    refused([](parloom_array &a) { a.item_nbytes = 16; }, PARLOOM_ERR_INVALID, "item_nbytes");
    refused([](parloom_array &a) { a.dtype = PARLOOM_ITEM, a.item_nbytes = 0; }, PARLOOM_ERR_INVALID, "item_nbytes");
    refused([](parloom_array &a) { a.data = nullptr; }, PARLOOM_ERR_INVALID, "NULL");
    refused([](parloom_array &a) { a.shape[0] = SIZE_MAX; }, PARLOOM_ERR_INVALID, "overflow");
    refused([](parloom_array &a) { a.strides[0] = PTRDIFF_MIN; }, PARLOOM_ERR_INVALID, "overflow");
    refused([](parloom_array &a) { a.strides[1] = PTRDIFF_MAX; }, PARLOOM_ERR_INVALID, "overflow");
    refused([](parloom_array &a) { a.strides[1] = PTRDIFF_MIN / 2; }, PARLOOM_ERR_INVALID, "address space");
    refused([](parloom_array &a) { a.flags |= LOOM_ARRAY_SWAPPED; }, PARLOOM_ERR_UNSUPPORTED, "byte order");
    EXPECT_EQ(loom_array_check(nullptr, &error), PARLOOM_ERR_INVALID);
}

TEST(ArrayLayout, KnowsBothOrdersAndIgnoresAxesOfOne)
{
    char data[64];
    size_t shape[] = { 2, 1, 3 };
    parloom_array array = parloom_array_wrap(data, PARLOOM_I16, 3, shape);
    EXPECT_TRUE(loom_array_is_contiguous(&array, false));
    EXPECT_FALSE(loom_array_is_contiguous(&array, true));
    array.strides[1] = 12345;
    EXPECT_TRUE(loom_array_is_contiguous(&array, false));
    loom_array_set_strides(&array, true);
    EXPECT_TRUE(loom_array_is_contiguous(&array, true));
    EXPECT_FALSE(loom_array_is_contiguous(&array, false));
}

/* Random shapes, orders, gaps and directions, against one item at a time. */
TEST(ArrayCopy, MovesWhatOneItemAtATimeWouldAndLeavesGapsAlone)
{
    std::mt19937 random(7);
    const size_t sizes[] = { 1, 2, 3, 4, 8, 12, 16 };
    for (int round = 0; round < 2000; round++) {
        size_t item = sizes[random() % std::size(sizes)];
        int ndim = static_cast<int>(random() % 5);
        size_t shape[PARLOOM_MAX_NDIM] = { 0 };
        for (int k = 0; k < ndim; k++) shape[k] = 1 + random() % 4;
        if (ndim > 0 && random() % 20 == 0) shape[random() % static_cast<unsigned>(ndim)] = 0;
        std::vector<unsigned char> memory[2];
        parloom_array array[2];
        for (int side = 0; side < 2; side++) {
            std::vector<int> order(static_cast<size_t>(ndim));
            std::iota(order.begin(), order.end(), 0);
            std::shuffle(order.begin(), order.end(), random);
            ptrdiff_t strides[PARLOOM_MAX_NDIM] = { 0 };
            ptrdiff_t step = static_cast<ptrdiff_t>(item);
            ptrdiff_t start = 0;
            for (int axis : order) {
                if (random() % 3 == 0) step += static_cast<ptrdiff_t>(random() % 9);
                bool is_backward = random() % 4 == 0;
                strides[axis] = is_backward ? -step : step;
                ptrdiff_t last = static_cast<ptrdiff_t>(shape[axis] > 0 ? shape[axis] - 1 : 0);
                if (is_backward) start += step * last;
                step *= static_cast<ptrdiff_t>(shape[axis] > 0 ? shape[axis] : 1);
            }
            memory[side].resize(static_cast<size_t>(step) + item + 64);
            for (auto &byte : memory[side]) byte = static_cast<unsigned char>(random());
            array[side] =
                parloom_array_wrap_strided(memory[side].data() + start, PARLOOM_ITEM, item, ndim, shape, strides);
            ASSERT_EQ(loom_array_check(&array[side], nullptr), PARLOOM_OK);
        }
        std::vector<unsigned char> expected = memory[0];
        std::vector<unsigned char> in_order;
        for (size_t k = 0; k < loom_array_count(&array[0]); k++) {
            const char *from = item_at(array[1], k);
            std::memcpy(expected.data() + (item_at(array[0], k) - reinterpret_cast<char *>(memory[0].data())), from,
                        item);
            in_order.insert(in_order.end(), from, from + item);
        }
        loom_array_copy_items(&array[0], &array[1]);
        ASSERT_EQ(memory[0], expected) << "round " << round;

        size_t count = loom_array_count(&array[1]);
        size_t first = count > 0 ? random() % count : 0;
        size_t some = count > 0 ? random() % (count - first + 1) : 0;
        std::vector<unsigned char> got(some * item);
        loom_array_gather(&array[1], first, some, got.data());
        ASSERT_TRUE(std::equal(got.begin(), got.end(), in_order.begin() + static_cast<ptrdiff_t>(first * item)));
    }
}

/* Of an array without items nothing is gathered, wherever the axis without length is. */
TEST(Array, GatherOfAnArrayWithoutItemsDoesNothing)
{
    const size_t shapes[][3] = { { 0, 2, 3 }, { 2, 0, 3 }, { 2, 3, 0 }, { 0, 0, 0 } };
    for (const auto &shape : shapes)
        for (int ndim = 1; ndim <= 3; ndim++) {
            parloom_array array = parloom_array_wrap(nullptr, PARLOOM_F64, ndim, shape);
            double sentinel = 7;
            if (loom_array_count(&array) > 0) continue;
            loom_array_gather(&array, 0, 0, &sentinel);
            loom_array_gather(&array, 0, 4, &sentinel);
            EXPECT_EQ(sentinel, 7);
        }
}
