/* SPDX-License-Identifier: BSD-3-Clause */
/* A2: what is copied to shared memory, where, and how often. */
#include "conformance/conformance.h"

#include "shm/segment.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

using namespace conformance;

namespace
{

typedef std::vector<double> doubles;

const size_t HUNDRED = 100;

doubles numbers(size_t n)
{
    doubles made(n);
    for (size_t i = 0; i < n; i++) made[i] = static_cast<double>(i) + 0.25;
    return made;
}

/* args[0]: HUNDRED doubles, args[1]: what they sum to, args[2]: what is found: inline 0, spilled 1. */
int check_sum(const parloom_task *task, void *const *args)
{
    double sum = 0;
    for (size_t i = 0; i < HUNDRED; i++) sum += static_cast<const double *>(args[0])[i];
    return sum == *static_cast<const double *>(args[1]) ? 0 : parloom_fail(task, 1, "sum %g", sum);
}

int copy_array(const parloom_task *, void *const *args)
{
    const auto *array = static_cast<const parloom_array *>(args[0]);
    memcpy(args[1], array->data, parloom_array_nbytes(array));
    return parloom_array_is_memmap(array) ? 0 : 1;
}

/* args[1]: three times each item of the strided view in args[0]. */
int triple(const parloom_task *, void *const *args)
{
    const auto *array = static_cast<const parloom_array *>(args[0]);
    if (!parloom_array_is_memmap(array)) return 1;
    for (size_t i = 0; i < array->shape[0]; i++) {
        const char *at = static_cast<const char *>(array->data) + static_cast<ptrdiff_t>(i) * array->strides[0];
        static_cast<double *>(args[1])[i] = 3 * *reinterpret_cast<const double *>(at);
    }
    return 0;
}

/* args[0]: ten doubles, which become the task's own number. */
int write_own_number(const parloom_task *task, void *const *args)
{
    for (size_t i = 0; i < 10; i++) static_cast<double *>(args[0])[i] = static_cast<double>(task->index);
    return 0;
}

int follow(const parloom_task *, void *const *args)
{
    return **static_cast<int **>(args[0]) == 0 ? 0 : 1;
}

/* Calls of `calls` tasks that share an array; what the last one says. */
parloom_report share(const doubles &data, const parloom_options &options, size_t calls, parloom_error *error)
{
    double sum = 0;
    for (double one : data) sum += one;
    parloom_arg args[] = { contract::in(data), parloom_in(&sum, sizeof sum) };
    std::vector<parloom_call> list(calls, parloom_call{ check_sum, args, 2 });
    parloom_report report = empty_report();
    parloom_options given = options;
    given.report = &report;
    EXPECT_EQ(parloom_run(list.data(), calls, &given, error), PARLOOM_OK) << error->message;
    return report;
}

parloom_options above(size_t max_nbytes, const char *folder = nullptr)
{
    parloom_options made = on("processes");
    made.max_nbytes = max_nbytes;
    made.temp_folder = folder;
    return made;
}

/* From now on, in this process and what it starts, nobody can ask what is free. */
bool forbid_statfs()
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_statfs, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fstatfs, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

} // namespace

TEST_F(Conformance, A2_01_NothingIsMadeBeforeTheFirstLargeArray)
{
    Folder folder;
    doubles data = numbers(HUNDRED);
    size_t before = loom_segment_live_count();
    parloom_options opening = above(HUNDRED * sizeof(double), folder.path.c_str()), given = PARLOOM_OPTIONS_INIT;
    ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
    share(data, given, 1, &error);
    size_t small = loom_segment_live_count();
    EXPECT_STREQ(share(data, given, 1, &error).spilled_to, "");
    given.max_nbytes = HUNDRED * sizeof(double) - 1;
    EXPECT_EQ(folder.path, share(data, given, 1, &error).spilled_to);
    EXPECT_EQ(loom_segment_live_count(), small + 1) << "before: " << before;
    parloom_pool_close(given.pool);
}

TEST_F(Conformance, A2_02_SmallArraysAreCopied)
{
    const float five[] = { 1, 2, 3, 4, 5 };
    parloom_arg args[] = { parloom_in(five, sizeof five) };
    parloom_report report = empty_report();
    parloom_options given = above(40);
    given.report = &report;
    ASSERT_OK(parloom_for(2, do_nothing, args, 1, &given, &error));
    EXPECT_EQ(report.inline_nbytes, 20u);
    EXPECT_EQ(report.spilled_nbytes, 0u);
}

