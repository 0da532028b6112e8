/* SPDX-License-Identifier: BSD-3-Clause */
/* What mmap_mode makes of in arguments: views of a task's own, shared writes, and what it leaves alone. */
#include "contract/places.h"

#include <cstdio>
#include <cstdlib>
#include <unistd.h>

using namespace contract;

namespace
{

enum { TASKS = 60 };

/* An element as large as args[1] says: begins with the number of its task. */
uint64_t first_word(const unsigned char *element)
{
    uint64_t word;
    memcpy(&word, element, sizeof word);
    return word;
}

/* Finds its elements as the caller has them, and leaves none of them so. args: elements, their size. */
int change_own_elements(const parloom_task *task, void *const *args)
{
    auto *elements = static_cast<unsigned char *>(args[0]);
    size_t nbytes = *static_cast<const size_t *>(args[1]);
    for (size_t i = task->begin; i < task->end; i++) {
        const unsigned char *element = elements + (i - task->begin) * nbytes;
        if (first_word(element) != i) return parloom_fail(task, 1, "element %zu is %lu", i, first_word(element));
        for (size_t k = sizeof(uint64_t); k < nbytes; k++)
            if (element[k] != static_cast<unsigned char>(i)) return parloom_fail(task, 2, "byte %zu of %zu", k, i);
    }
    memset(elements, 255, (task->end - task->begin) * nbytes);
    return 0;
}

/* The same, but the tasks named in args[2] fail, when all elements of the range are changed. */
int change_and_fail(const parloom_task *task, void *const *args)
{
    const auto *fails = static_cast<const char *>(args[2]);
    int code = change_own_elements(task, args);
    for (size_t i = task->begin; code == 0 && i < task->end; i++) {
        parloom_at(task, i);
        if (fails[i] != 0) return 9;
    }
    return code;
}

int note_address(const parloom_task *, void *const *args)
{
    *static_cast<uint64_t *>(args[1]) = reinterpret_cast<uintptr_t>(args[0]);
    return 0;
}

/* What an array of doubles looks like from a task. */
struct look {
    double first, last;
    int is_writable;
    const void *data;
};

int look_at_array(const parloom_task *, void *const *args)
{
    const auto *array = static_cast<const parloom_array *>(args[0]);
    const auto *items = static_cast<const double *>(array->data);
    auto *look = static_cast<struct look *>(args[1]);
    look->first = items[0];
    look->last = items[array->shape[0] - 1];
    look->is_writable = parloom_array_is_writable(array);
    look->data = array->data;
    return 0;
}

} // namespace

/* ------------------------------------------------------- copies on write */

class OwnView : public Placed
{
  protected:
    static parloom_options on_write()
    {
        parloom_options made = options();
        made.mmap_mode = PARLOOM_MMAP_C;
        return made;
    }
    static std::vector<unsigned char> elements_of(size_t nbytes)
    {
        std::vector<unsigned char> made(TASKS * nbytes);
        for (size_t i = 0; i < TASKS; i++) {
            uint64_t word = i;
            memset(&made[i * nbytes], static_cast<int>(i), nbytes);
            memcpy(&made[i * nbytes], &word, sizeof word);
        }
        return made;
    }
};
INSTANTIATE_TEST_SUITE_P(On, OwnView, ::testing::ValuesIn(every_place), name_of);

/* Small, a page and a bit, and more than is sent inline. */
static const size_t element_sizes[] = { 8, 72, 4104, 40000 };

TEST_P(OwnView, OfAnElementIsFreshInEachTask)
{
    for (size_t nbytes : element_sizes) {
        for (bool is_range : { false, true }) {
            std::vector<unsigned char> elements = elements_of(nbytes), before = elements;
            parloom_arg args[] = { parloom_each(in(elements), nbytes), parloom_in(&nbytes, sizeof nbytes) };
            parloom_options given = on_write();
            for (int call = 0; call < 2; call++) {
                if (is_range)
                    ASSERT_OK(parloom_for_range(TASKS, change_own_elements, args, 2, &given, &error)) << nbytes;
                else
                    ASSERT_OK(parloom_for(TASKS, change_own_elements, args, 2, &given, &error)) << nbytes;
                ASSERT_EQ(elements, before);
            }
        }
    }
}

TEST_P(OwnView, OfElementsIsFreshInTheRestOfARangeThatFailed)
{
    for (size_t nbytes : element_sizes) {
        std::vector<unsigned char> elements = elements_of(nbytes), before = elements;
        std::vector<char> fails(TASKS);
        std::vector<parloom_status> statuses(TASKS, PARLOOM_ERR_INTERNAL);
        fails[7] = fails[8] = fails[31] = fails[TASKS - 1] = 1;
        parloom_arg args[] = { parloom_each(in(elements), nbytes), parloom_in(&nbytes, sizeof nbytes), in(fails) };
        parloom_options given = on_write();
        given.batch_size = 20;
        given.on_error = PARLOOM_ON_ERROR_GO_ON;
        given.statuses = statuses.data();
        ASSERT_EQ(parloom_for_range(TASKS, change_and_fail, args, 3, &given, &error), PARLOOM_ERR_TASK);
        EXPECT_EQ(error.code, 9) << error.message;
        for (size_t k = 0; k < TASKS; k++) ASSERT_EQ(statuses[k], fails[k] ? PARLOOM_ERR_TASK : PARLOOM_OK) << k;
        ASSERT_EQ(elements, before);
    }
}

