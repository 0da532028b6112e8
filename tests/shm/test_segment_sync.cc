// SPDX-License-Identifier: BSD-3-Clause
// What a worker maps of its program's segments. The workers here are real processes that never saw the program's
// window: they are forked from a process that was put aside before anything was opened.
#include "base/process.h"
#include "tests/shm/shm_support.h"

#include <csignal>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <vector>

namespace
{

enum Order { ATTACH, SYNC, READ, WRITE, ACCESS, PRIVATE, RESTORE, PROTECT, MAKE, SHARED, SQUAT };
enum { FDS_MAX = 100 };

struct Message {
    int32_t order, fd_count;
    uint64_t address, value;
    uint32_t ids[FDS_MAX], generations[FDS_MAX];
};
struct Reply {
    int64_t status;
    uint64_t value;
};

bool Send(int socket, Message &message, const std::vector<int> &fds)
{
    char control[CMSG_SPACE(sizeof(int) * FDS_MAX)] = {};
    iovec part = { &message, sizeof message };
    msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (!fds.empty()) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
        cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
        memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
    }
    message.fd_count = static_cast<int32_t>(fds.size());
    return sendmsg(socket, &header, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof message);
}

bool Receive(int socket, Message &message, std::vector<int> &fds)
{
    char control[CMSG_SPACE(sizeof(int) * FDS_MAX)] = {};
    iovec part = { &message, sizeof message };
    msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    if (recvmsg(socket, &header, MSG_CMSG_CLOEXEC) != static_cast<ssize_t>(sizeof message)) return false;
    fds.resize(static_cast<size_t>(message.fd_count));
    if (message.fd_count) memcpy(fds.data(), CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(int) * fds.size());
    return true;
}

// Descriptors of the message that is being served, as a fetch callback finds them.
struct Parcel {
    const Message *message;
    std::vector<int> fds;
};

int FetchFromParcel(const uint32_t *ids, const uint32_t *generations, size_t count, int *fds_out, void *state)
{
    auto *parcel = static_cast<Parcel *>(state);
    for (size_t i = 0; i < count; i++) {
        fds_out[i] = -1;
        for (size_t k = 0; k < parcel->fds.size(); k++) {
            if (parcel->message->ids[k] == ids[i] && parcel->message->generations[k] == generations[i])
                fds_out[i] = fcntl(parcel->fds[k], F_DUPFD_CLOEXEC, 3);
        }
    }
    return 0;
}

Reply Obey(const Message &message, const std::vector<int> &fds)
{
    static char *copy;
    static Parcel parcel;
    static Message kept;
    auto *at = reinterpret_cast<char *>(message.address);
    loom_segment *segment = nullptr;
    parloom_error error = {};
    switch (message.order) {
    case ATTACH:
        return { loom_window_attach(message.address, fds[0], static_cast<int>(message.value), &error), 0 };
    case SYNC: {
        kept = message;
        parcel = { &kept, fds };
        parloom_status status = loom_segment_sync(FetchFromParcel, &parcel, &error);
        return { status, loom_segment_epoch() - loom_segment_synced_epoch() };
    }
    case READ:
        return { 0, static_cast<uint64_t>(static_cast<unsigned char>(*at)) };
    case WRITE:
        *at = static_cast<char>(message.value);
        return { 0, 0 };
    case ACCESS: {
        const loom_segment *segment = loom_segment_of(at);
        return { 0, segment ? static_cast<uint64_t>(segment->access) : 0 };
    }
    case PRIVATE:
        copy = static_cast<char *>(loom_segment_map_private(at, message.value));
        if (!copy) return { errno, 0 };
        copy[0]++;
        return { 0, static_cast<unsigned char>(copy[0]) };
    case RESTORE: {
        int failed = loom_segment_restore_private(copy, message.value);
        Reply reply = { failed, static_cast<unsigned char>(copy[0]) };
        loom_segment_unmap_private(copy, message.value);
        return reply;
    }
    case PROTECT:
        return { mprotect(at, 4096, PROT_READ | PROT_WRITE) ? errno : 0, 0 };
    case MAKE:
        if (loom_segment_create(message.value, LOOM_SEGMENT_WRITE, nullptr, &segment, &error)) return { 1, 0 };
        *segment->address = 9;
        return { 0, reinterpret_cast<uint64_t>(segment->address) };
    case SHARED:
        return { 0, parloom_is_shared(at) };
    case SQUAT:
        return { 0, reinterpret_cast<uint64_t>(
                        mmap(at, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)) };
    }
    return { -1, 0 };
}

