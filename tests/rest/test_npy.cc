/* SPDX-License-Identifier: BSD-3-Clause */
/* test_npy.cc - headers of .npy files are read as NumPy reads them, and damaged ones are refused. */
#include "rest/npy.h"

#include "shm/array.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace
{

std::string header_of(const std::string &dictionary, unsigned char major = 1)
{
    std::string bytes = "\x93NUMPY";
    bytes += static_cast<char>(major);
    bytes += '\0';
    size_t length = dictionary.size();
    for (int k = 0; k < (major == 1 ? 2 : 4); k++) bytes += static_cast<char>(length >> (8 * k) & 0xff);
    return bytes + dictionary;
}

std::string of_type(const std::string &type, const std::string &shape = "(2, 3)")
{
    return header_of("{'descr': " + type + ", 'fortran_order': False, 'shape': " + shape + ", }\n");
}

/* Given exactly as many bytes as it may read, so that a sanitizer sees one more. */
parloom_status parse(const std::string &bytes, loom_npy_header &header, parloom_error &error)
{
    std::vector<char> exact(bytes.begin(), bytes.end());
    return loom_npy_parse(exact.data(), exact.size(), "file.npy", &header, &error);
}

} // namespace

TEST(Npy, ReadsEveryPlainType)
{
    const struct {
        const char *type;
        parloom_dtype dtype;
        size_t nbytes;
        size_t swap; /* 0: native */
    } cases[] = {
        { "'|b1'", PARLOOM_BOOL, 1, 0 },     { "'|i1'", PARLOOM_I8, 1, 0 },      { "'<i2'", PARLOOM_I16, 2, 0 },
        { "'<i4'", PARLOOM_I32, 4, 0 },      { "'<i8'", PARLOOM_I64, 8, 0 },     { "'|u1'", PARLOOM_U8, 1, 0 },
        { "'<u2'", PARLOOM_U16, 2, 0 },      { "'<u4'", PARLOOM_U32, 4, 0 },     { "'<u8'", PARLOOM_U64, 8, 0 },
        { "'<f4'", PARLOOM_F32, 4, 0 },      { "'<f8'", PARLOOM_F64, 8, 0 },     { "'<c8'", PARLOOM_C64, 8, 0 },
        { "'<c16'", PARLOOM_C128, 16, 0 },   { "'<f2'", PARLOOM_ITEM, 2, 0 },    { "'<f16'", PARLOOM_ITEM, 16, 0 },
        { "'|S5'", PARLOOM_ITEM, 5, 0 },     { "'<U2'", PARLOOM_ITEM, 8, 0 },    { "'|V12'", PARLOOM_ITEM, 12, 0 },
        { "'<M8[ns]'", PARLOOM_ITEM, 8, 0 }, { "'>f8'", PARLOOM_F64, 8, 8 },     { "'>i1'", PARLOOM_I8, 1, 0 },
        { "'>c16'", PARLOOM_C128, 16, 8 },   { "'>U2'", PARLOOM_ITEM, 8, 4 },    { "'=f8'", PARLOOM_F64, 8, 0 },
        { "\"f4\"", PARLOOM_F32, 4, 0 },     { "'>m8[D]'", PARLOOM_ITEM, 8, 8 },
    };
    for (const auto &c : cases) {
        loom_npy_header header;
        parloom_error error;
        ASSERT_EQ(parse(of_type(c.type), header, error), PARLOOM_OK) << c.type << ": " << error.message;
        EXPECT_EQ(header.dtype, c.dtype) << c.type;
        EXPECT_EQ(header.item_nbytes, c.nbytes) << c.type;
        EXPECT_EQ(header.is_swapped, c.swap > 0) << c.type;
        EXPECT_EQ(header.swap_nbytes, c.swap > 0 ? c.swap : 1) << c.type;
        EXPECT_EQ(header.payload_nbytes, 6 * c.nbytes) << c.type;
    }
}