TEST_P(OwnView, LiesAtTheCallersAddressModulo64)
{
    for (size_t nbytes : { size_t{ 40 }, size_t{ 5000 }, size_t{ 2 << 20 } }) {
        std::vector<unsigned char> input(nbytes + 64);
        for (size_t offset : { size_t{ 0 }, size_t{ 1 }, size_t{ 8 }, size_t{ 24 }, size_t{ 63 } }) {
            uint64_t seen = 0;
            parloom_arg args[] = { parloom_in(&input[offset], nbytes), parloom_out(&seen, sizeof seen) };
            parloom_options given = on_write();
            ASSERT_OK(parloom_for(1, note_address, args, 2, &given, &error));
            EXPECT_EQ(seen % 64, reinterpret_cast<uintptr_t>(&input[offset]) % 64) << nbytes << " " << offset;
            EXPECT_NE(seen, reinterpret_cast<uintptr_t>(&input[offset])) << "a view of its own";
        }
    }
}

TEST_P(OwnView, IsNotMadeOfWhatIsShared)
{
    size_t shape[] = { 1000 };
    parloom_array shared;
    ASSERT_OK(parloom_array_create(&shared, PARLOOM_F64, 1, shape, &error));
    auto *items = static_cast<double *>(shared.data);
    parloom_options given = on_write();
    for (int call = 1; call < 4; call++) {
        look seen = {};
        uint64_t address = 0;
        items[0] = items[999] = call;
        parloom_arg as_array[] = { parloom_in_array(&shared), parloom_inout(&seen, sizeof seen) };
        parloom_arg as_bytes[] = { parloom_in(shared.data, 1000), parloom_out(&address, sizeof address) };
        ASSERT_OK(parloom_for(1, look_at_array, as_array, 2, &given, &error));
        EXPECT_FALSE(seen.is_writable) << "it is the caller's own";
        EXPECT_EQ(seen.data, shared.data);
        EXPECT_EQ(seen.first, call);
        EXPECT_EQ(seen.last, call);
        ASSERT_OK(parloom_for(1, note_address, as_bytes, 2, &given, &error));
        EXPECT_EQ(address, reinterpret_cast<uintptr_t>(shared.data));
        EXPECT_EQ(items[0], call);
    }
    parloom_array_release(&shared);
}

/* --------------------------------------------------------- shared writes */

class SharedWrite : public Placed
{
  protected:
    void SetUp() override
    {
        Placed::SetUp();
        snprintf(path, sizeof path, "/tmp/parloom-mmap-mode-%d.npy", static_cast<int>(getpid()));
    }
    void TearDown() override
    {
        (void)unlink(path);
        Placed::TearDown();
    }
    /* A file of that many doubles, 0.5 and up, mapped read-only. */
    void load_read_only(size_t count, parloom_array *array_out)
    {
        std::vector<double> items(count);
        for (size_t k = 0; k < count; k++) items[k] = 0.5 + static_cast<double>(k);
        parloom_array wrapped = parloom_array_wrap(items.data(), PARLOOM_F64, 1, &count);
        ASSERT_OK(parloom_array_dump(&wrapped, path, nullptr, 0, &error));
        ASSERT_OK(parloom_array_load(array_out, path, PARLOOM_MMAP_R, &error));
        ASSERT_FALSE(parloom_array_is_writable(array_out));
    }
    char path[64];
};
INSTANTIATE_TEST_SUITE_P(On, SharedWrite, ::testing::ValuesIn(every_place), name_of);

TEST_P(SharedWrite, IsNotMadeOfAnArrayThatIsReadOnly)
{
    for (size_t count : { size_t{ 10 }, size_t{ 1 } << 18 }) {
        parloom_array array;
        ASSERT_NO_FATAL_FAILURE(load_read_only(count, &array));
        for (parloom_mmap_mode mode : { PARLOOM_MMAP_RW, PARLOOM_MMAP_W, PARLOOM_MMAP_R, PARLOOM_MMAP_UNSET }) {
            std::vector<look> seen(3);
            parloom_arg args[] = { parloom_in_array(&array), parloom_each(inout(seen), sizeof(look)) };
            parloom_options given = options();
            given.mmap_mode = mode;
            ASSERT_OK(parloom_for(seen.size(), look_at_array, args, 2, &given, &error)) << count << " " << mode;
            for (const look &one : seen) {
                EXPECT_FALSE(one.is_writable) << mode;
                EXPECT_EQ(one.first, 0.5);
                EXPECT_EQ(one.last, 0.5 + static_cast<double>(count - 1));
            }
        }
        parloom_array_release(&array);
    }
}
