"""Tasks that run as C: over buffers, one by one, and against the interpreter.

``elements`` or ``tasks`` of extra_info, divided by the time of a round, is the rate.
"""

from __future__ import annotations

import time
from array import array

import pytest

from catzilla import TaskSystem

ELEMENTS = 10_000_000
TURNS = 200_000
TASKS = 1_000


def combine(x: float, y: float) -> float:
    return 2.5 * x + y


def square(n: int) -> int:
    return n * n + 1


def mix(n: int) -> int:
    total = 0
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total


@pytest.fixture(params=[1, 2])
def workers(request, backend):
    with TaskSystem(backend=backend, workers=request.param, queue_size=1_000_000, enable_auto_scaling=False) as system:
        yield system


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it was not compiled"
        time.sleep(0.01)


@pytest.mark.parametrize("fn", [combine, square])
def test_buffers(benchmark, workers, fn):
    buffers = (array("d", range(ELEMENTS)),) * 2 if fn is combine else (array("q", range(ELEMENTS)),)
    out = array(buffers[0].typecode, bytes(8 * ELEMENTS))
    task = workers.task(fn)
    workers.add_tasks(task, buffers=tuple(buffer[:100] for buffer in buffers)).wait()
    until(lambda: " it runs as C" in task.explain())
    benchmark.extra_info["elements"] = ELEMENTS
    benchmark.pedantic(lambda: workers.add_tasks(task, buffers=buffers, out=out).wait(), rounds=10, warmup_rounds=2)


def native_task(system, fn, *args):
    task = system.task(compile_to_c=True)(fn)
    task.submit(*args).wait()
    until(lambda: " runs as C:" in task.explain())
    return task


def test_one_by_one(benchmark, system):
    """Small calls: what a submit, a run and a wait cost."""
    task = native_task(system, square, 1)
    benchmark.extra_info["tasks"] = TASKS
    benchmark.pedantic(lambda: [r.wait() for r in [task.submit(n) for n in range(TASKS)]], rounds=20, warmup_rounds=2)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "interpreted"])
def test_loops(benchmark, workers, compiled):
    """Two workers compute at once, which Python's do not."""
    task = native_task(workers, mix, 10) if compiled else workers.task(compile_to_c=False)(mix)
    benchmark.extra_info["tasks"] = 8
    benchmark.pedantic(lambda: [r.wait() for r in [task.submit(TURNS) for _ in range(8)]], rounds=5, warmup_rounds=1)
