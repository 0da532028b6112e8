// SPDX-License-Identifier: BSD-3-Clause
// Structs of options: size, ranges, precedence, copies.
#include "base/options.h"

#include <gtest/gtest.h>

#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

namespace
{

parloom_error error;

parloom_options unset()
{
    return PARLOOM_OPTIONS_INIT;
}

parloom_status read(const parloom_options &given)
{
    parloom_options out;
    return loom_options_read(&given, &out, &error);
}

struct Newer {
    parloom_options known;
    uint64_t later[2];
};

TEST(OptionsRead, NothingGivenIsAllUnset)
{
    parloom_options out;
    std::memset(&out, 0x5a, sizeof out);
    ASSERT_EQ(loom_options_read(nullptr, &out, &error), PARLOOM_OK);
    parloom_options expected = unset();
    EXPECT_EQ(std::memcmp(&out, &expected, sizeof out), 0);
}

TEST(OptionsRead, SizeZeroIsRefusedAndNothingSet)
{
    parloom_options given = unset(), out = unset();
    given.struct_size = 0;
    given.n_jobs = 3;
    EXPECT_EQ(loom_options_read(&given, &out, &error), PARLOOM_ERR_INVALID);
    EXPECT_NE(std::strstr(error.message, "PARLOOM_OPTIONS_INIT"), nullptr);
    EXPECT_EQ(out.n_jobs, 0);
}

TEST(OptionsRead, SizesThatNoVersionHadAreRefused)
{
    for (size_t size : { size_t{ 8 }, size_t{ 16 }, sizeof(parloom_options) - 4, size_t{ 1 } << 40, SIZE_MAX }) {
        parloom_options given = unset();
        given.struct_size = size;
        EXPECT_EQ(read(given), PARLOOM_ERR_INVALID) << size;
    }
}

TEST(OptionsRead, OlderCallerLeavesTheRestUnset)
{
    parloom_options given = unset(), out;
    given.n_jobs = 3;
    given.worker_init_state_nbytes = 77; // what lies behind the caller's struct
    given.struct_size = offsetof(parloom_options, worker_init);
    ASSERT_EQ(loom_options_read(&given, &out, &error), PARLOOM_OK);
    EXPECT_EQ(out.n_jobs, 3);
    EXPECT_EQ(out.worker_init_state_nbytes, 0u);
    EXPECT_EQ(out.struct_size, sizeof out);
}

TEST(OptionsRead, NewerCallerIsTakenWhileItsNewOptionsAreUnset)
{
    Newer given = { unset(), { 0, 0 } };
    given.known.struct_size = sizeof given;
    parloom_options out;
    EXPECT_EQ(loom_options_read(&given.known, &out, &error), PARLOOM_OK);
    EXPECT_EQ(out.struct_size, sizeof out);
    given.later[1] = 1;
    EXPECT_EQ(loom_options_read(&given.known, &out, &error), PARLOOM_ERR_INVALID);
}

TEST(OptionsRead, EnumsOutOfRangeAreRefused)
{
    auto refused = [](void (*change)(parloom_options *), const char *name) {
        parloom_options given = unset();
        change(&given);
        EXPECT_EQ(read(given), PARLOOM_ERR_INVALID) << name;
        EXPECT_NE(std::strstr(error.message, name), nullptr) << error.message;
    };
    refused(
        [](parloom_options *o) {
            int v = 9;
            std::memcpy(&o->prefer, &v, sizeof v);
        },
        "prefer");
    refused(
        [](parloom_options *o) {
            int v = -1;
            std::memcpy(&o->require, &v, sizeof v);
        },
        "require");
    refused(
        [](parloom_options *o) {
            int v = 5;
            std::memcpy(&o->mmap_mode, &v, sizeof v);
        },
        "mmap_mode");
    refused(
        [](parloom_options *o) {
            int v = 2;
            std::memcpy(&o->schedule, &v, sizeof v);
        },
        "schedule");
    refused(
        [](parloom_options *o) {
            int v = 3;
            std::memcpy(&o->on_error, &v, sizeof v);
        },
        "on_error");
}

TEST(OptionsRead, ValuesWithoutMeaningAreRefused)
{
    auto refused = [](void (*change)(parloom_options *), const char *name) {
        parloom_options given = unset();
        change(&given);
        EXPECT_EQ(read(given), PARLOOM_ERR_INVALID) << name;
        EXPECT_NE(std::strstr(error.message, name), nullptr) << error.message;
    };
    refused([](parloom_options *o) { o->backend = ""; }, "backend");
    refused([](parloom_options *o) { o->backend_params = ""; }, "backend_params");
    refused([](parloom_options *o) { o->temp_folder = ""; }, "temp_folder");
    refused([](parloom_options *o) { o->pre_dispatch = "2*njobs"; }, "pre_dispatch");
    refused([](parloom_options *o) { o->pre_dispatch = ""; }, "pre_dispatch");
    refused([](parloom_options *o) { o->task_timeout = std::nan(""); }, "task_timeout");
    refused([](parloom_options *o) { o->idle_timeout = std::nan(""); }, "idle_timeout");
    refused([](parloom_options *o) { o->worker_environment = "A=1;;B=2"; }, "worker_environment");
    refused([](parloom_options *o) { o->timeout = INFINITY; }, "timeout");
    refused([](parloom_options *o) { o->n_statuses = 3; }, "n_statuses");
    refused([](parloom_options *o) { o->n_errors = 3; }, "n_errors");
    refused([](parloom_options *o) { o->batch_size = static_cast<size_t>(-1); }, "batch_size");
    refused([](parloom_options *o) { o->worker_init_state_nbytes = 8; }, "worker_init_state");
}

TEST(OptionsRead, AnyNumberOfJobsAndNegativeNumbersAreTaken)
{
    parloom_options given = unset();
    given.n_jobs = INT_MIN;
    given.retries = -1;
    given.verbose = -1;
    given.inner_max_num_threads = -1;
    given.task_timeout = -1;
    given.timeout = -1;
    given.max_nbytes = PARLOOM_NEVER;
    EXPECT_EQ(read(given), PARLOOM_OK);
}

TEST(OptionsFill, WhatIsSetWins)
{
    parloom_options onto = unset(), under = unset();
    onto.n_jobs = 2;
    onto.timeout = -1;
    under.n_jobs = 8;
    under.timeout = 30;
    under.max_nbytes = 100;
    under.on_error = PARLOOM_ON_ERROR_GO_ON;
    loom_options_fill_unset(&onto, &under);
    EXPECT_EQ(onto.n_jobs, 2);
    EXPECT_EQ(onto.timeout, -1);
    EXPECT_EQ(onto.max_nbytes, 100u);
    EXPECT_EQ(onto.on_error, PARLOOM_ON_ERROR_GO_ON);
    EXPECT_EQ(onto.struct_size, sizeof onto);
}

TEST(OptionsFill, EveryFieldIsTakenWhereUnset)
{
    parloom_options onto = unset(), under;
    std::memset(&under, 0x11, sizeof under);
    loom_options_fill_unset(&onto, &under);
    under.struct_size = sizeof under;
    const unsigned char *bytes = reinterpret_cast<const unsigned char *>(&onto);
    size_t taken = 0;
    for (size_t i = 0; i < sizeof onto; i++) taken += bytes[i] != 0;
    EXPECT_EQ(onto.worker_init_state_nbytes, under.worker_init_state_nbytes);
    EXPECT_EQ(onto.inner_max_num_threads, under.inner_max_num_threads);
    EXPECT_EQ(onto.stop, under.stop);
    EXPECT_EQ(onto.pool, under.pool);
    // all but struct_size and at most the holes between fields
    EXPECT_GE(taken, sizeof onto - sizeof onto.struct_size - 4 * sizeof(int));
}

TEST(OptionsFill, FieldsOfOneGroupStayTogether)
{
    parloom_status mine[2], theirs[9];
    int state = 0;
    parloom_options onto = unset(), under = unset();
    onto.statuses = mine; // n_statuses 0: trusted
    under.statuses = theirs;
    under.n_statuses = 9;
    onto.progress = [](const parloom_report *, void *) {};
    under.progress = onto.progress;
    under.progress_state = &state;
    under.worker_init = [](void *) { return 0; };
    under.worker_init_state = &state;
    under.worker_init_state_nbytes = sizeof state;
    loom_options_fill_unset(&onto, &under);
    EXPECT_EQ(onto.statuses, mine);
    EXPECT_EQ(onto.n_statuses, 0u);
    EXPECT_EQ(onto.progress_state, nullptr);
    EXPECT_EQ(onto.worker_init_state, &state);
    EXPECT_EQ(onto.worker_init_state_nbytes, sizeof state);
}

TEST(OptionsFill, SettingsOfAnotherBackendAreNotInherited)
{
    parloom_options under = unset();
    under.backend = "mpi";
    under.backend_params = "hosts=a";
    parloom_options other = unset(), same = unset(), none = unset(), own = unset();
    other.backend = "threads";
    same.backend = "mpi";
    own.backend_params = "hosts=b";
    for (parloom_options *onto : { &other, &same, &none, &own }) loom_options_fill_unset(onto, &under);
    EXPECT_EQ(other.backend_params, nullptr);
    EXPECT_STREQ(same.backend_params, "hosts=a");
    EXPECT_STREQ(none.backend_params, "hosts=a");
    EXPECT_STREQ(own.backend_params, "hosts=b");
    EXPECT_STREQ(own.backend, "mpi");
}

TEST(OptionsCopy, OwnsItsTextsAndState)
{
    char backend[] = "threads", folder[] = "/tmp";
    int state = 3;
    parloom_options options = unset(), copy = unset();
    options.backend = backend;
    options.temp_folder = folder;
    options.n_jobs = 4;
    options.worker_init_state = &state;
    options.worker_init_state_nbytes = sizeof state;
    ASSERT_EQ(loom_options_copy(&copy, &options, &error), PARLOOM_OK);
    backend[0] = folder[0] = 'X';
    state = 4;
    EXPECT_STREQ(copy.backend, "threads");
    EXPECT_STREQ(copy.temp_folder, "/tmp");
    EXPECT_EQ(*static_cast<const int *>(copy.worker_init_state), 3);
    EXPECT_EQ(copy.n_jobs, 4);
    loom_options_destroy(&copy);
    EXPECT_EQ(copy.backend, nullptr);
    loom_options_destroy(&copy);
    loom_options_destroy(nullptr);
}

TEST(OptionsEqual, ByWhatTheyHold)
{
    char threads[] = "threads";
    int one = 1, same = 1, other = 2;
    parloom_options a = unset(), b = unset();
    EXPECT_TRUE(loom_options_are_equal(&a, &b));
    a.backend = threads;
    EXPECT_FALSE(loom_options_are_equal(&a, &b));
    b.backend = "threads";
    a.worker_init_state = &one;
    b.worker_init_state = &same;
    EXPECT_FALSE(loom_options_are_equal(&a, &b)) << "what it points to is not known";
    a.worker_init_state_nbytes = b.worker_init_state_nbytes = sizeof one;
    EXPECT_TRUE(loom_options_are_equal(&a, &b));
    b.worker_init_state = &other;
    EXPECT_FALSE(loom_options_are_equal(&a, &b));
    b.worker_init_state = &one;
    b.retries = 1;
    EXPECT_FALSE(loom_options_are_equal(&a, &b));
}

} // namespace
