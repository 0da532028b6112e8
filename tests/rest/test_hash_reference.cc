/* SPDX-License-Identifier: BSD-3-Clause */
/* test_hash_reference.cc - digests are those of the specification, and stay what they are. */
#include "rest/hashes.h"
#include "rest/samples.h"
#include "support/scratch.h"

#include <cstring>
#include <numeric>
#include <sstream>

namespace
{

class HashReference : public Scratch
{
  protected:
    /* The program imports what docs/hashing.md says; wanted: digests that it is to find, in order, in hexadecimal. */
    std::string disagreement(const std::string &program)
    {
        std::filesystem::path reference = std::filesystem::path(__FILE__).parent_path() / "hash_reference.py";
        std::filesystem::copy_file(reference, folder / "hash_reference.py");
        return run_python(folder, std::string(PYTHON_ITEMS) + "import sys\nsys.dont_write_bytecode = True\n" +
                                      "from hash_reference import *\n"
                                      "found = []\n"
                                      "def add(digest):\n"
                                      "    found.append(digest.hex())\n" +
                                      program + "\nassert found == " + list() +
                                      ", [k for k, (a, b) in enumerate(zip(found, " + list() + ")) if a != b]\n");
    }
    std::string list() const
    {
        std::ostringstream text;
        text << "[";
        for (const std::string &digest : digests) text << "'" << digest << "', ";
        text << "]";
        return text.str();
    }

    std::vector<std::string> digests;
};

bool has_xxhash()
{
    return std::system("/usr/bin/python3 -c 'import numpy, xxhash' 2>/dev/null") == 0;
}

std::vector<unsigned char> pattern(size_t nbytes)
{
    std::vector<unsigned char> bytes(nbytes);
    for (size_t k = 0; k < nbytes; k++) bytes[k] = static_cast<unsigned char>((k * 2654435761U) >> 13);
    return bytes;
}

const char PYTHON_PATTERN[] = R"(
def pattern(n):
    return ((np.arange(n, dtype='u8') * 2654435761 & 0xffffffff) >> 13 & 255).astype('u1')
)";

std::string wide_text(const unsigned char bytes[PARLOOM_SHA256_BYTES])
{
    parloom_digest halves[2];
    memcpy(halves[0].bytes, bytes, 16);
    memcpy(halves[1].bytes, bytes + 16, 16);
    return text_of(halves[0]) + text_of(halves[1]);
}

bool has_sha256()
{
    parloom_hash_options options = {};
    parloom_digest digest;
    options.algorithm = "sha256";
    return parloom_hash_args(nullptr, 0, &options, &digest, nullptr) == PARLOOM_OK;
}

} // namespace

TEST_F(HashReference, AgreesForEveryDtypeOrderAndDimension)
{
    if (!has_xxhash()) GTEST_SKIP() << "python3-xxhash is not installed";
    for (const named_dtype &dtype : DTYPES)
        for (const auto &shape : SHAPES)
            for (bool is_fortran : { false, true }) {
                std::string memory;
                parloom_array array = make(dtype, shape, is_fortran, memory);
                digests.push_back(hash_of(array));
                if (dtype.nbytes == 1 || dtype.dtype == PARLOOM_ITEM) continue;
                array.flags |= LOOM_ARRAY_SWAPPED;
                digests.push_back(hash_of(array));
            }
    EXPECT_EQ(disagreement(R"(
for dtype in dtypes:
    for shape in shapes:
        for order in 'CF':
            array = np.asarray(items(dtype, int(np.prod(shape, dtype=int))).reshape(shape), order=order)
            add(hash_array(array))
            if array.itemsize > 1 and 'V' not in dtype:
                add(hash_array(array.view(array.dtype.newbyteorder())))
)"),
              "");
}

