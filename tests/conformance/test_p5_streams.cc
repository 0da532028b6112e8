/* SPDX-License-Identifier: BSD-3-Clause */
/* P5: streams; and what P1, P2, K4 and Y say of sources. */
#include "conformance/conformance.h"
#include "contract/streams.h"

#include "shm/segment.h"

#include <algorithm>

using namespace conformance;
using contract::Source;

namespace
{

const std::vector<const char *> stream_backends = { "processes", "sequential", "threads" };

int return_square(const parloom_task *task, void *const *args)
{
    long value = static_cast<long>(contract::number_of(args) * contract::number_of(args));
    return parloom_return(task, &value, sizeof value);
}

int return_square_or_sleep(const parloom_task *task, void *const *args)
{
    return contract::number_of(args) == 0 ? sleep_long(task, args) : return_square(task, args);
}

/* What a stream gave, and how it ended. */
struct Read {
    std::vector<size_t> order;
    std::vector<long> values;
    parloom_status status = PARLOOM_OK;
};

Read read_on(parloom_stream *stream, size_t most, parloom_error *error)
{
    Read read;
    bool is_done = false;
    while (read.order.size() < most) {
        parloom_result result;
        read.status = parloom_stream_next(stream, &result, &is_done, error);
        if (read.status != PARLOOM_OK || is_done) break;
        read.order.push_back(result.index);
        EXPECT_EQ(result.status, PARLOOM_OK) << result.error.message;
        if (result.nbytes == sizeof(long)) read.values.push_back(*static_cast<const long *>(result.data));
    }
    return read;
}

Read read_all(Source source, bool ordered, const parloom_options &given, parloom_error *error)
{
    parloom_stream *stream = nullptr;
    EXPECT_EQ(parloom_stream_open(&stream, Source::next, &source, ordered, &given, error), PARLOOM_OK)
        << error->message;
    Read read = read_on(stream, SIZE_MAX, error);
    parloom_stream_close(stream);
    return read;
}

int return_much(const parloom_task *task, void *const *)
{
    std::vector<char> much(500000, 'x');
    return parloom_return(task, much.data(), much.size());
}

int take_ten_milliseconds(const parloom_task *task, void *const *args)
{
    usleep(10000);
    return return_square(task, args);
}

/* args[1]: how many tasks have run. */
int count_run(const parloom_task *, void *const *args)
{
    static_cast<std::atomic<int> *>(args[1])[0]++;
    return 0;
}

/* Notes, when asked for a call, how many tasks have run by then. */
struct Watching {
    Source source;
    std::atomic<int> *run;
    std::vector<int> run_when_asked = {};

    static int next(void *state, parloom_call *call_out)
    {
        auto *watching = static_cast<Watching *>(state);
        watching->run_when_asked.push_back(*watching->run);
        return Source::next(&watching->source, call_out);
    }
};

const size_t EIGHT_MEGABYTES = size_t{ 8 } << 20;

/* Gives calls with an argument of eight megabytes each, always in the same buffer. */
struct Large {
    std::vector<char> buffer = std::vector<char>(EIGHT_MEGABYTES);
    size_t asked = 0, number = 0;
    parloom_arg args[2] = {};

    static int next(void *state, parloom_call *call_out)
    {
        auto *large = static_cast<Large *>(state);
        if (large->asked == 60) return 0;
        large->number = large->asked++;
        memset(large->buffer.data(), static_cast<int>(large->number), EIGHT_MEGABYTES);
        large->args[0] = parloom_in(&large->number, sizeof large->number);
        large->args[1] = contract::in(large->buffer);
        *call_out = { check_both_ends, large->args, 2 };
        return 1;
    }
    static int check_both_ends(const parloom_task *task, void *const *args)
    {
        const auto *data = static_cast<const char *>(args[1]);
        auto wanted = static_cast<char>(contract::number_of(args));
        bool is_right = data[0] == wanted && data[EIGHT_MEGABYTES - 1] == wanted;
        return is_right ? 0 : parloom_fail(task, 1, "%d, not %d", data[0], wanted);
    }
};

} // namespace

