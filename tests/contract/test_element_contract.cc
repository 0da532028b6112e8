/* SPDX-License-Identifier: BSD-3-Clause */
/* Arguments that a call gives its tasks in pieces, arguments that are arrays, and those it refuses. */
#include "contract/places.h"

#include <csignal>

using namespace contract;

namespace
{

enum { TASKS = 30 };

struct item {
    int value;
    char rest[12];
};

int triple(const parloom_task *task, void *const *args)
{
    const auto *input = static_cast<const item *>(args[0]);
    auto *output = static_cast<double *>(args[1]);
    auto *both = static_cast<long *>(args[2]);
    for (size_t k = 0; k < task->end - task->begin; k++) { /* elements of begin and those after it */
        output[k] = 3.0 * input[k].value;
        both[k] += input[k].value;
    }
    return 0;
}

int sum_row_of_three(const parloom_task *, void *const *args)
{
    const auto *row = static_cast<const double *>(args[0]);
    *static_cast<double *>(args[1]) = row[0] + row[1] + row[2];
    return 0;
}

int write_and_fail(const parloom_task *task, void *const *args)
{
    *static_cast<int *>(args[0]) = 1;
    *static_cast<int *>(args[1]) += 1;
    if (task->index % 3 == 1) return 9;
    if (task->index % 3 == 2) raise(SIGKILL);
    return 0;
}

int add_then_die_once(const parloom_task *task, void *const *args)
{
    *static_cast<int *>(args[0]) += 1;
    if (task->attempt == 0 && task->index == 2) raise(SIGKILL);
    return 0;
}

/* What an array looks like from a task: out[0] sum of items, [1] memmap, [2] writable, [3] shared. */
/* args[1]: four of them a task. */
int look_at_array(const parloom_task *task, void *const *args)
{
    const auto *array = static_cast<const parloom_array *>(args[0]);
    double *seen = static_cast<double *>(args[1]) + 4 * task->index;
    for (size_t i = 0; i < array->shape[0]; i++)
        for (size_t j = 0; j < array->shape[1]; j++) {
            const char *at = static_cast<const char *>(array->data) + static_cast<ptrdiff_t>(i) * array->strides[0] +
                             static_cast<ptrdiff_t>(j) * array->strides[1];
            double value;
            memcpy(&value, at, sizeof value);
            seen[0] += value * static_cast<double>(1 + 10 * i + j);
        }
    seen[1] = parloom_array_is_memmap(array);
    seen[2] = parloom_array_is_writable(array);
    seen[3] = parloom_is_shared(array->data);
    return 0;
}

int fill_array(const parloom_task *task, void *const *args)
{
    auto *array = static_cast<parloom_array *>(args[0]);
    for (size_t j = 0; j < array->shape[1]; j++) {
        char *at = static_cast<char *>(array->data) + static_cast<ptrdiff_t>(task->index) * array->strides[0] +
                   static_cast<ptrdiff_t>(j) * array->strides[1];
        double value = static_cast<double>(100 * task->index + j);
        memcpy(at, &value, sizeof value);
    }
    return 0;
}

int nothing(const parloom_task *, void *const *)
{
    return 0;
}

void keep(void *, const void *) {}

} // namespace

class Element : public Placed
{
};
INSTANTIATE_TEST_SUITE_P(On, Element, ::testing::ValuesIn(every_place), name_of);

TEST_P(Element, IsThatOfTheTaskOrOfTheFirstOfItsRange)
{
    for (bool is_range : { false, true }) {
        std::vector<item> input(TASKS);
        std::vector<double> output(TASKS, -1);
        std::vector<long> both(TASKS, 1000);
        for (int k = 0; k < TASKS; k++) input[static_cast<size_t>(k)].value = k;
        parloom_arg args[] = { parloom_each(in(input), sizeof(item)), each_out(output),
                               parloom_each(inout(both), sizeof(long)) };
        parloom_options given = options();
        if (is_range)
            ASSERT_OK(parloom_for_range(TASKS, triple, args, 3, &given, &error));
        else
            ASSERT_OK(parloom_for(TASKS, triple, args, 3, &given, &error));
        for (int k = 0; k < TASKS; k++) {
            ASSERT_EQ(output[static_cast<size_t>(k)], 3.0 * k);
            ASSERT_EQ(both[static_cast<size_t>(k)], 1000 + k);
        }
    }
}

