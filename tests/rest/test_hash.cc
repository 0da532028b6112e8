/* SPDX-License-Identifier: BSD-3-Clause */
/* test_hash.cc - digests: what they cover, what they do not, and that they stay what they are. */
#include "rest/hashes.h"
#include "support/clean.h"

#include "rest/hash.h"
#include "shm/array.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace
{

using Hash = loom::Clean;

} // namespace

TEST_F(Hash, OfEqualArraysIsEqualAndOfOthersIsNot)
{
    double values[] = { 1, 2, 3, 4, 5, 6 };
    double copy[] = { 1, 2, 3, 4, 5, 6 };
    EXPECT_EQ(hash_of(array_of(values, PARLOOM_F64, { 6 })), hash_of(array_of(copy, PARLOOM_F64, { 6 })));
    copy[5] = 7;
    EXPECT_NE(hash_of(array_of(values, PARLOOM_F64, { 6 })), hash_of(array_of(copy, PARLOOM_F64, { 6 })));
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
        hash_of(parloom_array_wrap_strided(values, PARLOOM_ITEM, 8, 1, (const size_t[]){ 6 }, nullptr)),
        hash_of(parloom_array_wrap_strided(values, PARLOOM_ITEM, 16, 1, (const size_t[]){ 3 }, nullptr)),
    }));
}
