/* SPDX-License-Identifier: BSD-3-Clause */
/* test_named_hostile.cc - named arrays where others write what they like, and where there is no room. */
#include "shm/named_arrays.h"

#include "shm/array.h"
#include "tests/shm/shm_support.h"

#include <atomic>
#include <climits>
#include <csignal>
#include <random>
#include <sys/mman.h>
#include <sys/resource.h>
#include <thread>

using namespace named;

namespace
{

/* As a program would write it that knows the layout, and means harm. */
std::string with_checksum(std::string bytes)
{
    uint64_t sum = 14695981039346656037U;
    for (size_t k = 0; k < 248; k++) sum = (sum ^ static_cast<unsigned char>(bytes[k])) * 1099511628211U;
    memcpy(&bytes[248], &sum, sizeof sum);
    return bytes;
}

template <typename T> std::string with_field(std::string bytes, size_t offset, T value)
{
    memcpy(&bytes[offset], &value, sizeof value);
    return with_checksum(bytes);
}

} // namespace

class NamedHostile : public Named
{
  protected:
    /* The bytes of a whole array of 3 x 4 doubles that nobody owns. */
    std::string whole_bytes()
    {
        const size_t shape[] = { 3, 4 };
        parloom_array array;
        EXPECT_EQ(parloom_array_create_named(&array, name("a").c_str(), PARLOOM_F64, 0, 2, shape, nullptr, &error),
                  PARLOOM_OK)
            << error.message;
        parloom_array_release(&array);
        return read(name("a"));
    }
    parloom_status status_of(const std::string &bytes)
    {
        parloom_array array;
        write(name("a"), bytes);
        parloom_status status = open(&array, "a", PARLOOM_MMAP_RW);
        if (status == PARLOOM_OK) parloom_array_release(&array);
        return status;
    }
};

/* ------------------------------------------------------------------------- headers */

TEST_F(NamedHostile, HeadersThatContradictThemselvesAreRefused)
{
    const std::string whole = whole_bytes();
    ASSERT_EQ(with_checksum(whole), whole);
    ASSERT_EQ(status_of(whole), PARLOOM_OK) << error.message;
    EXPECT_EQ(status_of(with_field(whole, 0, uint64_t{ 0 })), PARLOOM_ERR_FORMAT);
    EXPECT_EQ(status_of(with_field(whole, 8, uint32_t{ 0x04030201 })), PARLOOM_ERR_VERSION);
    for (uint32_t version : { 0U, 2U, UINT32_MAX })
        EXPECT_EQ(status_of(with_field(whole, 12, version)), PARLOOM_ERR_VERSION);
    EXPECT_TRUE(says("layout"));
    const uint64_t sizes[] = { 0, 1, 8, 4096, whole.size() - 1, whole.size() + 1, uint64_t{ 1 } << 40, UINT64_MAX };
    for (uint64_t size : sizes) EXPECT_EQ(status_of(with_field(whole, 16, size)), PARLOOM_ERR_FORMAT) << size;
    for (uint64_t offset : { uint64_t{ 0 }, uint64_t{ 256 }, uint64_t{ 8192 }, UINT64_MAX })
        EXPECT_EQ(status_of(with_field(whole, 24, offset)), PARLOOM_ERR_FORMAT) << offset;
    const uint64_t firsts[] = { 0, 4032, 4097, 4104, 4160, 8192, UINT64_MAX - 63, UINT64_MAX };
    for (uint64_t first : firsts) EXPECT_EQ(status_of(with_field(whole, 32, first)), PARLOOM_ERR_FORMAT) << first;
    for (uint32_t dtype : { 0U, 15U, UINT32_MAX })
        EXPECT_EQ(status_of(with_field(whole, 40, dtype)), PARLOOM_ERR_FORMAT) << dtype;
    for (uint32_t ndim : { 9U, 64U, UINT32_MAX })
        EXPECT_EQ(status_of(with_field(whole, 44, ndim)), PARLOOM_ERR_FORMAT) << ndim;
    for (uint64_t item : { uint64_t{ 0 }, uint64_t{ 4 }, UINT64_MAX })
        EXPECT_EQ(status_of(with_field(whole, 48, item)), PARLOOM_ERR_FORMAT) << item;
    for (size_t at : { size_t{ 64 }, size_t{ 72 } })
        for (uint64_t length : { uint64_t{ 5 }, uint64_t{ 1 } << 61, UINT64_MAX })
            EXPECT_EQ(status_of(with_field(whole, at, length)), PARLOOM_ERR_FORMAT) << length;
    for (size_t at : { size_t{ 128 }, size_t{ 136 } })
        for (int64_t stride : { int64_t{ -8 }, int64_t{ 48 }, INT64_MAX, INT64_MIN })
            EXPECT_EQ(status_of(with_field(whole, at, stride)), PARLOOM_ERR_FORMAT) << at << ": " << stride;
    EXPECT_EQ(status_of(with_field(with_field(whole, 40, uint32_t{ PARLOOM_ITEM }), 48, uint64_t{ 1 } << 62)),
              PARLOOM_ERR_FORMAT);
}

