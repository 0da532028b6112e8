/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker writes down before a signal kills it, and what the program says of it. */
#include "backends/reporter.h"

#include "base/process.h"
#include "shm/segment.h"
#include "shm/window.h"

#include <csignal>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

class Reporter : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(page, MAP_FAILED);
        record = static_cast<loom_crash_shared *>(page);
    }
    void TearDown() override { munmap(record, 4096); }

    /* Runs the action in a child that has the reporter; returns the signal it died of, 0: none. */
    template <typename Action> int die(Action action)
    {
        pid_t child = fork();
        if (child == 0) {
            struct rlimit none = { 0, 0 };
            setrlimit(RLIMIT_CORE, &none);
            loom_process_reset_signals();
            loom_reporter_install(record);
            action();
            _exit(77);
        }
        int wait_status = 0;
        waitpid(child, &wait_status, 0);
        return WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    }
    std::string describe(int signal_number)
    {
        char text[1024];
        loom_reporter_describe(record, signal_number, text, sizeof text);
        return text;
    }
    std::string callers(int signal_number, const char *until)
    {
        char text[1024];
        loom_reporter_describe_callers(record, signal_number, until, text, sizeof text);
        return text;
    }
    bool says(int signal_number, const char *words)
    {
        std::string text = describe(signal_number);
        bool is_said = text.find(words) != std::string::npos;
        if (!is_said) ADD_FAILURE() << "no '" << words << "' in '" << text << "'";
        return is_said;
    }

    loom_crash_shared *record = nullptr;
};

/* An index that is not known keeps the room whole: of a smaller frame so many fit on the stack that the thread
 * sanitizer's own record of calls overflows first. */
__attribute__((noinline)) int loom_test_recurse(int n)
{
    volatile char room[4096];
    room[n & 4095] = static_cast<char>(n);
    return n == -1 ? 0 : loom_test_recurse(n + 1) + room[n & 4095];
}

/* Sanitizers would stop these before the processor does. */
#define LOOM_UNCHECKED __attribute__((noinline, no_sanitize("address", "undefined")))

extern "C" LOOM_UNCHECKED void loom_test_store(volatile int *address)
{
    *address = 1;
}

LOOM_UNCHECKED int divide(volatile int one, volatile int zero)
{
    return one / zero;
}

extern "C" {
LOOM_UNCHECKED int store_in_the_middle(int *address)
{
    loom_test_store(address);
    return 1;
}

LOOM_UNCHECKED int store_from_outside(int *address)
{
    return store_in_the_middle(address) + 1; /* no tail call */
}

LOOM_UNCHECKED int abort_if_asked(int how)
{
    if (how != 0) abort();
    return 1;
}

LOOM_UNCHECKED int call_a_function(int (*function)())
{
    return function() + 1;
}
}

} // namespace

TEST_F(Reporter, NamesANullPointerAndTheFunction)
{
    EXPECT_EQ(die([] { loom_test_store(reinterpret_cast<int *>(8)); }), SIGSEGV);
    EXPECT_EQ(record->signal_number, static_cast<uint32_t>(SIGSEGV));
    EXPECT_EQ(record->address, 8u);
    EXPECT_TRUE(says(SIGSEGV, " at 0x8 in loom_test_store+0x"));
    EXPECT_TRUE(says(SIGSEGV, "null pointer"));
#if defined(__x86_64__)
    EXPECT_TRUE(says(SIGSEGV, "writing"));
#endif
#ifdef PARLOOM_HAVE_LIBDW
    EXPECT_TRUE(says(SIGSEGV, "(test_reporter.cc:"));
#endif
}

TEST_F(Reporter, NamesAWriteToAnInArgument)
{
    loom_segment *segment = nullptr;
    parloom_error error;
    ASSERT_EQ(loom_segment_create(4096, LOOM_SEGMENT_READ, nullptr, &segment, &error), PARLOOM_OK) << error.message;
    char *address = segment->address;
    int died = die([&] {
        munmap(address, 4096);
        if (mmap(address, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, segment->worker_fd, 0) != address) _exit(78);
        loom_test_store(reinterpret_cast<int *>(address + 128));
    });
    EXPECT_EQ(died, SIGSEGV);
    EXPECT_EQ(record->address, reinterpret_cast<uint64_t>(address + 128));
#if defined(__x86_64__)
    EXPECT_TRUE(says(SIGSEGV, "writing to an in argument"));
#endif
    loom_segment_release(segment, false);
}

