/* SPDX-License-Identifier: BSD-3-Clause */
/* A1: arrays over files and shared memory, and their views, as arguments. */
#include "conformance/conformance.h"

#include <algorithm>
#include <sys/mman.h>

using namespace conformance;

namespace
{

/* What a task found of its argument; in shared memory. */
struct found {
    void *data;
    bool is_memmap, is_writable;
    double sum;
};

double item_of(const parloom_array &array, const size_t *index)
{
    const char *at = static_cast<const char *>(array.data);
    for (int axis = 0; axis < array.ndim; axis++) at += static_cast<ptrdiff_t>(index[axis]) * array.strides[axis];
    double value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Of item times place, so that another order is another sum. */
double weighted_sum(const parloom_array &array)
{
    double sum = 0, place = 1;
    size_t index[PARLOOM_MAX_NDIM] = {};
    for (int axis = 0; axis < array.ndim; axis++)
        if (array.shape[axis] == 0) return 0;
    for (;;) {
        sum += place++ * item_of(array, index);
        int axis = array.ndim - 1;
        while (axis >= 0 && ++index[axis] == array.shape[axis]) index[axis--] = 0;
        if (axis < 0) return sum;
    }
}

int look(const parloom_task *, void *const *args)
{
    const auto *array = static_cast<const parloom_array *>(args[0]);
    *static_cast<found *>(args[1]) = { array->data, parloom_array_is_memmap(array), parloom_array_is_writable(array),
                                       weighted_sum(*array) };
    return 0;
}

int double_items(const parloom_task *task, void *const *args)
{
    auto *array = static_cast<parloom_array *>(args[0]);
    size_t part = array->shape[0] / task->count, end = (task->index + 1) * part;
    for (size_t i = task->index * part; i < end; i++)
        *reinterpret_cast<double *>(static_cast<char *>(array->data) + static_cast<ptrdiff_t>(i) * array->strides[0]) *=
            2;
    return 0;
}

int expect_wrong(const parloom_task *task, void *const *args)
{
    const auto *array = static_cast<const parloom_array *>(args[0]);
    size_t first[PARLOOM_MAX_NDIM] = {};
    return item_of(*array, first) == -17.0 ? 0 : parloom_fail(task, 3, "not the expected array");
}

int write_first(const parloom_task *, void *const *args)
{
    *static_cast<double *>(static_cast<const parloom_array *>(args[0])->data) = 1;
    return 0;
}

/* Sums args[0] and returns, in args[1], items of a mapping that it makes here. */
int sum_and_map(const parloom_task *, void *const *args)
{
    void *made = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) return 1;
    const auto *array = static_cast<const parloom_array *>(args[0]);
    for (size_t i = 0; i < 10; i++) static_cast<double *>(made)[i] = weighted_sum(*array);
    memcpy(args[1], made, 10 * sizeof(double));
    munmap(made, 4096);
    return 0;
}

/* A file of doubles 0, 1, 2, ... after `offset` bytes. */
class DoublesFile
{
  public:
    DoublesFile(size_t offset, size_t count) : path(folder.path + "/doubles")
    {
        std::ofstream file(path, std::ios::binary);
        file << std::string(offset, '\1');
        for (size_t i = 0; i < count; i++) {
            auto value = static_cast<double>(i);
            file.write(reinterpret_cast<const char *>(&value), sizeof value);
        }
    }
    Folder folder;
    std::string path;
};

class Memmap
{
  public:
    Memmap(const std::string &path, parloom_mmap_mode mode, uint64_t offset, const std::vector<size_t> &shape,
           const ptrdiff_t *strides = nullptr)
    {
        parloom_error error;
        parloom_status status = parloom_array_map(&array, path.c_str(), mode, offset, PARLOOM_F64, 0,
                                                  static_cast<int>(shape.size()), shape.data(), strides, &error);
        EXPECT_EQ(status, PARLOOM_OK) << error.message;
    }
    ~Memmap() { parloom_array_release(&array); }
    Memmap(const Memmap &) = delete;
    Memmap &operator=(const Memmap &) = delete;
    parloom_array array = {};
};

parloom_array cut(const parloom_array &array, int axis, size_t start, size_t stop, size_t step = 1)
{
    parloom_array view = {};
    parloom_error error;
    EXPECT_EQ(parloom_array_slice(&view, &array, axis, start, stop, step, &error), PARLOOM_OK) << error.message;
    return view;
}

parloom_array transposed(const parloom_array &array)
{
    parloom_array view = array;
    std::reverse(view.shape, view.shape + view.ndim);
    std::reverse(view.strides, view.strides + view.ndim);
    return view;
}

/* On each kind of workers: the same bytes at the same address, nothing copied, the same values. */
void expect_shared(const parloom_array &array)
{
    for (const char *backend : every_backend) {
        Shared<found> seen(1);
        parloom_arg args[] = { parloom_in_array(&array), parloom_inout(seen.get(), sizeof(found)) };
        parloom_report report = empty_report();
        parloom_options given = on(backend);
        parloom_error error;
        given.report = &report;
        given.max_nbytes = 1;
        EXPECT_OK(parloom_for(1, look, args, 2, &given, &error));
        EXPECT_EQ(seen[0].data, array.data) << backend;
        EXPECT_TRUE(seen[0].is_memmap) << backend;
        EXPECT_EQ(seen[0].sum, weighted_sum(array)) << backend;
        EXPECT_EQ(report.spilled_nbytes, 0u) << backend;
    }
}

const size_t N = 1000;

} // namespace