TEST_P(Element, OfAnArrayInCOrderIsReadAndWritten)
{
    std::vector<double> numbers(3 * TASKS), results(TASKS, -1);
    for (size_t k = 0; k < numbers.size(); k++) numbers[k] = static_cast<double>(k);
    size_t shape[] = { TASKS, 3 }, length[] = { TASKS };
    parloom_array rows = parloom_array_wrap(numbers.data(), PARLOOM_F64, 2, shape);
    parloom_array sums = parloom_array_wrap(results.data(), PARLOOM_F64, 1, length);
    parloom_arg args[] = { parloom_each(parloom_in_array(&rows), 3 * sizeof(double)),
                           parloom_each(parloom_out_array(&sums), sizeof(double)) };
    parloom_options given = options();
    ASSERT_OK(parloom_for(TASKS, sum_row_of_three, args, 2, &given, &error));
    for (size_t k = 0; k < TASKS; k++) EXPECT_EQ(results[k], static_cast<double>(9 * k + 3));
    parloom_array some; /* the first rows of it are contiguous too */
    ASSERT_OK(parloom_array_slice(&some, &rows, 0, 0, 10, 1, &error));
    args[0] = parloom_each(parloom_in_array(&some), 3 * sizeof(double));
    EXPECT_OK(parloom_for(10, sum_row_of_three, args, 2, &given, &error));
}

TEST_P(Element, OfATaskThatFailedStaysTheCallers)
{
    if (!is_separate()) return;
    std::vector<int> output(9, -5), both(9, 40);
    std::vector<parloom_status> statuses(9, PARLOOM_ERR_INTERNAL);
    parloom_arg args[] = { each_out(output), parloom_each(inout(both), sizeof(int)) };
    parloom_options given = options();
    given.on_error = PARLOOM_ON_ERROR_GO_ON;
    given.statuses = statuses.data();
    EXPECT_EQ(parloom_for(9, write_and_fail, args, 2, &given, &error), PARLOOM_ERR_TASK);
    for (size_t k = 0; k < 9; k++) {
        bool is_ok = k % 3 == 0;
        EXPECT_EQ(output[k], is_ok ? 1 : -5) << k;
        EXPECT_EQ(both[k], is_ok ? 41 : 40) << k;
        EXPECT_EQ(statuses[k], is_ok ? PARLOOM_OK : k % 3 == 1 ? PARLOOM_ERR_TASK : PARLOOM_ERR_CRASHED) << k;
    }
}

TEST_P(Element, OfInoutStartsFromTheCallersBytesInARetry)
{
    if (!is_separate()) return;
    std::vector<int> both(6, 40);
    parloom_arg args[] = { parloom_each(inout(both), sizeof(int)) };
    parloom_options given = options();
    given.retries = 1;
    ASSERT_OK(parloom_for(6, add_then_die_once, args, 1, &given, &error));
    EXPECT_EQ(both, std::vector<int>(6, 41));
}

class Array : public Placed
{
  protected:
    /* A matrix of 4 x 3 with these strides (in doubles) in a buffer of that many. */
    void prepare(std::vector<double> &buffer, ptrdiff_t rows, ptrdiff_t columns, size_t first, parloom_array *array)
    {
        size_t shape[] = { 4, 3 };
        ptrdiff_t strides[] = { rows * 8, columns * 8 };
        for (size_t k = 0; k < buffer.size(); k++) buffer[k] = 0.5 + static_cast<double>(k);
        *array = parloom_array_wrap_strided(&buffer[first], PARLOOM_F64, 0, 2, shape, strides);
    }
    double expected_sum(const std::vector<double> &buffer, ptrdiff_t rows, ptrdiff_t columns, size_t first)
    {
        double total = 0;
        for (ptrdiff_t i = 0; i < 4; i++)
            for (ptrdiff_t j = 0; j < 3; j++)
                total += buffer[static_cast<size_t>(static_cast<ptrdiff_t>(first) + i * rows + j * columns)] *
                         static_cast<double>(1 + 10 * i + j);
        return total;
    }
};
INSTANTIATE_TEST_SUITE_P(On, Array, ::testing::ValuesIn(every_place), name_of);