TEST_F(HashReference, AgreesForViewsAndLargeArrays)
{
    if (!has_xxhash()) GTEST_SKIP() << "python3-xxhash is not installed";
    const std::vector<unsigned char> bytes = pattern(3 * 1500000);
    void *data = const_cast<unsigned char *>(bytes.data());
    parloom_hash_options any = {};
    any.any_layout = true;
    for (size_t n : { 1048575, 1048576, 1048577, 3145728, 3145729 })
        digests.push_back(hash_of(array_of(data, PARLOOM_U8, { n })));
    /* 1048576 is no multiple of 3, nor of 700: pieces are of whole items. */
    const size_t threes[] = { 1500000 };
    digests.push_back(hash_of(parloom_array_wrap_strided(data, PARLOOM_ITEM, 3, 1, threes, nullptr)));
    /* Every other row and column, from the end; transposed; in Fortran order; a giant item. */
    const size_t shape[] = { 1000, 1100 };
    const ptrdiff_t strides[] = { -4400, 2 }, turned[] = { 2, 4400 }, fortran[] = { 1, 1000 };
    parloom_array view =
        parloom_array_wrap_strided(static_cast<char *>(data) + 4400 * 999, PARLOOM_U8, 1, 2, shape, strides);
    digests.push_back(hash_of(view));
    digests.push_back(hash_of(view, &any));
    const size_t turned_shape[] = { 1100, 1000 };
    digests.push_back(hash_of(parloom_array_wrap_strided(data, PARLOOM_U8, 1, 2, turned_shape, turned)));
    digests.push_back(hash_of(parloom_array_wrap_strided(data, PARLOOM_U8, 1, 2, shape, fortran)));
    const size_t two[] = { 2 };
    digests.push_back(hash_of(parloom_array_wrap_strided(data, PARLOOM_ITEM, 2000000, 1, two, nullptr)));
    EXPECT_EQ(disagreement(std::string(PYTHON_PATTERN) + R"(
data = pattern(4500000)
for n in (1048575, 1048576, 1048577, 3145728, 3145729):
    add(hash_array(data[:n]))
add(hash_array(data.view('V3')))
rows = data[:4400 * 1000].reshape(1000, 4400)
view = rows[::-1, 0:2200:2]
add(hash_array(view))
add(hash_array(view, any_layout=True))
add(hash_array(rows[:, 0:2200:2].T))
add(hash_array(data[:1100000].reshape(1100, 1000).T))
add(hash_array(data[:4000000].view('V2000000')))
)"),
              "");
}

TEST_F(HashReference, AgreesForListsTablesAndSets)
{
    if (!has_xxhash()) GTEST_SKIP() << "python3-xxhash is not installed";
    std::vector<unsigned char> bytes = pattern(2000000);
    parloom_array array = array_of(bytes.data(), PARLOOM_U8, { 2, 3 });
    auto add = [](void *, const void *) {};
    parloom_arg args[] = { parloom_in(bytes.data(), bytes.size()),
                           parloom_each(parloom_inout(bytes.data(), 24), 8),
                           parloom_out(bytes.data(), 7),
                           parloom_out_array(&array),
                           parloom_in_array(&array),
                           parloom_reduce(bytes.data(), 16, add),
                           parloom_in(nullptr, 0) };
    const char *names[] = { "zeta", "alpha", "Beta", "\xc3\xa9t\xc3\xa9", "", "alph", "b" };
    const size_t ignored[] = { 4 };
    parloom_hash_options options = {};
    options.ignored = ignored, options.n_ignored = 1;
    parloom_digest digest;
    for (const parloom_hash_options *given :
         { static_cast<const parloom_hash_options *>(nullptr), &std::as_const(options) }) {
        ASSERT_EQ(parloom_hash_args(args, 7, given, &digest, nullptr), PARLOOM_OK);
        digests.push_back(text_of(digest));
        ASSERT_EQ(parloom_hash_named(names, args, 7, given, &digest, nullptr), PARLOOM_OK);
        digests.push_back(text_of(digest));
        ASSERT_EQ(parloom_hash_set(args, 7, given, &digest, nullptr), PARLOOM_OK);
        digests.push_back(text_of(digest));
    }
    EXPECT_EQ(disagreement(std::string(PYTHON_PATTERN) + R"(
data = pattern(2000000)
small = data[:6].reshape(2, 3)
arguments = [argument(data.tobytes(), xxh3), argument(data[:24].tobytes(), xxh3, 3, 8),
             argument(data[:7].tobytes(), xxh3, 2), argument(small, xxh3, 2), argument(small, xxh3),
             argument(data[:16].tobytes(), xxh3, 4), argument(b'', xxh3)]
names = [b'zeta', b'alpha', b'Beta', b'\xc3\xa9t\xc3\xa9', b'', b'alph', b'b']
for _ in range(2):
    add(hash_args(arguments))
    add(hash_named(dict(zip(names, arguments))))
    add(hash_set(arguments))
    arguments[4] = IGNORED
)"),
              "");
}

