/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crew.h - a crew of workers that do what a test tells them, and the script they read it from.
 *
 * A test that includes it says what its workers do in run_script(); it is the program's and the workers' code alike.
 */
#ifndef LOOM_TESTS_SUPPORT_CREW_H
#define LOOM_TESTS_SUPPORT_CREW_H

#include "backends/supervisor.h"
#include "shm/segment.h"
#include "support/waiting.h"

#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

namespace loom
{

/* Lies in shared memory; read by workers. */
struct Script {
    int action[8]; /* by seat */
    long long argument[8];
    char text[4096];             /* given or found */
    volatile long long found[8]; /* written by the worker, then its bell */
    volatile int pid, supervisor, level, generation;
};

/* What a worker does: defined by the test. */
void run_script(const loom_worker_post *post, Script *script);

class Crew
{
  public:
    /* Fails the test (message()) instead of throwing. */
    explicit Crew(int level = 1)
    {
        int low = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE); /* one read, one ring */
        bell = fcntl(low, F_DUPFD_CLOEXEC, 3);
        close(low);
        parloom_status status = loom_supervisor_ensure(&error);
        if (status == PARLOOM_OK)
            status = loom_segment_create(sizeof(Script), LOOM_SEGMENT_WRITE, nullptr, &segment, &error);
        if (status == PARLOOM_OK)
            status = loom_supervisor_open_crew(reinterpret_cast<uint64_t>(segment->address), level, &bell, 1, &id,
                                               &events, &error);
        is_open = status == PARLOOM_OK;
        EXPECT_TRUE(is_open) << error.message;
        script = is_open ? reinterpret_cast<Script *>(segment->address) : &nowhere;
    }
    ~Crew()
    {
        close_now();
        loom_segment_release(segment, false);
        if (bell >= 0) close(bell);
    }
    void close_now()
    {
        if (is_open) loom_supervisor_close_crew(id, events);
        is_open = false;
    }
    bool start(int action, long long argument = 0, uint32_t seat = 0, uint32_t generation = 1)
    {
        script->action[seat] = action;
        script->argument[seat] = argument;
        parloom_status status = loom_supervisor_start_worker(id, seat, generation, &error);
        EXPECT_EQ(status, PARLOOM_OK) << error.message;
        return status == PARLOOM_OK;
    }
    /* The next event, within 20 s; kind 0: none came. */
    loom_worker_event next()
    {
        loom_worker_event event = {};
        comes_true([&] {
            struct pollfd ready = { events, POLLIN, 0 };
            poll(&ready, 1, 100);
            return loom_supervisor_next_event(events, &event) == 1;
        });
        return event;
    }
    /* The next event of that kind; others are passed over. */
    loom_worker_event next(uint32_t kind)
    {
        for (;;) {
            loom_worker_event event = next();
            if (event.kind == kind || event.kind == 0) return event;
        }
    }
    bool wait_bell()
    {
        struct pollfd ready = { bell, POLLIN, 0 };
        if (poll(&ready, 1, 20000) != 1) return false;
        uint64_t rings;
        return read(bell, &rings, sizeof rings) == sizeof rings;
    }

    parloom_error error = {};
    loom_segment *segment = nullptr;
    Script *script = nullptr;
    Script nowhere = {};
    uint32_t id = 0;
    int events = -1, bell = -1;
    bool is_open = false;
};

inline void ring(const loom_worker_post *post)
{
    uint64_t one = 1;
    if (write(post->bell_fds[0], &one, sizeof one) != sizeof one) _exit(99);
}

} // namespace loom

extern "C" void loom_worker_main(const loom_worker_post *post)
{
    parloom_error error;
    int32_t fetch_fd = post->fetch_fd;
    if (loom_segment_sync(loom_supervisor_fetch, &fetch_fd, &error) != PARLOOM_OK) _exit(98);
    auto *script = reinterpret_cast<loom::Script *>(post->board_address);
    script->pid = getpid();
    script->supervisor = getppid();
    script->level = post->level;
    script->generation = static_cast<int>(post->generation);
    loom::run_script(post, script);
    _exit(0);
}

#endif
