/* SPDX-License-Identifier: BSD-3-Clause */
/* test_hash_loop.cc - digests of large arrays: by any workers, of mapped files, and when something goes wrong. */
#include "contract/places.h"
#include "rest/hashes.h"
#include "support/scratch.h"

#include "base/fault.h"

#include <cstring>
#include <thread>
#include <unistd.h>

namespace
{

const size_t N = 5 * 1048576 + 12345;
/* Of pattern(N), in one dimension, as U8; also computed by tests/rest/hash_reference.py. */
const char *const WHOLE = "ef6a0124a4cd1403d507a4b7f5f2d420";
/* Every second byte of it. */
const char *const SECOND = "ec40bda3d461b8010b72b2e42b7b67ac";

std::vector<unsigned char> pattern(size_t nbytes)
{
    std::vector<unsigned char> bytes(nbytes);
    for (size_t k = 0; k < nbytes; k++) bytes[k] = static_cast<unsigned char>((k * 2654435761U) >> 13);
    return bytes;
}

parloom_array second_of(const void *data, size_t nbytes)
{
    const size_t shape[] = { nbytes / 2 };
    const ptrdiff_t strides[] = { 2 };
    return parloom_array_wrap_strided(const_cast<void *>(data), PARLOOM_U8, 1, 1, shape, strides);
}

parloom_hash_options with(const parloom_options *loop)
{
    parloom_hash_options options = {};
    options.loop = loop;
    return options;
}

/* args[0]: an array, args[1]: one digest a task. */
int hash_in_task(const parloom_task *task, void *const *args)
{
    parloom_error error;
    auto *digests = static_cast<parloom_digest *>(args[1]);
    if (parloom_hash_array(static_cast<const parloom_array *>(args[0]), nullptr, &digests[task->index], &error) ==
        PARLOOM_OK)
        return 0;
    return parloom_fail(task, 1, "%s", error.message);
}

class HashLoop : public contract::Placed
{
};

class HashFile : public Scratch
{
  protected:
    void SetUp() override
    {
        Scratch::SetUp();
        bytes = pattern(N);
        write(path("data"), std::string(bytes.begin(), bytes.end()));
    }
    parloom_array map(parloom_mmap_mode mode)
    {
        parloom_array array = {};
        const size_t shape[] = { N };
        EXPECT_EQ(parloom_array_map(&array, path("data").c_str(), mode, 0, PARLOOM_U8, 0, 1, shape, nullptr, &error),
                  PARLOOM_OK)
            << error.message;
        return array;
    }
    parloom_status hash(const parloom_array &array, int n_jobs, parloom_digest *digest_out)
    {
        parloom_options loop = PARLOOM_OPTIONS_INIT;
        loop.n_jobs = n_jobs;
        parloom_hash_options options = with(&loop);
        return parloom_hash_array(&array, &options, digest_out, &error);
    }

    std::vector<unsigned char> bytes;
    parloom_error error = {};
};

} // namespace

TEST_P(HashLoop, IsTheSameByAnyWorkers)
{
    std::vector<unsigned char> bytes = pattern(N);
    parloom_options loop = options();
    parloom_hash_options by_them = with(&loop);
    EXPECT_EQ(hash_of(array_of(bytes.data(), PARLOOM_U8, { N }), &by_them), WHOLE);
    EXPECT_EQ(hash_of(second_of(bytes.data(), N), &by_them), SECOND);
    loop.batch_size = 1;
    EXPECT_EQ(hash_of(array_of(bytes.data(), PARLOOM_U8, { N }), &by_them), WHOLE);
}

TEST_P(HashLoop, InATaskIsThatOfTheCaller)
{
    std::vector<unsigned char> bytes = pattern(N);
    parloom_array array = array_of(bytes.data(), PARLOOM_U8, { N });
    parloom_digest digests[4] = {};
    parloom_arg args[] = { parloom_in_array(&array), parloom_out(digests, sizeof digests) };
    parloom_options loop = options();
    ASSERT_EQ(parloom_for(4, hash_in_task, args, 2, &loop, &error), PARLOOM_OK) << error.message;
    for (const parloom_digest &digest : digests) EXPECT_EQ(text_of(digest), WHOLE);
}

