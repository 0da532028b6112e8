/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared memory that is freed while a call uses it: it stays the tasks' own until the call has ended, on any backend.
 */
#include "contract/places.h"

#include <chrono>
#include <thread>
#include <unistd.h>

using namespace contract;

namespace
{

enum { TASKS = 2000 };

/* In shared memory. */
struct flags {
    int started, freed;
    int looked; /* tasks that looked at the bytes after they had been freed */
};

const unsigned char GIVEN = 7, OTHERS = 9;

bool is_all(const unsigned char *data, size_t nbytes, unsigned char value)
{
    return data[0] == value && data[nbytes - 1] == value && memcmp(data, data + 1, nbytes - 1) == 0;
}

/* args: memory that was freed, its size, flags. Gives the program time to do it, and looks. */
int look_at_freed(const parloom_task *task, void *const *args)
{
    const auto *data = static_cast<const unsigned char *>(args[0]);
    size_t nbytes = *static_cast<const size_t *>(args[1]);
    auto *flags = static_cast<struct flags *>(args[2]);
    __atomic_store_n(&flags->started, 1, __ATOMIC_RELEASE);
    bool is_freed = __atomic_load_n(&flags->freed, __ATOMIC_ACQUIRE) != 0;
    /* Half of them, but for those of worker 0, who may be the one that tells of progress, wait until it has come to it.
     */
    int naps = task->worker != 0 && task->index >= task->count / 2 ? 40000 : 1;
    for (int k = 0; !is_freed && k < naps; k++) {
        usleep(500);
        is_freed = __atomic_load_n(&flags->freed, __ATOMIC_ACQUIRE) != 0;
    }
    if (is_freed) __atomic_add_fetch(&flags->looked, 1, __ATOMIC_RELAXED);
    bool is_seldom = !is_freed || task->index % 50 != 0; /* all of it now and then */
    if (is_seldom ? data[0] == GIVEN && data[nbytes - 1] == GIVEN : is_all(data, nbytes, GIVEN)) return 0;
    return parloom_fail(task, 1, "the bytes are gone: %d, %d", data[0], data[nbytes - 1]);
}

/* The same of memory that tasks write: args[0] has one byte a task. */
int write_to_freed(const parloom_task *task, void *const *args)
{
    auto *data = static_cast<unsigned char *>(args[0]);
    if (data[task->index] != GIVEN) return parloom_fail(task, 1, "the bytes are gone: %d", data[task->index]);
    data[task->index] = 1;
    void *const same[] = { args[3], args[1], args[2] };
    return look_at_freed(task, same);
}

/* What is freed, what would take its place if it were not kept, and who was told. */
struct freeing {
    std::vector<unsigned char *> given;
    std::vector<unsigned char *> taken;
    size_t nbytes;
    struct flags *flags;
};

void free_now(freeing *freeing)
{
    for (unsigned char *memory : freeing->given) parloom_free(memory);
    for (size_t k = 0; k < freeing->given.size(); k++) {
        auto *other = static_cast<unsigned char *>(parloom_alloc(freeing->nbytes, nullptr));
        if (other != nullptr) memset(other, OTHERS, freeing->nbytes);
        freeing->taken.push_back(other);
    }
    freeing->given.clear();
    __atomic_store_n(&freeing->flags->freed, 1, __ATOMIC_RELEASE);
}

void free_at_first_progress(const parloom_report *so_far, void *state)
{
    auto *freeing = static_cast<struct freeing *>(state);
    if (!freeing->given.empty() && so_far->ok < so_far->tasks) free_now(freeing);
}

} // namespace

