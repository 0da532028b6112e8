/* SPDX-License-Identifier: BSD-3-Clause */
/* H1: digests of values and of arrays. */
#include "conformance/conformance.h"
#include "rest/hashes.h"

#include <cmath>

using namespace conformance;

namespace
{

template <class T> std::string scalar(parloom_dtype dtype, T value)
{
    return hash_of(array_of(&value, dtype, {}));
}

std::string of_text(const std::string &text)
{
    return hash_of({ parloom_in(text.data(), text.size()) });
}

parloom_array strided(const void *data, parloom_dtype dtype, const std::vector<size_t> &shape,
                      const std::vector<ptrdiff_t> &strides, size_t item_nbytes = 0)
{
    return parloom_array_wrap_strided(const_cast<void *>(data), dtype, item_nbytes, static_cast<int>(shape.size()),
                                      shape.data(), strides.empty() ? nullptr : strides.data());
}

/* Numbers that look random and are the same in each run. */
std::vector<double> numbers(size_t n, unsigned seed = 1)
{
    std::vector<double> made(n);
    for (double &number : made) number = static_cast<double>(seed = seed * 1664525 + 1013904223);
    return made;
}

std::string table_of(const std::vector<const char *> &names, const std::vector<parloom_arg> &args)
{
    parloom_digest digest;
    parloom_error error;
    parloom_status status = parloom_hash_named(names.data(), args.data(), args.size(), nullptr, &digest, &error);
    return status == PARLOOM_OK ? text_of(digest) : error.message;
}

std::string set_of(const std::vector<parloom_arg> &args)
{
    parloom_digest digest;
    parloom_error error;
    parloom_status status = parloom_hash_set(args.data(), args.size(), nullptr, &digest, &error);
    return status == PARLOOM_OK ? text_of(digest) : error.message;
}

/* Seven kinds of array input, each out of memory of its own. */
std::vector<std::string> seven_digests()
{
    std::vector<double> data = numbers(240), copy = data;
    parloom_array plain = array_of(data.data(), PARLOOM_F64, { 240 });
    parloom_array fortran = strided(data.data(), PARLOOM_F64, { 12, 20 }, { 8, 96 });
    parloom_array gaps = strided(data.data(), PARLOOM_F64, { 12, 10 }, { 160, 16 });
    parloom_array backwards = strided(&data[239], PARLOOM_F64, { 240 }, { -8 });
    parloom_array records = strided(data.data(), PARLOOM_ITEM, { 80 }, {}, 24);
    parloom_array nested = array_of(copy.data(), PARLOOM_F64, { 10, 24 });
    return { hash_of(plain),
             hash_of(fortran),
             hash_of(gaps),
             hash_of(backwards),
             hash_of(records),
             hash_of({ parloom_in_array(&plain), parloom_in_array(&nested) }),
             table_of({ "a", "b" }, { parloom_in_array(&fortran), parloom_in_array(&gaps) }) };
}

} // namespace

TEST_F(Conformance, H1_01_TrivialHash)
{
    auto all = [] {
        const double row[] = { 1, 2 };
        std::vector<std::string> made = {
            scalar<int8_t>(PARLOOM_I8, 1),
            scalar<uint8_t>(PARLOOM_U8, 1),
            scalar<int16_t>(PARLOOM_I16, 1),
            scalar<uint16_t>(PARLOOM_U16, 1),
            scalar<int32_t>(PARLOOM_I32, 1),
            scalar<uint32_t>(PARLOOM_U32, 1),
            scalar<int64_t>(PARLOOM_I64, 1),
            scalar<uint64_t>(PARLOOM_U64, 1),
            scalar<int32_t>(PARLOOM_I32, 2),
            scalar<bool>(PARLOOM_BOOL, true),
            scalar<bool>(PARLOOM_BOOL, false),
            scalar<float>(PARLOOM_F32, 1),
            scalar<double>(PARLOOM_F64, 1),
            scalar<double>(PARLOOM_F64, 1.1),
            scalar<double>(PARLOOM_F64, -0.0),
            scalar<double>(PARLOOM_F64, NAN),
            of_text(""),
            of_text("a"),
            of_text("b"),
            hash_of(std::vector<parloom_arg>{}),
            hash_of(array_of(row, PARLOOM_F64, { 2 })),
            hash_of(array_of(row, PARLOOM_F64, { 1 })),
        };
        return made;
    };
    std::vector<std::string> once = all(), again = all();
    ASSERT_EQ(once.size(), 22U);
    for (size_t i = 0; i < once.size(); i++)
        for (size_t k = 0; k < again.size(); k++) EXPECT_EQ(once[i] == again[k], i == k) << i << " and " << k;
}