/* C order, Fortran order, every other column, rows backwards. */
static const struct {
    ptrdiff_t rows, columns;
    size_t first;
} layouts[] = { { 3, 1, 0 }, { 1, 4, 0 }, { 6, 2, 1 }, { -3, 1, 9 } };

TEST_P(Array, IsReadInAnyLayout)
{
    for (const auto &layout : layouts) {
        std::vector<double> buffer(30);
        parloom_array array;
        double seen[4] = { 0, -1, -1, -1 };
        prepare(buffer, layout.rows, layout.columns, layout.first, &array);
        parloom_arg args[] = { parloom_in_array(&array), parloom_inout(seen, sizeof seen) };
        parloom_options given = options();
        ASSERT_OK(parloom_for(1, look_at_array, args, 2, &given, &error));
        EXPECT_EQ(seen[0], expected_sum(buffer, layout.rows, layout.columns, layout.first));
        EXPECT_EQ(seen[1], 0.0) << "inline bytes are no memmap";
        EXPECT_EQ(seen[2], 0.0) << "in is read-only";
    }
}

TEST_P(Array, IsWrittenInAnyLayoutAndBytesBetweenItemsStay)
{
    for (const auto &layout : layouts) {
        for (bool is_inout : { false, true }) {
            std::vector<double> buffer(30);
            parloom_array array;
            prepare(buffer, layout.rows, layout.columns, layout.first, &array);
            std::vector<double> expected = buffer;
            for (ptrdiff_t i = 0; i < 4; i++)
                for (ptrdiff_t j = 0; j < 3; j++)
                    expected[static_cast<size_t>(static_cast<ptrdiff_t>(layout.first) + i * layout.rows +
                                                 j * layout.columns)] = static_cast<double>(100 * i + j);
            parloom_arg args[] = { is_inout ? parloom_inout_array(&array) : parloom_out_array(&array) };
            parloom_options given = options();
            ASSERT_OK(parloom_for(4, fill_array, args, 1, &given, &error));
            EXPECT_EQ(buffer, expected);
        }
    }
}

TEST_P(Array, SaysInATaskHowItTravelled)
{
    std::vector<double> buffer(30);
    parloom_array array;
    double seen[8] = { 0, -1, -1, -1, 0, -1, -1, -1 };
    bool is_spilled = is("processes") && GetParam().n_jobs > 1;
    prepare(buffer, 3, 1, 0, &array);
    parloom_arg args[] = { parloom_in_array(&array), parloom_inout(seen, sizeof seen) };
    parloom_options given = options();
    given.max_nbytes = 16;
    ASSERT_OK(parloom_for(2, look_at_array, args, 2, &given, &error));
    for (const double *of_task : { seen, seen + 4 }) {
        EXPECT_EQ(of_task[1], is_spilled ? 1.0 : 0.0);
        EXPECT_EQ(of_task[3], is_spilled ? 1.0 : 0.0);
    }
    parloom_arg as_inout[] = { parloom_inout_array(&array), parloom_inout(seen, sizeof seen) };
    ASSERT_OK(parloom_for(1, look_at_array, as_inout, 2, &given, &error));
    EXPECT_EQ(seen[2], 1.0) << "inout is writable";
    parloom_array shared;
    size_t shape[] = { 4, 3 };
    ASSERT_OK(parloom_array_create(&shared, PARLOOM_F64, 2, shape, &error));
    parloom_arg as_shared[] = { parloom_in_array(&shared), parloom_inout(seen, sizeof seen) };
    EXPECT_OK(parloom_for(1, look_at_array, as_shared, 2, &given, &error));
    EXPECT_EQ(seen[1], 1.0);
    EXPECT_EQ(seen[3], 1.0);
    parloom_array_release(&shared);
}

