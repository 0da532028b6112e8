/* SPDX-License-Identifier: BSD-3-Clause */
/* test_effort.cc - dumps and loads that say how far they are, and that are given up. */
#include "rest/packed.h"

#include <thread>

namespace
{

/* Listens, and gives up at a call, counted from 0. */
struct Listener {
    explicit Listener(int wanted = -1) : give_up_at(wanted) {}
    static int hear(uint64_t done, uint64_t total, void *state)
    {
        auto *listener = static_cast<Listener *>(state);
        EXPECT_EQ(std::this_thread::get_id(), listener->caller);
        EXPECT_LE(done, total);
        EXPECT_GE(done, listener->done.empty() ? 0 : listener->done.back());
        listener->done.push_back(done);
        listener->total = total;
        return static_cast<int>(listener->done.size()) - 1 == listener->give_up_at;
    }
    int give_up_at;
    std::vector<uint64_t> done;
    uint64_t total = 0;
    std::thread::id caller = std::this_thread::get_id();
};

parloom_dump_options dump_options(const char *codec, Listener &listener, int n_jobs)
{
    parloom_dump_options options = {};
    options.codec = codec;
    options.level = strcmp(codec, "none") == 0 ? 0 : 1;
    options.n_jobs = n_jobs;
    options.progress = Listener::hear;
    options.progress_state = &listener;
    return options;
}

parloom_load_options load_options(Listener &listener, int n_jobs)
{
    parloom_load_options options = {};
    options.n_jobs = n_jobs;
    options.progress = Listener::hear;
    options.progress_state = &listener;
    return options;
}

std::vector<std::string> codecs_and_none()
{
    std::vector<std::string> all = codecs();
    all.emplace_back("none");
    return all;
}

/* Several pieces of each; what is slow has small ones. */
std::vector<double> several_pieces(const std::string &codec)
{
    bool is_fast = codec == "none" || codec.rfind("blosc", 0) == 0 || codec == "zstd" || codec == "lz4";
    return waves(is_fast ? 3000000 : 500000);
}

} // namespace

class Effort : public Packed
{
  protected:
    std::vector<std::string> names() const
    {
        std::vector<std::string> found;
        for (const auto &entry : std::filesystem::directory_iterator(folder))
            found.push_back(entry.path().filename().string());
        return found;
    }
};

TEST_F(Effort, IsToldInBytesOfItems)
{
    for (const std::string &codec : codecs_and_none())
        for (int n_jobs : { 1, 2 }) {
            std::vector<double> values = several_pieces(codec);
            Listener dumping, loading;
            parloom_array array = wrap(values), loaded = {};
            parloom_dump_options out = dump_options(codec.c_str(), dumping, n_jobs);
            parloom_load_options in = load_options(loading, n_jobs);
            ASSERT_EQ(parloom_array_dump_with(&array, path("a").c_str(), &out, &error), PARLOOM_OK) << error.message;
            ASSERT_EQ(parloom_array_load_with(&loaded, path("a").c_str(), &in, &error), PARLOOM_OK) << error.message;
            EXPECT_EQ(memcmp(loaded.data, values.data(), values.size() * sizeof(double)), 0);
            parloom_array_release(&loaded);
            for (const Listener *listener : { &dumping, &loading }) {
                /* Other threads may do all of it before the one that is told has done a piece. */
                ASSERT_GE(listener->done.size(), n_jobs == 1 ? 2u : 1u) << codec << " on " << n_jobs;
                EXPECT_EQ(listener->total, values.size() * sizeof(double)) << codec;
                EXPECT_EQ(listener->done.back(), listener->total) << codec;
                if (listener->done.size() < 2) continue;
                EXPECT_LT(listener->done[0], listener->total) << codec;
                EXPECT_LT(listener->done[listener->done.size() - 2], listener->total) << "told once that it is all";
            }
        }
}

TEST_F(Effort, IsToldOfViewsAndOfNothing)
{
    LOOM_NEEDS_CODECS("zlib", "gzip");
    std::vector<double> values = waves(1000000), none;
    parloom_array whole = wrap(values), every_second, empty = wrap(none);
    ASSERT_EQ(parloom_array_slice(&every_second, &whole, 0, 0, values.size(), 2, &error), PARLOOM_OK);
    for (const char *codec : { "none", "zlib", "gzip" }) {
        Listener of_view, of_nothing;
        parloom_dump_options options = dump_options(codec, of_view, 1);
        ASSERT_EQ(parloom_array_dump_with(&every_second, path("a").c_str(), &options, &error), PARLOOM_OK);
        EXPECT_EQ(of_view.total, values.size() / 2 * sizeof(double));
        EXPECT_EQ(of_view.done.back(), of_view.total);
        EXPECT_LT(of_view.done[0], of_view.total);
        options = dump_options(codec, of_nothing, 1);
        ASSERT_EQ(parloom_array_dump_with(&empty, path("a").c_str(), &options, &error), PARLOOM_OK);
        EXPECT_EQ(of_nothing.done, std::vector<uint64_t>{ 0 });
    }
}