TEST_F(Conformance, P1_09_MixesOfDispatch)
{
    const struct {
        size_t n;
        int n_jobs;
        const char *pre_dispatch;
        size_t batch_size;
    } mixes[] = { { 53, 2, "all", 0 },        { 88, 6, "all", 0 },        { 517, 2, "n_jobs", 0 },
                  { 250, 12, "2*n_jobs", 7 }, { 250, 12, "2*n_jobs", 1 }, { 250, 12, "all", 1 },
                  { 250, 2, "all", 7 },       { 20, 1, "n_jobs", 0 },     { 74, 3, "1.5*n_jobs", 0 },
                  { 10, 4, "2*n_jobs", 5 },   { 1, 2, "n_jobs", 0 } };
    for (const char *backend : stream_backends)
        for (const auto &mix : mixes) {
            parloom_options given = on(backend, mix.n_jobs);
            given.pre_dispatch = mix.pre_dispatch;
            given.batch_size = mix.batch_size;
            Read read = read_all({ mix.n, return_square }, true, given,
                                 &error); /* the source locks nothing: nobody else is in it */
            EXPECT_EQ(read.status, PARLOOM_OK) << error.message;
            EXPECT_EQ(read.values, squares(mix.n)) << backend << mix.n;
        }
}

TEST_F(Conformance, P2_07_SourceThatFails)
{
    for (const char *backend : stream_backends) {
        parloom_options opening = on(backend), given = PARLOOM_OPTIONS_INIT;
        ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
        for (size_t fails_at : { 0, 5, 19 }) {
            Source source = { 20, return_square };
            source.fails_at = fails_at;
            EXPECT_EQ(read_all(source, true, given, &error).status, PARLOOM_ERR_CALLBACK) << backend;
            EXPECT_EQ(error.code, -7);
            EXPECT_EQ(read_all({ 20, return_square }, true, given, &error).values, squares(20)) << backend;
        }
        parloom_pool_close(given.pool);
    }
}

TEST_F(Conformance, P5_01_OrderedStream)
{
    for (const char *backend : stream_backends)
        for (int n_jobs : { 1, 2, 4 }) {
            Read read = read_all({ 100, return_square }, true, on(backend, n_jobs), &error);
            EXPECT_EQ(read.values, squares(100)) << backend << n_jobs;
            for (size_t k = 0; k < read.order.size(); k++) EXPECT_EQ(read.order[k], k);
        }
}

TEST_F(Conformance, P5_02_FastestFirst)
{
    for (const char *backend : { "processes", "threads" }) {
        Source source = { 10, return_square_or_sleep };
        parloom_stream *stream = nullptr;
        parloom_options given = on(backend);
        given.batch_size = 1;
        ASSERT_OK(parloom_stream_open(&stream, Source::next, &source, false, &given, &error)) << backend;
        Read read = read_on(stream, 9, &error);
        EXPECT_EQ(read.order.size(), 9u) << backend;
        EXPECT_EQ(std::count(read.order.begin(), read.order.end(), 0u), 0) << backend << ": the slow one is not there";
        parloom_stream_close(stream); /* it sees parloom_cancelled, or is killed */
    }
}

TEST_F(Conformance, P5_06_TwoOpenStreams)
{
    for (const char *backend : stream_backends)
        for (int orders = 0; orders < 4; orders++) {
            Source sources[] = { { 50, return_square }, { 50, return_square } };
            parloom_stream *streams[2] = {};
            parloom_options given = on(backend);
            for (int k = 0; k < 2; k++)
                ASSERT_OK(parloom_stream_open(&streams[k], Source::next, &sources[k], (orders >> k & 1) != 0, &given,
                                              &error));
            for (parloom_stream *stream : streams) {
                std::vector<long> values = read_on(stream, SIZE_MAX, &error).values;
                std::sort(values.begin(), values.end());
                EXPECT_EQ(values, squares(50)) << backend;
            }
            for (parloom_stream *stream : streams) parloom_stream_close(stream);
        }
}

TEST_F(Conformance, Y_17_SlowConsumer)
{
    for (const char *backend : stream_backends) {
        Source source = { 100, return_square };
        parloom_stream *stream = nullptr;
        parloom_options given = on(backend);
        given.pre_dispatch = "6";
        given.batch_size = 1;
        ASSERT_OK(parloom_stream_open(&stream, Source::next, &source, true, &given, &error)) << backend;
        for (size_t got = 0; got < 100; got++) {
            EXPECT_LE(source.asked, got + 6) << backend;
            ASSERT_EQ(read_on(stream, 1, &error).order.size(), 1u);
        }
        parloom_stream_close(stream);
    }
}

