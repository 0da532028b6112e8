/* SPDX-License-Identifier: BSD-3-Clause */
/* P6 and P10: backends of the program's own. */
#include "conformance/conformance.h"
#include "contract/custom.h"

using namespace conformance;

namespace
{

/* A decent backend that notes what it is asked, registered for as long as this lives. */
class Registered
{
  public:
    explicit Registered(const char *called, unsigned flags = PARLOOM_BACKEND_SHARES_MEMORY, bool has_hooks = true)
        : name(called)
    {
        parloom_backend_ops ops = ops_of(flags);
        if (!has_hooks) ops.wait_begin = ops.wait_end = nullptr;
        parloom_error failure;
        EXPECT_EQ(parloom_backend_register(name, &ops, &state, false, &failure), PARLOOM_OK) << failure.message;
    }
    ~Registered()
    {
        parloom_error failure;
        EXPECT_EQ(parloom_backend_unregister(name, &failure), PARLOOM_OK) << failure.message;
    }
    Registered(const Registered &) = delete;
    Registered &operator=(const Registered &) = delete;

    static parloom_backend_ops ops_of(unsigned flags)
    {
        parloom_backend_ops ops = {};
        ops.struct_size = sizeof ops;
        ops.abi = PARLOOM_BACKEND_ABI;
        ops.flags = flags;
        ops.configure = contract::configure;
        ops.run = contract::run;
        ops.wait_begin = contract::wait_begin;
        ops.wait_end = contract::wait_end;
        return ops;
    }

    const char *name;
    contract::mine state;
};

bool is_listed(const std::string &name)
{
    const char *names[32];
    size_t count = parloom_backend_list(names, 32);
    for (size_t k = 0; k < count && k < 32; k++)
        if (name == names[k]) return true;
    return false;
}

/* Who ran a call with these options; the message in place of it where the call was refused. */
std::string ran_by(const parloom_options &options, parloom_error *error)
{
    parloom_report report = empty_report();
    parloom_options given = options;
    given.report = &report;
    return parloom_for(20, do_nothing, nullptr, 0, &given, error) == PARLOOM_OK ? report.backend : error->message;
}

/* args[0]: the backend of the inner call, or "". */
int call_inside(const parloom_task *, void *const *args)
{
    const char *name = static_cast<const char *>(args[0]);
    parloom_options given = on(name[0] != '\0' ? name : nullptr);
    return parloom_for(3, do_nothing, nullptr, 0, &given, nullptr) == PARLOOM_OK ? 0 : 1;
}

int loads;

parloom_status load(void *state, parloom_error *error)
{
    parloom_backend_ops ops = Registered::ops_of(PARLOOM_BACKEND_SHARES_MEMORY);
    loads++;
    return parloom_backend_register("external", &ops, state, false, error);
}

parloom_status miss(void *, parloom_error *error)
{
    strcpy(error->message, "libqueue.so.1 is not here: apt-get install libqueue1");
    return PARLOOM_ERR_UNSUPPORTED;
}

/* The lines that say of another backend. */
std::vector<std::string> choices;

void keep_choice(int, const char *line, void *)
{
    if (strstr(line, "using the backend") != nullptr) choices.push_back(line);
}

} // namespace

TEST_F(Conformance, P6_02_RegisteredBackendIsListed)
{
    EXPECT_FALSE(is_listed("mine"));
    {
        Registered mine("mine");
        EXPECT_TRUE(is_listed("mine"));
        for (const char *name : every_backend) EXPECT_TRUE(is_listed(name)) << "as before";
        EXPECT_EQ(ran_by(on("theirs"), &error).find("Invalid backend: "), 0u);
        EXPECT_TRUE(says(error, "mine")) << error.message;
    }
    EXPECT_FALSE(is_listed("mine"));
}

TEST_F(Conformance, P6_06_ParametersOfAScopeReachTheBackend)
{
    Registered mine("mine"), theirs("theirs");
    parloom_options scope = on("mine", 0), plain = PARLOOM_OPTIONS_INIT;
    scope.backend_params = "param=42";
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_EQ(ran_by(plain, &error), "mine");
    EXPECT_EQ(mine.state.params, "param=42");
    EXPECT_EQ(mine.state.runs, 1) << "that very one";
    EXPECT_EQ(theirs.state.runs, 0);
    parloom_scope_end();
    EXPECT_EQ(ran_by(on(nullptr), &error), "processes");
}

/* What another program would give as an object is registered under a name of its own. */
TEST_F(Conformance, P6_07_TwoOfAKind)
{
    Registered first("mine.1"), second("mine.2");
    for (int k = 0; k < 3; k++) EXPECT_EQ(squares_by(on("mine.1"), 20, &error), squares(20)) << error.message;
    parloom_options scope = on("mine.2"), plain = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_EQ(squares_by(plain, 20, &error), squares(20)) << error.message;
    parloom_scope_end();
    EXPECT_EQ(first.state.runs, 3);
    EXPECT_EQ(second.state.runs, 1);
}