TEST_F(Conformance, A2_03_ArraySentHundredTimesIsSpilledOnce)
{
    doubles data = numbers(HUNDRED);
    EXPECT_EQ(share(data, above(40), 100, &error).spilled_nbytes, 800u);
}

TEST_F(Conformance, A2_04_ObjectsAreNotTakenForBytes)
{
    Folder folder;
    std::string path = folder.path + "/objects.npy";
    std::string header = "{'descr': '|O', 'fortran_order': False, 'shape': (10,), }";
    header.append(118 - 1 - header.size(), ' ').append("\n");
    std::ofstream(path, std::ios::binary).write("\x93NUMPY\x01\x00\x76\x00", 10) << header << std::string(80, '\0');
    parloom_array array;
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_UNSET, PARLOOM_MMAP_R, PARLOOM_MMAP_RW, PARLOOM_MMAP_C }) {
        EXPECT_EQ(parloom_array_load(&array, path.c_str(), mode, &error), PARLOOM_ERR_UNSUPPORTED);
        EXPECT_TRUE(says(error, "object")) << error.message;
    }
    std::vector<int> target(1 << 20, 0); /* private memory of this program: a worker has nothing there */
    int *object = target.data();
    parloom_arg args[] = { parloom_in(&object, sizeof object) };
    parloom_options given = on("processes");
    EXPECT_EQ(parloom_for(1, follow, args, 1, &given, &error), PARLOOM_ERR_CRASHED);
    EXPECT_TRUE(says(error, "private memory")) << error.message;
}

TEST_F(Conformance, A2_06_NeverSpillsNothing)
{
    doubles data = numbers(HUNDRED);
    parloom_report report = share(data, above(PARLOOM_NEVER), 10, &error);
    EXPECT_EQ(report.spilled_nbytes, 0u);
    EXPECT_STREQ(report.spilled_to, "");
}

TEST_F(Conformance, A2_07_InDevShmOnceForEachArray)
{
    if (access("/dev/shm", W_OK) != 0) GTEST_SKIP() << "this machine has no /dev/shm";
    doubles a = numbers(HUNDRED), b = numbers(HUNDRED);
    double sum = 0;
    for (double one : a) sum += one;
    parloom_arg of_a[] = { contract::in(a), parloom_in(&sum, sizeof sum) };
    parloom_arg of_b[] = { contract::in(b), parloom_in(&sum, sizeof sum) };
    std::vector<parloom_call> list(10, parloom_call{ check_sum, of_a, 2 });
    parloom_report report = empty_report();
    parloom_options given = above(40);
    given.report = &report;
    ASSERT_OK(parloom_run(list.data(), list.size(), &given, &error));
    EXPECT_STREQ(report.spilled_to, "/dev/shm");
    EXPECT_EQ(report.spilled_nbytes, 800u);
    list.push_back({ check_sum, of_b, 2 });
    ASSERT_OK(parloom_run(list.data(), list.size(), &given, &error));
    EXPECT_EQ(report.spilled_nbytes, 1600u);
} /* that all of it is gone after the end is what the fixture looks for */

TEST_F(Conformance, A2_09_LargeResultsArePlainMemory)
{
    for (const char *backend : every_backend) {
        std::vector<long> found(1000, -1);
        parloom_arg args[] = { contract::out(found) };
        parloom_options given = on(backend);
        given.max_nbytes = 40;
        ASSERT_OK(parloom_for(found.size(), square, args, 1, &given, &error));
        EXPECT_EQ(found, squares(1000)) << backend;
        EXPECT_FALSE(parloom_is_shared(found.data())) << backend;
    }
}

TEST_F(Conformance, A2_10_ArithmeticOnASpilledView)
{
    doubles data = numbers(1000), found(500), expected(500);
    const size_t half = 500;
    const ptrdiff_t step = 2 * sizeof(double);
    parloom_array view = parloom_array_wrap_strided(data.data(), PARLOOM_F64, 0, 1, &half, &step);
    parloom_arg args[] = { parloom_in_array(&view), contract::out(found) };
    parloom_options given = above(40);
    ASSERT_OK(parloom_for(1, triple, args, 2, &given, &error));
    for (size_t i = 0; i < half; i++) expected[i] = 3 * data[2 * i];
    EXPECT_EQ(found, expected);
    EXPECT_FALSE(parloom_is_shared(found.data()));
}

