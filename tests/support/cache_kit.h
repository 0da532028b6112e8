/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_kit.h - a cache in a folder of its own, and a function that says how often its body ran, in whatever process.
 */
#ifndef LOOM_TESTS_SUPPORT_CACHE_KIT_H
#define LOOM_TESTS_SUPPORT_CACHE_KIT_H

#include "support/mapped.h"

#include <parloom/parloom.h>

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace loom
{

/* One byte more in a file. */
inline void count_in(const char *file)
{
    int fd = ::open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || ::write(fd, "x", 1) != 1) abort();
    ::close(fd);
}

/* ramp(n, x, log): x * k for k < n; n < 0 fails with code 7. */
inline int ramp(parloom_cache_run *run, void *const *args, parloom_array *)
{
    int64_t n = *static_cast<const int64_t *>(args[0]);
    double x = *static_cast<const double *>(args[1]);
    count_in(static_cast<const char *>(args[2]));
    if (n < 0) return parloom_cache_fail(run, 7, "n is negative");
    size_t shape[] = { static_cast<size_t>(n) };
    auto *items = static_cast<double *>(parloom_cache_make(run, 0, 1, shape));
    if (items == nullptr) return 1;
    for (int64_t k = 0; k < n; k++) items[k] = x * static_cast<double>(k);
    return 0;
}

inline const parloom_cache_param RAMP_PARAMS[] = { { "n", PARLOOM_CACHE_I64, 0, nullptr },
                                                   { "x", PARLOOM_CACHE_F64, 0, nullptr },
                                                   { "log", PARLOOM_CACHE_TEXT, 0, nullptr } };
inline const parloom_cache_result RAMP_RESULTS[] = { { nullptr, PARLOOM_F64, PARLOOM_CACHE_TOLD, nullptr, 0 } };
inline const char *const RAMP_IGNORED[] = { "log" };

inline parloom_cache_function define_ramp()
{
    parloom_cache_function made;
    memset(&made, 0, sizeof made);
    made.struct_size = sizeof made;
    made.name = "ramp";
    made.body = ramp;
    made.params = RAMP_PARAMS;
    made.n_params = 3;
    made.results = RAMP_RESULTS;
    made.n_results = 1;
    made.ignore = RAMP_IGNORED;
    made.n_ignore = 1;
    return made;
}

inline parloom_cache_options cache_options()
{
    parloom_cache_options made;
    memset(&made, 0, sizeof made);
    made.struct_size = sizeof made;
    return made;
}

class CacheKit
{
  public:
    CacheKit() { make_folder(std::filesystem::temp_directory_path()); }
    /* In memory, where the disk need not be waited for. */
    void move_to_memory()
    {
        std::filesystem::remove_all(folder);
        make_folder("/dev/shm");
    }
    ~CacheKit()
    {
        close();
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }
    CacheKit(const CacheKit &) = delete;
    CacheKit &operator=(const CacheKit &) = delete;

    void close()
    {
        for (auto *one : functions) parloom_cache_unbind(one);
        for (auto *one : caches) parloom_cache_close(one);
        functions.clear();
        caches.clear();
    }
    parloom_cache *open(const parloom_cache_options *options = nullptr, bool has_location = true)
    {
        parloom_cache *made = nullptr;
        parloom_status status = parloom_cache_open(&made, has_location ? location.c_str() : nullptr, options, &error);
        EXPECT_EQ(status, PARLOOM_OK) << error.message;
        if (made != nullptr) caches.push_back(made);
        return made;
    }
    parloom_cached *bind(parloom_cache *cache, const parloom_cache_function &definition)
    {
        parloom_cached *made = nullptr;
        EXPECT_EQ(parloom_cache_bind(&made, cache, &definition, &error), PARLOOM_OK) << error.message;
        if (made != nullptr) functions.push_back(made);
        return made;
    }
    /* A cache and ramp in it, with these settings. */
    parloom_cached *ramp_in(const parloom_cache_options *options = nullptr, bool has_location = true)
    {
        return bind(open(options, has_location), define_ramp());
    }

    std::vector<parloom_cache_value> values(int64_t n, double x) const
    {
        return { parloom_cache_i64(nullptr, n), parloom_cache_f64(nullptr, x),
                 parloom_cache_text(nullptr, log.c_str()) };
    }
    /* The items of ramp(n, x), by a call. */
    std::vector<double> call(parloom_cached *function, int64_t n, double x, bool is_forced = false)
    {
        auto args = values(n, x);
        parloom_array result = {};
        auto how = is_forced ? parloom_cache_force : parloom_cache_call;
        status = how(function, args.data(), args.size(), &result, &info, &error);
        if (status != PARLOOM_OK) return {};
        is_memmap = parloom_array_is_memmap(&result);
        is_writable = parloom_array_is_writable(&result);
        mapped_file = std::filesystem::path(loom::mapped_file(result.data)).filename();
        auto *items = static_cast<const double *>(result.data);
        std::vector<double> got(items, items + result.shape[0]);
        parloom_array_release(&result);
        return got;
    }
    bool check(parloom_cached *function, int64_t n, double x)
    {
        auto args = values(n, x);
        bool is_there = false;
        EXPECT_EQ(parloom_cache_check(function, args.data(), args.size(), &is_there, &error), PARLOOM_OK);
        return is_there;
    }
    static std::vector<double> want(int64_t n, double x)
    {
        std::vector<double> made;
        for (int64_t k = 0; k < n; k++) made.push_back(x * static_cast<double>(k));
        return made;
    }
    /* How often bodies ran. */
    size_t runs() const { return std::filesystem::exists(log) ? std::filesystem::file_size(log) : 0; }

    std::filesystem::path root() const { return folder / "cache" / "parloom"; }
    std::vector<std::filesystem::path> entries(const char *name = "ramp") const
    {
        std::vector<std::filesystem::path> found;
        std::error_code ignored;
        for (const auto &one : std::filesystem::directory_iterator(root() / name, ignored)) found.push_back(one.path());
        return found;
    }
    /* What writers that died have left. */
    size_t orphans() const
    {
        size_t count = 0;
        std::error_code ignored;
        for (const auto &one : std::filesystem::directory_iterator(root() / ".work", ignored))
            count += one.path().empty() ? 0 : 1;
        return count;
    }

    std::filesystem::path folder;
    std::string log, location;
    parloom_error error = {};
    parloom_status status = PARLOOM_OK;
    parloom_cache_info info = {};
    bool is_memmap = false, is_writable = false;
    std::string mapped_file; /* name of the file whose bytes the result was; "(deleted)" is part of it */

  private:
    void make_folder(const std::filesystem::path &parent)
    {
        std::string pattern = (parent / "parloom-test-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) abort();
        folder = pattern;
        log = (folder / "log").string();
        location = (folder / "cache").string();
    }
    std::vector<parloom_cache *> caches;
    std::vector<parloom_cached *> functions;
};

} // namespace loom

#endif