int Serve(int socket)
{
    Message message;
    std::vector<int> fds;
    loom_process_reset_signals();
    while (Receive(socket, message, fds)) {
        Reply reply = Obey(message, fds);
        if (write(socket, &reply, sizeof reply) != static_cast<ssize_t>(sizeof reply)) return 1;
    }
    return 0;
}

// The process put aside: forks a worker for each socket it is sent and says how that ended.
class Nursery
{
  public:
    Nursery()
    {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) abort();
        pid_ = fork();
        if (pid_ == 0) {
            close(ends[0]);
            Message message;
            std::vector<int> fds;
            while (Receive(ends[1], message, fds)) {
                pid_t worker = fork();
                if (worker == 0) _exit(Serve(fds[0]));
                close(fds[0]);
                int status = 0;
                while (waitpid(worker, &status, 0) < 0) {}
                if (write(ends[1], &status, sizeof status) < 0) break;
            }
            _exit(0);
        }
        close(ends[1]);
        socket_ = ends[0];
    }
    ~Nursery()
    {
        close(socket_);
        waitpid(pid_, nullptr, 0);
    }
    int socket_;

  private:
    pid_t pid_;
} nursery;

class Worker
{
  public:
    Worker()
    {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) abort();
        Message message = {};
        Send(nursery.socket_, message, { ends[1] });
        close(ends[1]);
        socket_ = ends[0];
    }
    ~Worker()
    {
        if (socket_ >= 0) End();
    }
    Worker(const Worker &) = delete;
    Worker &operator=(const Worker &) = delete;

    // status -1000: it died.
    Reply Ask(Order order, const void *address = nullptr, uint64_t value = 0, const Clerk *clerk = nullptr)
    {
        Message message = {};
        std::vector<int> fds;
        message.order = order;
        message.address = reinterpret_cast<uint64_t>(address);
        message.value = value;
        if (order == ATTACH) fds.push_back(loom_window_header_fd());
        if (clerk) {
            for (auto &entry : clerk->fds) {
                message.ids[fds.size()] = entry.first;
                message.generations[fds.size()] = clerk->generations.at(entry.first);
                fds.push_back(entry.second);
            }
        }
        Reply reply = { -1000, 0 };
        if (!Send(socket_, message, fds) || read(socket_, &reply, sizeof reply) != static_cast<ssize_t>(sizeof reply))
            reply.status = -1000;
        return reply;
    }
    Reply Attach(int level = 1)
    {
        return Ask(ATTACH, reinterpret_cast<const void *>(loom_window_base()), static_cast<uint64_t>(level));
    }
    Reply Sync(const Clerk &clerk) { return Ask(SYNC, nullptr, 0, &clerk); }
    // The signal that ended it, or 0.
    int End()
    {
        int status = 0;
        close(socket_);
        socket_ = -1;
        if (read(nursery.socket_, &status, sizeof status) != static_cast<ssize_t>(sizeof status)) return -1;
        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    }

  private:
    int socket_;
};

loom_segment *Make(size_t nbytes, loom_segment_access access)
{
    loom_segment *segment = nullptr;
    parloom_error error = {};
    EXPECT_EQ(loom_segment_create(nbytes, access, nullptr, &segment, &error), PARLOOM_OK) << error.message;
    return segment;
}

} // namespace

TEST(SegmentSync, WorkerReadsAtTheSameAddressWhatTheProgramWroteLater)
{
    Clerk clerk;
    loom_segment *segment = Make(3 << 20, LOOM_SEGMENT_READ);
    Worker worker;
    ASSERT_EQ(worker.Attach().status, 0);
    Reply synced = worker.Sync(clerk);
    ASSERT_EQ(synced.status, 0);
    EXPECT_EQ(synced.value, 0u) << "epochs differ";
    segment->address[(3 << 20) - 1] = 42;
    EXPECT_EQ(worker.Ask(READ, segment->address + (3 << 20) - 1).value, 42u);
    EXPECT_EQ(worker.Ask(SHARED, segment->address + 5).value, 1u);
    loom_segment_release(segment, false);
}

