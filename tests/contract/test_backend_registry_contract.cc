/* SPDX-License-Identifier: BSD-3-Clause */
/* Which backends there are: registering, offering, unregistering, the default. */
#include "contract/custom.h"

#include <atomic>

using namespace contract;

namespace
{

int loads;

} // namespace

/* ------------------------------------------------------------- registering */

TEST_F(Custom, IsListedUnderItsNameAndRuns)
{
    std::vector<std::string> built_in = { "sequential", "threads", "processes", "fork" };
    EXPECT_EQ(list(), built_in);
    enlist();
    EXPECT_EQ(parloom_backend_list(nullptr, 0), 5u);
    EXPECT_EQ(list().back(), "mine");
    ASSERT_OK(call(naming()));
    EXPECT_STREQ(report.backend, "mine");
    EXPECT_EQ(report.n_jobs, 3) << "as many as it says";
    EXPECT_EQ(state.asked, 2);
    EXPECT_EQ(state.runs, 1);
    ASSERT_OK(parloom_backend_unregister("mine", &error));
    EXPECT_EQ(list(), built_in);
    EXPECT_EQ(call(naming()), PARLOOM_ERR_INVALID);
}

TEST_F(Custom, IsNamedWhereAnUnknownOneIsAskedFor)
{
    enlist();
    EXPECT_EQ(call(naming("theirs")), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("\"theirs\" is not known: there are sequential, threads, processes, fork, mine");
    parloom_options scope = naming("theirs");
    EXPECT_EQ(parloom_scope_begin(&scope, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("mine");
}

TEST_F(Custom, TakesNoNameThatIsTakenOrNone)
{
    enlist();
    expect_refused("mine", PARLOOM_ERR_INVALID, "registered already");
    for (const char *name : { "sequential", "threads", "processes", "fork" })
        expect_refused(name, PARLOOM_ERR_INVALID, "parloom's own");
    for (const char *name : { "", "two words", "a/b", "a,b" }) expect_refused(name, PARLOOM_ERR_INVALID, "name");
    expect_refused(nullptr, PARLOOM_ERR_INVALID, "NULL");
    expect_refused(std::string(64, 'x').c_str(), PARLOOM_ERR_INVALID, "1 to 63");
    EXPECT_EQ(parloom_backend_unregister("threads", &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_backend_unregister("theirs", &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_backend_unregister(nullptr, nullptr), PARLOOM_ERR_INVALID);
    EXPECT_EQ(list().size(), 5u);
}

TEST_F(Custom, OfAnotherAbiOrWithoutOperationsIsRefused)
{
    EXPECT_EQ(parloom_backend_register("mine", nullptr, nullptr, false, &error), PARLOOM_ERR_INVALID);
    ops.abi++;
    expect_refused("mine", PARLOOM_ERR_VERSION, "ABI 2");
    ops.abi--;
    ops.struct_size = 8;
    expect_refused("mine", PARLOOM_ERR_INVALID, "struct_size");
    ops.struct_size = sizeof ops;
    ops.flags |= 1u << 20;
    expect_refused("mine", PARLOOM_ERR_UNSUPPORTED, "flags");
    ops.flags = PARLOOM_BACKEND_SHARES_MEMORY;
    ops.run = nullptr;
    expect_refused("mine", PARLOOM_ERR_INVALID, "run");
    ops.run = run;
    ops.close = nullptr;
    expect_refused("mine", PARLOOM_ERR_INVALID, "open and close");
    EXPECT_EQ(list().size(), 4u);
}

TEST_F(Custom, OfALaterReleaseIsTakenAsFarAsItAsksForNothingNew)
{
    struct {
        parloom_backend_ops ops;
        void *later;
    } longer = { ops, nullptr };
    longer.ops.struct_size = sizeof longer;
    ASSERT_OK(parloom_backend_register("mine", &longer.ops, &state, false, &error));
    EXPECT_OK(call(naming()));
    longer.later = &longer;
    EXPECT_EQ(parloom_backend_register("later", &longer.ops, &state, false, &error), PARLOOM_ERR_VERSION);
}

TEST_F(Custom, IsUsedByWhoNamesNoneIfItIsTheDefault)
{
    enlist("mine", true);
    ASSERT_OK(call(naming(nullptr)));
    EXPECT_STREQ(report.backend, "mine");
    parloom_options scope = naming("threads");
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_OK(call(naming(nullptr)));
    EXPECT_STREQ(report.backend, "threads") << "a scope is nearer";
    parloom_scope_end();
    ASSERT_OK(parloom_backend_unregister("mine", &error));
    ASSERT_OK(call(naming(nullptr)));
    EXPECT_STREQ(report.backend, "processes");
}

TEST_F(Custom, IsNotUnregisteredWhileAPoolOfItIsOpen)
{
    enlist();
    parloom_pool *pool;
    parloom_options given = naming();
    given.backend_params = "param=42";
    ASSERT_OK(parloom_pool_open(&pool, &given, &error));
    EXPECT_EQ(state.opened, "3 param=42");
    EXPECT_EQ(parloom_backend_unregister("mine", &error), PARLOOM_ERR_BUSY);
    parloom_options on_pool = PARLOOM_OPTIONS_INIT;
    on_pool.pool = pool;
    EXPECT_OK(call(on_pool));
    EXPECT_TRUE(state.had_pool) << "the very instance that was opened";
    EXPECT_OK(call(naming()));
    EXPECT_FALSE(state.had_pool);
    parloom_pool_close(pool);
    EXPECT_EQ(state.opens, 1);
    EXPECT_EQ(state.closes, 1);
}

TEST_F(Custom, RegistersFromManyThreadsWhileOthersRun)
{
    enlist();
    std::atomic<int> registered{ 0 };
    std::vector<std::thread> threads;
    for (int k = 0; k < 4; k++)
        threads.emplace_back([&, k] {
            std::string name = "other" + std::to_string(k % 2);
            for (int round = 0; round < 50; round++) {
                if (parloom_backend_register(name.c_str(), &ops, &state, false, nullptr) != PARLOOM_OK) continue;
                registered++;
                EXPECT_EQ(parloom_backend_unregister(name.c_str(), nullptr), PARLOOM_OK);
            }
        });
    for (int round = 0; round < 20; round++) EXPECT_OK(call(naming()));
    for (std::thread &thread : threads) thread.join();
    EXPECT_GE(registered, 2);
    EXPECT_EQ(list().size(), 5u);
}

/* ------------------------------------------------------------------- offers */

static parloom_status load(void *ops, parloom_error *error)
{
    static mine state;
    loads++;
    return parloom_backend_register("offered", static_cast<parloom_backend_ops *>(ops), &state, false, error);
}

static parloom_status miss(void *, parloom_error *error)
{
    strcpy(error->message, "it needs libqueue: apt-get install libqueue-dev");
    return PARLOOM_ERR_UNSUPPORTED;
}

static parloom_status do_nothing(void *, parloom_error *)
{
    return PARLOOM_OK;
}

TEST_F(Custom, ThatIsOfferedIsLoadedWhenItIsFirstNamed)
{
    loads = 0;
    ASSERT_OK(parloom_backend_offer("offered", load, &ops, &error));
    EXPECT_EQ(list().back(), "offered");
    EXPECT_EQ(parloom_backend_offer("offered", load, &ops, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(loads, 0);
    EXPECT_OK(call(naming("threads")));
    EXPECT_EQ(loads, 0);
    parloom_options scope = naming("offered");
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_OK(call(PARLOOM_OPTIONS_INIT));
    parloom_scope_end();
    EXPECT_STREQ(report.backend, "offered");
    EXPECT_OK(call(naming("offered")));
    EXPECT_EQ(loads, 1);
    EXPECT_EQ(list().size(), 5u);
}

TEST_F(Custom, ThatCannotBeLoadedSaysWhatIsMissing)
{
    ASSERT_OK(parloom_backend_offer("queue", miss, nullptr, &error));
    EXPECT_EQ(call(naming("queue")), PARLOOM_ERR_UNSUPPORTED);
    EXPECT_SAYS("apt-get install libqueue-dev");
    ASSERT_OK(parloom_backend_offer("nothing", do_nothing, nullptr, &error));
    EXPECT_EQ(call(naming("nothing")), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("did not register");
    EXPECT_EQ(parloom_backend_offer("null", nullptr, nullptr, &error), PARLOOM_ERR_INVALID);
}