TEST_P(Array, OfCopyOnWriteMayBeWritten)
{
    std::vector<double> buffer(30);
    parloom_array array;
    prepare(buffer, 3, 1, 0, &array);
    std::vector<double> before = buffer;
    double seen[4] = { 0, -1, -1, -1 };
    parloom_arg to_fill[] = { parloom_in_array(&array) };
    parloom_arg to_look[] = { parloom_in_array(&array), parloom_inout(seen, sizeof seen) };
    parloom_options given = options();
    given.mmap_mode = PARLOOM_MMAP_C;
    ASSERT_OK(parloom_for(4, fill_array, to_fill, 1, &given, &error));
    EXPECT_EQ(buffer, before);
    ASSERT_OK(parloom_for(1, look_at_array, to_look, 2, &given, &error));
    EXPECT_EQ(seen[2], 1.0);
}

/* ---------------------------------------------------------------- refusals */

class Refusal : public Placed
{
  protected:
    void expect_refused(std::vector<parloom_arg> args, const char *text, size_t n = 4)
    {
        std::vector<parloom_status> statuses(n, PARLOOM_OK);
        parloom_options given = options();
        given.statuses = statuses.data();
        given.n_statuses = n;
        EXPECT_EQ(parloom_for(n, nothing, args.data(), args.size(), &given, &error), PARLOOM_ERR_INVALID) << text;
        EXPECT_SAYS(text);
        EXPECT_EQ(error.task, PARLOOM_NO_TASK);
        EXPECT_EQ(statuses, std::vector<parloom_status>(n, PARLOOM_ERR_CANCELLED)) << text;
        EXPECT_OK(parloom_for(n, nothing, nullptr, 0, &given, &error)) << "the next call works";
    }
    void expect_accepted(std::vector<parloom_arg> args)
    {
        parloom_options given = options();
        EXPECT_OK(parloom_for(4, nothing, args.data(), args.size(), &given, &error));
    }
    char data[4096];
};
INSTANTIATE_TEST_SUITE_P(On, Refusal, ::testing::ValuesIn(every_place), name_of);

TEST_P(Refusal, OfAWrittenRangeThatOverlapsAnother)
{
    for (auto write : { parloom_out, parloom_inout }) {
        expect_refused({ parloom_in(data, 100), write(data + 99, 100) }, "overlap");
        expect_refused({ write(data, 100), parloom_in(data + 50, 10) }, "argument 0 (");
        expect_refused({ parloom_in(data + 50, 10), write(data, 100) }, "and argument 1 (");
        expect_refused({ parloom_in(data, 100), write(data, 100) }, "overlap");
        expect_refused({ parloom_reduce(data, 8, keep), write(data + 4, 8) }, "overlap");
    }
    expect_refused({ parloom_in(data, 4096), parloom_in(data, 8), parloom_out(data + 4000, 8) }, "overlap");
    expect_refused({ parloom_reduce(data, 8, keep), parloom_reduce(data, 8, keep) }, "overlap");
    expect_refused({ parloom_reduce(data, 8, keep), parloom_in(data, 8) }, "overlap");
}

TEST_P(Refusal, IsNotOfRangesThatMayOverlap)
{
    expect_accepted({ parloom_in(data, 100), parloom_in(data + 50, 100) });
    expect_accepted({ parloom_out(data, 100), parloom_inout(data + 50, 100) });
    expect_accepted({ parloom_in(data, 100), parloom_out(data + 100, 100) });
    expect_accepted({ parloom_in(data, 0), parloom_out(data, 100) });
    Shared<char> shared(100);
    expect_accepted({ parloom_in(shared.get(), 100), parloom_inout(shared.get(), 100) });
}

TEST_P(Refusal, OfAnInThatIsWrittenByMmapMode)
{
    parloom_options given = options();
    given.mmap_mode = PARLOOM_MMAP_RW;
    parloom_arg args[] = { parloom_in(data, 100), parloom_in(data + 50, 100) };
    EXPECT_OK(parloom_for(4, nothing, args, 2, &given, &error)); /* both are inout now */
    given.mmap_mode = PARLOOM_MMAP_C;
    parloom_arg mixed[] = { parloom_in(data, 100), parloom_out(data + 50, 100) };
    EXPECT_EQ(parloom_for(4, nothing, mixed, 2, &given, &error), PARLOOM_ERR_INVALID);
}

