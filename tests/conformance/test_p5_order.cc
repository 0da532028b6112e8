/* SPDX-License-Identifier: BSD-3-Clause */
/* P2, P5 and Y: in which order a stream asks and runs, whose it is, and how long its tasks may take. */
#include "conformance/conformance.h"
#include "contract/streams.h"

#include <algorithm>

using namespace conformance;
using contract::Source;

namespace
{

/* What happened, in this order; of calls that the caller runs itself. */
std::vector<std::string> events;

int consume(const parloom_task *, void *const *args)
{
    events.push_back("consumed " + std::to_string(contract::number_of(args)));
    return 0;
}

/* Six calls. */
struct Producer {
    Source source = { 6, consume };
    static int next(void *state, parloom_call *call_out)
    {
        auto *producer = static_cast<Producer *>(state);
        int more = Source::next(&producer->source, call_out);
        if (more == 1) events.push_back("produced " + std::to_string(producer->source.number));
        return more;
    }
};

std::vector<std::string> numbered(std::initializer_list<std::pair<const char *, std::pair<int, int>>> runs)
{
    std::vector<std::string> made;
    for (const auto &run : runs)
        for (int k = run.second.first; k <= run.second.second; k++)
            made.push_back(run.first + std::string(" ") + std::to_string(k));
    return made;
}

size_t count_results(parloom_stream *stream, std::vector<parloom_status> *statuses, parloom_error *error)
{
    size_t count = 0;
    parloom_result result;
    bool is_done = false;
    while (parloom_stream_next(stream, &result, &is_done, error) == PARLOOM_OK && !is_done) {
        count++;
        if (statuses == nullptr) continue;
        if (result.index >= statuses->size()) statuses->resize(result.index + 1, PARLOOM_ERR_INTERNAL);
        (*statuses)[result.index] = result.status;
    }
    return count;
}

int sleep_until_told(const parloom_task *task, void *const *)
{
    comes_true([&] { return parloom_cancelled(task); }, 60);
    return 1;
}

int return_nothing(const parloom_task *, void *const *)
{
    return 0;
}

/* Number 5 does not end by itself; the others take a part of the limit. */
int take_a_part_or_all(const parloom_task *task, void *const *args)
{
    if (contract::number_of(args) == 5) return sleep_long(task, nullptr);
    usleep(150000);
    return 0;
}

} // namespace

TEST_F(Conformance, P2_02_OneWorkerTakesABatchAtATime)
{
    for (const char *backend : { "sequential", "threads", "processes" }) {
        Producer producer;
        parloom_stream *stream = nullptr;
        parloom_options given = on(backend, 1);
        given.batch_size = 4;
        given.pre_dispatch = "4";
        events.clear();
        ASSERT_OK(parloom_stream_open(&stream, Producer::next, &producer, true, &given, &error)) << backend;
        EXPECT_EQ(count_results(stream, nullptr, &error), 6u) << backend;
        parloom_stream_close(stream);
        EXPECT_EQ(events, numbered({ { "produced", { 0, 3 } },
                                     { "consumed", { 0, 3 } },
                                     { "produced", { 4, 5 } },
                                     { "consumed", { 4, 5 } } }))
            << backend;
    }
}

/* In joblib one handle has one generator at a time. A pool here has several streams: only what is filled by one at a
 * time, the pool's own report, is refused to a second one. */
TEST_F(Conformance, P5_05_SecondStreamOfAPool)
{
    for (const char *backend : { "threads", "processes" }) {
        parloom_report report = empty_report();
        parloom_options opening = on(backend), given = PARLOOM_OPTIONS_INIT;
        opening.report = &report;
        ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
        Source slow = { 10, sleep_until_told }, second = { 10, return_nothing };
        parloom_stream *first = nullptr, *other = nullptr;
        ASSERT_OK(parloom_stream_open(&first, Source::next, &slow, true, &given, &error)) << backend;
        EXPECT_EQ(parloom_stream_open(&other, Source::next, &second, true, &given, &error), PARLOOM_ERR_BUSY);
        EXPECT_TRUE(says(error, "in use by another call")) << error.message;
        EXPECT_EQ(other, nullptr);
        parloom_stream_close(first);
        ASSERT_OK(parloom_stream_open(&other, Source::next, &second, true, &given, &error)) << backend;
        EXPECT_EQ(count_results(other, nullptr, &error), 10u) << backend;
        parloom_stream_close(other);
        parloom_pool_close(given.pool);
    }
}

/* All of them together take longer than the limit, and so does each that waits for a worker. */
TEST_F(Conformance, Y_15_LimitOfATaskCountsFromItsStart)
{
    for (bool ordered : { true, false }) {
        Source source = { 16, take_a_part_or_all };
        parloom_stream *stream = nullptr;
        parloom_options given = on("processes");
        given.task_timeout = 1;
        given.on_error = PARLOOM_ON_ERROR_GO_ON;
        given.batch_size = 1;
        given.pre_dispatch = "all";
        std::vector<parloom_status> statuses;
        ASSERT_OK(parloom_stream_open(&stream, Source::next, &source, ordered, &given, &error));
        EXPECT_EQ(count_results(stream, &statuses, &error), 16u) << error.message;
        parloom_stream_close(stream);
        for (size_t k = 0; k < statuses.size(); k++)
            EXPECT_EQ(statuses[k], k == 5 ? PARLOOM_ERR_TIMEOUT : PARLOOM_OK) << k;
    }
}