TEST(Npy, ReadsRecordsAsItemsOfTheirSize)
{
    const struct {
        const char *type;
        size_t nbytes;
        bool is_swapped;
    } cases[] = {
        { "[('a', '<f8')]", 8, false },
        { "[('a', '<i4'), ('', '|V4'), ('b', '<f8')]", 16, false },
        { "[('p', '<f4', (3,)), ('q', '<f4', (2, 2))]", 28, false },
        { "[('n', '<f4', 3)]", 12, false },
        { "[('in', [('x', '<f8'), ('deep', [('y', '|i1'), ('z', '>i2')])], (2,)), ('t', '|S3')]", 25, true },
        { "[(('title', 'name'), '<f8')]", 8, false },
        { "[('it\\'s } [ odd', '<f8'), (\"q'\", '<u2'),]", 10, false },
        { "[('none', '<f8', (0,)), ('some', '|u1')]", 1, false },
        { "[('t', '|S0'), ('v', '|V0'), ('a', '<f8'), ('u', '>U0', (2,)), ('e', [])]", 8, true },
    };
    for (const auto &c : cases) {
        loom_npy_header header;
        parloom_error error;
        ASSERT_EQ(parse(of_type(c.type), header, error), PARLOOM_OK) << c.type << ": " << error.message;
        EXPECT_EQ(header.dtype, PARLOOM_ITEM);
        EXPECT_EQ(header.item_nbytes, c.nbytes) << c.type;
        EXPECT_EQ(header.is_swapped, c.is_swapped) << c.type;
    }
}

TEST(Npy, ReadsShapesOrdersAndVersions)
{
    loom_npy_header header;
    parloom_error error;
    ASSERT_EQ(parse(of_type("'<f8'", "()"), header, error), PARLOOM_OK) << error.message;
    EXPECT_EQ(header.ndim, 0);
    EXPECT_EQ(header.payload_nbytes, 8U);
    ASSERT_EQ(parse(of_type("'<f8'", "(7,)"), header, error), PARLOOM_OK) << error.message;
    EXPECT_EQ(header.ndim, 1);
    ASSERT_EQ(parse(of_type("'<f8'", "(10L, 0L)"), header, error), PARLOOM_OK) << error.message;
    EXPECT_EQ(header.payload_nbytes, 0U);
    ASSERT_EQ(parse(of_type("'<f8'", "(18446744073709551615, 0)"), header, error), PARLOOM_OK) << error.message;
    for (unsigned char major = 1; major <= 3; major++) {
        std::string bytes = header_of("{'shape':(2,3),'fortran_order':True,'descr':'<f4'}", major);
        ASSERT_EQ(parse(bytes, header, error), PARLOOM_OK) << error.message;
        EXPECT_TRUE(header.is_fortran);
        EXPECT_EQ(header.payload_offset, bytes.size());
        EXPECT_EQ(header.shape[1], 3U);
    }
}

TEST(Npy, RefusesWhatIsNoHeader)
{
    const struct {
        std::string bytes;
        parloom_status expected;
    } cases[] = {
        { "", PARLOOM_ERR_FORMAT },
        { "\x93NUMPY", PARLOOM_ERR_FORMAT },
        { "just some text, long enough", PARLOOM_ERR_FORMAT },
        { std::string("\x1f\x8b\x08\x00 something", 14), PARLOOM_ERR_UNSUPPORTED },
        { std::string("PK\x03\x04 something else", 20), PARLOOM_ERR_UNSUPPORTED },
        { header_of("{}", 4), PARLOOM_ERR_UNSUPPORTED },
        { header_of("{}", 0), PARLOOM_ERR_UNSUPPORTED },
        { header_of("{}"), PARLOOM_ERR_FORMAT },
        { header_of("{'descr': '<f8', 'fortran_order': False, }"), PARLOOM_ERR_FORMAT },
        { header_of("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), 'more': 1}"), PARLOOM_ERR_FORMAT },
        { header_of("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (2,)}"), PARLOOM_ERR_FORMAT },
        { header_of("{'descr': '<f8', 'fortran_order': 1, 'shape': (2,)}"), PARLOOM_ERR_FORMAT },
        { header_of("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)} x"), PARLOOM_ERR_FORMAT },
        { header_of("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)"), PARLOOM_ERR_FORMAT },
        { header_of("__import__('os').system('true')"), PARLOOM_ERR_FORMAT },
        { of_type("'<f8'", "[2, 3]"), PARLOOM_ERR_FORMAT },
        { of_type("'<f8'", "(-1,)"), PARLOOM_ERR_FORMAT },
        { of_type("'<f8'", "(2 3)"), PARLOOM_ERR_FORMAT },
        { of_type("'<f8'", "(18446744073709551616,)"), PARLOOM_ERR_FORMAT },
        { of_type("'<f8'", "(9223372036854775807,)"), PARLOOM_ERR_FORMAT },
        { of_type("'<f8'", "(4294967296, 4294967296)"), PARLOOM_ERR_FORMAT },
        { of_type("'<f8'", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), PARLOOM_ERR_UNSUPPORTED },
        { of_type("'|O'"), PARLOOM_ERR_UNSUPPORTED },
        { of_type("'|O8'"), PARLOOM_ERR_UNSUPPORTED },
        { of_type("[('a', '<f8'), ('b', '|O')]"), PARLOOM_ERR_UNSUPPORTED },
        { of_type("'|V0'"), PARLOOM_ERR_UNSUPPORTED },
        { of_type("'>U0'"), PARLOOM_ERR_UNSUPPORTED },
        { of_type("'<f0'"), PARLOOM_ERR_FORMAT },
        { of_type("[('t', '|S0'), ('e', [])]"), PARLOOM_ERR_UNSUPPORTED },
        { of_type("[]"), PARLOOM_ERR_UNSUPPORTED },
        { of_type("[('a', '<f8', (0,))]"), PARLOOM_ERR_UNSUPPORTED },
        { of_type("'<f3'"), PARLOOM_ERR_FORMAT },
        { of_type("'<i16'"), PARLOOM_ERR_FORMAT },
        { of_type("'<x8'"), PARLOOM_ERR_FORMAT },
        { of_type("'<f8[ns]'"), PARLOOM_ERR_FORMAT },
        { of_type("'<M8[ns'"), PARLOOM_ERR_FORMAT },
        { of_type("'<'"), PARLOOM_ERR_FORMAT },
        { of_type("''"), PARLOOM_ERR_FORMAT },
        { of_type("'<f8"), PARLOOM_ERR_FORMAT },
        { of_type("'<U18446744073709551615'"), PARLOOM_ERR_FORMAT },
        { of_type("[('a', '|V18446744073709551615'), ('b', '|V18446744073709551615')]"), PARLOOM_ERR_FORMAT },
        { of_type("[('a', '<f8', (4294967296, 4294967296))]"), PARLOOM_ERR_FORMAT },
        { of_type("[('a' '<f8')]"), PARLOOM_ERR_FORMAT },
        { of_type("[('a', '<f8'"), PARLOOM_ERR_FORMAT },
        { of_type("[('a', '<f8') ('b', '<f8')]"), PARLOOM_ERR_FORMAT },
        { of_type("None"), PARLOOM_ERR_FORMAT },
    };
    for (const auto &c : cases) {
        loom_npy_header header;
        parloom_error error;
        EXPECT_EQ(parse(c.bytes, header, error), c.expected) << c.bytes;
        EXPECT_NE(std::strstr(error.message, "file.npy"), nullptr) << error.message;
    }
}