TEST_F(Conformance, A1_01_FortranOrderInsideALargerFile)
{
    DoublesFile file(4, 500);
    const ptrdiff_t strides[] = { 8, 40, 160 };
    const std::vector<size_t> shape = { 5, 4, 3 };
    Memmap memmap(file.path, PARLOOM_MMAP_RW, 4, shape, strides);
    size_t index[] = { 2, 1, 2 };
    EXPECT_EQ(item_of(memmap.array, index), 2 + 5 + 40);
    expect_shared(memmap.array);
}

TEST_F(Conformance, A1_02_StridedSlice)
{
    DoublesFile file(0, N);
    Memmap memmap(file.path, PARLOOM_MMAP_R, 0, { N });
    expect_shared(cut(memmap.array, 0, 3, 900, 7));
}

TEST_F(Conformance, A1_03_ReshapeKeepsCOrder)
{
    DoublesFile file(0, N);
    Memmap memmap(file.path, PARLOOM_MMAP_R, 0, { N });
    const size_t shape[] = { 10, 100 };
    parloom_array reshaped = parloom_array_wrap(memmap.array.data, PARLOOM_F64, 2, shape);
    size_t index[] = { 3, 7 };
    EXPECT_EQ(item_of(reshaped, index), 307);
    expect_shared(reshaped);
}

TEST_F(Conformance, A1_04_ViewsAndTransposesStayShared)
{
    DoublesFile file(0, N);
    Memmap memmap(file.path, PARLOOM_MMAP_R, 0, { 10, 10, 10 });
    parloom_array plain = parloom_array_wrap(memmap.array.data, PARLOOM_F64, 3, memmap.array.shape);
    expect_shared(plain);
    expect_shared(transposed(plain));
    expect_shared(transposed(cut(plain, 1, 2, 8, 3)));
}

TEST_F(Conformance, A1_05_PrivateMemoryInTheClothesOfAMemmap)
{
    DoublesFile file(0, N);
    Memmap memmap(file.path, PARLOOM_MMAP_R, 0, { N });
    std::vector<double> result(N);
    for (size_t i = 0; i < N; i++) result[i] = 3 * static_cast<double>(i);
    parloom_array disguised = memmap.array; /* flags and owner of the memmap, data of our own */
    disguised.data = result.data();
    for (const char *backend : { "processes" }) {
        Shared<found> seen(1);
        parloom_arg args[] = { parloom_in_array(&disguised), parloom_inout(seen.get(), sizeof(found)) };
        parloom_report report = empty_report();
        parloom_options given = on(backend);
        given.report = &report;
        given.max_nbytes = 1;
        ASSERT_OK(parloom_for(1, look, args, 2, &given, &error));
        EXPECT_NE(seen[0].data, disguised.data);
        EXPECT_EQ(report.spilled_nbytes, N * sizeof(double)) << "by value";
        EXPECT_EQ(seen[0].sum, weighted_sum(disguised));
    }
    EXPECT_FALSE(parloom_is_shared(disguised.data));
}

