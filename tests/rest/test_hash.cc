/* SPDX-License-Identifier: BSD-3-Clause */
/* test_hash.cc - digests of arrays: what they cover, and what they do not. */
#include "rest/hashes.h"
#include "support/clean.h"

#include "shm/array.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace
{

using Hash = loom::Clean;

parloom_array strided(const void *data, parloom_dtype dtype, const std::vector<size_t> &shape,
                      const std::vector<ptrdiff_t> &strides)
{
    return parloom_array_wrap_strided(const_cast<void *>(data), dtype, 0, static_cast<int>(shape.size()), shape.data(),
                                      strides.data());
}

parloom_array of_items(const void *data, size_t item_nbytes, size_t count)
{
    return parloom_array_wrap_strided(const_cast<void *>(data), PARLOOM_ITEM, item_nbytes, 1, &count, nullptr);
}

std::string hash_of_double(double value)
{
    return hash_of(array_of(&value, PARLOOM_F64, {}));
}

} // namespace

TEST_F(Hash, OfEqualArraysIsEqualAndOfOthersIsNot)
{
    const double values[] = { 1, 2, 3, 4, 5, 6 };
    double copy[] = { 1, 2, 3, 4, 5, 6 };
    EXPECT_EQ(hash_of(array_of(values, PARLOOM_F64, { 6 })), hash_of(array_of(copy, PARLOOM_F64, { 6 })));
    copy[5] = 7;
    EXPECT_NE(hash_of(array_of(values, PARLOOM_F64, { 6 })), hash_of(array_of(copy, PARLOOM_F64, { 6 })));
}

TEST_F(Hash, CoversDtypeShapeAndSizeOfAnItem)
{
    const double values[] = { 1, 2, 3, 4, 5, 6 };
    /* The same bytes, described in other ways: none agrees with another. */
    EXPECT_TRUE(all_differ({
        hash_of(array_of(values, PARLOOM_F64, { 6 })),
        hash_of(array_of(values, PARLOOM_F64, { 2, 3 })),
        hash_of(array_of(values, PARLOOM_F64, { 3, 2 })),
        hash_of(array_of(values, PARLOOM_F64, { 1, 6 })),
        hash_of(array_of(values, PARLOOM_F64, { 6, 1 })),
        hash_of(array_of(values, PARLOOM_I64, { 6 })),
        hash_of(array_of(values, PARLOOM_U64, { 6 })),
        hash_of(array_of(values, PARLOOM_C128, { 3 })),
        hash_of(array_of(values, PARLOOM_U8, { 48 })),
        hash_of(array_of(values, PARLOOM_F64, { 5 })),
        hash_of(of_items(values, 8, 6)),
        hash_of(of_items(values, 16, 3)),
    }));
}

TEST_F(Hash, OfOneItemDependsOnItsDimensions)
{
    const double value = 2.0;
    EXPECT_TRUE(all_differ({ hash_of(array_of(&value, PARLOOM_F64, {})), hash_of(array_of(&value, PARLOOM_F64, { 1 })),
                             hash_of(array_of(&value, PARLOOM_F64, { 1, 1 })) }));
}

TEST_F(Hash, OfArraysWithoutItemsDependsOnTheirShapes)
{
    EXPECT_TRUE(all_differ(
        { hash_of(array_of(nullptr, PARLOOM_F64, { 0 })), hash_of(array_of(nullptr, PARLOOM_F64, { 0, 3 })),
          hash_of(array_of(nullptr, PARLOOM_F64, { 3, 0 })), hash_of(array_of(nullptr, PARLOOM_F32, { 0 })) }));
    /* Whether they have an address or strides makes no difference. */
    const double value = 1;
    EXPECT_EQ(hash_of(array_of(nullptr, PARLOOM_F64, { 0, 3 })),
              hash_of(strided(&value, PARLOOM_F64, { 0, 3 }, { -8, 80 })));
}

TEST_F(Hash, ComparesNumbersAsBytes)
{
    EXPECT_NE(hash_of_double(0.0), hash_of_double(-0.0));
    EXPECT_EQ(hash_of_double(std::nan("")), hash_of_double(std::nan("")));
    EXPECT_NE(hash_of_double(std::nan("")), hash_of_double(std::nan("7")));
    const int64_t integer = 1;
    EXPECT_NE(hash_of_double(1.0), hash_of(array_of(&integer, PARLOOM_I64, {})));
}

