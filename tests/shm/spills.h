// SPDX-License-Identifier: BSD-3-Clause
// spills.h - ranges of a call in one line, and a spill of them that ends with its scope.
#ifndef LOOM_TESTS_SHM_SPILLS_H
#define LOOM_TESTS_SHM_SPILLS_H

#include "shm/spill.h"
#include "tests/shm/shm_support.h"

#include <random>
#include <vector>

inline const loom_spill_limits USUAL = { 1 << 20, nullptr, false };

inline loom_spill_range In(const void *data, size_t nbytes)
{
    return { data, nbytes, false, nullptr, false };
}
inline loom_spill_range Out(const void *data, size_t nbytes)
{
    return { data, nbytes, true, nullptr, false };
}

struct Spill {
    loom_spill *spill = nullptr;
    parloom_status status;
    parloom_error error = {};
    explicit Spill(std::vector<loom_spill_range> &ranges, const loom_spill_limits &limits = USUAL)
    {
        status = loom_spill_begin(&spill, ranges.data(), ranges.size(), &limits, &error);
    }
    ~Spill() { End(); }
    Spill(const Spill &) = delete;
    Spill &operator=(const Spill &) = delete;
    void End()
    {
        loom_spill_end(spill);
        spill = nullptr;
    }
};

inline std::vector<char> Pattern(size_t nbytes, unsigned seed = 3)
{
    std::mt19937 random(seed);
    std::vector<char> data(nbytes);
    for (char &byte : data) byte = static_cast<char>(random());
    return data;
}

inline const char *Shared(const loom_spill_range &range)
{
    return static_cast<const char *>(range.shared);
}

inline loom_segment_access AccessOf(const void *address)
{
    return loom_segment_of(address)->access;
}

#endif
