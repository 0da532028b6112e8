/* SPDX-License-Identifier: BSD-3-Clause */
/* streams.h - a source that hands out calls of one body, and a consumer that reads all of them. */
#ifndef LOOM_TESTS_CONTRACT_STREAMS_H
#define LOOM_TESTS_CONTRACT_STREAMS_H

#include "contract/places.h"

#include <functional>

namespace contract
{

/* Whose backends run streams. */
inline const std::vector<Place> every_stream = { { "sequential", 1 }, { "threads", 2 },   { "threads", 3 },
                                                 { "processes", 1 },  { "processes", 2 }, { "processes", 3 } };
inline const std::vector<Place> every_stream_of_workers = { { "threads", 3 }, { "processes", 2 }, { "processes", 3 } };

/* Gives n calls of the body; each has its number, which is written over by the next, and what all have in common. */
struct Source {
    size_t n;
    parloom_body body;
    std::vector<parloom_arg> common = {};
    size_t asked = 0, number = 0;
    size_t fails_at = SIZE_MAX;
    int failure = -7;
    std::vector<parloom_arg> args = {};

    static int next(void *state, parloom_call *call_out)
    {
        auto *source = static_cast<Source *>(state);
        if (source->asked == source->fails_at) return source->failure;
        if (source->asked == source->n) return 0;
        source->number = source->asked++;
        source->args = { parloom_in(&source->number, sizeof source->number) };
        source->args.insert(source->args.end(), source->common.begin(), source->common.end());
        *call_out = { source->body, source->args.data(), source->args.size() };
        return 1;
    }
};

inline size_t number_of(void *const *args)
{
    return *static_cast<const size_t *>(args[0]);
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