TEST_F(Hash, TellsCOrderFromFortranOrderFromNeither)
{
    const int32_t rows[] = { 1, 2, 3, 4, 5, 6 };    /* { { 1, 2, 3 }, { 4, 5, 6 } } */
    const int32_t columns[] = { 1, 4, 2, 5, 3, 6 }; /* the same, column by column */
    const int32_t gaps[] = { 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0 };
    parloom_array in_c = array_of(rows, PARLOOM_I32, { 2, 3 });
    parloom_array in_fortran = strided(columns, PARLOOM_I32, { 2, 3 }, { 4, 8 });
    parloom_array with_gaps = strided(gaps, PARLOOM_I32, { 2, 3 }, { 24, 8 });
    EXPECT_TRUE(all_differ({ hash_of(in_c), hash_of(in_fortran), hash_of(with_gaps) }));

    parloom_hash_options options = {};
    options.any_layout = true;
    EXPECT_EQ(hash_of(in_c, &options), hash_of(in_c));
    EXPECT_EQ(hash_of(in_fortran, &options), hash_of(in_c));
    EXPECT_EQ(hash_of(with_gaps, &options), hash_of(in_c));
}

TEST_F(Hash, IgnoresBytesBetweenItemsAndStridesThatAreNeverUsed)
{
    const int32_t gaps[] = { 1, 7, 2, 7, 3, 7 };
    const int32_t other[] = { 1, 8, 8, 2, 8, 8, 3, 8, 8 };
    EXPECT_EQ(hash_of(strided(gaps, PARLOOM_I32, { 3 }, { 8 })), hash_of(strided(other, PARLOOM_I32, { 3 }, { 12 })));
    EXPECT_EQ(hash_of(strided(gaps, PARLOOM_I32, { 1, 2 }, { 999, 4 })),
              hash_of(array_of(gaps, PARLOOM_I32, { 1, 2 })));
}

TEST_F(Hash, OfAViewThatGoesBackwardsIsOfItsItems)
{
    const int32_t up[] = { 1, 2, 3 };
    const int32_t down[] = { 3, 0, 2, 0, 1 };
    const int32_t same[] = { 5, 5, 5 };
    EXPECT_EQ(hash_of(strided(up + 2, PARLOOM_I32, { 3 }, { -4 })), hash_of(strided(down, PARLOOM_I32, { 3 }, { 8 })));
    EXPECT_EQ(hash_of(strided(same, PARLOOM_I32, { 3 }, { 0 })),
              hash_of(strided(same + 2, PARLOOM_I32, { 3 }, { -4 })));
}

TEST_F(Hash, CountsByteOrderAsDtype)
{
    const uint16_t values[] = { 0x0102, 0x0304 };
    parloom_array native = array_of(values, PARLOOM_U16, { 2 });
    parloom_array swapped = native;
    swapped.flags |= LOOM_ARRAY_SWAPPED;
    EXPECT_NE(hash_of(native), hash_of(swapped));
    parloom_array bytes = array_of(values, PARLOOM_U8, { 4 });
    parloom_array swapped_bytes = bytes;
    swapped_bytes.flags |= LOOM_ARRAY_SWAPPED; /* one byte has no order */
    EXPECT_EQ(hash_of(bytes), hash_of(swapped_bytes));
}

TEST_F(Hash, OfSharedMemoryIsThatOfPrivateMemoryUnlessToldOtherwise)
{
    const size_t shape[] = { 4 };
    const double values[] = { 1, 2, 3, 4 };
    parloom_array shared;
    parloom_error error;
    ASSERT_EQ(parloom_array_create(&shared, PARLOOM_F64, 1, shape, &error), PARLOOM_OK) << error.message;
    memcpy(shared.data, values, sizeof values);
    parloom_array plain = array_of(values, PARLOOM_F64, { 4 });
    parloom_hash_options options = {};
    options.memmap_differs = true;
    EXPECT_EQ(hash_of(shared), hash_of(plain));
    EXPECT_NE(hash_of(shared, &options), hash_of(plain, &options));
    EXPECT_EQ(hash_of(plain, &options), hash_of(plain));
    parloom_array_release(&shared);
}