TEST_F(Conformance, P6_08_OuterCallIsWaitedForOnce)
{
    for (bool has_hooks : { true, false })
        for (const char *inner : { "", "threads", "mine" }) {
            Registered mine("mine", PARLOOM_BACKEND_SHARES_MEMORY, has_hooks);
            parloom_arg args[] = { parloom_in(inner, strlen(inner) + 1) };
            parloom_options given = on("mine");
            EXPECT_OK(parloom_for(20, call_inside, args, 1, &given, &error)) << inner;
            EXPECT_EQ(mine.state.begins, has_hooks ? 1 : 0) << inner;
            EXPECT_EQ(mine.state.ends, has_hooks ? 1 : 0) << inner;
            EXPECT_EQ(mine.state.runs, is(inner, "mine") ? 21 : 1);
        }
}

TEST_F(Conformance, P6_13_SharedMemoryOfTheProgramsOwn)
{
    Registered mine("mine");
    parloom_options scope = on("mine");
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    for (parloom_prefer prefer : { PARLOOM_PREFER_UNSET, PARLOOM_PREFER_THREADS, PARLOOM_PREFER_PROCESSES }) {
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.prefer = prefer;
        EXPECT_EQ(ran_by(given, &error), "mine");
        if (prefer == PARLOOM_PREFER_PROCESSES) continue; /* contradicts it */
        given.require = PARLOOM_REQUIRE_SHAREDMEM;
        EXPECT_EQ(ran_by(given, &error), "mine");
    }
    parloom_scope_end();
}

TEST_F(Conformance, P6_14_WithoutSharedMemoryItGivesWay)
{
    Registered mine("mine", 0);
    parloom_options scope = on("mine"), given = PARLOOM_OPTIONS_INIT;
    choices.clear();
    parloom_set_log(keep_choice, nullptr);
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    given.require = PARLOOM_REQUIRE_SHAREDMEM;
    EXPECT_EQ(ran_by(given, &error), "threads");
    EXPECT_EQ(choices.size(), 0u);
    given.verbose = 10;
    EXPECT_EQ(ran_by(given, &error), "threads");
    ASSERT_EQ(choices.size(), 1u);
    EXPECT_NE(choices[0].find("threads instead of mine"), std::string::npos) << choices[0];
    given.require = PARLOOM_REQUIRE_UNSET;
    given.prefer = PARLOOM_PREFER_THREADS;
    (void)ran_by(given, &error);
    EXPECT_EQ(choices.size(), 1u) << "a hint gives way without a word";
    parloom_scope_end();
    parloom_set_log(nullptr, nullptr);
}

TEST_F(Conformance, P6_17_NoActiveWorker)
{
    Registered mine("mine");
    mine.state.workers = 0;
    EXPECT_EQ(ran_by(on("mine"), &error), "mine has no active worker");
    EXPECT_EQ(mine.state.runs, 0);
}

TEST_F(Conformance, P6_18_WhatIsMissingIsNamed)
{
    ASSERT_OK(parloom_backend_offer("queue", miss, nullptr, &error));
    parloom_options given = on("queue");
    EXPECT_EQ(parloom_for(4, do_nothing, nullptr, 0, &given, &error), PARLOOM_ERR_UNSUPPORTED);
    EXPECT_TRUE(says(error, "apt-get install libqueue1")) << error.message;
    EXPECT_EQ(parloom_scope_begin(&given, &error), PARLOOM_ERR_UNSUPPORTED);
    EXPECT_TRUE(says(error, "apt-get install libqueue1")) << error.message;
    EXPECT_OK(parloom_backend_unregister("queue", &error));
}

TEST_F(Conformance, P10_02_ExternalBackendIsLoadedWhenItIsNamed)
{
    contract::mine state;
    ASSERT_OK(parloom_backend_offer("external", load, &state, &error));
    EXPECT_EQ(ran_by(on("threads"), &error), "threads");
    EXPECT_EQ(loads, 0);
    parloom_options scope = on("external"), plain = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_EQ(ran_by(plain, &error), "external");
    parloom_scope_end();
    EXPECT_EQ(ran_by(on("external"), &error), "external");
    EXPECT_EQ(loads, 1);
    EXPECT_OK(parloom_backend_unregister("external", &error));
}

TEST_F(Conformance, P10_06_ParametersOfNoBackend)
{
    Registered mine("mine");
    parloom_options nobodys = on(nullptr);
    nobodys.backend_params = "param=42";
    EXPECT_EQ(parloom_scope_begin(&nobodys, &error), PARLOOM_ERR_INVALID);
    EXPECT_TRUE(says(error, "backend_params")) << error.message;
    EXPECT_EQ(parloom_set_defaults(&nobodys, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_for(4, do_nothing, nullptr, 0, &nobodys, &error), PARLOOM_ERR_INVALID);
    EXPECT_TRUE(says(error, "param=42")) << error.message;
    parloom_options scope = on("mine");
    ASSERT_OK(parloom_scope_begin(&scope, &error));
    EXPECT_EQ(parloom_scope_begin(&nobodys, &error), PARLOOM_ERR_INVALID) << "its own, not one around it";
    parloom_scope_end();
    scope.backend_params = "strength=42"; /* which it does not know */
    EXPECT_EQ(ran_by(scope, &error).find("backend \"mine\": "), 0u) << error.message;
    EXPECT_EQ(error.status, PARLOOM_ERR_INVALID);
}
