/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped_files.h - a file of doubles that the program maps, and tasks that look at it and write to it. */
#ifndef LOOM_TESTS_CONTRACT_MAPPED_FILES_H
#define LOOM_TESTS_CONTRACT_MAPPED_FILES_H

#include "contract/streams.h"

#include <fstream>
#include <unistd.h>

namespace contract
{

const size_t COUNT = 3000; /* doubles: more than a page, and no multiple of one */
const size_t TASKS = 12;

/* What a task found of its argument. */
struct found {
    const void *data;
    uint64_t hash;
    int is_memmap, is_writable, is_shared;
};

inline uint64_t hash_of(const parloom_array &array)
{
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < array.shape[0]; i++) {
        uint64_t bits;
        memcpy(&bits, static_cast<const char *>(array.data) + static_cast<ptrdiff_t>(i) * array.strides[0],
               sizeof bits);
        hash = (hash ^ bits) * 1099511628211u;
    }
    return hash;
}

inline double *items_of(const parloom_array &array)
{
    return static_cast<double *>(array.data);
}

inline const parloom_array &array_of(const void *arg)
{
    return *static_cast<const parloom_array *>(arg);
}

inline found look_at(const parloom_array &array)
{
    return { array.data, hash_of(array), parloom_array_is_memmap(&array), parloom_array_is_writable(&array),
             parloom_is_shared(array.data) };
}

/* args: an array; one found a task. */
inline int look(const parloom_task *, void *const *args)
{
    *static_cast<found *>(args[1]) = look_at(array_of(args[0]));
    return 0;
}

/* args: an array, whose items of this task become roots. */
inline int take_roots(const parloom_task *task, void *const *args)
{
    const parloom_array &array = array_of(args[0]);
    size_t part = array.shape[0] / task->count, end = (task->index + 1) * part;
    for (size_t i = task->index * part; i < end; i++) {
        auto *item =
            reinterpret_cast<double *>(static_cast<char *>(array.data) + static_cast<ptrdiff_t>(i) * array.strides[0]);
        *item = 1 / (*item + 3.0);
    }
    return 0;
}

/* args: an array; one found a task, of how it was before this task spoiled all of it, if it may. */
inline int look_and_spoil(const parloom_task *, void *const *args)
{
    const parloom_array &array = array_of(args[0]);
    *static_cast<found *>(args[1]) = look_at(array);
    for (size_t i = 0; i < array.shape[0] && parloom_array_is_writable(&array); i++) items_of(array)[i] = -5;
    return 0;
}

/* A folder of the test's own, and the doubles 0.5, 1.5, ... in a file there. */
template <typename Fixture> class WithFile : public Fixture
{
  protected:
    WithFile()
    {
        char name[] = "/tmp/parloom-mapped-XXXXXX";
        if (mkdtemp(name) != nullptr) folder = name;
        path = folder + "/doubles";
    }
    ~WithFile() override
    {
        (void)unlink(path.c_str());
        (void)unlink((path + "-moved").c_str());
        EXPECT_EQ(rmdir(folder.c_str()), 0) << folder;
    }
    void SetUp() override
    {
        Fixture::SetUp();
        write_file(COUNT);
    }
    void write_file(size_t count) const
    {
        std::ofstream file(path, std::ios::binary | std::ios::trunc);
        for (size_t i = 0; i < count; i++) {
            double item = 0.5 + static_cast<double>(i);
            file.write(reinterpret_cast<const char *>(&item), sizeof item);
        }
        file.close();
        ASSERT_TRUE(file.good());
    }
    std::vector<double> read_file(const std::string &from) const
    {
        std::vector<double> items(COUNT, -1);
        std::ifstream file(from, std::ios::binary);
        file.read(reinterpret_cast<char *>(items.data()), static_cast<std::streamsize>(COUNT * sizeof(double)));
        return items;
    }
    void map(parloom_mmap_mode mode, parloom_array *array_out)
    {
        const size_t count = COUNT;
        ASSERT_EQ(parloom_array_map(array_out, path.c_str(), mode, 0, PARLOOM_F64, 0, 1, &count, nullptr, &this->error),
                  PARLOOM_OK)
            << this->error.message;
    }
    static parloom_options options()
    {
        parloom_options made = Fixture::options();
        made.max_nbytes = 1;
        return made;
    }
    std::string folder, path;
};

const parloom_mmap_mode every_mode[] = { PARLOOM_MMAP_R, PARLOOM_MMAP_RW, PARLOOM_MMAP_C };

inline parloom_array cut(const parloom_array &array, size_t start, size_t stop, size_t step)
{
    parloom_array view = {};
    EXPECT_EQ(parloom_array_slice(&view, &array, 0, start, stop, step, nullptr), PARLOOM_OK);
    return view;
}

inline parloom_report empty_report()
{
    parloom_report report = {};
    report.struct_size = sizeof report;
    return report;
}

/* On every backend. */
class MappedFile : public WithFile<Placed>
{
  protected:
    /* Each task finds the same as the program; what the call copied of it. */
    size_t expect_seen(const parloom_array &array)
    {
        Shared<found> seen(TASKS);
        parloom_report report = empty_report();
        parloom_arg args[] = { parloom_in_array(&array),
                               parloom_each(parloom_inout(seen.get(), TASKS * sizeof(found)), sizeof(found)) };
        parloom_options given = options();
        given.report = &report;
        EXPECT_OK(parloom_for(TASKS, look, args, 2, &given, &error));
        for (size_t k = 0; k < TASKS; k++) {
            EXPECT_EQ(seen[k].hash, hash_of(array)) << k;
            EXPECT_TRUE(seen[k].is_memmap);
        }
        EXPECT_EQ(report.returned_nbytes, 0u);
        return report.inline_nbytes + report.spilled_nbytes;
    }
};

} // namespace contract

#endif