TEST_F(Hash, RefusesArraysThatMakeNoSense)
{
    const double values[] = { 1, 2, 3 };
    std::vector<parloom_array> hostile(7, array_of(values, PARLOOM_F64, { 3 }));
    hostile[0].data = nullptr;
    hostile[1].dtype = static_cast<parloom_dtype>(99);
    hostile[2].ndim = 9;
    hostile[3].shape[0] = SIZE_MAX / 4;
    hostile[4].strides[0] = PTRDIFF_MIN;
    hostile[5].item_nbytes = 4;
    hostile[6].dtype = PARLOOM_ITEM, hostile[6].item_nbytes = 0;
    for (size_t k = 0; k < hostile.size(); k++) {
        parloom_digest digest = { { 7 } };
        parloom_error error;
        EXPECT_EQ(parloom_hash_array(&hostile[k], nullptr, &digest, &error), PARLOOM_ERR_INVALID) << k;
        EXPECT_EQ(error.status, PARLOOM_ERR_INVALID) << k;
        EXPECT_EQ(strncmp(error.message, "while hashing an array: ", 24), 0) << error.message;
        EXPECT_EQ(digest.bytes[0], 7) << "set although it failed";
        EXPECT_EQ(parloom_hash_array(&hostile[k], nullptr, &digest, nullptr), PARLOOM_ERR_INVALID) << k;
    }
    parloom_digest digest;
    EXPECT_EQ(parloom_hash_array(nullptr, nullptr, &digest, nullptr), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_hash_array(&hostile[0], nullptr, nullptr, nullptr), PARLOOM_ERR_INVALID);
}

TEST_F(Hash, RefusesOptionsThatMakeNoSense)
{
    const double value = 1;
    const size_t none[] = { 0 };
    unsigned char room[PARLOOM_SHA256_BYTES];
    parloom_array array = array_of(&value, PARLOOM_F64, {});
    std::vector<parloom_hash_options> bad(5);
    std::vector<std::string> says = { "\"xxh3\" or \"sha256\"", "reserved[7]", "ignored is NULL", "sha256_out",
                                      "ignored is for lists" };
    bad[0].algorithm = "md5";
    bad[1].reserved[7] = 1;
    bad[2].n_ignored = 1;
    bad[3].sha256_out = room;
    bad[4].ignored = none, bad[4].n_ignored = 1;
    for (size_t k = 0; k < bad.size(); k++) {
        parloom_digest digest;
        parloom_error error;
        if (k == 2)
            EXPECT_EQ(parloom_hash_args(nullptr, 0, &bad[k], &digest, &error), PARLOOM_ERR_INVALID) << k;
        else
            EXPECT_EQ(parloom_hash_array(&array, &bad[k], &digest, &error), PARLOOM_ERR_INVALID) << k;
        EXPECT_NE(std::string(error.message).find(says[k]), std::string::npos) << error.message;
        EXPECT_EQ(strncmp(error.message, "while hashing ", 14), 0) << error.message;
    }
}

TEST_F(Hash, ClearsTheErrorWhenItSucceeds)
{
    const double value = 1;
    parloom_array array = array_of(&value, PARLOOM_F64, {});
    parloom_digest digest;
    parloom_error error;
    ASSERT_EQ(parloom_hash_array(nullptr, nullptr, &digest, &error), PARLOOM_ERR_INVALID);
    ASSERT_EQ(parloom_hash_array(&array, nullptr, &digest, &error), PARLOOM_OK);
    EXPECT_EQ(error.status, PARLOOM_OK);
    EXPECT_STREQ(error.message, "");
}

TEST_F(Hash, IsWrittenAsTextFirstByteFirst)
{
    parloom_digest digest = { { 0x00, 0x1f, 0xa2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff } };
    EXPECT_EQ(text_of(digest), "001fa2030405060708090a0b0c0d0eff");
}

TEST_F(Hash, WithSha256IsAnotherOneOrSaysWhatIsMissing)
{
    const double value = 1;
    parloom_array array = array_of(&value, PARLOOM_F64, {});
    parloom_hash_options options = {};
    options.algorithm = "sha256";
    parloom_digest digest;
    parloom_error error;
    parloom_status status = parloom_hash_array(&array, &options, &digest, &error);
#ifdef PARLOOM_HAVE_OPENSSL
    ASSERT_EQ(status, PARLOOM_OK) << error.message;
    EXPECT_NE(text_of(digest), hash_of(array));
#else
    EXPECT_EQ(status, PARLOOM_ERR_UNSUPPORTED);
    EXPECT_NE(strstr(error.message, "PARLOOM_WITH_OPENSSL=ON"), nullptr) << error.message;
    EXPECT_NE(strstr(error.message, "libssl-dev"), nullptr) << error.message;
#endif
}