TEST_F(Conformance, A2_11_SpilledArgumentComesBackAsPlainMemory)
{
    doubles data = numbers(1000), found(1000);
    const size_t n = 1000;
    parloom_array array = parloom_array_wrap(data.data(), PARLOOM_F64, 1, &n);
    parloom_arg args[] = { parloom_in_array(&array), contract::out(found) };
    parloom_options given = above(40);
    ASSERT_OK(parloom_for(1, copy_array, args, 2, &given, &error));
    EXPECT_EQ(found, data);
    EXPECT_FALSE(parloom_is_shared(found.data()));
    EXPECT_FALSE(parloom_array_is_memmap(&array));
}

TEST_F(Conformance, A2_12_ArraysThatTasksWriteAreTheirOwn)
{
    for (const char *backend : every_backend)
        for (parloom_mmap_mode mode : { PARLOOM_MMAP_RW, PARLOOM_MMAP_W }) {
            std::vector<doubles> arrays(10, doubles(10, -1));
            std::vector<parloom_arg> args;
            std::vector<parloom_call> calls;
            for (const doubles &array : arrays) args.push_back(contract::in(array));
            for (const parloom_arg &arg : args) calls.push_back({ write_own_number, &arg, 1 });
            parloom_options given = on(backend);
            given.max_nbytes = 1;
            given.mmap_mode = mode;
            ASSERT_OK(parloom_run(calls.data(), calls.size(), &given, &error)) << backend;
            for (size_t i = 0; i < 10; i++) EXPECT_EQ(arrays[i], doubles(10, static_cast<double>(i))) << backend;
        }
}

TEST_F(Conformance, A2_13_FolderIsTheOneThatWasNamed)
{
    Folder folder;
    doubles data = numbers(HUNDRED);
    EXPECT_EQ(folder.path, share(data, above(40, folder.path.c_str()), 1, &error).spilled_to);
    std::string usual = share(data, above(40), 1, &error).spilled_to;
    EXPECT_NE(usual, "");
    EXPECT_NE(usual, folder.path);
}

TEST_F(Conformance, A2_14_FreeSpaceThatCannotBeAsked)
{
    Folder folder;
    Ended ended = run_program([&] {
        if (!forbid_statfs()) return 9;
        doubles data = numbers(HUNDRED);
        parloom_error failure;
        if (share(data, above(40), 10, &failure).spilled_nbytes != 800) return 1;
        return share(data, above(40, folder.path.c_str()), 10, &failure).spilled_nbytes == 800 ? 0 : 2;
    });
    EXPECT_TRUE(ended.is_ok()) << ended.code() << ended.err << ended.out;
    EXPECT_EQ(ended.err, "");
}

TEST_F(Conformance, A2_15_PublishedArraysAreKnownByIdentity)
{
    doubles data = numbers(HUNDRED), equal = data;
    ASSERT_OK(parloom_publish(data.data(), 800, &error));
    EXPECT_EQ(share(data, above(40), 1, &error).spilled_nbytes, 800u);
    EXPECT_EQ(share(data, above(40), 1, &error).spilled_nbytes, 0u) << "known";
    EXPECT_EQ(share(equal, above(40), 1, &error).spilled_nbytes, 800u) << "equal, but another one";
    ASSERT_OK(parloom_publish(data.data(), 800, &error)); /* an alias */
    parloom_unpublish(data.data());
    EXPECT_EQ(share(data, above(40), 1, &error).spilled_nbytes, 0u) << "still known";
    parloom_unpublish(data.data());
    EXPECT_EQ(share(data, above(40), 1, &error).spilled_nbytes, 800u) << "forgotten";
    for (int use = 0; use < 1000; use++) { /* the same address, other bytes */
        data.assign(HUNDRED, use);
        ASSERT_OK(parloom_publish(data.data(), 800, &error));
        ASSERT_EQ(share(data, above(40), 1, &error).spilled_nbytes, 800u) << use;
        parloom_unpublish(data.data());
    }
}