TEST_F(Conformance, A1_06_SlicesOfManyDimensions)
{
    DoublesFile file(0, 100 * 15 * 15 * 3);
    Memmap memmap(file.path, PARLOOM_MMAP_R, 0, { 100, 15, 15, 3 });
    expect_shared(cut(memmap.array, 0, 0, 10));
    expect_shared(cut(memmap.array, 1, 5, 10));
    expect_shared(cut(memmap.array, 3, 0, 1));
    expect_shared(cut(memmap.array, 0, 1, 3, 4));
}

TEST_F(Conformance, A1_07_OffsetBeyondAPageIsKept)
{
    size_t offset = static_cast<size_t>(sysconf(_SC_PAGESIZE)) + 1;
    DoublesFile file(offset, N);
    const ptrdiff_t step = 16;
    Memmap contiguous(file.path, PARLOOM_MMAP_R, offset, { N });
    Memmap strided(file.path, PARLOOM_MMAP_R, offset, { N / 2 }, &step);
    for (size_t i : { size_t{ 0 }, size_t{ 1 }, N / 2 - 1 }) {
        EXPECT_EQ(item_of(contiguous.array, &i), static_cast<double>(i));
        EXPECT_EQ(item_of(strided.array, &i), static_cast<double>(2 * i));
    }
    expect_shared(contiguous.array);
    expect_shared(strided.array);
}

TEST_F(Conformance, A1_08_WorkersUpdateAMemmapInPlace)
{
    for (const char *backend : every_backend) {
        DoublesFile file(0, N);
        Memmap memmap(file.path, PARLOOM_MMAP_RW, 0, { N });
        parloom_arg args[] = { parloom_inout_array(&memmap.array) };
        parloom_options given = on(backend, 10);
        given.batch_size = 1;
        ASSERT_OK(parloom_for(10, double_items, args, 1, &given, &error)) << backend;
        Memmap again(file.path, PARLOOM_MMAP_R, 0, { N });
        for (size_t i = 0; i < N; i++) {
            EXPECT_EQ(item_of(memmap.array, &i), 2 * static_cast<double>(i)) << backend;
            EXPECT_EQ(item_of(again.array, &i), 2 * static_cast<double>(i)) << backend << ": in the file";
        }
    }
}

TEST_F(Conformance, A1_10_ReadOnlyMap)
{
    DoublesFile file(0, N);
    Memmap memmap(file.path, PARLOOM_MMAP_R, 0, { N });
    parloom_arg in[] = { parloom_in_array(&memmap.array) }, inout[] = { parloom_inout_array(&memmap.array) };
    for (const char *backend : every_backend) {
        parloom_options given = on(backend);
        EXPECT_EQ(parloom_for(1, expect_wrong, in, 1, &given, &error), PARLOOM_ERR_TASK) << backend;
        EXPECT_TRUE(says(error, "not the expected array")) << error.message;
        EXPECT_EQ(parloom_for(1, double_items, inout, 1, &given, &error), PARLOOM_ERR_INVALID) << backend;
        EXPECT_TRUE(says(error, "read-only")) << error.message;
    }
    parloom_options given = on("processes");
    EXPECT_EQ(parloom_for(1, write_first, in, 1, &given, &error), PARLOOM_ERR_CRASHED);
    EXPECT_TRUE(says(error, "in argument")) << error.message; /* named, and it cost one task */
    EXPECT_OK(parloom_for(1, do_nothing, in, 1, &given, &error));
}

