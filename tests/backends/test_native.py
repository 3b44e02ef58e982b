"""What both native backends promise of memory: the size of a task, no leaks, and order when there is none."""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.cli import jemalloc
from catzilla.conformance.rig import eventually

PATIENCE_S = 30
MB = 1_000_000


@dataclass(frozen=True)
class Native:
    name: str
    cell_bytes: int
    left_bytes: int  # of cells, at most, when nobody has a task any more

    @property
    def module(self) -> Any:
        return importlib.import_module(f"catzilla.backends.{self.name}._native")


# C drops the cell of a cancelled delay at its time or when enough have gathered, C++ at once.
NATIVES = (Native("c", 80, 100_000), Native("cpp", 96, 20_000))


def nothing() -> None: ...


def fail() -> None:
    raise ValueError("on purpose")


def forget(value: object) -> None: ...


def pair(one: object, other: object) -> list[object]:
    return [one, other]


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.fixture(params=NATIVES, ids=lambda native: native.name)
def native(request: pytest.FixtureRequest) -> Native:
    found: Native = request.param
    pytest.importorskip(f"catzilla.backends.{found.name}._native", exc_type=ImportError)
    return found


@pytest.fixture
def system(native: Native) -> Iterator[TaskSystem]:
    with TaskSystem(backend=native.name, workers=2, queue_size=1_000_000, enable_auto_scaling=False) as system:
        yield system


def cells(system: TaskSystem) -> dict[str, int]:
    arenas: dict[str, dict[str, int]] = system.memory_stats()["arenas"]
    return arenas["cells"]


def test_a_pending_task_takes_one_cell(native: Native, system: TaskSystem) -> None:
    assert native.cell_bytes == native.module.CELL_BYTES
    system.add_task(nothing).wait()
    system.pause()
    before = cells(system)["allocated_bytes"]
    results = [system.add_task(nothing) for _ in range(100_000)]
    after = cells(system)
    assert after["allocated_bytes"] - before == 100_000 * native.cell_bytes
    assert after["active_bytes"] < 107_500 * native.cell_bytes
    system.resume()
    results[-1].wait(PATIENCE_S)
    results.clear()
    assert system.drain(PATIENCE_S)
    assert cells(system)["allocated_bytes"] <= before + 10_000
    eventually(lambda: cells(system)["active_bytes"] < MB, "the empty slabs are given back")


def waits_that_fail(system: TaskSystem, count: int) -> None:
    later = system.add_task(nothing, delay_ms=3_600_000)

    def wait() -> None:
        local = [later]
        with pytest.raises(TimeoutError):
            local[0].wait(0)

    for _ in range(count):
        wait()
    later.cancel()


def followed(system: TaskSystem, count: int) -> None:
    for result in [system.add_task(nothing).then(forget) for _ in range(count)]:
        result.wait()


WAYS: dict[str, Callable[[TaskSystem, int], object]] = {
    "completed": lambda system, n: [r.wait() for r in [system.add_task(pair, 1, [2]) for _ in range(n)]],
    "keywords": lambda system, n: [r.wait() for r in [system.add_task(pair, one=1, other=2) for _ in range(n)]],
    "failed": lambda system, n: [r.exception() for r in [system.add_task(fail) for _ in range(n)]],
    "cancelled": lambda system, n: [system.add_task(nothing, delay_ms=60_000).cancel() for _ in range(n)],
    "batched": lambda system, n: system.add_tasks(pair, [(1, 2)] * n).wait(),
    "waited for in vain": waits_that_fail,
    "followed": followed,
    "retried": lambda system, n: [
        r.exception() for r in [system.add_task(fail, max_retries=1, retry_base_ms=0.01) for _ in range(n)]
    ],
}


@pytest.mark.stress
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_leaks(native: Native, system: TaskSystem, way: str) -> None:
    run, rounds = WAYS[way], int(os.environ.get("CATZILLA_LEAK_TASKS", "30000")) // 5_000

    def settled() -> tuple[int, int, int]:
        assert system.drain(PATIENCE_S)
        eventually(lambda: cells(system)["allocated_bytes"] <= native.left_bytes, "the cells are given back")
        gc.collect()
        records: int = system.memory_stats()["arenas"]["records"]["allocated_bytes"]
        return len(gc.get_objects()), records, resident_bytes()

    # Given a system that has run as many already
    for _ in range(3):
        run(system, 5_000)
    objects, records, memory = settled()
    grown = []
    for _ in range(4):
        # When it runs many more
        for _ in range(rounds):
            run(system, 5_000)
        before_objects, before_records, before_memory = objects, records, memory
        objects, records, memory = settled()
        # Then nothing has grown; an allocator that spreads does so once, a leak every time
        assert objects - before_objects < 5_000
        grown.append((memory - before_memory, records - before_records))
        if grown[-1][0] < 2 * MB and grown[-1][1] < 400_000:  # histograms, and a table of due times that doubled
            return
    pytest.fail(f"resident memory and records grew every time, by {grown} bytes")


