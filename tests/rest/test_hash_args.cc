/* SPDX-License-Identifier: BSD-3-Clause */
/* test_hash_args.cc - digests of lists, tables and sets of arguments, and of messages made one value at a time. */
#include "rest/hashes.h"
#include "support/clean.h"

#include "rest/hash.h"

#include <algorithm>
#include <cstring>

namespace
{

using HashArgs = loom::Clean;

parloom_arg text(const char *of)
{
    return parloom_in(of, strlen(of));
}

void add(void *, const void *) {}

void add_other(void *, const void *) {}

std::string named(const std::vector<const char *> &names, const std::vector<parloom_arg> &args,
                  const parloom_hash_options *options = nullptr)
{
    parloom_digest digest;
    parloom_error error;
    if (parloom_hash_named(names.data(), args.data(), args.size(), options, &digest, &error) != PARLOOM_OK)
        return error.message;
    return text_of(digest);
}

std::string set_of(const std::vector<parloom_arg> &args, const parloom_hash_options *options = nullptr)
{
    parloom_digest digest;
    parloom_error error;
    if (parloom_hash_set(args.data(), args.size(), options, &digest, &error) != PARLOOM_OK) return error.message;
    return text_of(digest);
}

std::string message_of(parloom_status (*hash)(const parloom_arg *, size_t, const parloom_hash_options *,
                                              parloom_digest *, parloom_error *),
                       const parloom_arg *args, size_t n, const parloom_hash_options *options = nullptr)
{
    parloom_digest digest;
    parloom_error error;
    EXPECT_EQ(hash(args, n, options, &digest, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(hash(args, n, options, &digest, nullptr), PARLOOM_ERR_INVALID);
    return error.message;
}

} // namespace

TEST_F(HashArgs, CoversNumberOrderAndLimitsOfTheArguments)
{
    EXPECT_EQ(hash_of(std::vector<parloom_arg>{ text("ab"), text("c") }), hash_of({ text("ab"), text("c") }));
    EXPECT_TRUE(
        all_differ({ hash_of(std::vector<parloom_arg>{}), hash_of({ text("") }), hash_of({ text(""), text("") }),
                     hash_of({ text("abc") }), hash_of({ text("ab"), text("c") }), hash_of({ text("a"), text("bc") }),
                     hash_of({ text("c"), text("ab") }), hash_of({ text("abc"), text("") }),
                     hash_of({ text(""), text("abc") }) }));
}

TEST_F(HashArgs, CoversKindAndStrideOfEach)
{
    double values[] = { 1, 2, 3, 4 };
    parloom_array array = array_of(values, PARLOOM_F64, { 4 });
    parloom_array bytes = array_of(values, PARLOOM_U8, { 32 });
    EXPECT_TRUE(all_differ({
        hash_of({ parloom_in(values, 32) }),
        hash_of({ parloom_inout(values, 32) }),
        hash_of({ parloom_out(values, 32) }),
        hash_of({ parloom_reduce(values, 32, add) }),
        hash_of({ parloom_in_array(&array) }),
        hash_of({ parloom_in_array(&bytes) }),
        hash_of({ parloom_inout_array(&array) }),
        hash_of({ parloom_out_array(&array) }),
        hash_of({ parloom_each(parloom_in(values, 32), 8) }),
        hash_of({ parloom_each(parloom_in(values, 32), 16) }),
        hash_of({ parloom_each(parloom_in_array(&array), 8) }),
    }));
    EXPECT_EQ(hash_of({ parloom_reduce(values, 32, add) }), hash_of({ parloom_reduce(values, 32, add_other) }));
}

TEST_F(HashArgs, OfAnOutIsOfItsRoomAndNotOfItsBytes)
{
    double one[] = { 1, 2, 3 };
    double other[] = { 4, 5, 6 };
    parloom_array a = array_of(one, PARLOOM_F64, { 3 });
    parloom_array b = array_of(other, PARLOOM_F64, { 3 });
    EXPECT_EQ(hash_of({ parloom_out(one, 24) }), hash_of({ parloom_out(other, 24) }));
    EXPECT_NE(hash_of({ parloom_out(one, 24) }), hash_of({ parloom_out(one, 16) }));
    EXPECT_EQ(hash_of({ parloom_out_array(&a) }), hash_of({ parloom_out_array(&b) }));
    EXPECT_NE(hash_of({ parloom_inout(one, 24) }), hash_of({ parloom_inout(other, 24) }));
    EXPECT_NE(hash_of({ parloom_reduce(one, 24, add) }), hash_of({ parloom_reduce(other, 24, add) }));
    b.shape[0] = 2;
    EXPECT_NE(hash_of({ parloom_out_array(&a) }), hash_of({ parloom_out_array(&b) }));
}

TEST_F(HashArgs, LeavesOutWhatIsIgnoredButNotItsPlace)
{
    const size_t second[] = { 1, 1 };
    const size_t first[] = { 0 };
    parloom_hash_options without_second = {};
    without_second.ignored = second, without_second.n_ignored = 2;
    parloom_hash_options without_first = {};
    without_first.ignored = first, without_first.n_ignored = 1;
    EXPECT_EQ(hash_of({ text("a"), text("b") }, &without_second), hash_of({ text("a"), text("x") }, &without_second));
    EXPECT_NE(hash_of({ text("a"), text("b") }, &without_second), hash_of({ text("b"), text("b") }, &without_second));
    EXPECT_NE(hash_of({ text("a"), text("b") }, &without_second), hash_of({ text("a"), text("b") }));
    EXPECT_NE(hash_of({ text("a"), text("a") }, &without_second), hash_of({ text("a"), text("a") }, &without_first));
    EXPECT_NE(hash_of({ text("a"), text("b") }, &without_second), hash_of({ text("a") }));
    /* What is ignored is not looked at: even an argument that nobody made. */
    parloom_arg broken = {};
    EXPECT_EQ(hash_of({ text("a"), broken }, &without_second), hash_of({ text("a"), text("b") }, &without_second));
}

TEST_F(HashArgs, OfATableDoesNotDependOnTheOrderOfNames)
{
    std::vector<const char *> names = { "alpha", "beta", "gamma" };
    std::vector<parloom_arg> args = { text("1"), text("2"), text("3") };
    std::string digest = named(names, args);
    EXPECT_EQ(digest.size(), 32U) << digest;
    EXPECT_EQ(named({ "gamma", "alpha", "beta" }, { args[2], args[0], args[1] }), digest);
    EXPECT_NE(named({ "gamma", "alpha", "beta" }, args), digest);
    EXPECT_NE(named({ "alpha", "beta", "delta" }, args), digest);
    EXPECT_NE(named({ "alpha", "beta" }, { args[0], args[1] }), digest);
    EXPECT_NE(hash_of(args), digest);
    const size_t last[] = { 2 }; /* as they are given, not as they are sorted */
    parloom_hash_options options = {};
    options.ignored = last, options.n_ignored = 1;
    EXPECT_EQ(named({ "b", "c", "a" }, args, &options),
              named({ "b", "c", "a" }, { args[0], args[1], args[0] }, &options));
}

TEST_F(HashArgs, OfATableIsRefusedWhereNamesAreMissingOrTwice)
{
    EXPECT_EQ(named({ "a", "b", "a" }, { text("1"), text("2"), text("3") }),
              "while hashing named arguments: the name \"a\" is there twice");
    EXPECT_EQ(named({ "a", nullptr }, { text("1"), text("2") }), "while hashing named arguments: name 1 is NULL");
    parloom_arg arg = text("1");
    parloom_digest digest;
    EXPECT_EQ(parloom_hash_named(nullptr, &arg, 1, nullptr, &digest, nullptr), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_hash_named(nullptr, nullptr, 0, nullptr, &digest, nullptr), PARLOOM_OK);
}

TEST_F(HashArgs, OfASetDoesNotDependOnOrderButOnHowOften)
{
    std::vector<parloom_arg> elements = { text("a"), text("b"), text("c"), text("b") };
    std::string digest = set_of(elements);
    std::sort(elements.begin(), elements.end(),
              [](const parloom_arg &a, const parloom_arg &b) { return a.data > b.data; });
    EXPECT_EQ(digest.size(), 32U) << digest;
    EXPECT_EQ(set_of(elements), digest);
    EXPECT_EQ(set_of({ text("b"), text("c"), text("b"), text("a") }), digest);
    EXPECT_NE(set_of({ text("a"), text("b"), text("c") }), digest);
    EXPECT_NE(set_of({ text("a"), text("b"), text("c"), text("c") }), digest);
    EXPECT_NE(hash_of(elements), digest);
}

TEST_F(HashArgs, NamesTheArgumentThatItRefuses)
{
    const char one[] = "1";
    parloom_arg broken = {};
    parloom_arg args[] = { parloom_in(one, 1), broken };
    EXPECT_EQ(message_of(parloom_hash_args, args, 2),
              "while hashing argument 1: it was not made by parloom_in, _out, _inout or _reduce");
    EXPECT_EQ(message_of(parloom_hash_set, args, 2),
              "while hashing argument 1: it was not made by parloom_in, _out, _inout or _reduce");
    args[1] = parloom_in(nullptr, 8);
    EXPECT_EQ(message_of(parloom_hash_args, args, 2), "while hashing argument 1: data is NULL with 8 bytes");
    args[1] = parloom_in(one, SIZE_MAX);
    EXPECT_NE(message_of(parloom_hash_args, args, 2).find("address space"), std::string::npos);
    args[1] = parloom_in_array(nullptr);
    EXPECT_EQ(message_of(parloom_hash_args, args, 2), "while hashing argument 1: no array given");
    EXPECT_EQ(message_of(parloom_hash_args, nullptr, 2), "while hashing arguments: args is NULL with n_args 2");
    const size_t beyond[] = { 2 };
    parloom_hash_options options = {};
    options.ignored = beyond, options.n_ignored = 1;
    EXPECT_EQ(message_of(parloom_hash_args, args, 2, &options),
              "while hashing arguments: argument 2 is to be ignored, but there are 2");
    EXPECT_EQ(parloom_hash_args(args, 1, nullptr, nullptr, nullptr), PARLOOM_ERR_INVALID);
}

TEST_F(HashArgs, OneValueAtATimeKeepsPurposesAndKindsApart)
{
    auto digest_of = [](const char *purpose, int way) {
        struct loom_hash hash;
        parloom_digest digest;
        EXPECT_EQ(loom_hash_begin(&hash, purpose, nullptr, nullptr), PARLOOM_OK);
        uint64_t word = 7;
        if (way == 0) {
            EXPECT_EQ(loom_hash_number(&hash, word, nullptr), PARLOOM_OK);
        }
        if (way == 1) {
            EXPECT_EQ(loom_hash_bytes(&hash, &word, sizeof word, nullptr), PARLOOM_OK);
        }
        if (way == 2) {
            EXPECT_EQ(loom_hash_text(&hash, "7", nullptr), PARLOOM_OK);
        }
        EXPECT_EQ(loom_hash_end(&hash, &digest, nullptr), PARLOOM_OK);
        return text_of(digest);
    };
    EXPECT_EQ(digest_of("p", 0), digest_of("p", 0));
    EXPECT_TRUE(
        all_differ({ digest_of("p", 0), digest_of("p", 1), digest_of("p", 2), digest_of("p", 3), digest_of("q", 0) }));
}

TEST_F(HashArgs, OneValueAtATimeKeepsItsFirstFailure)
{
    struct loom_hash hash;
    parloom_digest digest = { { 9 } };
    parloom_error error;
    ASSERT_EQ(loom_hash_begin(&hash, "p", nullptr, &error), PARLOOM_OK);
    EXPECT_EQ(loom_hash_bytes(&hash, nullptr, 3, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(loom_hash_text(&hash, "fine", &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(loom_hash_end(&hash, &digest, &error), PARLOOM_ERR_INVALID);
    EXPECT_STREQ(error.message, "data is NULL with 3 bytes");
    EXPECT_EQ(digest.bytes[0], 9);
}
