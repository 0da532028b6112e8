/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_named.cc - libFuzzer entry for named arrays: a header that anybody may have written, checked and mapped.
 *
 * An input is a byte of enum how, the length of the file (4 bytes, little-endian, modulo 2^17), and the header; what of
 * it is not there is as in a header that is whole. The corpus beside it is replayed by NamedCorpus.
 */
#include "tests/fuzz/input.h"

#include "shm/array.h"
#include "shm/named.h"

#include <cstddef>
#include <cstring>

namespace fuzz_named
{

enum how { MAP_R, MAP_RW, MAP_C, SUM = 4, KIND = 8, LENGTH = 16, NO_MAP = 32, MOST_NBYTES = 1 << 17 };

inline uint64_t sum_of(const loom_named_shared &header)
{
    const auto *bytes = reinterpret_cast<const unsigned char *>(&header);
    uint64_t sum = UINT64_C(14695981039346656037);
    for (size_t k = 0; k < offsetof(loom_named_shared, checksum); k++) sum = (sum ^ bytes[k]) * UINT64_C(1099511628211);
    return sum;
}

/* As a program would write it that knows the layout, and means harm. */
inline loom_named_shared make_header(unsigned how, uint64_t file_nbytes, const std::string &bytes)
{
    loom_named_shared whole, header;
    loom_named_part part;
    const size_t shape[] = { 3, 4 };
    parloom_array array = parloom_array_wrap(nullptr, PARLOOM_F64, 2, shape);
    fuzz::require(loom_named_describe(&whole, &part, &array, nullptr) == PARLOOM_OK);
    header = whole;
    if (!bytes.empty()) memcpy(&header, bytes.data(), bytes.size() < sizeof header ? bytes.size() : sizeof header);
    if (how & KIND) memcpy(&header, &whole, offsetof(loom_named_shared, file_nbytes));
    if (how & LENGTH) header.file_nbytes = file_nbytes;
    if (how & SUM) header.checksum = sum_of(header);
    return header;
}

inline parloom_status map(parloom_array *array, const loom_named_shared &header, uint64_t file_nbytes,
                          const loom_named_part &part, unsigned how)
{
    const parloom_mmap_mode modes[] = { PARLOOM_MMAP_R, PARLOOM_MMAP_RW, PARLOOM_MMAP_C, PARLOOM_MMAP_R };
    fuzz::File file(reinterpret_cast<const uint8_t *>(&header), sizeof header);
    fuzz::require(ftruncate(file.fd, static_cast<off_t>(file_nbytes)) == 0);
    loom_named_shared again;
    fuzz::require(loom_named_read(file.fd, file_nbytes, "fuzz", &again, nullptr) == PARLOOM_OK);
    fuzz::require(memcmp(&again, &header, sizeof again) == 0);
    parloom_status status =
        loom_array_map_part(array, "fuzz", file.fd, modes[how % 4], part.offset, part.nbytes, nullptr);
    if (status == PARLOOM_OK && array->data != nullptr) array->data = static_cast<char *>(array->data) + part.before;
    return status;
}

/* Each byte from the lowest item to the end of the highest is there. */
inline void touch(const parloom_array &array)
{
    const char *low = nullptr;
    size_t extent = 0;
    volatile char last = 0;
    fuzz::require(loom_array_extent(&array, &low, &extent, nullptr) == PARLOOM_OK);
    for (size_t k = 0; k < extent; k++) last = low[k];
    (void)last;
}

inline parloom_status try_input(const uint8_t *bytes, size_t nbytes)
{
    fuzz::prepare();
    fuzz::Reader reader(bytes, nbytes);
    unsigned how = reader.number(1);
    uint64_t file_nbytes = reader.number(4) % MOST_NBYTES;
    loom_named_shared header = make_header(how, file_nbytes, reader.bytes(sizeof header));
    parloom_array array;
    loom_named_part part;
    parloom_error error;
    parloom_status status = loom_named_check(&header, file_nbytes, "fuzz", &array, &part, &error);
    if (status != PARLOOM_OK) {
        fuzz::require(status == PARLOOM_ERR_FORMAT || status == PARLOOM_ERR_VERSION);
        fuzz::require(error.message[0] != '\0');
        return status;
    }
    fuzz::require(part.offset >= LOOM_NAMED_DATA_OFFSET && part.offset <= file_nbytes);
    fuzz::require(part.nbytes <= file_nbytes - part.offset && part.before <= part.nbytes);
    if (how & NO_MAP) return PARLOOM_OK;
    fuzz::require(map(&array, header, file_nbytes, part, how) == PARLOOM_OK);
    touch(array);
    parloom_array_release(&array);
    return PARLOOM_OK;
}

} // namespace fuzz_named

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes)
{
    (void)fuzz_named::try_input(bytes, nbytes);
    return 0;
}
