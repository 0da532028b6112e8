/* SPDX-License-Identifier: BSD-3-Clause */
/* The same bits for any number of workers, on any backend: reductions, rounding, payloads. */
#include "contract/places.h"

#include <cfenv>
#include <cmath>
#include <csignal>
#include <pthread.h>
#include <unistd.h>

using namespace contract;

namespace
{

struct moments {
    double count, sum, squares;
};

void add_moments(void *into, const void *from)
{
    auto *a = static_cast<moments *>(into);
    const auto *b = static_cast<const moments *>(from);
    a->count += b->count;
    a->sum += b->sum;
    a->squares += b->squares;
}

int sample(const parloom_task *task, void *const *args)
{
    auto *total = static_cast<moments *>(args[0]);
    for (size_t i = task->begin; i < task->end; i++) {
        double x = 1.0 / (1.0 + static_cast<double>(i));
        total->count += 1;
        total->sum += x;
        total->squares += x * x;
    }
    return 0;
}

/* A combination in which order counts: a list of the tasks in it. */
struct list {
    uint64_t hash;
    size_t first, last, count;
};

void append(void *into, const void *from)
{
    auto *a = static_cast<list *>(into);
    const auto *b = static_cast<const list *>(from);
    if (b->count == 0) return;
    if (a->count == 0)
        a->first = b->first;
    else if (b->first != a->last + 1)
        a->hash = ~uint64_t{ 0 }; /* out of order */
    a->hash = a->hash * 31 + b->hash;
    a->last = b->last;
    a->count += b->count;
}

int append_index(const parloom_task *task, void *const *args)
{
    for (size_t i = task->begin; i < task->end; i++) {
        list one = { i + 1, i, i, 1 };
        append(args[0], &one);
    }
    return 0;
}

pthread_t combined_in;
int combined_pid;

void note_thread(void *, const void *)
{
    combined_in = pthread_self();
    combined_pid = static_cast<int>(getpid());
}

int add_and_fail(const parloom_task *task, void *const *args)
{
    *static_cast<long *>(args[0]) += 1;
    return task->index == 50 ? 3 : 0;
}

void add_long(void *into, const void *from)
{
    *static_cast<long *>(into) += *static_cast<const long *>(from);
}

int die_at_fifty(const parloom_task *task, void *const *args)
{
    if (task->index == 50) raise(SIGKILL);
    *static_cast<long *>(args[0]) += static_cast<long>(task->index);
    return 0;
}

/* A sum in which the order of additions shows, and who did them. args: moments, worker of each task. */
int sample_and_note_worker(const parloom_task *task, void *const *args)
{
    static_cast<int *>(args[1])[task->index] = task->worker;
    return sample(task, args);
}

int sample_but_die_at_55(const parloom_task *task, void *const *args)
{
    if (task->index == 55) raise(SIGKILL);
    return sample(task, args);
}

int sample_but_skip_55(const parloom_task *task, void *const *args)
{
    return task->index == 55 ? 0 : sample(task, args);
}

int divide(const parloom_task *task, void *const *args)
{
    volatile double one = 1.0, three = 3.0, tiny = 1e-310, two = 2.0;
    double *result = &static_cast<double *>(args[0])[3 * task->index];
    result[0] = one / three;
    result[1] = -one / three;
    result[2] = tiny / two;
    return 0;
}

int copy_words(const parloom_task *task, void *const *args)
{
    static_cast<double *>(args[1])[task->index] = static_cast<const double *>(args[0])[task->index];
    return 0;
}

int do_nothing(const parloom_task *, void *const *)
{
    return 0;
}

} // namespace

class Reduction : public Placed
{
  protected:
    moments sum(size_t n, size_t batch_size, bool is_range, const char *backend, int n_jobs)
    {
        moments total = { 0, 0, 0 };
        parloom_arg args[] = { parloom_reduce(&total, sizeof total, add_moments) };
        parloom_options given = PARLOOM_OPTIONS_INIT;
        given.backend = backend;
        given.n_jobs = n_jobs;
        given.batch_size = batch_size;
        if (is_range)
            EXPECT_OK(parloom_for_range(n, sample, args, 1, &given, &error));
        else
            EXPECT_OK(parloom_for(n, sample, args, 1, &given, &error));
        return total;
    }
};
INSTANTIATE_TEST_SUITE_P(On, Reduction, ::testing::ValuesIn(every_place), name_of);

TEST_P(Reduction, HasTheBitsOfTheSequentialOne)
{
    for (size_t n : { size_t{ 1 }, size_t{ 127 }, size_t{ 129 }, size_t{ 10007 } })
        for (size_t batch : { size_t{ 0 }, size_t{ 1 }, size_t{ 100 } })
            for (bool is_range : { false, true }) {
                moments expected = sum(n, batch, is_range, "sequential", 1);
                moments found = sum(n, batch, is_range, GetParam().backend, GetParam().n_jobs);
                ASSERT_EQ(memcmp(&expected, &found, sizeof found), 0) << n << " " << batch << " " << is_range;
                ASSERT_EQ(found.count, static_cast<double>(n));
            }
}

