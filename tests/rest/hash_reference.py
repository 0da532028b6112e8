# SPDX-License-Identifier: BSD-3-Clause
"""docs/hashing.md in Python, written from the page: digests of NumPy arrays and of lists of arguments."""
import hashlib
import struct

import numpy as np
import xxhash

NAMES = "b1 i1 i2 i4 i8 u1 u2 u4 u8 f4 f8 c8 c16".split()


def xxh3(data):
    return xxhash.xxh3_128_digest(data)


def sha256(data):
    return hashlib.sha256(data).digest()


def words(*numbers):
    return struct.pack("<%dQ" % len(numbers), *numbers)


def content(data, item_nbytes, h):
    piece = max(1048576 // item_nbytes, 1) * item_nbytes
    if len(data) <= piece:
        return data
    return b"".join(h(data[at : at + piece]) for at in range(0, len(data), piece))


def bytes_record(data, h, room=False):
    return words(4 if room else 1, len(data)) + (b"" if room else content(data, 1, h))


def array_words(array, any_layout, memmap):
    name = array.dtype.str[1:]
    dtype = NAMES.index(name) + 1 if name in NAMES else 14
    order = 0 if dtype == 14 or array.itemsize == 1 else 1 if array.dtype.str[0] == "<" else 2
    is_c = any_layout or array.flags.c_contiguous
    layout = 0 if is_c else 1 if array.flags.f_contiguous else 2
    return words(dtype, order, array.itemsize, layout, memmap, array.ndim, *array.shape), layout


def array_record(array, h, any_layout=False, memmap=0, room=False):
    described, layout = array_words(array, any_layout, memmap)
    items = array.tobytes("F" if layout == 1 else "C")
    return words(5 if room else 2) + described + (b"" if room else content(items, array.itemsize, h))


def argument(value, h, kind=1, stride=0):
    room = kind == 2
    record = array_record(value, h, room=room) if isinstance(value, np.ndarray) else bytes_record(value, h, room)
    return words(3, kind, 3, stride) + record


def message(purpose, *records, h=xxh3):
    return h(b"parloom1" + bytes_record(purpose.encode(), h) + b"".join(records))


def hash_array(array, h=xxh3, **how):
    return message("array", array_record(array, h, **how), h=h)


def hash_args(arguments, h=xxh3):
    return message("args", words(3, len(arguments)), *arguments, h=h)


def hash_named(named, h=xxh3):
    pairs = [bytes_record(name, h) + named[name] for name in sorted(named)]
    return message("named", words(3, len(named)), *pairs, h=h)


def hash_set(arguments, h=xxh3):
    digests = sorted(message("element", argument, h=h) for argument in arguments)
    return message("set", words(3, len(digests)), *[bytes_record(d, h) for d in digests], h=h)


IGNORED = words(3, 0)
