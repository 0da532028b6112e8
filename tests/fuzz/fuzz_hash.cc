/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_hash.cc - libFuzzer entry for digests of arrays that anybody may have filled in.
 *
 * An input is a struct: dtype, ndim, flags, options (a byte each), item_nbytes, offset of the data, unused (4 bytes
 * each, little-endian), then length and stride of each axis (8 bytes each). The corpus beside it is replayed by
 * HashCorpus.
 */
#include "rest/hash.h"

#include "shm/array.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace fuzz_hash
{

enum { MEMORY_NBYTES = 4096, MOST_NBYTES = 1 << 13 };

enum option { ANY_LAYOUT = 1, MEMMAP_DIFFERS = 2, NO_DATA = 4 };

struct Input {
    uint8_t dtype, ndim, flags, options;
    uint32_t item_nbytes, offset, unused;
    uint64_t axes[2 * PARLOOM_MAX_NDIM];
};

inline void require(bool holds)
{
    if (!holds) std::abort();
}

inline std::vector<char> make_memory()
{
    std::vector<char> memory(MEMORY_NBYTES);
    for (size_t k = 0; k < MEMORY_NBYTES; k++) memory[k] = static_cast<char>(k * 31 >> 3);
    return memory;
}

inline parloom_array describe(const Input &input, std::vector<char> &memory)
{
    parloom_array array = {};
    array.dtype = static_cast<parloom_dtype>(input.dtype);
    array.ndim = static_cast<int8_t>(input.ndim);
    array.flags = input.flags;
    array.item_nbytes = input.item_nbytes;
    for (int axis = 0; axis < PARLOOM_MAX_NDIM; axis++) {
        array.shape[axis] = input.axes[2 * axis];
        array.strides[axis] = static_cast<ptrdiff_t>(input.axes[2 * axis + 1]);
    }
    if ((input.options & NO_DATA) == 0) array.data = memory.data() + input.offset % (MEMORY_NBYTES + 1);
    return array;
}

/* Only the fuzzer knows what memory there is: a description that reaches beyond it is the caller's mistake. */
inline bool reaches_out(const std::vector<char> &memory, const char *low, size_t extent)
{
    return extent > 0 &&
           (low < memory.data() || extent > MEMORY_NBYTES || low + extent > memory.data() + MEMORY_NBYTES);
}

/* The digest with any layout is that of a copy in C order. */
inline void compare_with_copy(const parloom_array &array, size_t nbytes)
{
    std::vector<char> items(nbytes + 1);
    parloom_array copy = array;
    copy.data = items.data();
    loom_array_set_strides(&copy, false);
    if (nbytes > 0) loom_array_gather(&array, 0, loom_array_count(&array), items.data());
    parloom_hash_options options = {};
    options.any_layout = true;
    parloom_digest of_array, of_copy, of_args;
    require(parloom_hash_array(&array, &options, &of_array, nullptr) == PARLOOM_OK);
    require(parloom_hash_array(&copy, nullptr, &of_copy, nullptr) == PARLOOM_OK);
    require(memcmp(&of_array, &of_copy, sizeof of_array) == 0);
    parloom_arg arg = parloom_in_array(&array);
    require(parloom_hash_args(&arg, 1, &options, &of_args, nullptr) == PARLOOM_OK);
    require(memcmp(&of_array, &of_args, sizeof of_array) != 0);
}

/* PARLOOM_OK also where nothing was tried, because it would read what is not there, or take too long. */
inline parloom_status try_input(const uint8_t *bytes, size_t nbytes)
{
    Input input = {};
    if (nbytes > 0) memcpy(&input, bytes, nbytes < sizeof input ? nbytes : sizeof input);
    static std::vector<char> memory = make_memory();
    parloom_array array = describe(input, memory);
    parloom_hash_options options = {};
    options.any_layout = (input.options & ANY_LAYOUT) != 0;
    options.memmap_differs = (input.options & MEMMAP_DIFFERS) != 0;
    parloom_digest digest = {};
    parloom_error error;
    const char *low = nullptr;
    size_t extent = 0;
    parloom_status wanted = loom_array_extent(&array, &low, &extent, nullptr);
    if (wanted != PARLOOM_OK) {
        require(parloom_hash_array(&array, &options, &digest, &error) == wanted);
        require(strncmp(error.message, "while hashing an array: ", 24) == 0);
        return wanted;
    }
    size_t items_nbytes = parloom_array_nbytes(&array);
    if (reaches_out(memory, low, extent) || items_nbytes > MOST_NBYTES) return PARLOOM_OK;
    /* A mark that says "mapped from a file" is believed: such memory is read in another way. */
    require(parloom_hash_array(&array, &options, &digest, &error) == PARLOOM_OK);
    compare_with_copy(array, items_nbytes);
    return PARLOOM_OK;
}

} // namespace fuzz_hash

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes)
{
    (void)fuzz_hash::try_input(bytes, nbytes);
    return 0;
}
