/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * places.h - where the contract is tried: every backend, alone and with company; "pthreads" is a registered one.
 *
 * A test of a claim that holds of any backend takes a Place and reads its options from there. The fixture fails a test
 * that leaves something behind (support/clean.h). Memory that tasks of all backends share comes from parloom_alloc.
 */
#ifndef LOOM_TESTS_CONTRACT_PLACES_H
#define LOOM_TESTS_CONTRACT_PLACES_H

#include "support/clean.h"

#include <parloom/parloom.h>

#include <cstring>
#include <ostream>
#include <string>
#include <vector>

extern "C" parloom_status register_pthreads(parloom_error *error); /* examples/13_custom_backend.c */

namespace contract
{

struct Place {
    const char *backend;
    int n_jobs;
};

inline void PrintTo(const Place &place, std::ostream *stream)
{
    *stream << place.backend << ", n_jobs " << place.n_jobs;
}

inline std::string name_of(const ::testing::TestParamInfo<Place> &info)
{
    return std::string(info.param.backend) + std::to_string(info.param.n_jobs);
}

/* With one job the caller does the work itself, whatever the backend. */
inline const std::vector<Place> every_place = { { "sequential", 1 }, { "threads", 2 },   { "threads", 3 },
                                                { "processes", 1 },  { "processes", 2 }, { "processes", 3 },
                                                { "fork", 2 },       { "fork", 3 },      { "pthreads", 2 },
                                                { "pthreads", 10 } };
inline const std::vector<Place> every_backend = {
    { "sequential", 1 }, { "threads", 3 }, { "processes", 2 }, { "fork", 3 }, { "pthreads", 10 }
};
/* Whose workers can be lost. */
inline const std::vector<Place> every_kill = { { "processes", 2 }, { "processes", 3 }, { "fork", 2 } };

class Placed : public loom::Clean, public ::testing::WithParamInterface<Place>
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        if (!is("pthreads")) return;
        ASSERT_EQ(register_pthreads(&error), PARLOOM_OK) << error.message;
    }
    void TearDown() override
    {
        loom::Clean::TearDown();
        if (!is("pthreads")) return;
        EXPECT_EQ(parloom_backend_unregister("pthreads", &error), PARLOOM_OK) << error.message;
    }
    static parloom_options options()
    {
        parloom_options made = PARLOOM_OPTIONS_INIT;
        made.backend = GetParam().backend;
        made.n_jobs = GetParam().n_jobs;
        return made;
    }
    static bool is(const char *backend) { return std::strcmp(GetParam().backend, backend) == 0; }
    /* Tasks run in threads of this process beside the caller. */
    static bool is_threaded() { return is("threads") || is("pthreads"); }
    /* Tasks run in other processes: what they write to private memory is theirs. */
    static bool is_separate() { return (is("processes") || is("fork")) && GetParam().n_jobs > 1; }

    parloom_error error = {};
};

#define EXPECT_OK(call)   EXPECT_EQ(call, PARLOOM_OK) << error.message
#define ASSERT_OK(call)   ASSERT_EQ(call, PARLOOM_OK) << error.message
#define EXPECT_SAYS(text) EXPECT_NE(std::string(error.message).find(text), std::string::npos) << error.message

/* Memory that tasks of every backend and the test see alike; zero at first. */
template <typename T> class Shared
{
  public:
    explicit Shared(size_t count = 1) : data_(static_cast<T *>(parloom_alloc(count * sizeof(T), nullptr))) {}
    ~Shared() { parloom_free(data_); }
    Shared(const Shared &) = delete;
    Shared &operator=(const Shared &) = delete;
    T *get() const { return data_; }
    T &operator[](size_t k) const { return data_[k]; }

  private:
    T *data_;
};

template <typename T> parloom_arg in(const std::vector<T> &data)
{
    return parloom_in(data.data(), data.size() * sizeof(T));
}
template <typename T> parloom_arg out(std::vector<T> &data)
{
    return parloom_out(data.data(), data.size() * sizeof(T));
}
template <typename T> parloom_arg inout(std::vector<T> &data)
{
    return parloom_inout(data.data(), data.size() * sizeof(T));
}
template <typename T> parloom_arg each_out(std::vector<T> &data)
{
    return parloom_each(out(data), sizeof(T));
}

} // namespace contract

#endif