TEST_F(Reporter, NamesPrivateMemoryOfTheProgram)
{
    void *mine = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_EQ(die([&] {
                  munmap(mine, 4096);
                  loom_test_store(static_cast<int *>(mine));
              }),
              SIGSEGV);
    EXPECT_TRUE(says(SIGSEGV, "private memory of the program: allocate it with parloom_alloc"));
    munmap(mine, 4096);
    EXPECT_TRUE(says(SIGSEGV, "memory that is not there")) << "now that it is mapped nowhere";
}

TEST_F(Reporter, NamesAWriteToAConstant)
{
    static const int constant = 4;
    EXPECT_EQ(die([] { loom_test_store(const_cast<int *>(&constant)); }), SIGSEGV);
    EXPECT_TRUE(says(SIGSEGV, "memory that does not allow it: /"));
}

TEST_F(Reporter, NamesAStackOverflow)
{
    EXPECT_EQ(die([] { loom_test_recurse(0); }), SIGSEGV);
    EXPECT_EQ(record->address_is, static_cast<uint32_t>(LOOM_CRASH_STACK));
    EXPECT_TRUE(says(SIGSEGV, "the stack overflowed"));
}

TEST_F(Reporter, NamesACallOfWhatIsNoCode)
{
    EXPECT_EQ(die([] { reinterpret_cast<void (*)()>(0x123000)(); }), SIGSEGV);
    EXPECT_TRUE(says(SIGSEGV, "calling what is no code"));
}

TEST_F(Reporter, NamesAPointerThatIsNoAddress)
{
#if !defined(__x86_64__)
    GTEST_SKIP() << "non-canonical addresses are of x86-64";
#endif
    EXPECT_EQ(die([] { loom_test_store(reinterpret_cast<int *>(0xdeadbeefdeadbee0)); }), SIGSEGV);
    EXPECT_TRUE(says(SIGSEGV, "a pointer that is no address"));
}

TEST_F(Reporter, NamesAFileThatWasCutShort)
{
    int file = memfd_create("cut", MFD_CLOEXEC);
    EXPECT_EQ(die([&] {
                  void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
                  loom_test_store(static_cast<int *>(page));
              }),
              SIGBUS);
    EXPECT_TRUE(says(SIGBUS, "was cut short"));
    close(file);
}

TEST_F(Reporter, NamesAbort)
{
    EXPECT_EQ(die([] { abort(); }), SIGABRT);
    EXPECT_EQ(record->signal_number, static_cast<uint32_t>(SIGABRT));
    EXPECT_TRUE(says(SIGABRT, "abort() was called"));
}

TEST_F(Reporter, NamesAnIntegerDivisionByZero)
{
#if !defined(__x86_64__)
    GTEST_SKIP() << "other processors divide by zero in silence";
#endif
    EXPECT_EQ(die([] { _exit(divide(1, 0)); }), SIGFPE);
    EXPECT_TRUE(says(SIGFPE, "integer division by zero"));
}

TEST_F(Reporter, KeepsTheSignalThatWasRaised)
{
    for (int number : { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS }) {
        memset(record, 0, sizeof *record);
        EXPECT_EQ(die([number] { raise(number); }), number);
        EXPECT_EQ(record->signal_number, static_cast<uint32_t>(number));
        EXPECT_TRUE(says(number, "sent by raise or kill"));
    }
}

TEST_F(Reporter, KeepsTheSignalOfATrap)
{
    EXPECT_EQ(die([] { __builtin_trap(); }), SIGILL);
    EXPECT_TRUE(says(SIGILL, "instruction"));
#if defined(__x86_64__)
    memset(record, 0, sizeof *record);
    EXPECT_EQ(die([] { __asm__ volatile("int3"); }), SIGTRAP);
#endif
}

