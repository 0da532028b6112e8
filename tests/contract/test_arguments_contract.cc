/* SPDX-License-Identifier: BSD-3-Clause */
/* How data flows into tasks and back: the same on every backend and at every size. */
#include "contract/places.h"

#include <csignal>
#include <numeric>

using namespace contract;

namespace
{

enum { TASKS = 12 };
const size_t sizes[] = { 1, 8, 1000, 70000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20 };

std::vector<unsigned char> pattern(size_t nbytes, unsigned seed = 1)
{
    std::vector<unsigned char> data(nbytes);
    for (size_t k = 0; k < nbytes; k++) data[k] = static_cast<unsigned char>(k * 7 + k / 251 + seed);
    return data;
}

uint64_t sum(const unsigned char *data, size_t nbytes)
{
    return std::accumulate(data, data + nbytes, uint64_t{ 0 });
}

int sum_input(const parloom_task *task, void *const *args)
{
    size_t nbytes = *static_cast<const size_t *>(args[1]);
    static_cast<uint64_t *>(args[2])[task->index] = sum(static_cast<const unsigned char *>(args[0]), nbytes);
    return 0;
}

int add_one_to_part(const parloom_task *task, void *const *args)
{
    size_t nbytes = *static_cast<const size_t *>(args[1]);
    auto *data = static_cast<unsigned char *>(args[0]);
    for (size_t k = task->index; k < nbytes; k += 2 * task->count) data[k]++; /* every other stays */
    return 0;
}

int check_nothing(const parloom_task *, void *const *)
{
    return 0;
}

int note_addresses(const parloom_task *task, void *const *args)
{
    uint64_t *seen = static_cast<uint64_t *>(args[2]) + 2 * task->index;
    seen[0] = reinterpret_cast<uintptr_t>(args[0]);
    seen[1] = reinterpret_cast<uintptr_t>(args[1]);
    return 0;
}

int write_input(const parloom_task *task, void *const *args)
{
    static_cast<volatile unsigned char *>(args[0])[0] = 1;
    return parloom_fail(task, 5, "the write went through");
}

int change_own_view(const parloom_task *task, void *const *args)
{
    auto *data = static_cast<unsigned char *>(args[0]);
    size_t nbytes = *static_cast<const size_t *>(args[1]);
    const auto *expected = static_cast<const unsigned char *>(args[2]);
    if (memcmp(data, expected, nbytes) != 0) return parloom_fail(task, 1, "saw what another task wrote");
    memset(data, 255, nbytes);
    return 0;
}

int add_index_to_word(const parloom_task *task, void *const *args)
{
    static_cast<uint32_t *>(args[0])[task->index] += static_cast<uint32_t>(task->index) + 1;
    return 0;
}

} // namespace

class Argument : public Placed
{
};
INSTANTIATE_TEST_SUITE_P(On, Argument, ::testing::ValuesIn(every_place), name_of);

TEST_P(Argument, InIsReadAtAnySize)
{
    for (size_t nbytes : sizes) {
        std::vector<unsigned char> data = pattern(nbytes);
        std::vector<uint64_t> sums(TASKS);
        parloom_arg args[] = { in(data), parloom_in(&nbytes, sizeof nbytes), out(sums) };
        parloom_options given = options();
        ASSERT_OK(parloom_for(TASKS, sum_input, args, 3, &given, &error));
        ASSERT_EQ(sums, std::vector<uint64_t>(TASKS, sum(data.data(), nbytes))) << nbytes;
        ASSERT_EQ(data, pattern(nbytes));
    }
}

TEST_P(Argument, InIsReadAtAnySizeWhateverTheThreshold)
{
    for (size_t max_nbytes : { size_t{ 1 }, size_t{ 4096 }, PARLOOM_NEVER }) {
        size_t nbytes = 2 << 20;
        std::vector<unsigned char> data = pattern(nbytes);
        std::vector<uint64_t> sums(TASKS);
        parloom_arg args[] = { in(data), parloom_in(&nbytes, sizeof nbytes), out(sums) };
        parloom_options given = options();
        given.max_nbytes = max_nbytes;
        ASSERT_OK(parloom_for(TASKS, sum_input, args, 3, &given, &error));
        ASSERT_EQ(sums, std::vector<uint64_t>(TASKS, sum(data.data(), nbytes)));
    }
}

TEST_P(Argument, InoutComesBackAndWhatNoTaskWroteStays)
{
    for (size_t nbytes : sizes) {
        std::vector<unsigned char> data = pattern(nbytes), expected = data;
        for (size_t k = 0; k < nbytes; k++)
            expected[k] = static_cast<unsigned char>(expected[k] + (k % (2 * TASKS) < TASKS));
        parloom_arg args[] = { inout(data), parloom_in(&nbytes, sizeof nbytes) };
        parloom_options given = options();
        ASSERT_OK(parloom_for(TASKS, add_one_to_part, args, 2, &given, &error));
        ASSERT_EQ(data, expected) << nbytes;
    }
}

