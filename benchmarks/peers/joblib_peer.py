# SPDX-License-Identifier: BSD-3-Clause
"""The same jobs with joblib and its loky workers; protocol in peer.h: a line there, a line of numbers back.

Usage: joblib_peer.py FOLDER, where libbench_body.so lies.
"""
import functools
import multiprocessing
import os
import signal
import sys
import tempfile
import time

os.environ["BENCHMARKS_FOLDER"] = sys.argv[1]
here = os.path.dirname(os.path.abspath(__file__))
os.environ["PYTHONPATH"] = here  # for the workers, which import joblib_tasks
import_start = time.monotonic_ns()
import joblib  # noqa: E402
from joblib import Parallel, delayed  # noqa: E402

import_ns = time.monotonic_ns() - import_start
import numpy  # noqa: E402

import joblib_tasks  # noqa: E402

arrays = {}


def array_of(nbytes):
    if nbytes not in arrays:
        arrays.clear()  # one at a time: the largest are a good part of the machine
        arrays[nbytes] = numpy.ones(nbytes, dtype=numpy.uint8)
    return arrays[nbytes]


def first(jobs):
    """The first call of this process; its import of joblib comes second in the answer."""
    start = time.monotonic_ns()
    Parallel(n_jobs=int(jobs), batch_size=1)(delayed(joblib_tasks.process_id)() for _ in range(int(jobs)))
    return [time.monotonic_ns() - start, import_ns]


def warm(times, jobs):
    """Calls with one empty task for each worker, ns for one."""
    call = [delayed(joblib_tasks.empty)(i) for i in range(int(jobs))]
    Parallel(n_jobs=int(jobs))(call)
    start = time.monotonic_ns()
    for _ in range(int(times)):
        Parallel(n_jobs=int(jobs))(call)
    return [(time.monotonic_ns() - start) / int(times)]


def loop(way, kind, tasks, steps, jobs):
    tasks, steps = int(tasks), int(steps)
    if kind == "0":
        calls = (delayed(joblib_tasks.empty)(i) for i in range(tasks))
    elif kind == "1":
        stored = shared("stored", (tasks,))
        calls = (delayed(joblib_tasks.store)(i, stored) for i in range(tasks))
    else:
        calls = (delayed(joblib_tasks.spin)(steps) for i in range(tasks))
    parallel = Parallel(n_jobs=int(jobs), batch_size="auto" if way == "auto" else int(way))
    start = time.monotonic_ns()
    parallel(calls)
    return [time.monotonic_ns() - start]


def shared(name, shape):
    """A writable numpy.memmap in /dev/shm, made once."""
    if name not in arrays or arrays[name].shape != shape:
        path = os.path.join(folder, name)
        arrays[name] = numpy.memmap(path, dtype=numpy.float64, mode="w+", shape=shape)
    return arrays[name]


def input(nbytes, mode, jobs):
    """A private array given to every worker: ns to the last touch, and of the whole call."""
    array = array_of(int(nbytes))
    calls = [delayed(joblib_tasks.touch)(array, mode) for _ in range(int(jobs))]
    parallel = Parallel(n_jobs=int(jobs), batch_size=1)  # a new one each time: an old one remembers its memmaps
    start = time.monotonic_ns()
    touched = parallel(calls)
    end = time.monotonic_ns()
    return [max(touched) - start, end - start]


def dump(nbytes):
    array = array_of(int(nbytes))
    path = os.path.join(folder, "dump")
    start = time.monotonic_ns()
    joblib.dump(array, path)
    end = time.monotonic_ns()
    os.unlink(path)
    return [end - start]


def hash(nbytes):
    array = array_of(int(nbytes)).view(numpy.float64)
    start = time.monotonic_ns()
    joblib.hash(array)
    return [time.monotonic_ns() - start]