TEST_F(Conformance, H1_04_HashNumpyDictOfArrays)
{
    std::vector<double> one = numbers(1000, 1), other = numbers(1000, 2), copy = one;
    parloom_array a = array_of(one.data(), PARLOOM_F64, { 1000 });
    parloom_array b = array_of(other.data(), PARLOOM_F64, { 1000 });
    parloom_array c = array_of(copy.data(), PARLOOM_F64, { 1000 });
    std::string table = table_of({ "1", "2" }, { parloom_in_array(&a), parloom_in_array(&b) });
    EXPECT_EQ(table.size(), 32U) << table;
    EXPECT_EQ(table, table_of({ "1", "2" }, { parloom_in_array(&c), parloom_in_array(&b) }));
    EXPECT_NE(table, table_of({ "1", "2" }, { parloom_in_array(&b), parloom_in_array(&a) }));
    EXPECT_NE(table, table_of({ "1", "3" }, { parloom_in_array(&a), parloom_in_array(&b) }));
    copy[999] += 1;
    EXPECT_NE(table, table_of({ "1", "2" }, { parloom_in_array(&c), parloom_in_array(&b) }));
}

TEST_F(Conformance, H1_06_HashNumpyNoncontiguous)
{
    /* Every other plane of 10 x 20 x 6, and its copies without gaps. */
    std::vector<double> whole = numbers(1200), in_c(600), in_fortran(600);
    parloom_array view = strided(whole.data(), PARLOOM_F64, { 10, 20, 3 }, { 960, 48, 16 });
    size_t at = 0;
    for (size_t i = 0; i < 10; i++)
        for (size_t j = 0; j < 20; j++)
            for (size_t k = 0; k < 3; k++)
                in_c[at++] = in_fortran[i + 10 * j + 200 * k] = whole[120 * i + 6 * j + 2 * k];
    parloom_array c = array_of(in_c.data(), PARLOOM_F64, { 10, 20, 3 });
    parloom_array fortran = strided(in_fortran.data(), PARLOOM_F64, { 10, 20, 3 }, { 8, 80, 1600 });
    EXPECT_NE(hash_of(view), hash_of(c));
    EXPECT_NE(hash_of(view), hash_of(fortran));
    parloom_hash_options options = {};
    options.any_layout = true; /* the items are the same */
    EXPECT_EQ(hash_of(view, &options), hash_of(c, &options));
    EXPECT_EQ(hash_of(view, &options), hash_of(fortran, &options));
}

