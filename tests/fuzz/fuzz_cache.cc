/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_cache.cc - libFuzzer entry for entries of a cache: metadata.json and result.npy as somebody else left them.
 *
 *   0   enum how
 *   1   length of what follows as metadata (2 bytes, little-endian)
 *   3   metadata: all of it, or what stands behind the beginning that this call would write (AFTER_HEAD)
 *   ... the result's file; without GOOD_METADATA it has the name that the metadata tells, whatever that is
 *
 * The corpus beside it is replayed by CacheCorpus.
 */
#include "tests/fuzz/input.h"

#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

namespace fuzz_cache
{

enum how { READ, MAP_R, MAP_C, MAP_RW, AFTER_HEAD = 4, GOOD_METADATA = 8, CALLED = 16, NO_RESULT = 32 };

/* A cache in memory with one entry, whose files the inputs replace. */
class Place
{
  public:
    Place()
    {
        fuzz::prepare();
        std::string pattern = "/dev/shm/parloom-test-XXXXXX";
        fuzz::require(mkdtemp(pattern.data()) != nullptr);
        folder = pattern;
        fuzz::require(parloom_cache_open(&cache, folder.c_str(), nullptr, nullptr) == PARLOOM_OK);
        const parloom_mmap_mode modes[] = { PARLOOM_MMAP_UNSET, PARLOOM_MMAP_R, PARLOOM_MMAP_C, PARLOOM_MMAP_RW };
        for (parloom_mmap_mode mode : modes) bind(mode);
        call(functions[0]);
        for (const auto &one : std::filesystem::directory_iterator(folder / "parloom" / "pair")) entry = one.path();
        key = entry.filename();
        good = read(entry / "metadata.json");
        size_t end = good.find("  \"created_s\": ");
        fuzz::require(end != std::string::npos);
        head = good.substr(0, end);
        names = { "result.npy", "result.npy.gz", "result.npy.z", "result.npy.packed", "result." };
    }
    Place(const Place &) = delete;
    Place &operator=(const Place &) = delete;
    ~Place()
    {
        for (parloom_cached *function : functions) parloom_cache_unbind(function);
        parloom_cache_close(cache);
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }

    void put(unsigned how, const std::string &metadata, const std::string &result) const
    {
        write(entry / "metadata.json",
              how & GOOD_METADATA ? good : (how & AFTER_HEAD ? head : std::string()) + metadata);
        std::string told = how & GOOD_METADATA ? "result.npy" : name_of(metadata);
        for (const std::string &name : names)
            if (name != told) ::unlink((entry / name).c_str());
        if (told.empty()) return;
        if (how & NO_RESULT)
            ::unlink((entry / told).c_str());
        else
            write(entry / told, result);
    }
    void call(parloom_cached *function) const
    {
        parloom_cache_value value = parloom_cache_i64(nullptr, 7);
        parloom_array result;
        parloom_error error;
        parloom_status status = parloom_cache_call(function, &value, 1, &result, nullptr, &error);
        fuzz::require(status == PARLOOM_OK);
        fuzz::require(parloom_array_nbytes(&result) == 2 * sizeof(double));
        fuzz::touch(result);
        parloom_array_release(&result);
    }

    std::vector<parloom_cached *> functions;
    std::string key;
    std::filesystem::path folder, entry;

  private:
    static int body(parloom_cache_run *, void *const *args, parloom_array *results)
    {
        auto *items = static_cast<double *>(results[0].data);
        items[0] = static_cast<double>(*static_cast<const int64_t *>(args[0]));
        items[1] = 2;
        return 0;
    }
    void bind(parloom_mmap_mode mode)
    {
        static const parloom_cache_param PARAM = { "n", PARLOOM_CACHE_I64, 0, nullptr };
        static const size_t SHAPE[] = { 2 };
        static const parloom_cache_result RESULT = { nullptr, PARLOOM_F64, 1, SHAPE, 0 };
        parloom_cache_function made;
        memset(&made, 0, sizeof made);
        made.struct_size = sizeof made;
        made.name = "pair";
        made.version = "1";
        made.body = body;
        made.params = &PARAM;
        made.n_params = 1;
        made.results = &RESULT;
        made.n_results = 1;
        made.mmap_mode = mode;
        parloom_cached *function = nullptr;
        fuzz::require(parloom_cache_bind(&function, cache, &made, nullptr) == PARLOOM_OK);
        functions.push_back(function);
    }
    static std::string read(const std::filesystem::path &path)
    {
        std::ifstream stream(path, std::ios::binary);
        return { std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>() };
    }
    static void write(const std::filesystem::path &path, const std::string &bytes)
    {
        int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        fuzz::require(fd >= 0 && ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
        ::close(fd);
    }
    /* One of the names, as the metadata ends in it. */
    std::string name_of(const std::string &metadata) const
    {
        static const char TOLD[] = "\"ending\": \"";
        size_t at = metadata.rfind(TOLD);
        size_t end = at == std::string::npos ? at : metadata.find('"', at + sizeof TOLD - 1);
        if (end == std::string::npos) return "";
        std::string name = "result" + metadata.substr(at + sizeof TOLD - 1, end - at - sizeof TOLD + 1);
        for (const std::string &known : names)
            if (name == known) return name;
        return "";
    }

    parloom_cache *cache = nullptr;
    std::string good, head;
    std::vector<std::string> names;
};

inline parloom_status get(const Place &place, unsigned how)
{
    parloom_shelved *shelved = nullptr;
    parloom_array result;
    parloom_error error;
    fuzz::require(parloom_shelved_open(&shelved, place.functions[how % 4], place.key.c_str(), nullptr) == PARLOOM_OK);
    parloom_status status = parloom_shelved_get(shelved, &result, &error);
    parloom_shelved_release(shelved);
    if (status == PARLOOM_OK) {
        fuzz::require(result.dtype == PARLOOM_F64 && result.ndim == 1 && result.shape[0] == 2);
        fuzz::touch(result);
        parloom_array_release(&result);
    } else {
        fuzz::require(fuzz::is_refusal(status) || fuzz::is_shortage(status));
        fuzz::require(error.message[0] != '\0');
    }
    return status;
}

inline parloom_status try_input(const uint8_t *bytes, size_t nbytes)
{
    static const Place place;
    if (nbytes == 0 || nbytes > 1 << 15) return PARLOOM_ERR_FORMAT;
    fuzz::Reader reader(bytes, nbytes);
    unsigned how = reader.number(1);
    std::string metadata = reader.bytes(reader.number(2));
    std::string result = reader.bytes(nbytes);
    place.put(how, metadata, result);
    parloom_status status = get(place, how);
    /* Whatever was there, a call gives what the body makes, or what was kept as such. */
    if (how & CALLED) place.call(place.functions[how % 4]);
    return status;
}

} // namespace fuzz_cache

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes)
{
    (void)fuzz_cache::try_input(bytes, nbytes);
    return 0;
}
