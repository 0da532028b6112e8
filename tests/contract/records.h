/* SPDX-License-Identifier: BSD-3-Clause */
/* records.h - what tests of side channels keep of what tasks recorded. */
#ifndef LOOM_TESTS_CONTRACT_RECORDS_H
#define LOOM_TESTS_CONTRACT_RECORDS_H

#include "contract/places.h"

#include <ostream>
#include <string>
#include <thread>
#include <vector>

namespace contract
{

struct Record {
    size_t task;
    parloom_status status;
    std::string text;
    bool operator==(const Record &other) const
    {
        return task == other.task && status == other.status && text == other.text;
    }
};

inline void PrintTo(const Record &record, std::ostream *stream)
{
    *stream << record.task << " " << parloom_status_name(record.status) << " " << record.text.substr(0, 40);
}

inline std::thread::id merged_in; /* the thread that merged last */

inline void keep(const parloom_recorded *record, void *state)
{
    auto *records = static_cast<std::vector<Record> *>(state);
    merged_in = std::this_thread::get_id();
    records->push_back(
        { record->task, record->status, std::string(static_cast<const char *>(record->data), record->nbytes) });
}

inline int say(const parloom_task *task, const char *channel, const std::string &text)
{
    return parloom_record(task, channel, text.data(), text.size());
}

inline std::string numbered(const char *what, size_t task)
{
    return what + std::to_string(task);
}

/* Two channels, and what came through them. */
struct Channels {
    void register_both()
    {
        parloom_error error;
        ASSERT_OK(parloom_channel_register("notes", keep, &notes, &error));
        ASSERT_OK(parloom_channel_register("counts", keep, &counts, &error));
    }
    static void unregister_both()
    {
        parloom_channel_unregister("notes", nullptr);
        parloom_channel_unregister("counts", nullptr);
    }
    std::vector<Record> notes, counts;
};

} // namespace contract

#endif
