/* SPDX-License-Identifier: BSD-3-Clause */
/* futures.h - futures that are released with the test, bodies with a gate, and callbacks that count. */
#ifndef LOOM_TESTS_CONTRACT_FUTURES_H
#define LOOM_TESTS_CONTRACT_FUTURES_H

#include "contract/places.h"
#include "support/waiting.h"

#include <atomic>
#include <fstream>
#include <memory>
#include <mutex>

namespace contract
{

/* Whose backends run futures. */
inline const std::vector<Place> every_future = { { "sequential", 1 }, { "threads", 1 },   { "threads", 3 },
                                                 { "processes", 1 },  { "processes", 2 }, { "processes", 3 } };
/* Where they run while the program goes on. */
inline const std::vector<Place> every_future_of_workers = {
    { "threads", 1 }, { "threads", 3 }, { "processes", 1 }, { "processes", 3 }
};

inline long number_in(void *const *args)
{
    return *static_cast<const long *>(args[0]);
}

/* args[0]: a number. */
inline int return_square(const parloom_task *task, void *const *args)
{
    long squared = number_in(args) * number_in(args);
    return parloom_return(task, &squared, sizeof squared);
}

inline int return_code(const parloom_task *, void *const *args)
{
    return static_cast<int>(number_in(args));
}

/* In shared memory: what tasks wait for, and how many have come to it. */
struct Gate {
    std::atomic<int> arrived, is_open;
};

/* args[0]: a number, args[1]: a gate; gives up after a while, so that a failed test ends. */
inline int pass_gate(const parloom_task *task, void *const *args)
{
    auto *gate = static_cast<Gate *>(args[1]);
    gate->arrived++;
    loom::comes_true([&] { return gate->is_open != 0 || parloom_cancelled(task); }, 60);
    return return_square(task, args);
}

inline long long_of(const parloom_result &result)
{
    long value = -1;
    if (result.nbytes == sizeof value) std::memcpy(&value, result.data, sizeof value);
    return value;
}

/* What callbacks saw, in their order. */
class Calls
{
  public:
    struct Call {
        Calls *calls;
        int number;
        int answer;
    };

    /* A callback's state; answer is what it returns. */
    Call *call(int number, int answer = 0)
    {
        std::lock_guard<std::mutex> hold(mutex_);
        made_.push_back(std::unique_ptr<Call>(new Call{ this, number, answer }));
        return made_.back().get();
    }
    static int note(parloom_future *future, void *state)
    {
        auto *call = static_cast<Call *>(state);
        parloom_result result;
        parloom_error error;
        EXPECT_EQ(parloom_future_wait(future, -1, &result, &error), PARLOOM_OK) << error.message;
        std::lock_guard<std::mutex> hold(call->calls->mutex_);
        call->calls->numbers_.push_back(call->number);
        call->calls->statuses_.push_back(result.status);
        return call->answer;
    }
    std::vector<int> numbers()
    {
        std::lock_guard<std::mutex> hold(mutex_);
        return numbers_;
    }
    std::vector<parloom_status> statuses()
    {
        std::lock_guard<std::mutex> hold(mutex_);
        return statuses_;
    }
    bool come_to(size_t n)
    {
        return loom::comes_true([&] { return numbers().size() >= n; }, 20);
    }

  private:
    std::mutex mutex_;
    std::vector<int> numbers_;
    std::vector<parloom_status> statuses_;
    std::vector<std::unique_ptr<Call>> made_;
};

/* Futures of one test; what is left is released with it. */
class Futures
{
  public:
    Futures() : gate_(new Shared<Gate>) {}
    ~Futures()
    {
        open_gate();
        release_all();
    }
    Futures(const Futures &) = delete;
    Futures &operator=(const Futures &) = delete;

    /* NULL where it was refused. args[0] is the number, args[1] the gate. */
    parloom_future *submit(parloom_body body, long number, const parloom_options &given)
    {
        parloom_arg args[] = { parloom_in(&number, sizeof number), parloom_inout(gate_->get(), sizeof(Gate)) };
        parloom_call call = { body, args, 2 };
        parloom_future *future = nullptr;
        if (parloom_submit(&future, &call, &given, &error) != PARLOOM_OK) return nullptr;
        all_.push_back(future);
        return future;
    }
    /* What is waited for in vain fails the test that looks at it. */
    parloom_result wait(parloom_future *future, double timeout = 60)
    {
        parloom_result result = {};
        EXPECT_NE(future, nullptr) << error.message; /* why it was not submitted */
        parloom_status status = parloom_future_wait(future, timeout, &result, &error);
        if (status != PARLOOM_OK) result.status = PARLOOM_ERR_INTERNAL;
        EXPECT_EQ(status, PARLOOM_OK) << error.message;
        return result;
    }
    void open_gate() { (*gate_)[0].is_open = 1; }
    bool arrive(int n)
    {
        return loom::comes_true([&] { return (*gate_)[0].arrived >= n; }, 20);
    }
    int arrived() const { return (*gate_)[0].arrived; }
    const std::vector<parloom_future *> &all() const { return all_; }
    void release(parloom_future *future)
    {
        for (auto &one : all_)
            if (one == future) one = nullptr;
        parloom_future_release(future);
    }
    /* The gate's memory stays until nothing is in a body any more. */
    void release_all()
    {
        for (parloom_future *future : all_) {
            if (future != nullptr) parloom_future_wait(future, 60, nullptr, nullptr);
            parloom_future_release(future);
        }
        all_.clear();
    }

    parloom_error error = {};

  private:
    std::unique_ptr<Shared<Gate>> gate_;
    std::vector<parloom_future *> all_;
};

inline size_t threads_of_this_process()
{
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
        if (line.compare(0, 8, "Threads:") == 0) return std::stoul(line.substr(8));
    return 0;
}

} // namespace contract

#endif
