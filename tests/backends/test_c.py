"""What only the C backend promises: memory, and where its locks are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.conformance.rig import eventually

native: Any = pytest.importorskip("catzilla.backends.c._native", exc_type=ImportError)

SOURCES = Path(__file__).parents[2] / "backends" / "c"


def nothing() -> None: ...


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.fixture
def system() -> Any:
    with TaskSystem(backend="c", workers=2, queue_size=1_000_000, enable_auto_scaling=False) as system:
        yield system


def cells(system: TaskSystem) -> dict[str, int]:
    arenas: dict[str, dict[str, int]] = system.memory_stats()["arenas"]
    return arenas["cells"]


def test_cancelled_tasks_are_gone_at_once(system: TaskSystem) -> None:
    system.add_task(nothing).wait()
    system.pause()
    for result in [system.add_task(nothing) for _ in range(50_000)]:
        result.cancel()
    del result
    assert cells(system)["allocated_bytes"] < 200_000
    system.resume()


def test_memory_goes_back_after_a_drain(system: TaskSystem) -> None:
    def burst() -> int:
        results = [system.add_task(nothing) for _ in range(500_000)]
        results[-1].wait()
        at_most = resident_bytes()
        results.clear()
        assert system.drain(30)
        return at_most

    burst()
    time.sleep(2)
    before = resident_bytes()
    taken = burst() - before
    assert taken > 500_000 * 80 / 2
    # How much and how soon is measured by benchmarks; here other tests have left threads and garbage behind
    eventually(lambda: resident_bytes() < before + 0.2 * taken, "the memory goes back")


def test_the_allocator_says_what_it_is() -> None:
    script = "from catzilla import TaskSystem; print(TaskSystem(backend='c').memory_stats()['allocator'])"
    name = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert name == ("malloc" if native.jemalloc_absent() else "jemalloc")
    if os.environ.get("CATZILLA_TEST_JEMALLOC"):
        assert name == "jemalloc", native.jemalloc_absent()


def code_of(path: Path) -> str:
    return re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)


@pytest.mark.skipif(not SOURCES.is_dir(), reason="an installed copy has no sources")
def test_every_lock_of_the_core_is_known() -> None:
    files = [*SOURCES.glob("src/*.c"), *SOURCES.glob("include/catzilla/*.h")]
    locks = {path.name for path in files if "pthread_mutex" in code_of(path)}
    print("files with a mutex:", *sorted(locks))
    # workers: parking, resizing, stopping. alloc: the arenas of closed engines, to be used again.
    assert locks == {"workers.c", "workers.h", "alloc.c"}
    assert not [path.name for path in files if "Python.h" in code_of(path)]
    assert {path.name for path in files if "memory_order_" in code_of(path)} == {"order.h"}
