/* SPDX-License-Identifier: BSD-3-Clause */
/* samples.h - arrays of every dtype, order and dimension, and NumPy's words for the same. */
#ifndef LOOM_TESTS_REST_SAMPLES_H
#define LOOM_TESTS_REST_SAMPLES_H

#include "shm/array.h"

#include <parloom/parloom.h>

#include <string>
#include <vector>

struct named_dtype {
    parloom_dtype dtype;
    const char *numpy;
    size_t nbytes;
};
inline const named_dtype DTYPES[] = {
    { PARLOOM_BOOL, "|b1", 1 },   { PARLOOM_I8, "|i1", 1 },   { PARLOOM_I16, "<i2", 2 }, { PARLOOM_I32, "<i4", 4 },
    { PARLOOM_I64, "<i8", 8 },    { PARLOOM_U8, "|u1", 1 },   { PARLOOM_U16, "<u2", 2 }, { PARLOOM_U32, "<u4", 4 },
    { PARLOOM_U64, "<u8", 8 },    { PARLOOM_F32, "<f4", 4 },  { PARLOOM_F64, "<f8", 8 }, { PARLOOM_C64, "<c8", 8 },
    { PARLOOM_C128, "<c16", 16 }, { PARLOOM_ITEM, "|V6", 6 },
};

/* The k-th item of every array here: bytes k, k + 1, ... modulo 2, which are valid for every type. */
inline std::string item_bytes(size_t k, size_t nbytes)
{
    std::string bytes;
    for (size_t b = 0; b < nbytes; b++) bytes += static_cast<char>((k >> (b % 5) & 1) + (nbytes > 1 ? b % 3 : 0));
    return bytes;
}

inline const char PYTHON_ITEMS[] = R"(
import numpy as np
def items(dtype, n):
    size = np.dtype(dtype).itemsize
    rows = [[(k >> (b % 5) & 1) + (b % 3 if size > 1 else 0) for b in range(size)] for k in range(n)]
    return np.array(rows, dtype='u1').reshape(n * size).view(dtype) if n else np.zeros(0, dtype)
shapes = [(), (5,), (3, 4), (2, 3, 4), (2, 0, 3, 1), (1, 2, 1, 3, 1, 2, 2, 1)]
dtypes = ['|b1', '|i1', '<i2', '<i4', '<i8', '|u1', '<u2', '<u4', '<u8', '<f4', '<f8', '<c8', '<c16', '|V6']
)";

inline const std::vector<std::vector<size_t>> SHAPES = { {},          { 5 },          { 3, 4 },
                                                         { 2, 3, 4 }, { 2, 0, 3, 1 }, { 1, 2, 1, 3, 1, 2, 2, 1 } };

inline std::string file_name(size_t dtype, size_t ndim, bool is_fortran)
{
    return std::to_string(dtype) + (is_fortran ? "f" : "c") + std::to_string(ndim) + ".npy";
}

inline parloom_array make(const named_dtype &dtype, const std::vector<size_t> &shape, bool is_fortran,
                          std::string &memory)
{
    size_t count = 1;
    for (size_t length : shape) count *= length;
    memory.assign(count * dtype.nbytes, '\0');
    parloom_array array = parloom_array_wrap_strided(memory.data(), dtype.dtype, dtype.nbytes,
                                                     static_cast<int>(shape.size()), shape.data(), nullptr);
    std::string in_order;
    for (size_t k = 0; k < count; k++) in_order += item_bytes(k, dtype.nbytes);
    parloom_array source = array;
    source.data = in_order.data();
    if (is_fortran) loom_array_set_strides(&array, true);
    loom_array_copy_items(&array, &source);
    return array;
}

inline std::string in_c_order(const parloom_array &array)
{
    std::string bytes(parloom_array_nbytes(&array), '\0');
    if (!bytes.empty()) loom_array_gather(&array, 0, loom_array_count(&array), bytes.data());
    return bytes;
}

#endif
