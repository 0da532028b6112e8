/* SPDX-License-Identifier: BSD-3-Clause */
/* streams.h - a source that hands out calls of one body, and a consumer that reads all of them. */
#ifndef LOOM_TESTS_CONTRACT_STREAMS_H
#define LOOM_TESTS_CONTRACT_STREAMS_H

#include "contract/places.h"

#include <functional>
#include <pthread.h>

namespace contract
{

/* Whose backends run streams. */
inline const std::vector<Place> every_stream = { { "sequential", 1 }, { "threads", 2 },   { "threads", 3 },
                                                 { "processes", 1 },  { "processes", 2 }, { "processes", 3 } };
inline const std::vector<Place> every_stream_of_workers = { { "threads", 3 }, { "processes", 2 }, { "processes", 3 } };

/* Gives n calls of the body; each has its number, which is written over by the next, and what all have in common. It
 * fails the test if it is asked by a thread other than the consumer's, which made it, or while it answers. */
struct Source {
    size_t n;
    parloom_body body;
    std::vector<parloom_arg> common = {};
    size_t asked = 0, number = 0;
    size_t fails_at = SIZE_MAX;
    int failure = -7;
    std::vector<parloom_arg> args = {};
    pthread_t consumer = pthread_self();
    bool is_asked = false; /* now; atomic by its accesses, so that a source can be copied */

    int give(parloom_call *call_out)
    {
        if (asked == fails_at) return failure;
        if (asked == n) return 0;
        number = asked++;
        args = { parloom_in(&number, sizeof number) };
        args.insert(args.end(), common.begin(), common.end());
        *call_out = { body, args.data(), args.size() };
        return 1;
    }
    static int next(void *state, parloom_call *call_out)
    {
        auto *source = static_cast<Source *>(state);
        EXPECT_FALSE(__atomic_exchange_n(&source->is_asked, true, __ATOMIC_ACQ_REL)) << "asked while it answers";
        EXPECT_TRUE(pthread_equal(source->consumer, pthread_self())) << "asked by another thread";
        int answer = source->give(call_out);
        __atomic_store_n(&source->is_asked, false, __ATOMIC_RELEASE);
        return answer;
    }
};

inline size_t number_of(void *const *args)
{
    return *static_cast<const size_t *>(args[0]);
}

inline int square(const parloom_task *task, void *const *args)
{
    uint64_t number = number_of(args), squared = number * number;
    return parloom_return(task, &squared, sizeof squared);
}

inline uint64_t value_of(const parloom_result &result)
{
    uint64_t value = UINT64_MAX;
    if (result.nbytes == sizeof value) std::memcpy(&value, result.data, sizeof value);
    return value;
}

class Streaming : public Placed
{
  protected:
    Streaming() { report.struct_size = sizeof report; }
    void TearDown() override
    {
        parloom_stream_close(stream);
        Placed::TearDown();
    }
    parloom_status open(Source &source, bool ordered, const parloom_options &given)
    {
        return parloom_stream_open(&stream, Source::next, &source, ordered, &given, &error);
    }
    /* Reads to the end; what it ended with. */
    parloom_status read_all(const std::function<void(const parloom_result &)> &use)
    {
        for (;;) {
            parloom_result result;
            bool done = false;
            parloom_status status = parloom_stream_next(stream, &result, &done, &error);
            if (status != PARLOOM_OK || done) return status;
            use(result);
        }
    }
    void close()
    {
        parloom_stream_close(stream);
        stream = nullptr;
    }
    void expect_conserved() const
    {
        EXPECT_EQ(report.ok + report.failed + report.crashed + report.exited + report.timed_out + report.cancelled,
                  report.tasks);
    }
    parloom_stream *stream = nullptr;
    parloom_report report = {};
};

} // namespace contract

#endif
