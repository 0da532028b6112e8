/* SPDX-License-Identifier: BSD-3-Clause */
/* hashes.h - digests as text, for tests that compare them. */
#ifndef LOOM_TESTS_REST_HASHES_H
#define LOOM_TESTS_REST_HASHES_H

#include <parloom/parloom.h>

#include <gtest/gtest.h>

#include <initializer_list>
#include <set>
#include <string>
#include <vector>

inline std::string text_of(const parloom_digest &digest)
{
    char text[PARLOOM_DIGEST_TEXT_BYTES];
    parloom_digest_text(&digest, text);
    return text;
}

/* The digest as text; the message of the error where there is none. */
inline std::string hash_of(const parloom_array &array, const parloom_hash_options *options = nullptr)
{
    parloom_digest digest;
    parloom_error error;
    parloom_status status = parloom_hash_array(&array, options, &digest, &error);
    EXPECT_EQ(status, PARLOOM_OK) << error.message;
    return status == PARLOOM_OK ? text_of(digest) : error.message;
}

inline std::string hash_of(const std::vector<parloom_arg> &args, const parloom_hash_options *options = nullptr)
{
    parloom_digest digest;
    parloom_error error;
    parloom_status status = parloom_hash_args(args.data(), args.size(), options, &digest, &error);
    EXPECT_EQ(status, PARLOOM_OK) << error.message;
    return status == PARLOOM_OK ? text_of(digest) : error.message;
}

inline parloom_array array_of(const void *data, parloom_dtype dtype, std::initializer_list<size_t> shape)
{
    return parloom_array_wrap(const_cast<void *>(data), dtype, static_cast<int>(shape.size()), shape.begin());
}

inline bool all_differ(const std::vector<std::string> &digests)
{
    return std::set<std::string>(digests.begin(), digests.end()).size() == digests.size();
}

#endif
