// SPDX-License-Identifier: BSD-3-Clause
#include "base/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace
{

const parloom_status ALL[] = {
    PARLOOM_OK,          PARLOOM_ERR_INVALID,   PARLOOM_ERR_MEMORY,  PARLOOM_ERR_SPACE,       PARLOOM_ERR_LIMIT,
    PARLOOM_ERR_IO,      PARLOOM_ERR_FORMAT,    PARLOOM_ERR_VERSION, PARLOOM_ERR_UNSUPPORTED, PARLOOM_ERR_FUNCTION,
    PARLOOM_ERR_BUSY,    PARLOOM_ERR_CALLBACK,  PARLOOM_ERR_TASK,    PARLOOM_ERR_CRASHED,     PARLOOM_ERR_EXITED,
    PARLOOM_ERR_TIMEOUT, PARLOOM_ERR_CANCELLED, PARLOOM_ERR_POOL,    PARLOOM_ERR_INTERNAL
};

TEST(Status, NamesAreTheEnumerators)
{
    EXPECT_STREQ(parloom_status_name(PARLOOM_OK), "PARLOOM_OK");
    EXPECT_STREQ(parloom_status_name(PARLOOM_ERR_CRASHED), "PARLOOM_ERR_CRASHED");
    for (parloom_status status : ALL) EXPECT_STRNE(parloom_status_name(status), "PARLOOM_ERR_UNKNOWN") << status;
}

TEST(Status, UnknownNumberHasAName)
{
    EXPECT_STREQ(parloom_status_name(static_cast<parloom_status>(-77)), "PARLOOM_ERR_UNKNOWN");
}

TEST(Status, SentencesOfTheTableHaveNoFullStop)
{
#define SENTENCE(name, value, sentence) sentence,
    for (std::string text : { PARLOOM_STATUS_MAP(SENTENCE) }) {
#undef SENTENCE
        ASSERT_FALSE(text.empty());
        EXPECT_NE(text.back(), '.') << text;
    }
}

TEST(Status, FailureClearsWhatTheRecordHeldBefore)
{
    parloom_error error;
    std::memset(&error, 0x5a, sizeof error);
    EXPECT_EQ(loom_status_fail(&error, PARLOOM_ERR_IO, EACCES, "could not open %s: %m", "x"), PARLOOM_ERR_IO);
    EXPECT_EQ(error.status, PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, EACCES);
    EXPECT_EQ(error.worker, -1);
    EXPECT_EQ(error.task, PARLOOM_NO_TASK);
    EXPECT_EQ(error.code, 0);
    EXPECT_EQ(error.signal, 0);
    EXPECT_EQ(error.pid, 0);
    EXPECT_EQ(error.address, 0u);
    EXPECT_EQ(error.reserved[3], 0u);
    EXPECT_EQ(std::string(error.message), std::string("could not open x: ") + std::strerror(EACCES));
}

TEST(Status, RecordMayBeMissing)
{
    EXPECT_EQ(loom_status_fail(nullptr, PARLOOM_ERR_SPACE, 0, "x"), PARLOOM_ERR_SPACE);
    loom_status_clear(nullptr);
}

TEST(Status, MessageMayContainItsOwnFormerText)
{
    parloom_error error;
    loom_status_fail(&error, PARLOOM_ERR_IO, 0, "inner");
    loom_status_fail(&error, PARLOOM_ERR_IO, 0, "outer: %s", error.message);
    EXPECT_STREQ(error.message, "outer: inner");
}

TEST(Status, LongMessageIsCutAtAWholeCharacter)
{
    parloom_error error;
    for (size_t shift = 0; shift < 4; shift++) {
        std::string text(shift, 'a');
        while (text.size() < 2 * PARLOOM_MESSAGE_BYTES) text += "\xE2\x82\xAC"; // euro sign, three bytes
        loom_status_fail(&error, PARLOOM_ERR_IO, 0, "%s", text.c_str());
        std::string message = error.message;
        EXPECT_LT(message.size(), static_cast<size_t>(PARLOOM_MESSAGE_BYTES));
        EXPECT_GT(message.size(), static_cast<size_t>(PARLOOM_MESSAGE_BYTES - 4));
        EXPECT_EQ((message.size() - shift) % 3, 0u);
    }
}

TEST(Status, CutLeavesWholeCharacters)
{
    const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x99\x82z"; // of one, two, three, four and one bytes
    const size_t whole[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11 };
    for (size_t length = 0; length < sizeof whole / sizeof *whole; length++) {
        char cut[32] = "";
        text.copy(cut, text.size());
        loom_status_cut(cut, length);
        EXPECT_EQ(cut, text.substr(0, whole[length])) << length;
    }
}

TEST(Status, ErrnoOfTheCallerStays)
{
    parloom_error error;
    errno = EPIPE;
    loom_status_fail(&error, PARLOOM_ERR_IO, ENOENT, "%m");
    EXPECT_EQ(errno, EPIPE);
}

TEST(Status, ErrnoHasTheStatusThatFits)
{
    EXPECT_EQ(loom_status_of_errno(ENOSPC), PARLOOM_ERR_SPACE);
    EXPECT_EQ(loom_status_of_errno(EDQUOT), PARLOOM_ERR_SPACE);
    EXPECT_EQ(loom_status_of_errno(ENOMEM), PARLOOM_ERR_MEMORY);
    for (int limit : { EMFILE, ENFILE, EFBIG, EAGAIN }) EXPECT_EQ(loom_status_of_errno(limit), PARLOOM_ERR_LIMIT);
    EXPECT_EQ(loom_status_of_errno(ENOENT), PARLOOM_ERR_IO);
}

TEST(Status, ClearedRecordNamesNoTaskAndNoWorker)
{
    parloom_error error;
    std::memset(&error, 0x5a, sizeof error);
    loom_status_clear(&error);
    EXPECT_EQ(error.status, PARLOOM_OK);
    EXPECT_EQ(error.worker, -1);
    EXPECT_EQ(error.task, PARLOOM_NO_TASK);
    EXPECT_STREQ(error.message, "");
}

} // namespace