TEST_P(HashLoop, TakesNoHarmFromWhatIsSetAroundIt)
{
    std::vector<unsigned char> bytes = pattern(N);
    parloom_options around = options();
    if (!is_threaded() && !is("sequential")) {
        around.task_timeout = 60;
        around.retries = 2;
    }
    if (is_separate() && GetParam().n_jobs > 1) around.require = PARLOOM_REQUIRE_ISOLATION;
    ASSERT_EQ(parloom_scope_begin(&around, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(hash_of(array_of(bytes.data(), PARLOOM_U8, { N })), WHOLE);
    parloom_scope_end();
}

INSTANTIATE_TEST_SUITE_P(Everywhere, HashLoop, ::testing::ValuesIn(contract::every_place), contract::name_of);

using HashLoopAlone = loom::Clean;

/* Where the threads of the calls around are two: how many a digest of so many bytes takes that does not say it. */
static int jobs_taken(size_t nbytes, int n_jobs, const char *algorithm)
{
    std::vector<unsigned char> bytes(nbytes);
    parloom_report report = {};
    report.struct_size = sizeof report;
    parloom_options loop = PARLOOM_OPTIONS_INIT;
    loop.n_jobs = n_jobs;
    loop.report = &report;
    parloom_hash_options options = with(&loop);
    options.algorithm = algorithm;
    parloom_digest digest = {};
    const size_t shape[] = { nbytes };
    parloom_array array = parloom_array_wrap(bytes.data(), PARLOOM_U8, 1, shape);
    return parloom_hash_array(&array, &options, &digest, nullptr) == PARLOOM_OK ? report.n_jobs : -1;
}

TEST_F(HashLoopAlone, TakesThreadsWhereTheyPayAndWhereTheyAreSaid)
{
    parloom_options around = PARLOOM_OPTIONS_INIT;
    around.n_jobs = 2;
    ASSERT_EQ(parloom_scope_begin(&around, nullptr), PARLOOM_OK);
    EXPECT_EQ(jobs_taken(16 << 20, 0, nullptr), 1);
    EXPECT_EQ(jobs_taken(32 << 20, 0, nullptr), 2);
    EXPECT_EQ(jobs_taken(4 << 20, 2, nullptr), 2);
    parloom_scope_end();
}

TEST_F(HashLoopAlone, ReadsPrivateMemoryInPlace)
{
    std::vector<unsigned char> bytes = pattern(N);
    parloom_report report = {};
    report.struct_size = sizeof report;
    parloom_options loop = PARLOOM_OPTIONS_INIT;
    loop.n_jobs = 2;
    loop.report = &report;
    parloom_hash_options options = with(&loop);
    EXPECT_EQ(hash_of(array_of(bytes.data(), PARLOOM_U8, { N }), &options), WHOLE);
    EXPECT_STREQ(report.backend, "threads");
    EXPECT_EQ(report.spilled_nbytes, 0U);
    EXPECT_EQ(report.tasks, 6U);
}

TEST_F(HashLoopAlone, TellsWhatTheLoopRefuses)
{
    std::vector<unsigned char> bytes = pattern(N);
    parloom_array array = array_of(bytes.data(), PARLOOM_U8, { N });
    parloom_options loop = PARLOOM_OPTIONS_INIT;
    loop.backend = "nonsense";
    parloom_hash_options options = with(&loop);
    parloom_digest digest;
    parloom_error error;
    EXPECT_EQ(parloom_hash_array(&array, &options, &digest, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(strncmp(error.message, "while hashing an array: ", 24), 0) << error.message;
    EXPECT_NE(strstr(error.message, "nonsense"), nullptr) << error.message;

    parloom_stop stop = {};
    parloom_cancel(&stop);
    loop = PARLOOM_OPTIONS_INIT;
    loop.stop = &stop;
    EXPECT_EQ(parloom_hash_array(&array, &options, &digest, &error), PARLOOM_ERR_CANCELLED);
    EXPECT_EQ(parloom_hash_array(&array, &options, &digest, nullptr), PARLOOM_ERR_CANCELLED);
}

#ifdef PARLOOM_FAULTS
TEST_F(HashLoopAlone, WithoutMemoryIsAStatusAtEveryStep)
{
    std::vector<unsigned char> bytes = pattern(N);
    parloom_array arrays[] = { second_of(bytes.data(), N), second_of(bytes.data(), 1000) };
    parloom_arg args[] = { parloom_in_array(&arrays[0]), parloom_in_array(&arrays[1]) };
    const char *names[] = { "b", "a" };
    auto hash = [&](int way, parloom_digest *digest, parloom_error *error) {
        return way == 0   ? parloom_hash_args(args, 2, nullptr, digest, error)
               : way == 1 ? parloom_hash_named(names, args, 2, nullptr, digest, error)
                          : parloom_hash_set(args, 2, nullptr, digest, error);
    };
    for (int way = 0; way < 3; way++) {
        parloom_digest wanted;
        ASSERT_EQ(hash(way, &wanted, nullptr), PARLOOM_OK);
        unsigned failures = 0;
        for (unsigned nth = 1;; nth++) {
            parloom_digest digest = {};
            parloom_error error;
            loom_fault_arm(LOOM_FAULT_MALLOC, nth, ENOMEM, false);
            parloom_status status = hash(way, &digest, &error);
            bool was_hit = loom_fault_hits(LOOM_FAULT_MALLOC) >= nth;
            loom_fault_disarm();
            if (!was_hit) break;
            if (status == PARLOOM_OK) { /* what failed had another way */
                EXPECT_EQ(text_of(digest), text_of(wanted));
                continue;
            }
            failures++;
            EXPECT_EQ(status, PARLOOM_ERR_MEMORY) << error.message;
            EXPECT_EQ(strncmp(error.message, "while hashing ", 14), 0) << error.message;
        }
        EXPECT_GE(failures, 2U);
    }
}
#endif

/* ----------------------------------------------------------------------- files */

TEST_F(HashFile, MappedInAnyModeIsThatOfItsBytes)
{
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_R, PARLOOM_MMAP_RW, PARLOOM_MMAP_C })
        for (int n_jobs : { 1, 2 }) {
            parloom_array array = map(mode);
            parloom_digest digest;
            ASSERT_EQ(hash(array, n_jobs, &digest), PARLOOM_OK) << error.message;
            EXPECT_EQ(text_of(digest), WHOLE);
            ASSERT_EQ(hash(second_of(array.data, N), n_jobs, &digest), PARLOOM_OK) << error.message;
            EXPECT_EQ(text_of(digest), SECOND);
            parloom_array_release(&array);
        }
}

TEST_F(HashFile, OfAPrivateMappingCountsWhatWasWrittenToIt)
{
    parloom_array array = map(PARLOOM_MMAP_C);
    static_cast<unsigned char *>(array.data)[N - 1] ^= 1;
    bytes[N - 1] ^= 1;
    EXPECT_EQ(hash_of(array), hash_of(array_of(bytes.data(), PARLOOM_U8, { N })));
    EXPECT_NE(hash_of(array), WHOLE);
    parloom_array_release(&array);
}

TEST_F(HashFile, ThatWasCutShortIsAStatus)
{
    parloom_array array = map(PARLOOM_MMAP_R);
    parloom_array small = array;
    small.shape[0] = 1000000;
    ASSERT_EQ(truncate(path("data").c_str(), 100), 0);
    parloom_array second = second_of(array.data, N);
    parloom_array small_second = second_of(array.data, 1000000);
    for (const parloom_array *cut : { &array, &small, &second, &small_second })
        for (int n_jobs : { 1, 2 }) {
            parloom_digest digest;
            EXPECT_EQ(hash(*cut, n_jobs, &digest), PARLOOM_ERR_IO) << error.message;
            EXPECT_NE(strstr(error.message, "became shorter"), nullptr) << error.message;
        }
    parloom_arg arg = parloom_in(array.data, N);
    parloom_digest digest;
    EXPECT_EQ(parloom_hash_args(&arg, 1, nullptr, &digest, &error), PARLOOM_ERR_IO) << error.message;
    parloom_array_release(&array);
}

/* Whatever the moment: a digest or a status, and the program lives. */
TEST_F(HashFile, ThatIsCutShortMeanwhileIsAStatusOrADigest)
{
    for (int round = 0; round < 20; round++) {
        write(path("data"), std::string(bytes.begin(), bytes.end()));
        parloom_array array = map(PARLOOM_MMAP_R);
        std::thread cutter([this] { EXPECT_EQ(truncate(path("data").c_str(), 4096), 0); });
        parloom_digest digest;
        parloom_status status = hash(array, 1, &digest);
        cutter.join();
        if (status == PARLOOM_OK)
            EXPECT_EQ(text_of(digest), WHOLE);
        else
            EXPECT_EQ(status, PARLOOM_ERR_IO) << error.message;
        parloom_array_release(&array);
    }
}