TEST_P(Argument, OutKeepsWhatNoTaskWrote)
{
    std::vector<uint32_t> words(1000, 77);
    parloom_arg args[] = { out(words) };
    parloom_options given = options();
    ASSERT_OK(parloom_for(TASKS, add_index_to_word, args, 1, &given, &error));
    for (size_t k = TASKS; k < words.size(); k++) ASSERT_EQ(words[k], 77u);
}

TEST_P(Argument, IsTakenWhenTheCallIsMade)
{
    size_t nbytes = 2 << 20;
    std::vector<unsigned char> data(nbytes);
    for (unsigned char round = 1; round < 5; round++) {
        data.assign(nbytes, round);
        std::vector<uint64_t> sums(TASKS);
        parloom_arg args[] = { in(data), parloom_in(&nbytes, sizeof nbytes), out(sums) };
        parloom_options given = options();
        ASSERT_OK(parloom_for(TASKS, sum_input, args, 3, &given, &error));
        ASSERT_EQ(sums, std::vector<uint64_t>(TASKS, round * uint64_t{ nbytes }));
    }
}

TEST_P(Argument, OfNoBytesIsFine)
{
    char byte = 0;
    size_t no_items[] = { 0 };
    parloom_array empty = parloom_array_wrap(nullptr, PARLOOM_F64, 1, no_items);
    parloom_arg args[] = { parloom_in(nullptr, 0),   parloom_out(nullptr, 0), parloom_inout(nullptr, 0),
                           parloom_in(&byte, 0),     parloom_out(&byte, 0),   parloom_in_array(&empty),
                           parloom_out_array(&empty) };
    parloom_options given = options();
    EXPECT_OK(parloom_for(TASKS, check_nothing, args, 7, &given, &error));
}

TEST_P(Argument, IsCopiedToTheCallersAddressModulo64)
{
    for (size_t nbytes : { size_t{ 40 }, size_t{ 5000 }, size_t{ 2 << 20 } }) {
        std::vector<unsigned char> input(nbytes + 64), output(nbytes + 64);
        for (size_t offset : { size_t{ 0 }, size_t{ 1 }, size_t{ 8 }, size_t{ 24 }, size_t{ 63 } }) {
            uint64_t seen[2] = { 0, 0 };
            parloom_arg args[] = { parloom_in(&input[offset], nbytes), parloom_out(&output[offset], nbytes),
                                   parloom_out(seen, sizeof seen) };
            parloom_options given = options();
            ASSERT_OK(parloom_for(1, note_addresses, args, 3, &given, &error));
            EXPECT_EQ(seen[0] % 64, reinterpret_cast<uintptr_t>(&input[offset]) % 64) << nbytes << " " << offset;
            EXPECT_EQ(seen[1] % 64, reinterpret_cast<uintptr_t>(&output[offset]) % 64) << nbytes << " " << offset;
        }
    }
}

TEST_P(Argument, InSharedMemoryIsPassedAsItIs)
{
    Shared<unsigned char> input(100), output(3 << 20);
    Shared<uint64_t> seen(8);
    parloom_report report = {};
    report.struct_size = sizeof report;
    parloom_options given = options();
    given.report = &report;
    parloom_arg args[] = { parloom_in(input.get(), 100), parloom_out(output.get(), 3 << 20),
                           parloom_out(seen.get(), 8 * sizeof(uint64_t)) };
    ASSERT_OK(parloom_for(4, note_addresses, args, 3, &given, &error));
    for (size_t task = 0; task < 4; task++) {
        EXPECT_EQ(seen[2 * task], reinterpret_cast<uintptr_t>(input.get())) << task;
        EXPECT_EQ(seen[2 * task + 1], reinterpret_cast<uintptr_t>(output.get())) << task;
    }
    EXPECT_EQ(report.inline_nbytes + report.spilled_nbytes + report.returned_nbytes, 0u);
}

TEST_P(Argument, IsTheCallersOwnMemoryWhereTasksShareIt)
{
    if (is_separate()) return;
    char input[8] = "", output[8] = "";
    uint64_t seen[2] = { 0, 0 };
    parloom_arg args[] = { parloom_in(input, 8), parloom_out(output, 8), parloom_out(seen, sizeof seen) };
    parloom_options given = options();
    ASSERT_OK(parloom_for(1, note_addresses, args, 3, &given, &error));
    EXPECT_EQ(seen[0], reinterpret_cast<uintptr_t>(input));
    EXPECT_EQ(seen[1], reinterpret_cast<uintptr_t>(output));
}

