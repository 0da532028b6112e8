/* SPDX-License-Identifier: BSD-3-Clause */
/* packed.h - arrays to compress, and every codec to do it with. */
#ifndef LOOM_TESTS_REST_PACKED_H
#define LOOM_TESTS_REST_PACKED_H

#include "support/clean.h"
#include "support/scratch.h"

#include <parloom/parloom.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

inline std::vector<std::string> codecs()
{
    const char *names[64];
    size_t count = parloom_codec_list(names, 64);
    return { names, names + std::min<size_t>(count, 64) };
}

/* The first of these that this build is without, or "". */
inline std::string missing_codec(const std::vector<std::string> &wanted)
{
    std::vector<std::string> all = codecs();
    for (const std::string &name : wanted)
        if (std::find(all.begin(), all.end(), name) == all.end()) return name;
    return "";
}

#define LOOM_NEEDS_CODECS(...)                   \
    if (!missing_codec({ __VA_ARGS__ }).empty()) \
    GTEST_SKIP() << "this build is without " << missing_codec({ __VA_ARGS__ })

/* Numbers that repeat a little, the same on every machine. */
inline std::vector<double> waves(size_t n)
{
    std::vector<double> values(n);
    for (size_t k = 0; k < n; k++)
        values[k] = static_cast<double>((k * 2654435761u >> 7) % 1000) + (k % 7 == 0 ? 0.125 : 0);
    return values;
}

inline parloom_array wrap(std::vector<double> &values)
{
    size_t n = values.size();
    return parloom_array_wrap(values.data(), PARLOOM_F64, 1, &n);
}

/* The array owns what it holds. */
class Loaded
{
  public:
    explicit Loaded(const std::string &path, parloom_mmap_mode mode = PARLOOM_MMAP_UNSET)
        : status(parloom_array_load(&array, path.c_str(), mode, &error))
    {
    }
    Loaded(int fd, parloom_mmap_mode mode) : status(parloom_array_load_fd(&array, fd, mode, &error)) {}
    Loaded(const Loaded &) = delete;
    Loaded &operator=(const Loaded &) = delete;
    ~Loaded() { parloom_array_release(&array); }

    bool equals(const std::vector<double> &values) const
    {
        return status == PARLOOM_OK && array.dtype == PARLOOM_F64 &&
               parloom_array_nbytes(&array) == values.size() * sizeof(double) &&
               memcmp(array.data, values.data(), values.size() * sizeof(double)) == 0;
    }

    parloom_array array = {};
    parloom_error error = {};
    parloom_status status;
};

/* A folder, and the fixture that looks for what is left behind. */
class Packed : public loom::Clean
{
  protected:
    void SetUp() override
    {
        loom::Clean::SetUp();
        std::string pattern = (std::filesystem::temp_directory_path() / "parloom-test-XXXXXX").string();
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder = pattern;
    }
    void TearDown() override
    {
        std::filesystem::remove_all(folder);
        loom::Clean::TearDown();
    }
    std::string path(const std::string &name) const { return (folder / name).string(); }
    static std::string read(const std::string &file)
    {
        std::ifstream stream(file, std::ios::binary);
        return { std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>() };
    }
    static void write(const std::string &file, const std::string &bytes)
    {
        std::ofstream stream(file, std::ios::binary | std::ios::trunc);
        stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    parloom_status dump(std::vector<double> &values, const std::string &file, const char *codec, int level = 0)
    {
        parloom_array array = wrap(values);
        return parloom_array_dump(&array, path(file).c_str(), codec, level, &error);
    }

    std::filesystem::path folder;
    parloom_error error = {};
};

#endif