TEST_P(Reduction, CombinesInTaskOrder)
{
    enum { TASKS = 5003 };
    list expected = { 0, 0, 0, 0 }, found = { 0, 0, 0, 0 };
    parloom_options given = PARLOOM_OPTIONS_INIT;
    parloom_arg into_expected[] = { parloom_reduce(&expected, sizeof expected, append) };
    parloom_arg into_found[] = { parloom_reduce(&found, sizeof found, append) };
    ASSERT_OK(parloom_for(TASKS, append_index, into_expected, 1, &given, &error));
    given = options();
    ASSERT_OK(parloom_for(TASKS, append_index, into_found, 1, &given, &error));
    EXPECT_EQ(found.first, 0u);
    EXPECT_EQ(found.last, TASKS - 1u);
    EXPECT_EQ(found.count, size_t{ TASKS });
    EXPECT_NE(found.hash, ~uint64_t{ 0 });
    EXPECT_EQ(found.hash, expected.hash);
}

TEST_P(Reduction, CombinesInTheThreadThatMadeTheCall)
{
    long value = 0;
    combined_pid = 0;
    parloom_arg args[] = { parloom_reduce(&value, sizeof value, note_thread) };
    parloom_options given = options();
    ASSERT_OK(parloom_for(100, do_nothing, args, 1, &given, &error));
    EXPECT_EQ(combined_pid, getpid());
    EXPECT_TRUE(pthread_equal(combined_in, pthread_self()));
}

TEST_P(Reduction, OfLargeAccumulatorsAndSeveral)
{
    struct wide {
        long values[3000];
    };
    static wide total;
    memset(&total, 0, sizeof total);
    long count = 0;
    auto add_wide = [](void *into, const void *from) {
        for (int k = 0; k < 3000; k++)
            static_cast<wide *>(into)->values[k] += static_cast<const wide *>(from)->values[k];
    };
    auto body = [](const parloom_task *, void *const *args) -> int {
        for (long &value : static_cast<wide *>(args[0])->values) value++;
        (*static_cast<long *>(args[1]))++;
        return 0;
    };
    parloom_arg args[] = { parloom_reduce(&total, sizeof total, add_wide),
                           parloom_reduce(&count, sizeof count, add_long) };
    parloom_options given = options();
    ASSERT_OK(parloom_for(500, body, args, 2, &given, &error));
    EXPECT_EQ(count, 500);
    for (long value : total.values) ASSERT_EQ(value, 500);
}

TEST_P(Reduction, CountsAFailedTaskAsTheSequentialOneDoes)
{
    for (parloom_on_error on_error : { PARLOOM_ON_ERROR_GO_ON }) {
        long total = 0;
        parloom_arg args[] = { parloom_reduce(&total, sizeof total, add_long) };
        parloom_options given = options();
        given.on_error = on_error;
        EXPECT_EQ(parloom_for(100, add_and_fail, args, 1, &given, &error), PARLOOM_ERR_TASK);
        EXPECT_EQ(total, 100);
    }
}

TEST_P(Reduction, LeavesOutATaskThatDied)
{
    if (!is_separate()) return;
    long total = 0;
    parloom_arg args[] = { parloom_reduce(&total, sizeof total, add_long) };
    parloom_options given = options();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    for (size_t batch : { size_t{ 0 }, size_t{ 10 } }) {
        total = 0;
        given.batch_size = batch;
        EXPECT_EQ(parloom_for(400, die_at_fifty, args, 1, &given, &error), PARLOOM_ERR_CRASHED);
        EXPECT_EQ(error.task, 50u);
        EXPECT_EQ(total, 400 * 399 / 2 - 50);
    }
}

TEST_P(Reduction, GivesTheSameBlocksToTheSameWorkersWithAStaticSchedule)
{
    enum { TASKS = 400, BLOCK = 10 };
    moments expected = sum(TASKS, BLOCK, false, "sequential", 1);
    for (int call = 0; call < 3; call++) {
        moments total = { 0, 0, 0 };
        std::vector<int> workers(TASKS, -1);
        parloom_arg args[] = { parloom_reduce(&total, sizeof total, add_moments), out(workers) };
        parloom_options given = options();
        given.schedule = PARLOOM_SCHEDULE_STATIC;
        given.batch_size = BLOCK;
        ASSERT_OK(parloom_for(TASKS, sample_and_note_worker, args, 2, &given, &error));
        for (int k = 0; k < TASKS; k++) ASSERT_EQ(workers[static_cast<size_t>(k)], k / BLOCK % GetParam().n_jobs) << k;
        EXPECT_EQ(memcmp(&expected, &total, sizeof total), 0);
    }
    for (size_t n : { size_t{ 1 }, size_t{ 129 }, size_t{ 5003 } }) { /* blocks as large as the library likes */
        expected = sum(n, 0, true, "sequential", 1);
        moments total = { 0, 0, 0 };
        parloom_arg args[] = { parloom_reduce(&total, sizeof total, add_moments) };
        parloom_options given = options();
        given.schedule = PARLOOM_SCHEDULE_STATIC;
        ASSERT_OK(parloom_for_range(n, sample, args, 1, &given, &error));
        EXPECT_EQ(memcmp(&expected, &total, sizeof total), 0) << n;
    }
}

