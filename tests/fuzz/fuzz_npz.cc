/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_npz.cc - libFuzzer entry for .npz archives: opened, and every array in them loaded and mapped.
 *
 *   clang -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_npz.cc && ./fuzz_npz tests/fuzz/npz
 *
 * The corpus beside it is also replayed by an ordinary test (NpzCorpus).
 */
#include <parloom/parloom.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <sys/mman.h>
#include <unistd.h>

static bool is_refusal(parloom_status status)
{
    return status == PARLOOM_ERR_FORMAT || status == PARLOOM_ERR_UNSUPPORTED;
}

/* What was accepted is there: each byte can be read. */
static void touch(const parloom_array &array)
{
    volatile unsigned sum = 0;
    for (size_t k = 0; k < parloom_array_nbytes(&array); k++) sum = sum + static_cast<const uint8_t *>(array.data)[k];
}

static void load_all(const parloom_npz *npz, size_t most)
{
    for (size_t k = 0; k < parloom_npz_count(npz); k++)
        for (parloom_mmap_mode mode : { PARLOOM_MMAP_UNSET, PARLOOM_MMAP_R }) {
            parloom_array array;
            parloom_status status = parloom_npz_load(&array, npz, parloom_npz_name(npz, k), mode, nullptr);
            if (status != PARLOOM_OK && !is_refusal(status)) std::abort();
            if (status != PARLOOM_OK) continue;
            if (parloom_array_nbytes(&array) > most) std::abort();
            touch(array);
            parloom_array_release(&array);
        }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes)
{
    char path[64];
    parloom_npz *npz = nullptr;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, nbytes) != static_cast<ssize_t>(nbytes)) std::abort();
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    parloom_set_log([](int, const char *, void *) {}, nullptr);
    parloom_status status = parloom_npz_open(&npz, path, nullptr);
    if (status != PARLOOM_OK && !is_refusal(status)) std::abort();
    /* Deflate makes at most 1032 bytes out of one. */
    if (status == PARLOOM_OK) load_all(npz, nbytes * 1032);
    parloom_npz_close(npz);
    close(fd);
    return 0;
}