TEST(SegmentSync, ProgramSeesWhatAWorkerWritesToAWriteSegment)
{
    Clerk clerk;
    loom_segment *segment = Make(1, LOOM_SEGMENT_WRITE);
    Worker worker;
    worker.Attach();
    worker.Sync(clerk);
    EXPECT_EQ(worker.Ask(WRITE, segment->address, 7).status, 0);
    EXPECT_EQ(segment->address[0], 7);
    EXPECT_EQ(worker.Ask(ACCESS, segment->address).value, static_cast<uint64_t>(LOOM_SEGMENT_WRITE));
    loom_segment_release(segment, false);
}

TEST(SegmentSync, WritingToAReadSegmentEndsTheWorker)
{
    Clerk clerk;
    loom_segment *segment = Make(4096, LOOM_SEGMENT_READ);
    Worker worker;
    worker.Attach();
    worker.Sync(clerk);
    EXPECT_EQ(worker.Ask(ACCESS, segment->address).value, static_cast<uint64_t>(LOOM_SEGMENT_READ));
    EXPECT_EQ(worker.Ask(PROTECT, segment->address).status, EACCES) << "mprotect could make it writable";
    EXPECT_EQ(worker.Ask(WRITE, segment->address, 7).status, -1000);
    EXPECT_EQ(worker.End(), SIGSEGV);
    EXPECT_EQ(segment->address[0], 0);
    loom_segment_release(segment, false);
}

TEST(SegmentSync, WorkerCannotWriteTheTable)
{
    Clerk clerk;
    loom_segment *segment = Make(1, LOOM_SEGMENT_READ);
    Worker worker;
    worker.Attach();
    EXPECT_EQ(worker.Ask(PROTECT, reinterpret_cast<void *>(loom_window_base())).status, EACCES);
    loom_segment_release(segment, false);
}

TEST(SegmentSync, ReleasedSegmentIsUnmappedAtTheNextLook)
{
    Clerk clerk;
    loom_segment *segment = Make(4096, LOOM_SEGMENT_WRITE);
    Worker worker;
    worker.Attach();
    worker.Sync(clerk);
    char *address = segment->address;
    loom_segment_release(segment, false);
    worker.Sync(clerk);
    EXPECT_EQ(worker.Ask(ACCESS, address).value, 0u);
    EXPECT_EQ(worker.Ask(READ, address).status, -1000);
    EXPECT_EQ(worker.End(), SIGSEGV);
}

TEST(SegmentSync, KeptSegmentNeedsNoNewLook)
{
    Clerk clerk;
    std::vector<char> data(5 << 20, 1);
    loom_segment *segment = nullptr;
    ASSERT_EQ(loom_segment_create_copy(data.data(), data.size(), 0, LOOM_SEGMENT_READ, nullptr, &segment, nullptr), 0);
    char *address = segment->address;
    Worker worker;
    worker.Attach();
    worker.Sync(clerk);
    uint64_t epoch = loom_segment_epoch();
    loom_segment_release(segment, true);
    std::fill(data.begin(), data.end(), 2);
    ASSERT_EQ(loom_segment_create_copy(data.data(), data.size(), 0, LOOM_SEGMENT_READ, nullptr, &segment, nullptr), 0);
    EXPECT_EQ(segment->address, address);
    EXPECT_EQ(loom_segment_epoch(), epoch);
    EXPECT_EQ(worker.Ask(READ, address + 4444).value, 2u);
    loom_segment_release(segment, false);
}

TEST(SegmentSync, ManySegmentsAreFetchedInBatches)
{
    Clerk clerk;
    std::vector<loom_segment *> segments;
    for (int i = 0; i < 90; i++) {
        segments.push_back(Make(64, LOOM_SEGMENT_WRITE));
        segments.back()->address[0] = static_cast<char>(i);
    }
    Worker worker;
    worker.Attach();
    ASSERT_EQ(worker.Sync(clerk).status, 0);
    for (int i = 0; i < 90; i++)
        EXPECT_EQ(worker.Ask(READ, segments[static_cast<size_t>(i)]->address).value, static_cast<uint64_t>(i));
    for (loom_segment *segment : segments) loom_segment_release(segment, false);
}

