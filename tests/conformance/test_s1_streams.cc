/* SPDX-License-Identifier: BSD-3-Clause */
/* S1: what streams do with what their tasks record. */
#include "conformance/conformance.h"
#include "contract/streams.h"

using namespace conformance;
using contract::Source;

namespace
{

int record_number(const parloom_task *task, void *const *args)
{
    size_t number = contract::number_of(args);
    if (parloom_record(task, "side", &number, sizeof number) != PARLOOM_OK) return 1;
    return parloom_return(task, &number, sizeof number);
}

void merge_number(const parloom_recorded *record, void *state)
{
    size_t number = SIZE_MAX;
    if (record->nbytes == sizeof number) std::memcpy(&number, record->data, sizeof number);
    static_cast<std::vector<size_t> *>(state)->push_back(number);
}

} // namespace

TEST_F(Conformance, S1_10_RecordsComeAsResultsAreConsumed)
{
    std::vector<size_t> merged, consumed;
    ASSERT_EQ(parloom_channel_register("side", merge_number, &merged, &error), PARLOOM_OK) << error.message;
    for (const char *backend : { "processes", "sequential", "threads" }) {
        Source source{ 5, record_number };
        parloom_stream *stream = nullptr;
        parloom_options given = on(backend);
        merged.clear();
        consumed.clear();
        ASSERT_EQ(parloom_stream_open(&stream, Source::next, &source, true, &given, &error), PARLOOM_OK);
        EXPECT_TRUE(merged.empty()) << "nothing was consumed yet";
        for (size_t k = 0; k < 5; k++) {
            parloom_result result;
            bool is_done = false;
            ASSERT_EQ(parloom_stream_next(stream, &result, &is_done, &error), PARLOOM_OK) << error.message;
            consumed.push_back(result.index);
            EXPECT_EQ(merged, consumed) << backend;
        }
        parloom_stream_close(stream);
        EXPECT_EQ(merged.size(), 5u);
    }
    EXPECT_EQ(parloom_channel_unregister("side", &error), PARLOOM_OK);
}