TEST_F(Effort, ThatIsGivenUpLeavesTheOldFileAndNothingElse)
{
    for (const std::string &codec : codecs_and_none())
        for (int n_jobs : { 1, 2 })
            for (bool is_at_end : { false, true }) {
                std::vector<double> values = several_pieces(codec);
                parloom_array array = wrap(values);
                write(path("a"), "old");
                Listener listener(0);
                parloom_dump_options options = dump_options(codec.c_str(), listener, n_jobs);
                if (is_at_end)
                    options.progress = [](uint64_t done, uint64_t total, void *) { return done == total ? 7 : 0; };
                EXPECT_EQ(parloom_array_dump_with(&array, path("a").c_str(), &options, &error), PARLOOM_ERR_CANCELLED)
                    << codec;
                EXPECT_EQ(error.status, PARLOOM_ERR_CANCELLED);
                EXPECT_EQ(read(path("a")), "old");
                EXPECT_EQ(names(), std::vector<std::string>{ "a" });
                EXPECT_EQ(listener.done.size(), is_at_end ? 0u : 1u) << "told after it was given up";
            }
}

TEST_F(Effort, OfALoadThatIsGivenUpGivesNoArray)
{
    for (const std::string &codec : codecs_and_none()) {
        std::vector<double> values = several_pieces(codec);
        ASSERT_EQ(dump(values, "a", codec.c_str(), codec == "none" ? 0 : 1), PARLOOM_OK) << error.message;
        for (int n_jobs : { 1, 2 })
            for (bool is_at_end : { false, true }) {
                Listener listener(0);
                parloom_load_options options = load_options(listener, n_jobs);
                if (is_at_end)
                    options.progress = [](uint64_t done, uint64_t total, void *) { return done == total ? -1 : 0; };
                parloom_array array = {};
                EXPECT_EQ(parloom_array_load_with(&array, path("a").c_str(), &options, &error), PARLOOM_ERR_CANCELLED)
                    << codec;
                EXPECT_EQ(array.data, nullptr);
                EXPECT_EQ(array.owner, nullptr);
            }
    }
}

TEST_F(Effort, OfAMappedFileIsNotTold)
{
    std::vector<double> values = waves(1000);
    ASSERT_EQ(dump(values, "a.npy", nullptr), PARLOOM_OK);
    Listener listener;
    parloom_load_options options = load_options(listener, 1);
    options.mode = PARLOOM_MMAP_R;
    parloom_array array = {};
    ASSERT_EQ(parloom_array_load_with(&array, path("a.npy").c_str(), &options, &error), PARLOOM_OK) << error.message;
    EXPECT_TRUE(parloom_array_is_memmap(&array));
    EXPECT_TRUE(listener.done.empty());
    parloom_array_release(&array);
}

/* What a scope says of progress is said of tasks. */
TEST_F(Effort, IsNotToldToTheProgressOfAScope)
{
    LOOM_NEEDS_CODECS("gzip");
    std::vector<double> values = waves(2500000);
    int told = 0;
    parloom_options scope = PARLOOM_OPTIONS_INIT;
    scope.n_jobs = 2;
    scope.progress = [](const parloom_report *, void *state) { ++*static_cast<int *>(state); };
    scope.progress_state = &told;
    ASSERT_EQ(parloom_scope_begin(&scope, &error), PARLOOM_OK);
    EXPECT_EQ(dump(values, "a.gz", nullptr, 1), PARLOOM_OK) << error.message;
    parloom_scope_end();
    EXPECT_EQ(told, 0);
}

TEST_F(Effort, HasOptionsThatDefaultToThoseOfAPlainDump)
{
    LOOM_NEEDS_CODECS("gzip");
    std::vector<double> values = waves(1000);
    parloom_array array = wrap(values), loaded = {};
    ASSERT_EQ(parloom_array_dump_with(&array, path("a.gz").c_str(), nullptr, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(read(path("a.gz")).substr(0, 2), "\x1f\x8b");
    ASSERT_EQ(parloom_array_load_with(&loaded, path("a.gz").c_str(), nullptr, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(parloom_array_nbytes(&loaded), values.size() * sizeof(double));
    parloom_array_release(&loaded);
    parloom_dump_options newer_dump = {};
    parloom_load_options newer_load = {};
    newer_dump.reserved[3] = newer_load.reserved[3] = 1;
    EXPECT_EQ(parloom_array_dump_with(&array, path("b").c_str(), &newer_dump, &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_array_load_with(&loaded, path("a.gz").c_str(), &newer_load, &error), PARLOOM_ERR_INVALID);
    EXPECT_FALSE(std::filesystem::exists(path("b")));
}