def test_a_value_may_lead_back_to_its_handle(system: TaskSystem) -> None:
    """Cycles that only the collector can free, of each kind of outcome."""

    class Thing:
        alive = 0

        def __init__(self) -> None:
            Thing.alive += 1

        def __del__(self) -> None:
            Thing.alive -= 1

    def make(_: object) -> Thing:
        return Thing()

    def raise_it(_: object) -> None:
        error = ValueError("kept")
        error.thing = Thing()  # type: ignore[attr-defined]
        raise error

    for _ in range(100):
        good, bad = system.add_task(make, 1), system.add_task(raise_it, 1)
        good.wait(PATIENCE_S).handle = good  # type: ignore[attr-defined]
        bad.exception(PATIENCE_S).handle = bad  # type: ignore[union-attr]
        del good, bad
    system.add_task(nothing).wait(PATIENCE_S)
    eventually(lambda: gc.collect() >= 0 and Thing.alive == 0, "every result was freed")


def test_results_of_results_of_results_are_freed(system: TaskSystem) -> None:
    """A chain of handles that would overflow the stack if each freed the next."""

    def keep(result: object) -> list[object]:
        return [result]

    result: Any = None
    for _ in range(100_000):
        result = system.add_task(keep, result)
    result.wait(PATIENCE_S)
    assert system.drain(PATIENCE_S)
    assert cells(system)["allocated_bytes"] > 5 * MB
    del result
    eventually(lambda: gc.collect() >= 0 and cells(system)["allocated_bytes"] < MB, "the chain was freed")


def test_without_memory_a_submit_raises_and_harms_nothing(native: Native, system: TaskSystem) -> None:
    system.add_task(nothing).wait()
    system.pause()
    accepted, refused = [], 0
    native.module.fail_after(0)
    try:
        for _ in range(5_000):
            try:
                accepted.append(system.add_task(nothing))
            except MemoryError:
                refused += 1
        with pytest.raises(MemoryError):
            system.add_task(nothing, delay_ms=1)
    finally:
        native.module.fail_after(-1)
    assert refused > 0
    assert system.stats().total_queued == len(accepted)
    system.resume()
    assert [result.wait(PATIENCE_S) for result in accepted] == [None] * len(accepted)
    assert system.add_task(pair, 1, 2).wait(PATIENCE_S) == [1, 2]


@pytest.mark.parametrize("nth", range(12))
def test_an_allocation_that_fails_anywhere(native: Native, nth: int) -> None:
    """Each allocation of a mixed handful of tasks in turn: what is accepted comes to an end."""
    # A continuation that finds no memory for its callback stays a promise: the shutdown gives it up.
    system = TaskSystem(backend=native.name, workers=2, enable_auto_scaling=False, shutdown_timeout=0.2)
    system.add_task(nothing).wait()
    results = []
    native.module.fail_after(nth)
    try:
        for make in (
            lambda: system.add_task(fail),
            lambda: system.add_task(nothing, delay_ms=1),
            lambda: system.add_task(fail, max_retries=2, retry_base_ms=0.1),
            lambda: system.add_task(nothing).then(lambda _: 1),
        ):
            try:
                results.append(make())
            except MemoryError:
                pass
        time.sleep(0.05)  # the memory stays away for as long, whatever of them is under way
    finally:
        native.module.fail_after(-1)
    system.supervisor.wake()
    for result in results:
        result.exception(PATIENCE_S)
    assert system.add_task(pair, 1, 2).wait(PATIENCE_S) == [1, 2]
    system.shutdown()


DRAIN = """
import sys, time
from pathlib import Path
from catzilla import TaskSystem
from catzilla.cli import jemalloc

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def burst(system, n):
    results = [system.add_task(int) for _ in range(n)]
    for result in results:
        result.wait()

with TaskSystem(backend=sys.argv[1], workers=2, queue_size=10**6) as system:
    burst(system, 1000)
    before = resident_bytes()
    burst(system, 300_000)
    kept = []
    for _ in range(50):
        time.sleep(0.2)
        kept.append(resident_bytes() / before - 1)
        if kept[-1] < 0.3:
            break
    print(min(kept))
"""


@pytest.mark.skipif(jemalloc.library() is None, reason="no jemalloc is here")
def test_memory_goes_back_with_jemalloc_preloaded(system: TaskSystem) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", DRAIN, system.backend_name],
        env=os.environ | {"LD_PRELOAD": str(jemalloc.library())},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(ran.stdout) < 0.3, "of what it was before"