class Lifetime : public Placed
{
  protected:
    unsigned char *allocate(size_t nbytes)
    {
        auto *memory = static_cast<unsigned char *>(parloom_alloc(nbytes, &error));
        EXPECT_NE(memory, nullptr) << error.message;
        if (memory != nullptr) memset(memory, GIVEN, nbytes);
        freeing.given.push_back(memory);
        freeing.nbytes = nbytes;
        freeing.flags = flags.get();
        flags[0] = {};
        return memory;
    }
    parloom_options freeing_at_progress()
    {
        parloom_options given = options();
        given.batch_size = 1;
        given.progress = free_at_first_progress;
        given.progress_state = &freeing;
        return given;
    }
    void TearDown() override
    {
        EXPECT_TRUE(freeing.given.empty()) << "nobody freed it";
        for (unsigned char *memory : freeing.taken) {
            EXPECT_TRUE(is_all(memory, freeing.nbytes, OTHERS)) << "tasks wrote to what came after";
            parloom_free(memory);
        }
        Placed::TearDown();
    }
    Shared<struct flags> flags;
    struct freeing freeing = {};
};
INSTANTIATE_TEST_SUITE_P(On, Lifetime, ::testing::ValuesIn(every_place), name_of);

TEST_P(Lifetime, OfAnInThatIsFreedInProgressIsThatOfTheCall)
{
    for (size_t nbytes : { size_t{ 64 }, size_t{ 20000 }, size_t{ 4 } << 20 }) {
        unsigned char *memory = allocate(nbytes);
        parloom_arg args[] = { parloom_in(memory, nbytes), parloom_in(&nbytes, sizeof nbytes),
                               parloom_inout(flags.get(), sizeof(struct flags)) };
        parloom_options given = freeing_at_progress();
        ASSERT_OK(parloom_for(TASKS, look_at_freed, args, 3, &given, &error)) << nbytes;
        EXPECT_GT(flags[0].looked, 0) << nbytes;
        for (unsigned char *other : freeing.taken) parloom_free(other);
        freeing.taken.clear();
    }
}

TEST_P(Lifetime, OfAnOutThatIsFreedInProgressIsThatOfTheCall)
{
    size_t nbytes = TASKS;
    unsigned char *written = allocate(nbytes), *read = allocate(nbytes);
    parloom_arg args[] = { parloom_inout(written, nbytes), parloom_in(&nbytes, sizeof nbytes),
                           parloom_inout(flags.get(), sizeof(struct flags)), parloom_in(read, nbytes) };
    parloom_options given = freeing_at_progress();
    ASSERT_OK(parloom_for(TASKS, write_to_freed, args, 4, &given, &error));
    EXPECT_GT(flags[0].looked, 0);
}

TEST_P(Lifetime, OfAnArgumentOfAListIsThatOfTheCall)
{
    size_t nbytes = 5000;
    unsigned char *memory = allocate(nbytes);
    parloom_arg args[] = { parloom_in(memory, nbytes), parloom_in(&nbytes, sizeof nbytes),
                           parloom_inout(flags.get(), sizeof(struct flags)) };
    std::vector<parloom_call> calls(TASKS, { look_at_freed, args, 3 });
    parloom_options given = freeing_at_progress();
    ASSERT_OK(parloom_run(calls.data(), calls.size(), &given, &error));
    EXPECT_GT(flags[0].looked, 0);
}

TEST_P(Lifetime, OfAnInThatAnotherThreadFreesIsThatOfTheCall)
{
    if (is("fork")) return; /* refuses to fork beside another thread */
    size_t nbytes = size_t{ 4 } << 20;
    unsigned char *memory = allocate(nbytes);
    parloom_arg args[] = { parloom_in(memory, nbytes), parloom_in(&nbytes, sizeof nbytes),
                           parloom_inout(flags.get(), sizeof(struct flags)) };
    std::thread other([this] {
        auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (__atomic_load_n(&flags[0].started, __ATOMIC_ACQUIRE) == 0 && std::chrono::steady_clock::now() < until)
            std::this_thread::yield();
        free_now(&freeing);
    });
    parloom_options given = options();
    given.batch_size = 1;
    EXPECT_OK(parloom_for(TASKS, look_at_freed, args, 3, &given, &error));
    other.join();
    EXPECT_GT(flags[0].looked, 0);
}