TEST_P(Argument, InCannotBeWrittenInProcessesAtAnySize)
{
    if (!is("processes") || !is_separate()) return;
    for (size_t nbytes : { size_t{ 8 }, size_t{ 100000 }, size_t{ 2 << 20 } }) {
        std::vector<unsigned char> data = pattern(nbytes);
        parloom_arg args[] = { in(data) };
        parloom_options given = options();
        ASSERT_EQ(parloom_for(2, write_input, args, 1, &given, &error), PARLOOM_ERR_CRASHED) << nbytes;
        EXPECT_EQ(error.signal, SIGSEGV);
        EXPECT_EQ(error.task, 0u);
        EXPECT_SAYS("in argument");
        EXPECT_SAYS("inout");
        EXPECT_EQ(data, pattern(nbytes));
    }
}

TEST_P(Argument, InIsInoutWithTheMmapModesThatShareWrites)
{
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_RW, PARLOOM_MMAP_W }) {
        std::vector<uint32_t> small(TASKS, 100), large((2 << 20) / 4, 100);
        for (auto *words : { &small, &large }) {
            parloom_arg args[] = { in(*words) };
            parloom_options given = options();
            given.mmap_mode = mode;
            ASSERT_OK(parloom_for(TASKS, add_index_to_word, args, 1, &given, &error));
            for (uint32_t k = 0; k < TASKS; k++) ASSERT_EQ((*words)[k], 101 + k);
        }
    }
}

TEST_P(Argument, InIsEachTasksOwnWithCopyOnWrite)
{
    for (size_t nbytes : { size_t{ 16 }, size_t{ 5000 }, size_t{ 2 << 20 } }) {
        std::vector<unsigned char> data = pattern(nbytes);
        Shared<unsigned char> expected(nbytes);
        memcpy(expected.get(), data.data(), nbytes);
        parloom_arg args[] = { in(data), parloom_in(&nbytes, sizeof nbytes), parloom_in(expected.get(), nbytes) };
        parloom_options given = options();
        given.mmap_mode = PARLOOM_MMAP_C;
        given.batch_size = 1;
        ASSERT_OK(parloom_for(TASKS, change_own_view, args, 3, &given, &error)) << nbytes;
        ASSERT_EQ(data, pattern(nbytes));
    }
}

/* ------------------------------------------------------------ publication */

class Publication : public Placed
{
  protected:
    uint64_t sum_of(const unsigned char *data, size_t nbytes)
    {
        uint64_t sums[2] = { 0, 0 };
        report = {};
        report.struct_size = sizeof report;
        parloom_options given = options();
        given.report = &report;
        parloom_arg args[] = { parloom_in(data, nbytes), parloom_in(&nbytes, sizeof nbytes),
                               parloom_out(sums, sizeof sums) };
        EXPECT_OK(parloom_for(2, sum_input, args, 3, &given, &error));
        EXPECT_EQ(sums[0], sums[1]);
        return sums[0];
    }
    bool copies() const { return is("processes") && is_separate(); }

    parloom_report report;
    std::vector<unsigned char> data = pattern(2 << 20);
};
INSTANTIATE_TEST_SUITE_P(On, Publication, ::testing::ValuesIn(every_backend), name_of);

TEST_P(Publication, IsCopiedOnceForManyCalls)
{
    ASSERT_OK(parloom_publish(data.data(), data.size(), &error));
    EXPECT_EQ(sum_of(data.data(), data.size()), sum(data.data(), data.size()));
    EXPECT_EQ(report.spilled_nbytes, copies() ? data.size() : 0);
    EXPECT_EQ(sum_of(data.data(), data.size()), sum(data.data(), data.size()));
    EXPECT_EQ(report.spilled_nbytes, 0u);
    EXPECT_EQ(sum_of(&data[1000], 70000), sum(&data[1000], 70000)); /* a part of it */
    EXPECT_EQ(report.spilled_nbytes + report.inline_nbytes,
              copies() ? sizeof(size_t) + 2 * sizeof(uint64_t) : report.inline_nbytes);
    parloom_unpublish(data.data());
}

TEST_P(Publication, EndsWithTheLastPromise)
{
    ASSERT_OK(parloom_publish(data.data(), data.size(), &error));
    ASSERT_OK(parloom_publish(data.data(), data.size(), &error));
    (void)sum_of(data.data(), data.size());
    parloom_unpublish(data.data());
    (void)sum_of(data.data(), data.size());
    EXPECT_EQ(report.spilled_nbytes, 0u);
    parloom_unpublish(data.data());
    data = pattern(data.size(), 99);
    EXPECT_EQ(sum_of(data.data(), data.size()), sum(data.data(), data.size()));
    EXPECT_EQ(report.spilled_nbytes, copies() ? data.size() : 0);
}

TEST_P(Publication, IsRefusedForNothing)
{
    EXPECT_EQ(parloom_publish(nullptr, 5, &error), PARLOOM_ERR_INVALID);
    parloom_unpublish(nullptr);
    parloom_unpublish(&error);
}
