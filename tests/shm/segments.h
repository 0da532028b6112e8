// SPDX-License-Identifier: BSD-3-Clause
// segments.h - segments made in one line, and bytes to fill them with.
#ifndef LOOM_TESTS_SHM_SEGMENTS_H
#define LOOM_TESTS_SHM_SEGMENTS_H

#include "shm/segment_record.h"
#include "tests/shm/shm_support.h"

#include <vector>

inline loom_segment *Create(size_t nbytes, loom_segment_access access, const char *folder = nullptr)
{
    loom_segment *segment = nullptr;
    parloom_error error = {};
    EXPECT_EQ(loom_segment_create(nbytes, access, folder, &segment, &error), PARLOOM_OK) << error.message;
    return segment;
}

inline loom_segment *CreateFrom(const std::vector<char> &data, const char *folder = nullptr)
{
    loom_segment *segment = nullptr;
    parloom_error error = {};
    EXPECT_EQ(loom_segment_create_copy(data.data(), data.size(), 0, LOOM_SEGMENT_READ, folder, &segment, &error),
              PARLOOM_OK)
        << error.message;
    return segment;
}

inline std::vector<char> Pattern(size_t nbytes, unsigned seed = 1)
{
    std::vector<char> data(nbytes);
    uint64_t state = seed;
    for (char &byte : data)
        byte = static_cast<char>((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
    return data;
}

inline bool IsZero(const char *address, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++) {
        if (address[i]) return false;
    }
    return true;
}

#endif