TEST_F(Conformance, P2_03_NoMoreAheadThanAsked)
{
    Shared<std::atomic<int>> run(1);
    Watching watching = { { 6, count_run, { parloom_inout(run.get(), sizeof(int)) } }, run.get() };
    parloom_stream *stream = nullptr;
    parloom_options given = on("processes");
    given.pre_dispatch = "3";
    given.batch_size = 1;
    ASSERT_OK(parloom_stream_open(&stream, Watching::next, &watching, true, &given, &error));
    EXPECT_EQ(read_on(stream, SIZE_MAX, &error).order.size(), 6u);
    parloom_stream_close(stream);
    EXPECT_EQ(watching.run_when_asked[0], 0) << "asked before anything has run";
    EXPECT_GE(watching.run_when_asked[3], 1) << "the fourth only after one of the first three";
    EXPECT_GE(watching.run_when_asked[4], 2);
}

TEST_F(Conformance, P4_11_LimitOfAStream)
{
    for (const char *backend : { "processes", "threads" })
        for (bool ordered : { true, false }) {
            parloom_options given = on(backend);
            given.timeout = 0.1;
            EXPECT_EQ(read_all({ 10, sleep_long }, ordered, given, &error).status, PARLOOM_ERR_TIMEOUT) << backend;
            given.timeout = 10;
            Read read = read_all({ 10, take_ten_milliseconds }, ordered, given, &error);
            EXPECT_EQ(read.status, PARLOOM_OK) << backend << error.message;
            EXPECT_EQ(read.values.size(), 10u) << backend;
        }
}

TEST_F(Conformance, P5_03_StreamThatIsDroppedWithLargeResults)
{
    for (const char *backend : stream_backends)
        for (int n_jobs : { 1, 2, -2, -1 }) {
            Source source = { 10, return_much };
            parloom_stream *stream = nullptr;
            parloom_options opening = on(backend, n_jobs), given = PARLOOM_OPTIONS_INIT;
            ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
            ASSERT_OK(parloom_stream_open(&stream, Source::next, &source, true, &given, &error)) << backend;
            EXPECT_EQ(read_on(stream, 2, &error).order.size(), 2u) << error.message;
            parloom_stream_close(stream);
            parloom_pool_close(given.pool);
        }
}

TEST_F(Conformance, P5_07_DroppedStreamEndsItsWork)
{
    for (const char *backend : stream_backends) {
        Source source = { 10, is(backend, "sequential") ? return_square : sleep_long };
        parloom_stream *stream = nullptr;
        parloom_options given = on(backend);
        ASSERT_OK(parloom_stream_open(&stream, Source::next, &source, true, &given, &error)) << backend;
        parloom_stream_close(stream);
        EXPECT_EQ(squares_by(given, 50, &error), squares(50)) << backend << ": " << error.message;
    }
}

TEST_F(Conformance, K4_21_SourceThatFailsWithinABatch)
{
    const size_t cases[][2] = { { 3, 1 }, { 7, 2 }, { 7, 4 } };
    for (const char *backend : stream_backends)
        for (const auto &one : cases) {
            Source source = { 20, return_square };
            source.fails_at = one[0];
            parloom_options given = on(backend);
            given.batch_size = one[1];
            EXPECT_EQ(read_all(source, true, given, &error).status, PARLOOM_ERR_CALLBACK) << backend;
            EXPECT_EQ(error.code, -7) << error.message;
        }
}

TEST_F(Conformance, Y_10_FewArgumentsAreHeldAtATime)
{
    Large large;
    parloom_stream *stream = nullptr;
    parloom_options given = on("processes");
    given.pre_dispatch = "2";
    given.batch_size = 1;
    size_t before = loom_segment_live_nbytes(), most = 0, read = 0;
    ASSERT_OK(parloom_stream_open(&stream, Large::next, &large, true, &given, &error));
    for (; read_on(stream, 1, &error).order.size() == 1; read++) most = std::max(most, loom_segment_live_nbytes());
    parloom_stream_close(stream);
    EXPECT_EQ(read, 60u) << error.message;
    EXPECT_LE(most, before + 4 * EIGHT_MEGABYTES + (size_t{ 16 } << 20));
}
