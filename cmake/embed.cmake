# SPDX-License-Identifier: BSD-3-Clause
# Writes the bytes of FILE as the C array loom_preload_image to OUT, so that the preload needs no place on disk.
# Run: cmake -DFILE=<shared object> -DOUT=<c file> -P cmake/embed.cmake

file(READ "${FILE}" bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(................................................................................)" "\\1\n"
       bytes "${bytes}")
file(WRITE "${OUT}" "/* Generated: the worker preload as bytes. */
#include <stddef.h>

extern const unsigned char loom_preload_image[];
extern const size_t loom_preload_image_nbytes;

const unsigned char loom_preload_image[] = {
${bytes}
};
const size_t loom_preload_image_nbytes = sizeof loom_preload_image;
")