TEST_F(NamedHostile, EveryChangedByteOfTheHeaderIsSeen)
{
    const std::string whole = whole_bytes();
    for (size_t k = 0; k < 256; k++)
        for (int bit = 0; bit < 8; bit++) {
            std::string changed = whole;
            changed[k] = static_cast<char>(changed[k] ^ (1 << bit));
            parloom_status status = status_of(changed);
            EXPECT_TRUE(status == PARLOOM_ERR_FORMAT || status == PARLOOM_ERR_VERSION) << k << ": " << status;
        }
}

TEST_F(NamedHostile, FilesThatWereCutOrExtendedAreRefused)
{
    const std::string whole = whole_bytes();
    const size_t lengths[] = { 0, 1, 8, 255, 256, 4095, 4096, whole.size() - 1 };
    for (size_t length : lengths) EXPECT_EQ(status_of(whole.substr(0, length)), PARLOOM_ERR_FORMAT) << length;
    EXPECT_EQ(status_of(whole + "x"), PARLOOM_ERR_FORMAT);
    EXPECT_TRUE(says("cut or extended"));
    EXPECT_EQ(status_of(whole), PARLOOM_OK) << error.message;
}

TEST_F(NamedHostile, WhatIsNoFileIsRefused)
{
    parloom_array array;
    ASSERT_EQ(mkdir(path_of(name("folder")).c_str(), 0700), 0);
    ASSERT_EQ(mkfifo(path_of(name("pipe")).c_str(), 0600), 0);
    (void)whole_bytes();
    ASSERT_EQ(symlink(path_of(name("a")).c_str(), path_of(name("link")).c_str()), 0);
    for (const char *ending : { "folder", "pipe", "link" })
        for (parloom_mmap_mode mode : { PARLOOM_MMAP_R, PARLOOM_MMAP_RW })
            EXPECT_EQ(open(&array, ending, mode), PARLOOM_ERR_FORMAT) << ending;
}

/* Random headers with a right checksum: whatever is opened lies in the file. */
TEST_F(NamedHostile, WhatIsOpenedLiesInTheFile)
{
    const std::string whole = whole_bytes();
    std::minstd_rand random(7);
    size_t opened = 0;
    for (int round = 0; round < 20000; round++) {
        std::string bytes = whole;
        for (int changes = 1 + static_cast<int>(random() % 4); changes > 0; changes--) {
            const uint64_t values[] = { random() % 20, 4096 + 64 * (random() % 3), UINT64_MAX - random() % 70 };
            bytes = with_field(bytes, 16 + 8 * (random() % 22), values[random() % 3]);
        }
        write(name("a"), bytes);
        parloom_array array;
        if (open(&array, "a") != PARLOOM_OK) continue;
        opened++;
        const char *low = nullptr;
        size_t extent = 0;
        ASSERT_EQ(loom_array_extent(&array, &low, &extent, nullptr), PARLOOM_OK);
        ASSERT_LE(extent, whole.size() - 4096);
        volatile char sum = 0;
        for (size_t k = 0; k < extent; k++) sum = static_cast<char>(sum + low[k]);
        parloom_array_release(&array);
    }
    EXPECT_GT(opened, 100U) << "some are harmless";
}