TEST_F(Conformance, A1_11_MemmapsAreNotSpilled)
{
    DoublesFile file(0, N);
    Folder folder;
    Memmap memmap(file.path, PARLOOM_MMAP_RW, 0, { N });
    parloom_arg args[] = { parloom_inout_array(&memmap.array) };
    parloom_report report = empty_report();
    parloom_options opening = on("processes"), given = PARLOOM_OPTIONS_INIT;
    opening.temp_folder = folder.path.c_str();
    opening.max_nbytes = 1;
    ASSERT_OK(parloom_pool_open(&given.pool, &opening, &error));
    given.report = &report;
    for (int call = 0; call < 3; call++) {
        ASSERT_OK(parloom_for(10, double_items, args, 1, &given, &error));
        EXPECT_EQ(report.spilled_nbytes, 0u);
        EXPECT_STREQ(report.spilled_to, "");
    }
    parloom_pool_close(given.pool);
}

TEST_F(Conformance, A1_12_ViewOfAMemmapIsUpdatedInPlace)
{
    DoublesFile file(0, N);
    Memmap memmap(file.path, PARLOOM_MMAP_RW, 0, { N });
    const size_t half = N / 2;
    parloom_array view = parloom_array_wrap(static_cast<double *>(memmap.array.data) + half, PARLOOM_F64, 1, &half);
    parloom_arg args[] = { parloom_inout_array(&view) };
    parloom_report report = empty_report();
    parloom_options given = on("processes");
    given.report = &report;
    given.max_nbytes = 1;
    ASSERT_OK(parloom_for(10, double_items, args, 1, &given, &error));
    for (size_t i = 0; i < half; i++) {
        size_t in_file = half + i;
        EXPECT_EQ(item_of(view, &i), 2 * static_cast<double>(in_file));
        EXPECT_EQ(item_of(memmap.array, &in_file), 2 * static_cast<double>(in_file));
        EXPECT_EQ(item_of(memmap.array, &i), static_cast<double>(i));
    }
    EXPECT_EQ(report.spilled_nbytes, 0u);
}

TEST_F(Conformance, A1_14_ArraysOnRawMappings)
{
    const size_t ten = 10;
    void *raw = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(raw, MAP_FAILED);
    double plain[ten];
    for (size_t i = 0; i < ten; i++) static_cast<double *>(raw)[i] = plain[i] = static_cast<double>(i * i);
    for (const char *backend : every_backend)
        for (void *data : { raw, static_cast<void *>(plain) }) {
            parloom_array array = parloom_array_wrap(data, PARLOOM_F64, 1, &ten);
            std::vector<double> sums(ten);
            parloom_arg args[] = { parloom_in_array(&array), contract::out(sums) };
            parloom_options given = on(backend);
            ASSERT_OK(parloom_for(1, sum_and_map, args, 2, &given, &error)) << backend;
            EXPECT_EQ(sums, std::vector<double>(ten, weighted_sum(array))) << backend;
        }
    munmap(raw, 4096);
}

TEST_F(Conformance, A1_15_OrderOfAViewStays)
{
    DoublesFile file(0, N);
    Memmap memmap(file.path, PARLOOM_MMAP_RW, 0, { N });
    const size_t shape[] = { 20, 50 };
    parloom_array view = parloom_array_wrap(memmap.array.data, PARLOOM_F64, 2, shape);
    expect_shared(view); /* the sum is of C order: by place */
    parloom_arg args[] = { parloom_inout_array(&view) };
    parloom_options given = on("processes");
    ASSERT_OK(parloom_for(20, double_items, args, 1, &given, &error));
    for (size_t row = 0; row < 20; row++) {
        size_t first[] = { row, 0 }, second[] = { row, 1 };
        auto value = static_cast<double>(row * 50);
        EXPECT_EQ(item_of(view, first), 2 * value) << "the first of each row was doubled";
        EXPECT_EQ(item_of(view, second), value + 1);
    }
}