TEST(Npy, NestsAsDeepAsItIsAllowedToAndNoDeeper)
{
    auto nested = [](size_t depth) {
        std::string type;
        for (size_t k = 0; k < depth; k++) type += "[('a', ";
        type += "'<f8'";
        for (size_t k = 0; k < depth; k++) type += ")]";
        return of_type(type);
    };
    loom_npy_header header;
    parloom_error error;
    EXPECT_EQ(parse(nested(32), header, error), PARLOOM_OK) << error.message;
    EXPECT_EQ(header.item_nbytes, 8U);
    EXPECT_EQ(parse(nested(33), header, error), PARLOOM_ERR_FORMAT);
    EXPECT_EQ(parse(nested(5000), header, error), PARLOOM_ERR_FORMAT);
}

TEST(Npy, RefusesALengthNobodyNeeds)
{
    std::string bytes = header_of("{}", 2);
    bytes[11] = '\x7f';
    size_t length = 0;
    parloom_error error;
    EXPECT_EQ(loom_npy_measure(bytes.data(), bytes.size(), "file.npy", &length, &error), PARLOOM_ERR_FORMAT);
}

TEST(Npy, SaysWhatIsToBeDoneWithWhatIsNoArray)
{
    const struct {
        std::string bytes;
        const char *advice;
    } others[] = { { std::string("\x1f\x8b\x08\x00 something", 14), "unpacked" },
                   { std::string("PK\x03\x04 something else", 20), "parloom_npz_open" },
                   { std::string("\x80\x04\x95 something", 13), "numpy.save" } };
    for (const auto &other : others) {
        parloom_error error;
        size_t nbytes = 0;
        EXPECT_EQ(loom_npy_measure(other.bytes.data(), other.bytes.size(), "a.npy", &nbytes, &error),
                  PARLOOM_ERR_UNSUPPORTED);
        EXPECT_NE(std::strstr(error.message, other.advice), nullptr) << error.message;
        EXPECT_EQ(std::strstr(error.message, "only uncompressed"), nullptr) << error.message;
    }
}