TEST_F(Reporter, LeavesAHandlerOfSomebodyElseAlone)
{
    pid_t child = fork();
    if (child == 0) {
        loom_process_reset_signals();
        signal(SIGFPE, SIG_IGN);
        loom_reporter_install(record);
        struct sigaction action;
        sigaction(SIGFPE, nullptr, &action);
        _exit(action.sa_handler == SIG_IGN ? 0 : 1);
    }
    int wait_status = 0;
    waitpid(child, &wait_status, 0);
    EXPECT_EQ(wait_status, 0);
}

/* ------------------------------------------------------------------ callers */

TEST_F(Reporter, NamesWhoCalledItAsFarAsTheBody)
{
    EXPECT_EQ(die([] { (void)store_from_outside(reinterpret_cast<int *>(8)); }), SIGSEGV);
    std::string told = callers(SIGSEGV, "store_from_outside");
    EXPECT_EQ(told.find(", called from "), 0u) << told;
    EXPECT_EQ(callers(SIGABRT, "store_from_outside"), "") << "of another death";
#ifdef PARLOOM_HAVE_LIBDW
    size_t middle = told.find("store_in_the_middle"), outer = told.find(", store_from_outside");
    EXPECT_LT(middle, outer) << told;
    ASSERT_NE(outer, std::string::npos) << told;
    EXPECT_EQ(told.find(',', outer + 1), std::string::npos) << "it ends there: " << told;
#endif
}

TEST_F(Reporter, NamesWhoCalledAbortAndNotWhatThatCalls)
{
    EXPECT_EQ(die([] { (void)abort_if_asked(1); }), SIGABRT);
#ifdef PARLOOM_HAVE_LIBDW
    std::string told = callers(SIGABRT, "abort_if_asked");
    EXPECT_EQ(told.find(", called from abort_if_asked"), 0u) << told;
    EXPECT_EQ(told.find(',', 1), std::string::npos) << "it ends there: " << told;
#endif
}

TEST_F(Reporter, NamesWhoCalledWhatIsNoCode)
{
#if defined(__x86_64__) && defined(PARLOOM_HAVE_LIBDW)
    EXPECT_EQ(die([] { (void)call_a_function(reinterpret_cast<int (*)()>(0x1234567000)); }), SIGSEGV);
    EXPECT_EQ(callers(SIGSEGV, "call_a_function").find(", called from call_a_function"), 0u)
        << callers(SIGSEGV, "call_a_function");
#endif
}

/* A stack that cannot be walked changes neither the signal nor what else is known. */
TEST_F(Reporter, SurvivesAStackThatIsBroken)
{
#if defined(__x86_64__)
    EXPECT_EQ(die([] { __asm__ volatile("mov $4096, %rsp\n mov $4096, %rbp\n ud2"); }), SIGILL);
    EXPECT_TRUE(says(SIGILL, "an instruction this processor does not have"));
#endif
}

TEST_F(Reporter, SaysNothingOfAnEmptyRecordOrAnotherSignal)
{
    EXPECT_EQ(describe(SIGKILL), "");
    record->signal_number = SIGSEGV;
    EXPECT_EQ(describe(SIGBUS), "");
}

TEST_F(Reporter, SurvivesARecordThatIsRubbish)
{
    for (int byte : { 0x01, 0x7f, 0xff }) {
        memset(record, byte, sizeof *record);
        record->signal_number = SIGSEGV;
        char text[100];
        loom_reporter_describe(record, SIGSEGV, text, sizeof text);
        EXPECT_LT(strlen(text), sizeof text);
        for (uint32_t count : { 3u, static_cast<uint32_t>(LOOM_CRASH_FRAMES), UINT32_MAX }) {
            record->n_frames = count;
            record->modules[0][0] = '/';
            for (loom_crash_frame &frame : record->frames) frame.module = 1;
            loom_reporter_describe_callers(record, SIGSEGV, "body", text, sizeof text);
            EXPECT_LT(strlen(text), sizeof text);
        }
    }
}

TEST(Signal, HasAName)
{
    char text[32];
    loom_reporter_signal_name(SIGSEGV, text, sizeof text);
    EXPECT_STREQ(text, "SIGSEGV");
    loom_reporter_signal_name(42, text, sizeof text);
    EXPECT_STREQ(text, "signal 42");
}