TEST_P(Refusal, OfArgumentsThatMakeNoSense)
{
    parloom_arg unmade;
    memset(&unmade, 0, sizeof unmade);
    size_t shape[] = { 4 };
    parloom_array array = parloom_array_wrap(data, PARLOOM_F64, 1, shape), unreal = array, missing = array;
    unreal.ndim = PARLOOM_MAX_NDIM + 1;
    missing.data = nullptr;
    expect_refused({ unmade }, "argument 0");
    expect_refused({ parloom_in(data, 8), parloom_in(nullptr, 8) }, "argument 1");
    expect_refused({ parloom_out(nullptr, 8) }, "NULL");
    expect_refused({ parloom_in(data, SIZE_MAX) }, "argument 0");
    expect_refused({ parloom_each(parloom_in(data, 100), 0) }, "stride");
    expect_refused({ parloom_each(parloom_in(data, 31), 8) }, "4 elements of 8 bytes");
    expect_refused({ parloom_each(parloom_in(data, 31), SIZE_MAX / 2) }, "argument 0");
    expect_refused({ parloom_reduce(data, 8, nullptr) }, "combine");
    expect_refused({ parloom_reduce(data, 0, keep) }, "argument 0");
    expect_refused({ parloom_in_array(nullptr) }, "NULL");
    expect_refused({ parloom_in_array(&unreal) }, "ndim");
    expect_refused({ parloom_in_array(&missing) }, "");
}

/* Its bytes are not one element behind the other: a task would get somebody else's. */
TEST_P(Refusal, OfElementsOfAnArrayThatIsNotContiguous)
{
    auto *numbers = reinterpret_cast<double *>(data);
    size_t shape[] = { 4, 3 }, length[] = { 4 };
    ptrdiff_t nowhere[] = { 0 }, fortran[] = { 8, 32 }, every_other[] = { 16 }, backwards[] = { -8 };
    parloom_array matrix = parloom_array_wrap(numbers, PARLOOM_F64, 2, shape), column, rows;
    ASSERT_OK(parloom_array_slice(&column, &matrix, 1, 0, 1, 1, &error));
    ASSERT_OK(parloom_array_slice(&rows, &matrix, 0, 0, 4, 2, &error));
    parloom_array views[] = {
        column,
        rows,
        parloom_array_wrap_strided(numbers, PARLOOM_F64, 0, 1, length, nowhere),
        parloom_array_wrap_strided(numbers, PARLOOM_F64, 0, 1, length, every_other),
        parloom_array_wrap_strided(numbers + 3, PARLOOM_F64, 0, 1, length, backwards),
        parloom_array_wrap_strided(numbers, PARLOOM_F64, 0, 2, shape, fortran),
    };
    for (const parloom_array &view : views) {
        expect_refused({ parloom_each(parloom_in_array(&view), 8) }, "parloom_each", 2);
        expect_refused({ parloom_each(parloom_out_array(&view), 8) }, "parloom_each", 2);
        expect_accepted({ parloom_in_array(&view) }); /* as a whole it is fine */
    }
    expect_accepted({ parloom_each(parloom_in_array(&matrix), 24) });
}

TEST_P(Refusal, OfCallsThatMakeNoSense)
{
    parloom_options given = options();
    parloom_arg arg = parloom_in(data, 8);
    EXPECT_EQ(parloom_for(4, nullptr, nullptr, 0, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("function");
    EXPECT_EQ(parloom_for(4, nothing, nullptr, 1, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("args");
    EXPECT_EQ(parloom_run(nullptr, 4, &given, &error), PARLOOM_ERR_INVALID);
    EXPECT_SAYS("calls");
    EXPECT_OK(parloom_for(4, nothing, &arg, 1, &given, &error));
}