def hit(nbytes, mapped, times):
    """Hits of Memory: an integer as argument, or so many bytes of array; ns for one."""
    if "memory" not in arrays:
        arrays.clear()
        os.makedirs(os.path.join(folder, "memory"), exist_ok=True)
        arrays["memory"] = numpy.ones(int(nbytes) // 8)
    memory = joblib.Memory(os.path.join(folder, "memory"), mmap_mode="r" if mapped == "1" else None, verbose=0)
    cached = memory.cache(joblib_tasks.own_result)
    argument = arrays["memory"] if mapped == "1" else 7
    cached(argument)
    start = time.monotonic_ns()
    for _ in range(int(times)):
        cached(argument)
    return [(time.monotonic_ns() - start) / int(times)]


def returned(rows, count, jobs):
    start = time.monotonic_ns()
    Parallel(n_jobs=int(jobs))(delayed(joblib_tasks.row)(int(count), float(i)) for i in range(int(rows)))
    return [time.monotonic_ns() - start]


def filled(rows, count, jobs):
    array = shared("rows", (int(rows), int(count)))
    start = time.monotonic_ns()
    Parallel(n_jobs=int(jobs))(delayed(joblib_tasks.fill)(array, i, float(i)) for i in range(int(rows)))
    return [time.monotonic_ns() - start]


def calls(tasks, jobs):
    """Calls with 64 bytes of their own, taken from a generator as they are needed."""
    arguments = [bytes([i % 256]) * 64 for i in range(int(tasks))]
    parallel = Parallel(n_jobs=int(jobs))
    start = time.monotonic_ns()
    results = parallel(delayed(joblib_tasks.own)(argument) for argument in arguments)
    end = time.monotonic_ns()
    if results != [argument[0] for argument in arguments]:
        raise ValueError("results of calls are wrong")
    return [end - start]


def bits_of(number):
    return bytes((number >> bit) & 1 for bit in range(40))


def bits_table(entries):
    """Integers to bit arrays of 40 bytes, the known case of a cache in a dict."""
    if "bits" not in arrays:
        arrays["bits"] = {i: bits_of(i) for i in range(entries)}
    return arrays["bits"]


def table_serial(entries, tasks, steps, jobs):
    work = functools.partial(joblib_tasks.look_up, bits_table(int(entries)), int(steps))
    start = time.monotonic_ns()
    list(map(work, range(int(tasks))))
    return [time.monotonic_ns() - start]


def table_pool(entries, tasks, steps, jobs):
    """multiprocessing.Pool.map: the table is pickled for each chunk, of which there are four for each worker."""
    with multiprocessing.get_context("forkserver").Pool(int(jobs)) as pool:
        pool.map(joblib_tasks.empty, range(int(jobs)))
        work = functools.partial(joblib_tasks.look_up, bits_table(int(entries)), int(steps))
        start = time.monotonic_ns()
        pool.map(work, range(int(tasks)))
        return [time.monotonic_ns() - start]


def table_joblib(entries, tasks, steps, jobs):
    """The table as an array: joblib maps it, a dict it would pickle for each task."""
    table = numpy.zeros((int(entries), 40), dtype=numpy.uint8)
    parallel = Parallel(n_jobs=int(jobs))
    start = time.monotonic_ns()
    parallel(delayed(joblib_tasks.look_up_array)(table, int(steps), i) for i in range(int(tasks)))
    return [time.monotonic_ns() - start]


jobs = {
    f.__name__: f
    for f in (
        first, warm, loop, input, dump, hash, hit, returned, filled, calls, table_serial, table_pool, table_joblib
    )  # fmt: skip
}
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # else the folder would outlive a run that is stopped
with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="benchmarks_joblib_") as folder:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what else is printed does not mix with the answers
    for line in sys.stdin:
        words = line.split()
        try:
            print(*jobs[words[0]](*words[1:]), file=answers, flush=True)
        except Exception as failure:
            print("failed:", " ".join(str(failure).split()), file=answers, flush=True)