TEST_F(Conformance, H1_07_HashMemmap)
{
    Folder folder;
    std::vector<double> data = numbers(100000);
    parloom_array plain = array_of(data.data(), PARLOOM_F64, { 100000 });
    std::string path = folder.path + "/data.npy";
    ASSERT_EQ(parloom_array_dump(&plain, path.c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    parloom_array mapped;
    ASSERT_EQ(parloom_array_load(&mapped, path.c_str(), PARLOOM_MMAP_R, &error), PARLOOM_OK) << error.message;
    for (bool coerce_mmap : { true, false }) {
        parloom_hash_options options = {};
        options.memmap_differs = !coerce_mmap;
        EXPECT_EQ(hash_of(mapped, &options) == hash_of(plain, &options), coerce_mmap);
        EXPECT_EQ(hash_of({ parloom_in_array(&mapped) }, &options) == hash_of({ parloom_in_array(&plain) }, &options),
                  coerce_mmap);
    }
    parloom_array_release(&mapped);
}

TEST_F(Conformance, H1_12_NumpyScalar)
{
    EXPECT_EQ(scalar<double>(PARLOOM_F64, 2.0), scalar<double>(PARLOOM_F64, 2.0));
    EXPECT_NE(scalar<double>(PARLOOM_F64, 2.0), scalar<double>(PARLOOM_F64, 3.0));
}

TEST_F(Conformance, H1_13_DictHash)
{
    std::vector<std::string> keys;
    for (int k = 0; k < 50; k++) keys.push_back("key " + std::to_string(k * 7919 % 50));
    std::vector<const char *> names, backwards;
    std::vector<parloom_arg> values, values_backwards;
    for (const std::string &key : keys) {
        names.push_back(key.c_str());
        values.push_back(parloom_in(key.data(), key.size()));
    }
    backwards.assign(names.rbegin(), names.rend());
    values_backwards.assign(values.rbegin(), values.rend());
    EXPECT_EQ(table_of(names, values).size(), 32U);
    EXPECT_EQ(table_of(names, values), table_of(backwards, values_backwards));
    EXPECT_NE(table_of(names, values), table_of(names, values_backwards));
}

TEST_F(Conformance, H1_14_SetHash)
{
    std::vector<double> data = numbers(100);
    std::vector<parloom_arg> elements;
    for (double &number : data) elements.push_back(parloom_in(&number, sizeof number));
    std::vector<parloom_arg> backwards(elements.rbegin(), elements.rend());
    EXPECT_EQ(set_of(elements).size(), 32U);
    EXPECT_EQ(set_of(elements), set_of(backwards));
    backwards.pop_back();
    EXPECT_NE(set_of(elements), set_of(backwards));
}

TEST_F(Conformance, H1_17_NumpyDtypePickling)
{
    struct record {
        double value;
        int32_t count;
        char name[12];
    };
    std::vector<double> numbers_once = numbers(30), numbers_again = numbers_once;
    std::vector<record> once(10), again(10);
    for (size_t k = 0; k < 10; k++) once[k] = again[k] = { 0.5 * static_cast<double>(k), 7, "abc" };
    parloom_array a = array_of(numbers_once.data(), PARLOOM_F64, { 30 });
    parloom_array b = array_of(numbers_again.data(), PARLOOM_F64, { 30 });
    parloom_array r = strided(once.data(), PARLOOM_ITEM, { 10 }, {}, sizeof(record));
    parloom_array s = strided(again.data(), PARLOOM_ITEM, { 10 }, {}, sizeof(record));
    EXPECT_EQ(hash_of(a), hash_of(b));
    EXPECT_EQ(hash_of(r), hash_of(s));
    /* Repeated, it makes no difference whether it is the same one or its equal. */
    EXPECT_EQ(hash_of({ parloom_in_array(&a), parloom_in_array(&a), parloom_in_array(&r), parloom_in_array(&r) }),
              hash_of({ parloom_in_array(&a), parloom_in_array(&b), parloom_in_array(&s), parloom_in_array(&r) }));
    EXPECT_NE(hash_of(r), hash_of(strided(once.data(), PARLOOM_ITEM, { 20 }, {}, sizeof(record) / 2)));
}

TEST_F(Conformance, H1_18_HashesStayTheSame)
{
    /* Made once; tests/rest/test_hash_reference.cc has more. */
    const unsigned char bytes[] = { 1, 2, 3, 4, 5, 6 };
    parloom_array array = array_of(bytes, PARLOOM_U8, { 2, 3 });
    EXPECT_EQ(of_text("This is a string to hash"), "e8acf01cb1153a1b8198f144dbae6028");
    EXPECT_EQ(of_text("C'est l\xc3\xa9t\xc3\xa9"), "5c4a63b278102def15e92655c0c7fcc8");
    EXPECT_EQ(hash_of(array), "6fa8846278f1ef092048b52cdf292ad3");
    EXPECT_EQ(table_of({ "b", "a" }, { parloom_in_array(&array), parloom_in(bytes, 6) }),
              "ddc61ce13efddc0b997c41bc7f48206d");
    EXPECT_EQ(set_of({ parloom_in_array(&array), parloom_in(bytes, 6) }), "902ea48ca3dae64b7a614f7b9148a3b2");
}

TEST_F(Conformance, H1_19_HashesAreDifferentBetweenCAndFortranContiguousArrays)
{
    /* Symmetric, so that both orders have the same bytes. */
    double rows[100];
    for (size_t i = 0; i < 10; i++)
        for (size_t k = 0; k < 10; k++) rows[10 * i + k] = static_cast<double>(i * k);
    EXPECT_NE(hash_of(array_of(rows, PARLOOM_F64, { 10, 10 })),
              hash_of(strided(rows, PARLOOM_F64, { 10, 10 }, { 8, 80 })));
}

TEST_F(Conformance, H1_20_0dArray)
{
    EXPECT_EQ(scalar<int64_t>(PARLOOM_I64, 0), scalar<int64_t>(PARLOOM_I64, 0));
    EXPECT_NE(scalar<int64_t>(PARLOOM_I64, 0), scalar<int64_t>(PARLOOM_I64, 1));
}

TEST_F(Conformance, H1_21_0dAnd1dArrayHashingIsDifferent)
{
    const int64_t zero = 0;
    EXPECT_NE(hash_of(array_of(&zero, PARLOOM_I64, {})), hash_of(array_of(&zero, PARLOOM_I64, { 1 })));
}

TEST_F(Conformance, H1_22_HashesStayTheSameWithNumpyObjects)
{
    std::vector<std::string> here = seven_digests();
    EXPECT_TRUE(all_differ(here));
    EXPECT_EQ(seven_digests(), here);
    Ended there = run_program([] {
        for (const std::string &digest : seven_digests()) printf("%s\n", digest.c_str());
        return 0;
    });
    std::string lines;
    for (const std::string &digest : here) lines += digest + "\n";
    EXPECT_TRUE(there.is_ok());
    EXPECT_EQ(there.out, lines);
}

TEST_F(Conformance, H1_23_HashingPicklingError)
{
    parloom_array array = array_of(nullptr, PARLOOM_F64, { 3 });
    parloom_arg arg = parloom_in_array(&array);
    parloom_digest digest;
    EXPECT_EQ(parloom_hash_array(&array, nullptr, &digest, &error), PARLOOM_ERR_INVALID);
    EXPECT_TRUE(says(error, "while hashing an array: data of an array with 3 items is NULL")) << error.message;
    EXPECT_EQ(parloom_hash_args(&arg, 1, nullptr, &digest, &error), PARLOOM_ERR_INVALID);
    EXPECT_TRUE(says(error, "while hashing argument 0: ")) << error.message;
}

TEST_F(Conformance, H1_24_WrongHashName)
{
    parloom_hash_options options = {};
    parloom_digest digest;
    options.algorithm = "invalid";
    EXPECT_EQ(parloom_hash_args(nullptr, 0, &options, &digest, &error), PARLOOM_ERR_INVALID);
    EXPECT_TRUE(says(error, "\"invalid\"")) << error.message;
    for (const char *valid : { "xxh3", "sha256" }) EXPECT_TRUE(says(error, valid)) << error.message;
}