/* ------------------------------------------------------------------------- attacks */

TEST_F(NamedHostile, GarbageOverTheHeaderWhileOthersOpenIsSurvived)
{
    const std::string whole = whole_bytes();
    std::atomic<int> *is_over =
        static_cast<std::atomic<int> *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t attacker = fork();
    if (attacker == 0) {
        int fd = ::open(path_of(name("a")).c_str(), O_RDWR);
        auto *header = static_cast<char *>(mmap(nullptr, whole.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
        std::minstd_rand random(11);
        while (*is_over == 0) {
            std::string bytes = whole;
            if (random() % 2 == 0)
                bytes = with_field(bytes, 8 * (random() % 31), static_cast<uint64_t>(random()) << (random() % 40));
            memcpy(header, bytes.data(), 256);
            if (random() % 4 == 0) bytes[random() % 256] = static_cast<char>(random());
            memcpy(header, bytes.data(), 256);
            if (random() % 16 == 0 && ftruncate(fd, static_cast<off_t>(whole.size() + random() % 2)) != 0) _exit(1);
        }
        _exit(0);
    }
    int opened = 0, refused = 0;
    for (int round = 0; round < 5000 || (opened == 0 && round < 1000000); round++) {
        parloom_array array;
        parloom_status status = open(&array, "a", round % 2 == 0 ? PARLOOM_MMAP_R : PARLOOM_MMAP_RW);
        if (status != PARLOOM_OK) {
            ASSERT_TRUE(status == PARLOOM_ERR_FORMAT || status == PARLOOM_ERR_VERSION) << error.message;
            refused++;
            continue;
        }
        opened++;
        ASSERT_LE(parloom_array_nbytes(&array), 12 * sizeof(double));
        if (array.dtype == PARLOOM_F64 && array.ndim == 2) {
            ASSERT_EQ(static_cast<double *>(array.data)[0], 0);
        }
        parloom_array_release(&array);
    }
    *is_over = 1;
    int status = 0;
    ASSERT_EQ(waitpid(attacker, &status, 0), attacker);
    EXPECT_EQ(status, 0);
    EXPECT_GT(opened, 0);
    EXPECT_GT(refused, 0);
    munmap(is_over, 4096);
}

TEST_F(NamedHostile, HeaderIsNotBelievedAgain)
{
    parloom_array array, view;
    ASSERT_EQ(create(&array, "a", 1000), PARLOOM_OK) << error.message;
    std::string garbage(4096, '\xff');
    int fd = ::open(path_of(name("a")).c_str(), O_RDWR);
    ASSERT_EQ(pwrite(fd, garbage.data(), garbage.size(), 0), 4096);
    close(fd);
    EXPECT_EQ(parloom_array_nbytes(&array), 8000U);
    ASSERT_EQ(parloom_array_slice(&view, &array, 0, 10, 1000, 3, &error), PARLOOM_OK);
    static_cast<double *>(array.data)[999] = 1;
    EXPECT_EQ(open(&view, "a"), PARLOOM_ERR_FORMAT);
    EXPECT_EQ(clean(), 0U) << "nobody can tell what it is";
    parloom_array_release(&array);
    EXPECT_TRUE(exists(name("a")));
}

/* ------------------------------------------------------------------ no room, limits */

TEST_F(NamedHostile, FullFolderIsAStatusAndLeavesNothing)
{
    int code = InChildWithShm("4m", [&] {
        parloom_array array;
        for (size_t count : { size_t{ 1 } << 20, size_t{ 1 } << 34 }) {
            if (create(&array, "a", count) != PARLOOM_ERR_SPACE || !says("room")) return 1;
            if (!std::filesystem::is_empty("/dev/shm")) return 2;
        }
        if (create(&array, "a", 200000) != PARLOOM_OK) return 3;
        for (size_t k = 0; k < 200000; k++) static_cast<double *>(array.data)[k] = 1;
        parloom_array second;
        if (create(&second, "b", 400000) != PARLOOM_ERR_SPACE) return 4;
        return 0;
    });
    SKIP_WITHOUT_NAMESPACES(code);
    EXPECT_EQ(code, 0);
}

TEST_F(NamedHostile, WithoutAFolderItIsUnsupported)
{
    int code = InChildWithShm("", [&] {
        parloom_array array;
        if (mount("tmpfs", "/dev", "tmpfs", 0, nullptr) != 0) return 77;
        if (create(&array, "a", 10) != PARLOOM_ERR_UNSUPPORTED || !says("/dev/shm")) return 1;
        if (open(&array, "a") != PARLOOM_ERR_UNSUPPORTED) return 2;
        if (unlink("a") != PARLOOM_ERR_UNSUPPORTED) return 3;
        return parloom_clean_named(nullptr, nullptr, &error) == PARLOOM_ERR_UNSUPPORTED ? 0 : 4;
    });
    SKIP_WITHOUT_NAMESPACES(code);
    EXPECT_EQ(code, 0);
}

TEST_F(NamedHostile, FolderThatCannotBeWrittenIsAStatus)
{
    int code = InChildWithShm("4m", [&] {
        parloom_array array;
        if (mount("tmpfs", "/dev/shm", "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) != 0) return 77;
        return create(&array, "a", 10) == PARLOOM_ERR_IO && error.sys_errno == EROFS ? 0 : 1;
    });
    SKIP_WITHOUT_NAMESPACES(code);
    EXPECT_EQ(code, 0);
}

TEST_F(NamedHostile, LimitsOfFilesAndDescriptorsAreStatuses)
{
    int code = InChild([&] {
        parloom_array array;
        struct rlimit limit = { 100000, 100000 };
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
        if (create(&array, "a", 20000) != PARLOOM_ERR_LIMIT || exists(name("a"))) return 2;
        if (create(&array, "a", 10000) != PARLOOM_OK) return 3;
        parloom_array_release(&array);
        return 0;
    });
    EXPECT_EQ(code, 0);
    code = InChild([&] {
        parloom_array array;
        struct rlimit limit;
        int next = dup(0);
        close(next);
        for (int more = 0; more < 12; more++) {
            limit.rlim_cur = limit.rlim_max = static_cast<rlim_t>(next + 12 - more);
            if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
            parloom_status status = open(&array, "a");
            if (status == PARLOOM_OK)
                parloom_array_release(&array);
            else if (status != PARLOOM_ERR_LIMIT)
                return 2;
            status = create(&array, "b", 10);
            if (status == PARLOOM_OK) {
                if (unlink("b") != PARLOOM_OK) return 3;
                parloom_array_release(&array);
            } else if (status != PARLOOM_ERR_LIMIT || exists(name("b"))) {
                return 4;
            }
            status = parloom_clean_named(name("c").c_str(), nullptr, &error);
            if (status != PARLOOM_OK && status != PARLOOM_ERR_LIMIT) return 5;
        }
        next = dup(0); /* the first calls of a forked child have made a window of its own */
        close(next);
        limit.rlim_cur = static_cast<rlim_t>(next + 1);
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
        if (open(&array, "a") != PARLOOM_ERR_LIMIT) return 6;
        if (create(&array, "b", 10) != PARLOOM_ERR_LIMIT) return 7;
        return unlink("a") == PARLOOM_ERR_LIMIT ? 0 : 8;
    });
    EXPECT_EQ(code, 0);
}

TEST_F(NamedHostile, ProgramThatClosesAllDescriptorsHarmsNobody)
{
    int code = InChild([&] {
        parloom_array array;
        if (create(&array, "a", 10) != PARLOOM_OK) return 1;
        closefrom(3);
        int strangers[20];
        for (int &fd : strangers) fd = ::open("/dev/null", O_RDONLY);
        static_cast<double *>(array.data)[9] = 1;
        if (clean() != 1) return 2; /* it has given up the lock */
        int before = DescriptorCount();
        int held = 0;
        for (int fd : strangers) held += fcntl(fd, F_GETFD) >= 0;
        return held == 20 && before > 20 ? 0 : 3;
    });
    EXPECT_EQ(code, 0);
}

#ifdef PARLOOM_FAULTS
TEST_F(NamedHostile, EveryFailureOnTheWayIsAStatusAndLeavesNothing)
{
    parloom_array array;
    for (int kind : { LOOM_FAULT_MALLOC, LOOM_FAULT_MMAP, LOOM_FAULT_OPEN, LOOM_FAULT_FALLOCATE, LOOM_FAULT_WRITE }) {
        unsigned nth = 1;
        for (bool was_hit = true; was_hit; nth++) {
            loom_fault_arm(static_cast<loom_fault_kind>(kind), nth, EIO, false);
            parloom_status status = create(&array, "a", 3000);
            was_hit = loom_fault_hits(static_cast<loom_fault_kind>(kind)) >= nth;
            loom_fault_disarm();
            if (status == PARLOOM_OK) {
                EXPECT_EQ(unlink("a"), PARLOOM_OK) << error.message;
                parloom_array_release(&array);
            }
            EXPECT_TRUE(names().empty()) << kind << ", " << nth;
            ASSERT_LT(nth, 100U);
        }
        EXPECT_GT(nth, 2U) << "kind " << kind << " was never asked";
    }
    ASSERT_EQ(create(&array, "a", 3000), PARLOOM_OK);
    for (int kind : { LOOM_FAULT_MALLOC, LOOM_FAULT_MMAP, LOOM_FAULT_OPEN }) {
        unsigned nth = 1;
        for (bool was_hit = true; was_hit; nth++) {
            parloom_array seen;
            loom_fault_arm(static_cast<loom_fault_kind>(kind), nth, EMFILE, false);
            parloom_status status = open(&seen, "a");
            was_hit = loom_fault_hits(static_cast<loom_fault_kind>(kind)) >= nth;
            loom_fault_disarm();
            if (status == PARLOOM_OK) parloom_array_release(&seen);
            ASSERT_LT(nth, 100U);
        }
        EXPECT_GT(nth, 2U) << "kind " << kind << " was never asked";
    }
    ASSERT_EQ(unlink("a"), PARLOOM_OK);
    parloom_array_release(&array);
}

TEST_F(NamedHostile, FileSystemWithoutFilesWithoutNamesIsFine)
{
    parloom_array array, second;
    loom_fault_arm(LOOM_FAULT_OPEN, 1, EOPNOTSUPP, false);
    ASSERT_EQ(create(&array, "a", 3000), PARLOOM_OK) << error.message;
    EXPECT_GE(loom_fault_hits(LOOM_FAULT_OPEN), 1U);
    struct stat about;
    ASSERT_EQ(stat(path_of(name("a")).c_str(), &about), 0);
    EXPECT_EQ(about.st_mode, static_cast<mode_t>(S_IFREG | 0600));
    EXPECT_EQ(about.st_nlink, 1U) << "the hidden name is gone";
    EXPECT_EQ(clean(), 0U) << "its owner lives";
    loom_fault_arm(LOOM_FAULT_OPEN, 1, EOPNOTSUPP, false);
    EXPECT_EQ(create(&second, "a", 3000), PARLOOM_ERR_IO);
    EXPECT_EQ(error.sys_errno, EEXIST);
    loom_fault_disarm();
    parloom_array_release(&array);
    EXPECT_EQ(clean(), 1U);
}
#endif
