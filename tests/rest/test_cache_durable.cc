/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_cache_durable.cc - what is to survive a power cut is forced to the disk before it is seen, and its names before
 * the call returns.
 *
 * The program's own fsync and renameat stand in for those of the C library, and note what they are asked.
 */
#include "support/cache_kit.h"
#include "support/clean.h"
#include "support/scratch.h"

#include "base/fault.h"

#include <algorithm>
#include <cerrno>
#include <sys/syscall.h>

using namespace loom;

namespace
{

std::vector<std::string> asked; /* "sync PATH" and "name PATH", in order */

std::string path_of(int fd)
{
    char path[4096];
    ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
    return length > 0 ? std::string(path, static_cast<size_t>(length)) : "?";
}

} // namespace

extern "C" int fsync(int fd)
{
    asked.push_back("sync " + path_of(fd));
    return static_cast<int>(syscall(SYS_fsync, fd));
}

extern "C" int renameat(int from, const char *old_name, int to, const char *new_name) noexcept
{
    asked.push_back("name " + path_of(to) + "/" + new_name);
    return static_cast<int>(syscall(SYS_renameat2, from, old_name, to, new_name, 0));
}

namespace
{

class CacheDurable : public Clean
{
  protected:
    void SetUp() override
    {
        Clean::SetUp();
        kit.location = (kit.folder / "new" / "deep" / "cache").string();
        root = std::filesystem::path(kit.location) / "parloom";
    }
    void TearDown() override
    {
        kit.close();
        Clean::TearDown();
    }
    /* What was asked while a result was kept. */
    std::vector<std::string> keep(parloom_cached *function, double x)
    {
        asked.clear();
        EXPECT_EQ(kit.call(function, 100, x), CacheKit::want(100, x));
        return asked;
    }
    parloom_cached *durable_ramp()
    {
        parloom_cache_options options = cache_options();
        options.is_durable = true;
        return kit.ramp_in(&options);
    }
    CacheKit kit;
    std::filesystem::path root;
};

using Lines = std::vector<std::string>;

Lines::const_iterator find(const Lines &lines, Lines::const_iterator from, const std::string &line)
{
    return std::find(from, lines.end(), line);
}

/* "sync" of what lies below .work, ending so, before that place. */
size_t synced_before(const Lines &lines, Lines::const_iterator end, const std::string &work, const std::string &ending)
{
    return static_cast<size_t>(std::count_if(lines.begin(), end, [&](const std::string &line) {
        return line.rfind("sync " + work + "/", 0) == 0 && line.size() >= ending.size() &&
               line.compare(line.size() - ending.size(), ending.size(), ending) == 0;
    }));
}

} // namespace

TEST_F(CacheDurable, EntriesAreOnTheDiskBeforeTheyHaveTheirNameAndTheNameBeforeTheCallReturns)
{
    parloom_cached *function = durable_ramp();
    for (double x : { 1.0, 2.0 }) {
        Lines lines = keep(function, x);
        auto named = find(lines, lines.begin(), "name " + (root / "ramp" / kit.info.key).string());
        ASSERT_NE(named, lines.end());
        std::string work = (root / ".work").string();
        EXPECT_EQ(synced_before(lines, named, work, "/result.npy"), 1u);
        EXPECT_EQ(synced_before(lines, named, work, "/metadata.json"), 1u);
        EXPECT_EQ(synced_before(lines, named, work, ""), 3u); /* and the folder they are in */
        for (const auto &above : { root / "ramp", root, root.parent_path() })
            EXPECT_NE(find(lines, named, "sync " + above.string()), lines.end()) << above;
        if (x > 1) continue;
        for (const auto &made : { kit.folder / "new" / "deep", kit.folder / "new", kit.folder })
            EXPECT_NE(find(lines, lines.begin(), "sync " + made.string()), lines.end()) << made;
    }
}

TEST_F(CacheDurable, OthersWaitForNoDisk)
{
    for (const auto &line : keep(kit.ramp_in(), 1)) EXPECT_NE(line.rfind("sync ", 0), 0u) << line;
}

TEST_F(CacheDurable, ArchivesAreOnTheDiskBeforeTheyHaveTheirName)
{
    double value = 1;
    parloom_array array = parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr);
    const char *name = "a";
    std::string file = (kit.folder / "a.npz").string();
    for (auto how : { parloom_npz_dump_durable, parloom_npz_dump }) {
        std::ofstream(file) << "old"; /* so that the new one gets its name by renameat */
        asked.clear();
        ASSERT_EQ(how(file.c_str(), &name, &array, 1, nullptr, 0, &kit.error), PARLOOM_OK) << kit.error.message;
        auto named = find(asked, asked.begin(), "name " + file);
        ASSERT_NE(named, asked.end());
        bool is_durable = how == parloom_npz_dump_durable;
        EXPECT_EQ(std::count_if(asked.cbegin(), named, [](auto &line) { return line.rfind("sync ", 0) == 0; }),
                  is_durable ? 1 : 0);
        EXPECT_EQ(find(asked, named, "sync " + kit.folder.string()) != asked.end(), is_durable);
    }
}

#ifdef PARLOOM_FAULTS
TEST_F(CacheDurable, ADiskThatRefusesIsToldAndCostsNoResult)
{
    bool is_over = false;
    for (unsigned nth = 1; !is_over; nth++) {
        kit.location = (kit.folder / std::to_string(nth) / "cache").string();
        parloom_cached *function = durable_ramp();
        loom_fault_arm(LOOM_FAULT_SYNC, nth, EIO, true);
        EXPECT_EQ(kit.call(function, 100, 0.5), CacheKit::want(100, 0.5)) << nth;
        is_over = loom_fault_hits(LOOM_FAULT_SYNC) < nth;
        loom_fault_disarm();
        EXPECT_EQ(warnings().size(), is_over ? nth - 1 : nth);
        ASSERT_LT(nth, 30u);
    }
    EXPECT_GT(warnings().size(), 7u); /* two above, .work, ramp, two files, and the folders they are in */
    announce("could not be kept in the cache");
}
#endif