TEST(Npy, RefusesEveryTruncation)
{
    std::string whole = of_type("[('a', '<f8'), ('in', [('b', '<i4', (2,))])]");
    loom_npy_header header;
    parloom_error error;
    ASSERT_EQ(parse(whole, header, error), PARLOOM_OK) << error.message;
    for (size_t length = 0; length < whole.size(); length++)
        EXPECT_EQ(parse(whole.substr(0, length), header, error), PARLOOM_ERR_FORMAT) << length;
    /* Cut, but with a length that says so: the blank at the end may go, the dictionary may not. */
    std::string dictionary = whole.substr(10);
    for (size_t length = 0; length + 1 < dictionary.size(); length++)
        EXPECT_EQ(parse(header_of(dictionary.substr(0, length)), header, error), PARLOOM_ERR_FORMAT) << length;
}

TEST(Npy, SurvivesEveryByteInEveryPlace)
{
    const std::string whole = of_type("[('a', '<f8'), ('in', [('b', '>i4', (2,))])]");
    for (size_t at = 0; at < whole.size(); at++)
        for (int value = 0; value < 256; value++) {
            std::string bytes = whole;
            bytes[at] = static_cast<char>(value);
            loom_npy_header header;
            parloom_error error;
            parloom_status status = parse(bytes, header, error);
            if (status == PARLOOM_OK) {
                EXPECT_GT(header.item_nbytes, 0U);
                EXPECT_LE(header.ndim, PARLOOM_MAX_NDIM);
                EXPECT_LE(header.payload_offset, bytes.size());
                EXPECT_LE(header.payload_nbytes, static_cast<size_t>(PTRDIFF_MAX));
            } else {
                EXPECT_TRUE(status == PARLOOM_ERR_FORMAT || status == PARLOOM_ERR_UNSUPPORTED) << status;
            }
        }
}

TEST(Npy, WritesTheHeaderNumPyWrites)
{
    size_t shape[] = { 3, 4 };
    double data[12] = { 0 };
    char text[LOOM_NPY_FORMAT_NBYTES];
    parloom_array array = parloom_array_wrap(data, PARLOOM_F64, 2, shape);
    size_t nbytes = loom_npy_format(&array, false, text);
    std::string expected =
        header_of("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }" + std::string(58, ' ') + "\n");
    EXPECT_EQ(std::string(text, nbytes), expected);
    EXPECT_EQ(nbytes, 128U);
}

TEST(Npy, ReadsBackEveryHeaderItWrites)
{
    for (int dtype = PARLOOM_BOOL; dtype <= PARLOOM_ITEM; dtype++)
        for (int ndim = 0; ndim <= PARLOOM_MAX_NDIM; ndim++)
            for (unsigned flags : { 0U, static_cast<unsigned>(LOOM_ARRAY_SWAPPED) }) {
                size_t shape[PARLOOM_MAX_NDIM];
                for (size_t k = 0; k < PARLOOM_MAX_NDIM; k++) shape[k] = k % 2 == 0 ? 1 : 40;
                size_t item = dtype == PARLOOM_ITEM ? 24 : 0;
                parloom_array array =
                    parloom_array_wrap_strided(nullptr, static_cast<parloom_dtype>(dtype), item, ndim, shape, nullptr);
                array.flags = flags;
                std::string text(LOOM_NPY_FORMAT_NBYTES, '\0');
                text.resize(loom_npy_format(&array, ndim > 1, text.data()));
                EXPECT_EQ(text.size() % 64, 0U);
                loom_npy_header header;
                parloom_error error;
                ASSERT_EQ(parse(text, header, error), PARLOOM_OK) << error.message;
                EXPECT_EQ(header.dtype, array.dtype);
                EXPECT_EQ(header.item_nbytes, array.item_nbytes);
                EXPECT_EQ(header.is_fortran, ndim > 1);
                EXPECT_EQ(header.is_swapped, flags != 0 && dtype != PARLOOM_ITEM && array.item_nbytes > 1);
                ASSERT_EQ(header.ndim, ndim);
                for (int k = 0; k < ndim; k++) EXPECT_EQ(header.shape[k], shape[k]);
            }
}

TEST(Npy, WritesTheLongestHeaderIntoItsRoom)
{
    size_t shape[PARLOOM_MAX_NDIM];
    for (size_t &length : shape) length = SIZE_MAX;
    parloom_array array = parloom_array_wrap_strided(nullptr, PARLOOM_ITEM, SIZE_MAX, PARLOOM_MAX_NDIM, shape, nullptr);
    char text[LOOM_NPY_FORMAT_NBYTES];
    size_t nbytes = loom_npy_format(&array, false, text);
    EXPECT_LE(nbytes, sizeof text);
    EXPECT_EQ(nbytes % 64, 0U);
    EXPECT_EQ(text[nbytes - 1], '\n');
}
