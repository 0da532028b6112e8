// SPDX-License-Identifier: BSD-3-Clause
/* test_crew.cc - seats of a crew whose workers cannot all be started. Nobody is started here: events are given. */
#include "support/crew_script.h"

#include "support/clean.h"

#include <cerrno>

namespace
{

class CrewSeats : public loom::Clean
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        crew = crew_open(&script);
        ASSERT_NE(crew, nullptr);
    }
    void TearDown() override
    {
        if (crew != nullptr) crew_close(crew);
        loom::Clean::TearDown();
    }
    void tell(uint32_t kind, uint32_t seat, int sys_errno = 0) { crew_tell(crew, &script, kind, seat, sys_errno); }
    crew_script script = {};
    loom_crew *crew = nullptr;
};

TEST_F(CrewSeats, ThatStayEmptyAreWarnedOfInOneLine)
{
    announce("worker 2 could not be started");
    ASSERT_EQ(crew_staff(crew, 8), PARLOOM_OK);
    for (uint32_t seat = 0; seat < 8; seat++)
        tell(seat < 2 ? LOOM_WORKER_STARTED : LOOM_WORKER_FAILED, seat, seat < 2 ? 0 : EAGAIN);
    EXPECT_EQ(crew_settle(crew), 2);
    EXPECT_EQ(warnings().size(), 1u);
    ASSERT_EQ(crew_staff(crew, 8), PARLOOM_OK); /* later in the same call: a death is replaced */
    for (uint32_t seat = 2; seat < 8; seat++) tell(LOOM_WORKER_FAILED, seat, EAGAIN);
    EXPECT_EQ(crew_settle(crew), 2);
    EXPECT_EQ(warnings().size(), 1u);
}

TEST_F(CrewSeats, ThatAllStayEmptyAreWarnedOfOnceToo)
{
    ASSERT_EQ(crew_staff(crew, 3), PARLOOM_OK);
    for (uint32_t seat = 0; seat < 3; seat++) tell(LOOM_WORKER_FAILED, seat, EAGAIN);
    announce("worker 0"); /* the others might have come */
    EXPECT_EQ(crew_settle(crew), 0);
    EXPECT_EQ(warnings().size(), 1u);
}

TEST_F(CrewSeats, AreFilledAnewWhenTheSupervisorEndsWhileTheyAreFilled)
{
    ASSERT_EQ(crew_staff(crew, 2), PARLOOM_OK);
    script.deaths_at = 4; /* the second of the six that are missing */
    EXPECT_EQ(crew_staff(crew, 8), PARLOOM_OK);
    EXPECT_EQ(script.reopened, 1);
    EXPECT_EQ(script.starts, 4 + 8) << "those that were there have ended with it";
    EXPECT_EQ(crew_settle(crew), 8);
}

TEST_F(CrewSeats, PassOverWhatIsToldOfAnEarlierWorker)
{
    ASSERT_EQ(crew_staff(crew, 2), PARLOOM_OK);
    tell(LOOM_WORKER_STARTED, 0);
    tell(LOOM_WORKER_STARTED, 1);
    script.events[1].generation--;
    script.events[1].kind = LOOM_WORKER_FAILED;
    EXPECT_EQ(crew_settle(crew), 2);
}

} // namespace
