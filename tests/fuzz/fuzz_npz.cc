/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_npz.cc - libFuzzer entry for .npz archives: opened, and every array in them loaded and mapped.
 *
 * The corpus beside it is replayed by NpzCorpus.
 */
#include "tests/fuzz/input.h"

#include <initializer_list>

namespace fuzz_npz
{

enum { DEFLATE_EXPANSION = 1032 };

inline void load_all(const parloom_npz *npz, size_t most)
{
    for (size_t k = 0; k < parloom_npz_count(npz); k++)
        for (parloom_mmap_mode mode : { PARLOOM_MMAP_UNSET, PARLOOM_MMAP_R }) {
            parloom_array array;
            parloom_status status = parloom_npz_load(&array, npz, parloom_npz_name(npz, k), mode, nullptr);
            fuzz::require(status == PARLOOM_OK || fuzz::is_refusal(status));
            if (status != PARLOOM_OK) continue;
            fuzz::require(parloom_array_nbytes(&array) <= most);
            fuzz::touch(array);
            parloom_array_release(&array);
        }
}

/* Was it opened? Members may be refused all the same. */
inline parloom_status try_input(const uint8_t *bytes, size_t nbytes)
{
    fuzz::prepare();
    parloom_npz *npz = nullptr;
    fuzz::File file(bytes, nbytes);
    parloom_status status = parloom_npz_open(&npz, file.path, nullptr);
    fuzz::require(status == PARLOOM_OK || fuzz::is_refusal(status));
    if (status == PARLOOM_OK) load_all(npz, nbytes * DEFLATE_EXPANSION);
    parloom_npz_close(npz);
    return status;
}

} // namespace fuzz_npz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes)
{
    (void)fuzz_npz::try_input(bytes, nbytes);
    return 0;
}
