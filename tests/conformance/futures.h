/* SPDX-License-Identifier: BSD-3-Clause */
/* futures.h - what the tests of K2, K4 and K9 share: futures in each of their states. */
#ifndef LOOM_TESTS_CONFORMANCE_FUTURES_H
#define LOOM_TESTS_CONFORMANCE_FUTURES_H

#include "conformance/conformance.h"
#include "contract/futures.h"

namespace conformance
{

using contract::Calls;
using contract::Futures;
using contract::long_of;

/* Whose futures go on while the program does. */
inline const std::vector<const char *> future_backends = { "processes", "threads" };
inline const std::vector<const char *> every_future_backend = { "processes", "sequential", "threads" };

/* One worker: what it holds keeps the others pending. */
class States
{
  public:
    explicit States(const char *backend) : options(on(backend, 1))
    {
        done = futures.submit(contract::return_square, 5, options);
        failed = futures.submit(contract::return_code, 9, options);
        (void)futures.wait(done);
        (void)futures.wait(failed);
        running = futures.submit(contract::pass_gate, 3, options);
        EXPECT_TRUE(futures.arrive(1)) << futures.error.message;
        pending = futures.submit(contract::pass_gate, 4, options);
        cancelled = futures.submit(contract::pass_gate, 4, options);
        EXPECT_TRUE(parloom_future_cancel(cancelled));
    }

    Futures futures;
    parloom_options options;
    parloom_future *pending, *running, *cancelled, *done, *failed;
};

} // namespace conformance

#endif