// What is gone is cleared in the table before the clerk forgets it, so what the table still shows was lost on its way.
TEST(SegmentSync, SegmentWhoseDescriptorWasLostIsALimitAndNotLeftOut)
{
    Clerk clerk;
    loom_segment *segment = Make(64, LOOM_SEGMENT_WRITE);
    Worker worker;
    worker.Attach();
    Clerk nobody; // knows the segment too, then forgets it
    nobody.generations[segment->id]++;
    EXPECT_EQ(worker.Sync(nobody).status, PARLOOM_ERR_LIMIT);
    EXPECT_EQ(worker.Sync(clerk).status, 0) << "asked again, it comes";
    EXPECT_NE(worker.Ask(ACCESS, segment->address).value, 0u);
    loom_segment_release(segment, false);
}

TEST(SegmentSync, PrivateMapHidesWritesAndRestoreTakesThemBack)
{
    Clerk clerk;
    for (loom_segment_access access : { LOOM_SEGMENT_READ, LOOM_SEGMENT_WRITE }) {
        loom_segment *segment = Make(3 << 20, access);
        char *at = segment->address + 5000;
        *at = 10;
        Worker worker;
        worker.Attach();
        worker.Sync(clerk);
        Reply reply = worker.Ask(PRIVATE, at, 9000);
        ASSERT_EQ(reply.status, 0);
        EXPECT_EQ(reply.value, 11u);
        EXPECT_EQ(*at, 10) << "the program sees a private write";
        *at = 20; // an untouched page would show it; this one is the worker's own until restored
        reply = worker.Ask(RESTORE, nullptr, 9000);
        EXPECT_EQ(reply.status, 0);
        EXPECT_EQ(reply.value, 20u);
        loom_segment_release(segment, false);
    }
}

TEST(SegmentSync, PrivateMapBeyondItsSegmentIsRefused)
{
    Clerk clerk;
    loom_segment *segment = Make(64, LOOM_SEGMENT_READ);
    Worker worker;
    worker.Attach();
    worker.Sync(clerk);
    EXPECT_EQ(worker.Ask(PRIVATE, segment->address, (2 << 20) + 1).status, EFAULT);
    EXPECT_EQ(worker.Ask(PRIVATE, &clerk, 8).status, EFAULT);
    loom_segment_release(segment, false);
}

TEST(SegmentSync, WorkersOwnSegmentsLieInTheirLevelAndSurviveSync)
{
    Clerk clerk;
    loom_segment *segment = Make(64, LOOM_SEGMENT_WRITE);
    for (int level = 1; level <= 3; level++) {
        Worker worker;
        ASSERT_EQ(worker.Attach(level).status, 0);
        Reply made = worker.Ask(MAKE, nullptr, 1000);
        ASSERT_EQ(made.status, 0);
        uint64_t offset = made.value - loom_window_base(), whole = loom_window_nbytes();
        EXPECT_GE(offset, whole - (whole >> level));
        EXPECT_LT(offset, whole - (whole >> (level + 1)));
        worker.Sync(clerk);
        EXPECT_EQ(worker.Ask(READ, reinterpret_cast<void *>(made.value)).value, 9u);
        EXPECT_EQ(worker.Ask(ACCESS, segment->address).value, static_cast<uint64_t>(LOOM_SEGMENT_WRITE));
    }
    EXPECT_EQ(loom_segment_live_count(), 1u) << "a worker's segment is in the program's table";
    loom_segment_release(segment, false);
}

TEST(SegmentSync, SomethingForeignAtTheAddressIsAnErrorNotAnOverwrite)
{
    Clerk clerk;
    loom_segment *segment = Make(64, LOOM_SEGMENT_WRITE);
    Worker worker;
    worker.Attach();
    worker.Ask(SQUAT, segment->address);
    EXPECT_NE(worker.Sync(clerk).status, 0);
    loom_segment_release(segment, false);
    EXPECT_EQ(worker.Sync(clerk).status, 0) << "it does not recover";
}

TEST(WindowAttach, RefusesAnotherBaseAndAnotherFile)
{
    Clerk clerk;
    loom_segment *segment = Make(64, LOOM_SEGMENT_WRITE);
    Worker worker;
    EXPECT_EQ(worker.Ask(ATTACH, reinterpret_cast<void *>(0x12340000), 1).status, PARLOOM_ERR_INVALID);
    EXPECT_EQ(worker.Attach(0).status, PARLOOM_ERR_INVALID);
    EXPECT_EQ(worker.Attach(1).status, PARLOOM_OK);
    EXPECT_EQ(worker.Attach(2).status, PARLOOM_OK) << "only the level changes";
    loom_segment_release(segment, false);
}
