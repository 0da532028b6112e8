/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_codec.cc - libFuzzer entry for compressed files: one program for each codec (FUZZ_CODEC).
 *
 * An input is a byte that says what the rest is, and the rest. RAW: the file. PACKED: changes, then what is compressed
 * with the codec in so many streams and then changed, since no checksum lets the changes of a fuzzer through:
 *
 *   0   enum what, streams - 1 in bits 4 to 5, changes in bits 6 to 7
 *   1   for each change 3 bytes: at which byte of the file (2, little-endian), and what is turned there; 0: cut there
 *   ... a .npy
 *
 * The corpora (codec/<name>) are replayed by CodecCorpus.
 */
#include "tests/fuzz/input.h"

#include "rest/codec.h"
#include "rest/npy.h"

#include <cstring>

namespace fuzz_codec
{

enum what { RAW, PACKED, FROM_PIPE = 2, MOST_NBYTES = 4096, LEVEL = 1 };

inline std::string pack(const loom_codec *codec, const std::string &plain)
{
    void *stream = nullptr;
    parloom_error error;
    std::string packed(plain.size() + plain.size() / 2 + 1024, '\0');
    fuzz::require(loom_codec_open(codec, LEVEL, 8, &stream, &error) == PARLOOM_OK);
    parloom_codec_step step = {};
    step.in = plain.data();
    step.in_nbytes = plain.size();
    step.out = packed.data();
    step.out_nbytes = packed.size();
    step.is_last = true;
    while (!step.is_done) {
        size_t left = step.in_nbytes + step.out_nbytes;
        fuzz::require(loom_codec_step(codec, stream, &step, &error) == PARLOOM_OK);
        if (left == step.in_nbytes + step.out_nbytes && !step.is_done) break; /* it asks for more room: enough */
    }
    fuzz::require(step.is_done);
    codec->ops.close(stream);
    packed.resize(packed.size() - step.out_nbytes);
    return packed;
}

inline std::string pack_streams(const loom_codec *codec, const std::string &plain, size_t streams)
{
    std::string packed;
    if ((codec->ops.flags & PARLOOM_CODEC_FRAMES) == 0) streams = 1;
    size_t part = plain.size() / streams;
    for (size_t k = 0; k < streams; k++)
        packed += pack(codec, k + 1 < streams ? plain.substr(k * part, part) : plain.substr(k * part));
    return packed;
}

inline void change(std::string *packed, const std::string &changes)
{
    for (size_t k = 0; k + 3 <= changes.size() && !packed->empty(); k += 3) {
        auto low = static_cast<unsigned char>(changes[k]), high = static_cast<unsigned char>(changes[k + 1]);
        size_t at = (low | static_cast<size_t>(high) << 8) % packed->size();
        if (changes[k + 2] == 0) packed->resize(at);
        if (changes[k + 2] != 0) (*packed)[at] = static_cast<char>((*packed)[at] ^ changes[k + 2]);
    }
}

inline bool is_whole(const std::string &plain)
{
    loom_npy_header header;
    return loom_npy_parse(plain.data(), plain.size(), "plain.npy", &header, nullptr) == PARLOOM_OK &&
           header.payload_offset + header.payload_nbytes == plain.size() && !header.is_swapped &&
           header.payload_offset >= LOOM_NPY_PREFIX_NBYTES;
}

inline parloom_status load(parloom_array *array, const std::string &file, bool from_pipe, parloom_error *error)
{
    const auto *bytes = reinterpret_cast<const uint8_t *>(file.data());
    if (!from_pipe || file.size() > 1 << 15) {
        fuzz::File whole(bytes, file.size());
        return parloom_array_load(array, whole.path, PARLOOM_MMAP_UNSET, error);
    }
    int ends[2];
    fuzz::require(pipe(ends) == 0 && write(ends[1], bytes, file.size()) == static_cast<ssize_t>(file.size()));
    close(ends[1]);
    parloom_status status = parloom_array_load_fd(array, ends[0], PARLOOM_MMAP_UNSET, error);
    close(ends[0]);
    return status;
}

/* plain: what it was made of and must be again; NULL: anything may come of it. */
inline parloom_status try_file(const std::string &file, bool from_pipe, const std::string *plain)
{
    parloom_array array;
    parloom_error error;
    parloom_status status = load(&array, file, from_pipe, &error);
    if (plain != nullptr) fuzz::require(status == PARLOOM_OK);
    if (status != PARLOOM_OK) {
        fuzz::require(fuzz::is_refusal(status) || fuzz::is_shortage(status));
        fuzz::require(error.message[0] != '\0');
        return status;
    }
    fuzz::touch(array);
    size_t nbytes = parloom_array_nbytes(&array);
    if (plain != nullptr && nbytes > 0)
        fuzz::require(memcmp(array.data, plain->data() + plain->size() - nbytes, nbytes) == 0);
    parloom_array_release(&array);
    return PARLOOM_OK;
}

inline parloom_status try_input(const char *name, const uint8_t *bytes, size_t nbytes)
{
    fuzz::prepare();
    if (nbytes == 0 || nbytes > MOST_NBYTES) return PARLOOM_ERR_FORMAT;
    fuzz::Reader reader(bytes, nbytes);
    unsigned what = reader.number(1);
    bool from_pipe = (what & FROM_PIPE) != 0;
    if ((what & PACKED) == 0) return try_file(reader.bytes(nbytes), from_pipe, nullptr);
    loom_codec *codec = loom_codec_find(name, strlen(name));
    fuzz::require(codec != nullptr);
    std::string changes = reader.bytes(3 * (what >> 6));
    std::string plain = reader.bytes(nbytes);
    std::string packed = pack_streams(codec, plain, 1 + (what >> 4) % 4);
    loom_codec_release(codec);
    change(&packed, changes);
    return try_file(packed, from_pipe, changes.empty() && is_whole(plain) ? &plain : nullptr);
}

} // namespace fuzz_codec

#ifdef FUZZ_CODEC
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes)
{
    (void)fuzz_codec::try_input(FUZZ_CODEC, bytes, nbytes);
    return 0;
}
#endif
