/* SPDX-License-Identifier: BSD-3-Clause */
/* Arrays that came from a cache, a descriptor or a name, as arguments: every backend has the file itself. */
#include "contract/mapped_files.h"
#include "support/cache_kit.h"

#include <csignal>
#include <fcntl.h>

using namespace contract;

namespace
{

/* ramp(COUNT, 1, log), mapped. */
void keep(loom::CacheKit &kit, parloom_mmap_mode mode, parloom_array *result_out)
{
    parloom_cache_options options = loom::cache_options();
    options.mmap_mode = mode;
    auto args = kit.values(COUNT, 1);
    ASSERT_EQ(parloom_cache_call(kit.ramp_in(&options), args.data(), args.size(), result_out, nullptr, &kit.error),
              PARLOOM_OK)
        << kit.error.message;
    ASSERT_EQ(std::filesystem::path(loom::mapped_file(result_out->data)).filename(), "result.npy");
}

/* args: an array; one double a task. Task 4 reads the last item, the others the first. */
int read_an_end_of(const parloom_task *task, void *const *args)
{
    const parloom_array &array = array_of(args[0]);
    *static_cast<double *>(args[1]) = items_of(array)[task->index == 4 ? array.shape[0] - 1 : 0];
    return 0;
}

} // namespace

using KeptFile = MappedFile;
INSTANTIATE_TEST_SUITE_P(On, KeptFile, ::testing::ValuesIn(every_place), name_of);

TEST_P(KeptFile, OfACacheIsPassedByReferenceAlsoWhenItIsRemovedThere)
{
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_R, PARLOOM_MMAP_RW }) {
        loom::CacheKit kit;
        parloom_array result = {};
        ASSERT_NO_FATAL_FAILURE(keep(kit, mode, &result));
        EXPECT_EQ(expect_seen(result), 0u) << "mode " << mode;
        EXPECT_EQ(expect_seen(cut(result, 3, 2500, 7)), 0u) << "mode " << mode;
        ASSERT_OK(parloom_cache_clear(kit.open(), &error));
        EXPECT_EQ(expect_seen(result), 0u) << "mode " << mode;
        parloom_array_release(&result);
    }
}

TEST_P(KeptFile, OfADescriptorIsPassedByReference)
{
    std::vector<double> items = read_file(path);
    size_t count = items.size();
    parloom_array array = parloom_array_wrap(items.data(), PARLOOM_F64, 1, &count), loaded;
    ASSERT_OK(parloom_array_dump(&array, path.c_str(), nullptr, 0, &error));
    for (parloom_mmap_mode mode : every_mode) {
        int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
        ASSERT_OK(parloom_array_load_fd(&loaded, fd, mode, &error));
        close(fd);
        EXPECT_EQ(loom::mapped_file(loaded.data), path);
        EXPECT_EQ(hash_of(loaded), hash_of(array));
        EXPECT_EQ(expect_seen(loaded), 0u) << "mode " << mode;
        parloom_array_release(&loaded);
    }
}

/* ---- cut short by somebody else */

class KeptFileDeath : public WithFile<Placed>
{
  protected:
    /* The task that reads behind the cut is lost, with the file in its message; the others are not. */
    void expect_one_lost(const parloom_array &array, const std::string &file)
    {
        std::vector<double> seen(TASKS);
        parloom_report report = empty_report();
        parloom_arg args[] = { parloom_in_array(&array), each_out(seen) };
        parloom_options given = options();
        given.report = &report;
        given.on_error = PARLOOM_ON_ERROR_GO_ON;
        EXPECT_EQ(parloom_for(TASKS, read_an_end_of, args, 2, &given, &error), PARLOOM_ERR_CRASHED);
        EXPECT_EQ(error.task, 4u);
        EXPECT_EQ(error.signal, SIGBUS);
        EXPECT_SAYS("cut short");
        EXPECT_SAYS(file.c_str());
        EXPECT_EQ(report.ok, TASKS - 1);
    }
};
INSTANTIATE_TEST_SUITE_P(On, KeptFileDeath, ::testing::ValuesIn(every_kill), name_of);

TEST_P(KeptFileDeath, OfACachedResultThatWasCutShortIsOneTasks)
{
    loom::CacheKit kit;
    parloom_array result = {};
    ASSERT_NO_FATAL_FAILURE(keep(kit, PARLOOM_MMAP_R, &result));
    std::string file = loom::mapped_file(result.data);
    ASSERT_EQ(truncate(file.c_str(), 4096), 0);
    expect_one_lost(result, "result.npy");
    parloom_array_release(&result);
}

TEST_P(KeptFileDeath, OfANamedArrayThatWasCutShortIsOneTasks)
{
    const std::string name = "parloom-test-" + std::to_string(getpid());
    const size_t count = COUNT;
    parloom_array array, opened;
    ASSERT_OK(parloom_array_create_named(&array, name.c_str(), PARLOOM_F64, 0, 1, &count, nullptr, &error));
    ASSERT_OK(parloom_array_open_named(&opened, name.c_str(), PARLOOM_MMAP_R, &error));
    ASSERT_EQ(truncate(("/dev/shm/" + name).c_str(), 8192), 0);
    expect_one_lost(opened, name);
    /* The library itself reads it, too, and lives. */
    parloom_digest digest;
    const char *member = "a";
    EXPECT_EQ(parloom_array_dump(&opened, path.c_str(), nullptr, 0, &error), PARLOOM_ERR_IO);
    EXPECT_EQ(parloom_npz_dump(path.c_str(), &member, &opened, 1, nullptr, 0, &error), PARLOOM_ERR_IO);
    EXPECT_EQ(parloom_hash_array(&opened, nullptr, &digest, &error), PARLOOM_ERR_IO);
    parloom_array_release(&opened);
    parloom_array_release(&array);
    (void)parloom_array_unlink_named(name.c_str(), nullptr);
}