TEST_F(HashReference, AgreesForSha256)
{
    if (!has_sha256()) GTEST_SKIP() << "libcrypto is not there";
    if (!has_xxhash()) GTEST_SKIP() << "python3-xxhash is not installed";
    const std::vector<unsigned char> bytes = pattern(2500000);
    for (size_t n : { 0, 5, 1048576, 2500000 }) {
        unsigned char whole[PARLOOM_SHA256_BYTES];
        parloom_hash_options options = {};
        options.algorithm = "sha256";
        options.sha256_out = whole;
        parloom_array array = array_of(bytes.data(), PARLOOM_U8, { n });
        std::string half = hash_of(array, &options);
        digests.push_back(wide_text(whole));
        EXPECT_EQ(half, digests.back().substr(0, 32));
        parloom_arg args[] = { parloom_in_array(&array), parloom_in(bytes.data(), 3) };
        parloom_digest digest;
        ASSERT_EQ(parloom_hash_set(args, 2, &options, &digest, nullptr), PARLOOM_OK);
        digests.push_back(wide_text(whole));
    }
    EXPECT_EQ(disagreement(std::string(PYTHON_PATTERN) + R"(
data = pattern(2500000)
for n in (0, 5, 1048576, 2500000):
    add(hash_array(data[:n], sha256))
    add(hash_set([argument(data[:n], sha256), argument(data[:3].tobytes(), sha256)], sha256))
)"),
              "");
}

/* Digests that were made once. One that changes makes every cache forget: the mark "parloom1" would have to change. */
TEST_F(HashReference, IsWhatItWasWhenItWasFrozen)
{
    const std::vector<unsigned char> bytes = pattern(3000000);
    void *data = const_cast<unsigned char *>(bytes.data());
    const unsigned char one_two_three[] = { 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0 };
    const size_t shape[] = { 3, 4 }, three[] = { 3 };
    const ptrdiff_t fortran[] = { 1, 3 }, gaps[] = { 8, 2 };
    parloom_array array = array_of(data, PARLOOM_U8, { 3, 4 });
    parloom_arg args[] = { parloom_in(data, 10), parloom_inout_array(&array), parloom_out(data, 5) };
    const char *names[] = { "x", "y", "result" };
    parloom_digest digest;
    auto of = [&](parloom_status status) { return status == PARLOOM_OK ? text_of(digest) : "failed"; };
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    EXPECT_EQ(hash_of(parloom_array_wrap_strided(const_cast<unsigned char *>(one_two_three), PARLOOM_I32, 0, 1, three,
                                                 nullptr)),
              "964bd3f2b8680555e9046c9c63ed8533"); /* the example of docs/hashing.md */
#endif
    EXPECT_EQ(hash_of(array_of(data, PARLOOM_U8, {})), "a7b99c12bc2d814f6194bef99b6c7508");
    EXPECT_EQ(hash_of(array_of(data, PARLOOM_U8, { 0 })), "ed874a358c005bd01c931e361a810d3c");
    EXPECT_EQ(hash_of(array_of(data, PARLOOM_U8, { 3000000 })), "d7a8c7be7e0a0f3467665947fc184950");
    EXPECT_EQ(hash_of(parloom_array_wrap_strided(data, PARLOOM_BOOL, 0, 2, shape, fortran)),
              "6ddec54ec4c039911384725b1dbaaa73");
    EXPECT_EQ(hash_of(parloom_array_wrap_strided(data, PARLOOM_I8, 0, 2, shape, gaps)),
              "a5c33787fc372b318bbe7070c27d800f");
    EXPECT_EQ(hash_of(parloom_array_wrap_strided(data, PARLOOM_ITEM, 70000, 1, three, nullptr)),
              "9a62c1894d5f327905ab8f82354f829d");
    EXPECT_EQ(of(parloom_hash_args(args, 3, nullptr, &digest, nullptr)), "29edb7c257b6be4a4138020fda930b87");
    EXPECT_EQ(of(parloom_hash_named(names, args, 3, nullptr, &digest, nullptr)), "284f842d3449defd07d4800d5671f004");
    EXPECT_EQ(of(parloom_hash_set(args, 3, nullptr, &digest, nullptr)), "d81d4c39b21b49ad7373b7cf5ddbfc64");
}
