/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_npy.cc - libFuzzer entry for headers of .npy files, which are parsed in memory.
 *
 * The corpus beside it is replayed by NpyCorpus.
 */
#include "tests/fuzz/input.h"

#include "rest/npy.h"
#include "shm/array.h"

namespace fuzz_npy
{

/* What was accepted can be described, measured, and written again with the same meaning. */
inline void check(const loom_npy_header &header, size_t nbytes)
{
    parloom_error error;
    parloom_array array =
        parloom_array_wrap_strided(nullptr, header.dtype, header.item_nbytes, header.ndim, header.shape, nullptr);
    size_t before = 0, from = 0;
    fuzz::require(loom_array_measure(&array, &before, &from, &error) == PARLOOM_OK && from == header.payload_nbytes);
    fuzz::require(header.payload_offset <= nbytes && parloom_array_nbytes(&array) == header.payload_nbytes);
    if (header.is_swapped && header.dtype != PARLOOM_ITEM) array.flags |= LOOM_ARRAY_SWAPPED;
    char text[LOOM_NPY_FORMAT_NBYTES];
    loom_npy_header again;
    size_t text_nbytes = loom_npy_format(&array, header.is_fortran, text);
    fuzz::require(loom_npy_parse(text, text_nbytes, "again.npy", &again, &error) == PARLOOM_OK);
    fuzz::require(again.dtype == header.dtype && again.item_nbytes == header.item_nbytes && again.ndim == header.ndim);
    fuzz::require(again.is_fortran == header.is_fortran && again.payload_nbytes == header.payload_nbytes);
}

inline parloom_status try_input(const uint8_t *bytes, size_t nbytes)
{
    loom_npy_header header;
    parloom_error error;
    parloom_status status = loom_npy_parse(bytes, nbytes, "fuzz.npy", &header, &error);
    if (status == PARLOOM_OK)
        check(header, nbytes);
    else
        fuzz::require(fuzz::is_refusal(status) && error.message[0] != '\0');
    return status;
}

} // namespace fuzz_npy

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes)
{
    (void)fuzz_npy::try_input(bytes, nbytes);
    return 0;
}
