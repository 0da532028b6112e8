/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of a mapped file while workers have it: moved, deleted, released, cut short; in streams; very many. */
#include "contract/mapped_files.h"
#include "support/waiting.h"

#include <sys/resource.h>
#include <thread>

using namespace contract;

namespace
{

/* args: an array; one found a task. Task 4 writes to it. */
int write_in_task_4(const parloom_task *task, void *const *args)
{
    if (task->index == 4) *static_cast<volatile double *>(array_of(args[0]).data) = 1;
    return look(task, args);
}

/* args: an array; one double a task. Task 4 reads the last item, the others the first. */
int read_an_end(const parloom_task *task, void *const *args)
{
    const parloom_array &array = array_of(args[0]);
    const volatile double *items = items_of(array);
    *static_cast<double *>(args[1]) = items[task->index == 4 ? array.shape[0] - 1 : 0];
    return 0;
}

/* args: a shared word, which says that the task has begun and waits until it may go on; an array; a found. */
int wait_and_look(const parloom_task *, void *const *args)
{
    auto *word = static_cast<uint32_t *>(args[0]);
    __atomic_store_n(word, 1u, __ATOMIC_RELEASE);
    if (!loom::comes_true([&] { return __atomic_load_n(word, __ATOMIC_ACQUIRE) == 2; })) return 1;
    return look(nullptr, args + 1);
}

/* How often a process ("self", or its pid) has the file mapped, or open. */
size_t uses_of(const std::string &path, const std::string &process = "self")
{
    size_t uses = 0;
    std::ifstream maps("/proc/" + process + "/maps");
    for (std::string line; std::getline(maps, line);) uses += line.find(path) != std::string::npos;
    for (int fd = 0; fd < 256; fd++) {
        char target[512];
        ssize_t length = readlink(("/proc/" + process + "/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
        uses += length > 0 && std::string(target, static_cast<size_t>(length)).find(path) != std::string::npos;
    }
    return uses;
}

/* args: one pid a task. */
int tell_pid(const parloom_task *, void *const *args)
{
    *static_cast<int *>(args[0]) = getpid();
    return 0;
}

/* args: a path; a number. */
int count_uses(const parloom_task *, void *const *args)
{
    *static_cast<uint64_t *>(args[1]) = uses_of(static_cast<const char *>(args[0]));
    return 0;
}

} // namespace

class MappedFileLife : public MappedFile
{
};
INSTANTIATE_TEST_SUITE_P(On, MappedFileLife, ::testing::ValuesIn(every_place), name_of);

/* ------------------------------------------------------- the file's life */

TEST_P(MappedFileLife, MayBeMovedReplacedAndDeleted)
{
    for (parloom_mmap_mode mode : every_mode) {
        parloom_array moved, deleted;
        ASSERT_NO_FATAL_FAILURE(map(mode, &moved));
        ASSERT_EQ(rename(path.c_str(), (path + "-moved").c_str()), 0);
        write_file(COUNT);
        ASSERT_NO_FATAL_FAILURE(map(mode, &deleted));
        ASSERT_EQ(unlink(path.c_str()), 0);
        EXPECT_EQ(expect_seen(moved), 0u);
        EXPECT_EQ(expect_seen(deleted), 0u);
        if (mode == PARLOOM_MMAP_RW) {
            parloom_arg args[] = { parloom_inout_array(&moved) };
            parloom_options given = options();
            ASSERT_OK(parloom_for(TASKS, take_roots, args, 1, &given, &error));
            EXPECT_EQ(memcmp(moved.data, read_file(path + "-moved").data(), COUNT * sizeof(double)), 0);
        }
        parloom_array_release(&moved);
        parloom_array_release(&deleted);
        write_file(COUNT);
    }
}

TEST_P(MappedFileLife, ReleasedWhileTasksHaveItStaysUntilTheyEnd)
{
    for (parloom_mmap_mode mode : every_mode) {
        parloom_array array;
        ASSERT_NO_FATAL_FAILURE(map(mode, &array));
        const uint64_t want = hash_of(array);
        Shared<uint32_t> word;
        Shared<found> seen;
        parloom_arg args[] = { parloom_inout(word.get(), sizeof(uint32_t)), parloom_in_array(&array),
                               parloom_inout(seen.get(), sizeof(found)) };
        std::thread other;
        parloom_options given = options();
        if (is("fork")) given.backend_params = "force=1"; /* the other thread holds nothing that a child needs */
        parloom_array owner = array;
        auto release = [&] {
            EXPECT_TRUE(loom::comes_true([&] { return __atomic_load_n(&word[0], __ATOMIC_ACQUIRE) == 1; }));
            parloom_array_release(&owner);
            __atomic_store_n(&word[0], 2u, __ATOMIC_RELEASE);
        };
        other = std::thread(release);
        EXPECT_OK(parloom_for(1, wait_and_look, args, 3, &given, &error));
        other.join();
        EXPECT_EQ(seen[0].hash, want);
        EXPECT_EQ(uses_of(path), 0u) << "it went with the call";
    }
}

TEST_P(MappedFileLife, ReleasedLeavesNothingInWorkersThatGoOn)
{
    parloom_options opening = options(), given = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
    const std::string &name = path;
    for (int round = 0; round < 40; round++) {
        parloom_array array;
        ASSERT_NO_FATAL_FAILURE(map(every_mode[round % 3], &array));
        std::vector<found> seen(TASKS);
        parloom_arg args[] = { parloom_in_array(&array), parloom_each(inout(seen), sizeof(found)) };
        ASSERT_OK(parloom_for(TASKS, look, args, 2, &given, &error));
        for (const found &one : seen) ASSERT_EQ(one.hash, hash_of(array)) << round;
        parloom_array_release(&array);
    }
    std::vector<uint64_t> uses(TASKS, 1);
    parloom_arg args[] = { parloom_in(name.c_str(), name.size() + 1), each_out(uses) };
    ASSERT_OK(parloom_for(TASKS, count_uses, args, 2, &given, &error));
    EXPECT_EQ(uses, std::vector<uint64_t>(TASKS, 0)) << "mappings and descriptors";
    EXPECT_EQ(uses_of(path), 0u);
    parloom_pool_close(given.pool);
}

TEST_P(MappedFileLife, ReleasedIsLetGoOfByWorkersThatSleep)
{
    parloom_array array;
    ASSERT_NO_FATAL_FAILURE(map(PARLOOM_MMAP_RW, &array));
    Shared<int> pids(TASKS);
    EXPECT_EQ(expect_seen(array), 0u);
    parloom_arg args[] = { parloom_each(parloom_inout(pids.get(), TASKS * sizeof(int)), sizeof(int)) };
    parloom_options given = options();
    ASSERT_OK(parloom_for(TASKS, tell_pid, args, 1, &given, &error));
    parloom_array_release(&array);
    for (size_t k = 0; k < TASKS; k++)
        EXPECT_TRUE(loom::comes_true([&] { return uses_of(path, std::to_string(pids[k])) == 0; })) << pids[k];
}

TEST_P(MappedFileLife, IsSeenByWorkersThatStartLater)
{
    parloom_array array;
    ASSERT_NO_FATAL_FAILURE(map(PARLOOM_MMAP_RW, &array));
    for (int life = 0; life < 2; life++) {
        EXPECT_EQ(expect_seen(array), 0u);
        parloom_shutdown(true);
    }
    parloom_array_release(&array);
}

TEST_P(MappedFileLife, OneOfManyIsPassedLikeTheOthers)
{
    std::vector<parloom_array> arrays(200);
    for (size_t k = 0; k < arrays.size(); k++) {
        const size_t count = 10;
        ASSERT_OK(parloom_array_map(&arrays[k], path.c_str(), every_mode[k % 3], 8 * k, PARLOOM_F64, 0, 1, &count,
                                    nullptr, &error));
    }
    for (size_t k : { 0, 1, 2, 100, 199 }) EXPECT_EQ(expect_seen(arrays[k]), 0u) << k;
    for (parloom_array &array : arrays) parloom_array_release(&array);
}

/* A program whose limit is low maps more files than it may have open. */
TEST_P(MappedFileLife, BeyondTheLimitOfDescriptorsIsCopied)
{
    struct rlimit before, low;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = 120;
    std::vector<parloom_array> arrays(150);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    const size_t count = 10;
    for (size_t k = 0; k < arrays.size(); k++)
        ASSERT_OK(parloom_array_map(&arrays[k], path.c_str(), every_mode[k % 3], 8 * k, PARLOOM_F64, 0, 1, &count,
                                    nullptr, &error));
    EXPECT_EQ(expect_seen(arrays[0]), 0u);
    size_t copied = expect_seen(arrays[149]);
    EXPECT_EQ(copied, is("processes") && GetParam().n_jobs > 1 ? count * sizeof(double) : 0u);
    for (parloom_array &array : arrays) parloom_array_release(&array);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_NO_FATAL_FAILURE(map(PARLOOM_MMAP_R, &arrays[0]));
    EXPECT_EQ(expect_seen(arrays[0]), 0u) << "there is room again";
    parloom_array_release(&arrays[0]);
}

/* --------------------------------------------------------------- deaths */

class MappedFileDeath : public WithFile<Placed>
{
};
INSTANTIATE_TEST_SUITE_P(On, MappedFileDeath, ::testing::ValuesIn(every_kill), name_of);

TEST_P(MappedFileDeath, OfAWriteToAFileThatIsReadIsOneTasks)
{
    parloom_array array;
    ASSERT_NO_FATAL_FAILURE(map(PARLOOM_MMAP_R, &array));
    std::vector<double> before = read_file(path);
    std::vector<found> seen(TASKS);
    parloom_report report = empty_report();
    parloom_arg args[] = { parloom_in_array(&array), parloom_each(inout(seen), sizeof(found)) };
    parloom_options given = options();
    given.report = &report;
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    EXPECT_EQ(parloom_for(TASKS, write_in_task_4, args, 2, &given, &error), PARLOOM_ERR_CRASHED);
    EXPECT_EQ(error.task, 4u);
    EXPECT_EQ(error.signal, SIGSEGV);
    EXPECT_SAYS("mapped with mode r");
    EXPECT_EQ(report.ok, TASKS - 1);
    for (size_t k = 0; k < TASKS; k++) EXPECT_EQ(seen[k].hash, k == 4 ? 0 : hash_of(array)) << k;
    EXPECT_EQ(read_file(path), before);
    parloom_array_release(&array);
}

TEST_P(MappedFileDeath, OfAFileThatWasCutShortIsOneTasks)
{
    for (parloom_mmap_mode mode : every_mode) {
        parloom_array array;
        ASSERT_NO_FATAL_FAILURE(map(mode, &array));
        ASSERT_EQ(truncate(path.c_str(), 4096), 0);
        std::vector<double> seen(TASKS);
        parloom_report report = empty_report();
        parloom_arg args[] = { parloom_in_array(&array), each_out(seen) };
        parloom_options given = options();
        given.report = &report;
        given.on_error = PARLOOM_ON_ERROR_GO_ON;
        EXPECT_EQ(parloom_for(TASKS, read_an_end, args, 2, &given, &error), PARLOOM_ERR_CRASHED) << mode;
        EXPECT_EQ(error.task, 4u);
        EXPECT_EQ(error.signal, SIGBUS);
        EXPECT_SAYS("cut short");
        EXPECT_SAYS(path.c_str());
        EXPECT_EQ(report.ok, TASKS - 1);
        for (size_t k = 0; k < TASKS; k++) EXPECT_EQ(seen[k], k == 4 ? 0 : 0.5) << k;
        parloom_array_release(&array);
        write_file(COUNT);
    }
}

/* Bytes that the program wrote are copied in the program, which must not die of it. */
TEST_P(MappedFileDeath, OfACopyOfAFileThatWasCutShortIsAStatus)
{
    parloom_array array;
    ASSERT_NO_FATAL_FAILURE(map(PARLOOM_MMAP_C, &array));
    items_of(array)[0] = 7;
    ASSERT_EQ(truncate(path.c_str(), 4096), 0);
    parloom_options given = options();
    std::vector<double> seen(TASKS);
    parloom_arg in_args[] = { parloom_in_array(&array), each_out(seen) }, out_args[] = { parloom_inout_array(&array) };
    EXPECT_EQ(parloom_for(TASKS, read_an_end, in_args, 2, &given, &error), PARLOOM_ERR_IO);
    EXPECT_SAYS("cut short");
    EXPECT_EQ(parloom_for(TASKS, take_roots, out_args, 1, &given, &error), PARLOOM_ERR_IO);
    parloom_array_release(&array);
    write_file(COUNT);
}

/* -------------------------------------------------------------- streams */

namespace
{

/* args: the number of the call; an array. Returns what it found in the first half. */
int look_and_write(const parloom_task *task, void *const *args)
{
    const parloom_array &array = array_of(args[1]);
    found seen = look_at(cut(array, 0, COUNT / 2, 1));
    if (parloom_array_is_writable(&array)) items_of(array)[COUNT / 2 + number_of(args)] = -1;
    return parloom_return(task, &seen, sizeof seen);
}

} // namespace

class MappedFileStream : public WithFile<Streaming>
{
};
INSTANTIATE_TEST_SUITE_P(On, MappedFileStream, ::testing::ValuesIn(every_stream), name_of);

TEST_P(MappedFileStream, HasTheFileItself)
{
    std::vector<double> want = read_file(path);
    for (size_t k = 0; k < TASKS; k++) want[COUNT / 2 + k] = -1;
    for (parloom_mmap_mode mode : every_mode) {
        parloom_array array;
        ASSERT_NO_FATAL_FAILURE(map(mode, &array));
        Source source = { TASKS, look_and_write };
        source.common = { mode == PARLOOM_MMAP_RW ? parloom_inout_array(&array) : parloom_in_array(&array) };
        parloom_options given = options();
        ASSERT_OK(open(source, true, given));
        const uint64_t hash = hash_of(cut(array, 0, COUNT / 2, 1));
        EXPECT_OK(read_all([&](const parloom_result &result) {
            ASSERT_EQ(result.nbytes, sizeof(found));
            found seen = *static_cast<const found *>(result.data);
            EXPECT_EQ(seen.hash, hash) << mode;
            EXPECT_TRUE(mode == PARLOOM_MMAP_C || seen.data == array.data) << mode;
        }));
        close();
        if (mode == PARLOOM_MMAP_RW)
            EXPECT_EQ(read_file(path), want);
        else
            EXPECT_NE(read_file(path), want);
        parloom_array_release(&array);
        write_file(COUNT);
    }
}
