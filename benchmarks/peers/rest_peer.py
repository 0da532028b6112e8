# SPDX-License-Identifier: BSD-3-Clause
"""Arrays into files and back with NumPy and joblib; protocol in peer.h: a line there, a line of numbers back."""
import os
import signal
import sys
import time

import joblib
import numpy

arrays = {}


def array_of(nbytes):
    if nbytes not in arrays:
        arrays.clear()
        arrays[nbytes] = numpy.ones(nbytes // 8)
    return arrays[nbytes]


def dumped(dump, nbytes, folder):
    array = array_of(int(nbytes))
    path = os.path.join(folder, "benchmarks-rest-peer-%d" % os.getpid())
    try:
        start = time.monotonic_ns()
        dump(array, path)
        return [time.monotonic_ns() - start]
    finally:
        os.unlink(path)


def numpy_save(nbytes, folder):
    def save(array, path):
        with open(path, "wb") as file:  # numpy.save would add .npy to the name
            numpy.save(file, array)

    return dumped(save, nbytes, folder)


def joblib_dump(nbytes, folder):
    return dumped(joblib.dump, nbytes, folder)


def joblib_zlib(path, packed):
    array = numpy.load(path)
    start = time.monotonic_ns()
    joblib.dump(array, packed, compress=("zlib", 3))
    return [time.monotonic_ns() - start]


def numpy_load(path):
    start = time.monotonic_ns()
    array = numpy.load(path)
    ns = time.monotonic_ns() - start
    del array
    return [ns]


def numpy_open(path, times):
    start = time.monotonic_ns()
    for _ in range(int(times)):
        numpy.load(path, mmap_mode="r")
    return [(time.monotonic_ns() - start) / int(times)]


jobs = {f.__name__: f for f in (numpy_save, joblib_dump, joblib_zlib, numpy_load, numpy_open)}
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what else is printed does not mix with the answers
for line in sys.stdin:
    words = line.split()
    try:
        print(*jobs[words[0]](*words[1:]), file=answers, flush=True)
    except Exception as failure:
        print("failed:", " ".join(str(failure).split()), file=answers, flush=True)
