/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_load.cc - libFuzzer entry for .npy files as a whole: read, mapped, and read from a pipe.
 *
 * An input is a byte that says how (enum how), and a file. The corpus beside it is replayed by LoadCorpus.
 */
#include "tests/fuzz/input.h"

#include "rest/npy.h"

#include <cstring>

namespace fuzz_load
{

enum how { READ, MAP_R, MAP_C, MAP_RW, KEPT = 4, BY_FD = 8, PIPE = 16 };

inline parloom_mmap_mode mode_of(unsigned how)
{
    const parloom_mmap_mode modes[] = { PARLOOM_MMAP_UNSET, PARLOOM_MMAP_R, PARLOOM_MMAP_C, PARLOOM_MMAP_RW };
    return modes[how % 4];
}

inline parloom_status load_pipe(parloom_array *array, const uint8_t *bytes, size_t nbytes, parloom_error *error)
{
    int ends[2];
    fuzz::require(pipe(ends) == 0 && write(ends[1], bytes, nbytes) == static_cast<ssize_t>(nbytes));
    close(ends[1]);
    parloom_status status = parloom_array_load_fd(array, ends[0], PARLOOM_MMAP_UNSET, error);
    close(ends[0]);
    return status;
}

inline parloom_status load(parloom_array *array, unsigned how, const uint8_t *bytes, size_t nbytes,
                           parloom_error *error)
{
    if (how & PIPE) return load_pipe(array, bytes, nbytes, error);
    fuzz::File file(bytes, nbytes);
    parloom_byte_order order = how & KEPT ? PARLOOM_BYTE_ORDER_KEPT : PARLOOM_BYTE_ORDER_UNSET;
    if (how & BY_FD) return parloom_array_load_fd(array, file.fd, mode_of(how), error);
    return parloom_array_load_ordered(array, file.path, mode_of(how), order, error);
}

/* What the parser and the length of the file say must be what was loaded. */
inline void compare(const parloom_array &array, const uint8_t *bytes, size_t nbytes)
{
    loom_npy_header header;
    if (nbytes == 0 || bytes[0] != 0x93) return; /* compressed: fuzz_codec.cc */
    fuzz::require(loom_npy_parse(bytes, nbytes, "again.npy", &header, nullptr) == PARLOOM_OK);
    fuzz::require(header.payload_nbytes <= nbytes - header.payload_offset);
    fuzz::require(parloom_array_nbytes(&array) == header.payload_nbytes && array.dtype == header.dtype);
    if (!header.is_swapped && header.payload_nbytes > 0)
        fuzz::require(memcmp(array.data, bytes + header.payload_offset, header.payload_nbytes) == 0);
}

inline parloom_status try_input(const uint8_t *bytes, size_t nbytes)
{
    fuzz::prepare();
    if (nbytes == 0 || nbytes > 1 << 16) return PARLOOM_ERR_FORMAT;
    parloom_array array;
    parloom_error error;
    unsigned how = bytes[0];
    parloom_status status = load(&array, how, bytes + 1, nbytes - 1, &error);
    if (status != PARLOOM_OK) {
        bool may_be_short = (how & PIPE) != 0 || (nbytes > 1 && bytes[1] != 0x93);
        fuzz::require(fuzz::is_refusal(status) || (may_be_short && fuzz::is_shortage(status)));
        fuzz::require(error.message[0] != '\0');
        return status;
    }
    fuzz::touch(array);
    compare(array, bytes + 1, nbytes - 1);
    parloom_array_release(&array);
    return PARLOOM_OK;
}

} // namespace fuzz_load

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes)
{
    (void)fuzz_load::try_input(bytes, nbytes);
    return 0;
}
