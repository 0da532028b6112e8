# SPDX-License-Identifier: BSD-3-Clause
"""What joblib's workers run: in a module of its own, so that a function travels by name and not by value."""
import ctypes
import os
import time

import numpy

body = ctypes.CDLL(os.path.join(os.environ["BENCHMARKS_FOLDER"], "libbench_body.so"))
body.body_spin.argtypes = [ctypes.c_uint64]
body.body_spin.restype = ctypes.c_uint64


def empty(index):
    pass


def store(index, stored):
    stored[index] = index


def spin(steps):
    body.body_spin(steps)


def process_id():
    return os.getpid()


def touch(array, mode):
    """The moment (time.monotonic_ns) when one byte, or one of each page, has been read."""
    if mode == "byte":
        array[0] + 1
    elif mode == "pages":
        array[::4096].sum()
    return time.monotonic_ns()


def own(argument):
    """A call with 64 bytes of its own; its result is a number."""
    return argument[0]


def look_up(table, steps, index):
    """Entry of a table that is bound to the function, as in a pool's map; and a microsecond of work."""
    body.body_spin(steps)
    return table[index * 7919 % len(table)][0]


def look_up_array(table, steps, index):
    body.body_spin(steps)
    return table[index * 7919 % len(table), 0]


def row(count, value):
    return numpy.full(count, value)


def fill(rows, index, value):
    rows[index, :] = value


def own_result(argument):
    """What Memory keeps: eight numbers of a number, or twice an array."""
    return numpy.full(8, float(argument)) if numpy.ndim(argument) == 0 else 2 * argument