TEST_P(Reduction, WithAStaticScheduleHasTheSameBitsWhenAWorkerDies)
{
    if (!is_separate()) return;
    enum { TASKS = 400 };
    moments expected = { 0, 0, 0 }, total = { 0, 0, 0 };
    parloom_arg into_expected[] = { parloom_reduce(&expected, sizeof expected, add_moments) };
    parloom_arg into_total[] = { parloom_reduce(&total, sizeof total, add_moments) };
    parloom_options alone = PARLOOM_OPTIONS_INIT, given = options();
    alone.batch_size = given.batch_size = 10;
    ASSERT_OK(parloom_for(TASKS, sample_but_skip_55, into_expected, 1, &alone, &error));
    given.schedule = PARLOOM_SCHEDULE_STATIC;
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    EXPECT_EQ(parloom_for(TASKS, sample_but_die_at_55, into_total, 1, &given, &error), PARLOOM_ERR_CRASHED);
    EXPECT_EQ(error.task, 55u);
    EXPECT_EQ(total.count, TASKS - 1);
    EXPECT_EQ(memcmp(&expected, &total, sizeof total), 0);
}

TEST_P(Reduction, KeepsTheNeutralElementWithoutTasks)
{
    long total = 17;
    parloom_arg args[] = { parloom_reduce(&total, sizeof total, add_long) };
    parloom_options given = options();
    EXPECT_OK(parloom_for(0, die_at_fifty, args, 1, &given, &error));
    EXPECT_EQ(total, 17);
}

/* ----------------------------------------------------------- floating point */

class Rounding : public Placed
{
};
INSTANTIATE_TEST_SUITE_P(On, Rounding, ::testing::ValuesIn(every_place), name_of);

TEST_P(Rounding, FollowsTheCallerCallByCall)
{
    enum { TASKS = 16 };
    parloom_options given = options();
    std::vector<double> warm(3 * TASKS);
    parloom_arg into_warm[] = { out(warm) };
    ASSERT_OK(parloom_for(TASKS, divide, into_warm, 1, &given, &error));
    for (int mode : { FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST, FE_UPWARD, FE_TONEAREST }) {
        double expected[3];
        void *const own[] = { expected };
        parloom_task task = {};
        std::vector<double> found(3 * TASKS);
        parloom_arg args[] = { out(found) };
        fesetround(mode);
        divide(&task, own);
        parloom_status status = parloom_for(TASKS, divide, args, 1, &given, &error);
        int after = fegetround();
        fesetround(FE_TONEAREST);
        ASSERT_OK(status);
        EXPECT_EQ(after, mode);
        for (size_t k = 0; k < TASKS; k++) ASSERT_EQ(memcmp(&found[3 * k], expected, sizeof expected), 0) << mode;
    }
}

#if defined(__x86_64__)
TEST_P(Rounding, FlushesDenormalsAsTheCallerDoes)
{
    enum { TASKS = 16 };
    parloom_options given = options();
    unsigned before = __builtin_ia32_stmxcsr();
    for (unsigned flush : { 0x8040u, 0u, 0x8040u, 0u }) {
        std::vector<double> found(3 * TASKS, 1);
        parloom_arg args[] = { out(found) };
        __builtin_ia32_ldmxcsr(before | flush);
        parloom_status status = parloom_for(TASKS, divide, args, 1, &given, &error);
        __builtin_ia32_ldmxcsr(before);
        ASSERT_OK(status);
        for (size_t k = 0; k < TASKS; k++) ASSERT_EQ(found[3 * k + 2] == 0.0, flush != 0) << k;
    }
}
#endif

TEST_P(Rounding, KeepsPayloadsOfNaNsAndSignsOfZero)
{
    std::vector<uint64_t> bits = { 0x7ff8000000000001u, 0xfff8dead0000beefu, 0x7ff0000000000001u,
                                   0x8000000000000000u, 0x7ff0000000000000u, 0x0000000000000001u };
    std::vector<double> input(bits.size()), output(bits.size());
    memcpy(input.data(), bits.data(), bits.size() * 8);
    parloom_arg args[] = { in(input), out(output) };
    parloom_options given = options();
    ASSERT_OK(parloom_for(bits.size(), copy_words, args, 2, &given, &error));
    EXPECT_EQ(memcmp(output.data(), bits.data(), bits.size() * 8), 0);
}
