/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_npy.cc - libFuzzer entry for headers of .npy files.
 *
 *   clang -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_npy.cc && ./fuzz_npy tests/fuzz/npy
 *
 * The corpus beside it is also replayed by an ordinary test (NpyCorpus).
 */
#include "rest/npy.h"

#include "shm/array.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes)
{
    loom_npy_header header;
    parloom_error error;
    parloom_status status = loom_npy_parse(bytes, nbytes, "fuzz.npy", &header, &error);
    if (status != PARLOOM_OK) {
        bool is_known = status == PARLOOM_ERR_FORMAT || status == PARLOOM_ERR_UNSUPPORTED;
        if (!is_known || error.message[0] == '\0') std::abort();
        return 0;
    }
    /* What was accepted can be described, measured, and written again with the same meaning. */
    parloom_array array =
        parloom_array_wrap_strided(nullptr, header.dtype, header.item_nbytes, header.ndim, header.shape, nullptr);
    size_t before = 0;
    size_t from = 0;
    if (loom_array_measure(&array, &before, &from, &error) != PARLOOM_OK || from != header.payload_nbytes) std::abort();
    if (header.payload_offset > nbytes || parloom_array_nbytes(&array) != header.payload_nbytes) std::abort();
    if (header.is_swapped && header.dtype != PARLOOM_ITEM) array.flags |= LOOM_ARRAY_SWAPPED;
    char text[LOOM_NPY_FORMAT_NBYTES];
    loom_npy_header again;
    size_t text_nbytes = loom_npy_format(&array, header.is_fortran, text);
    if (loom_npy_parse(text, text_nbytes, "again.npy", &again, &error) != PARLOOM_OK) std::abort();
    if (again.dtype != header.dtype || again.item_nbytes != header.item_nbytes || again.ndim != header.ndim)
        std::abort();
    if (again.is_fortran != header.is_fortran || again.payload_nbytes != header.payload_nbytes) std::abort();
    return 0;
}
