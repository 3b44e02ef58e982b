"""What only the C++ backend promises: stealing, memory, and how it ends with threads that are stuck."""

from __future__ import annotations

import gc
import re
import shutil
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskPriority

native: Any = pytest.importorskip("catzilla.backends.cpp._native", exc_type=ImportError)

SOURCES = Path(__file__).parents[2] / "backends" / "cpp"
PATIENCE_S = 30


def nothing() -> None: ...


@pytest.fixture
def system() -> Iterator[TaskSystem]:
    with TaskSystem(backend="cpp", workers=2, queue_size=1_000_000, enable_auto_scaling=False) as system:
        yield system


def cells(system: TaskSystem) -> dict[str, int]:
    arenas: dict[str, dict[str, int]] = system.memory_stats()["arenas"]
    return arenas["cells"]


def steals(system: TaskSystem) -> int:
    return system.engine.metrics.counters()["steals"]


# -- stealing ------------------------------------------------------------------------------------


def test_a_burst_from_inside_is_stolen(system: TaskSystem) -> None:
    # Given a task that submits many, and then keeps its worker busy until they are done
    def parent() -> int:
        done = threading.Event()
        left = [200]

        def count() -> None:
            left[0] -= 1  # one worker does them all: this one is busy
            if not left[0]:
                done.set()

        for _ in range(200):
            system.add_task(count)
        assert done.wait(PATIENCE_S)
        return left[0]

    # Then the other worker does them, and the statistics say so
    assert system.add_task(parent).wait(PATIENCE_S) == 0
    assert steals(system) == system.stats().steals == 200


def test_what_comes_from_outside_is_not_stolen(system: TaskSystem) -> None:
    for result in [system.add_task(nothing) for _ in range(1_000)]:
        result.wait(PATIENCE_S)
    assert steals(system) == 0


def test_nothing_waits_behind_a_stuck_worker(system: TaskSystem) -> None:
    # Given a task that submitted one and got stuck, and an inbox that never empties
    stuck, ran, over = threading.Event(), threading.Event(), threading.Event()

    def parent() -> None:
        system.add_task(ran.set)
        stuck.wait(PATIENCE_S)

    def feed() -> None:
        while not over.is_set():
            if sum(system.engine.queue.sizes()) < 100:
                for _ in range(100):
                    system.add_task(nothing)

    blocked = system.add_task(parent)
    thread = threading.Thread(target=feed)
    thread.start()
    # Then it runs, although there is always something else to do
    try:
        assert ran.wait(PATIENCE_S)
    finally:
        over.set()
        stuck.set()
        thread.join(PATIENCE_S)
    blocked.wait(PATIENCE_S)


def test_critical_from_inside_goes_first() -> None:
    # Given a backlog of a worker's own, when its task submits a CRITICAL one
    started: list[str] = []

    def parent() -> None:
        for _ in range(50):
            system.add_task(started.append, "normal")
        system.add_task(started.append, "critical", priority=TaskPriority.CRITICAL)

    with TaskSystem(backend="cpp", workers=1, enable_auto_scaling=False) as system:
        system.add_task(parent).wait(PATIENCE_S)
        assert system.drain(PATIENCE_S)
    assert started[0] == "critical"
    assert len(started) == 51


def test_a_tree_of_tasks_that_wait_for_their_own(system: TaskSystem) -> None:
    def node(depth: int) -> int:
        if depth == 0:
            return 1
        left, right = system.add_task(node, depth - 1), system.add_task(node, depth - 1)
        return left.wait() + right.wait() + 1

    assert system.add_task(node, 12).wait(PATIENCE_S) == 2**13 - 1


# -- memory --------------------------------------------------------------------------------------


def test_cancelled_tasks_are_gone_at_once(system: TaskSystem) -> None:
    system.add_task(nothing).wait()
    system.pause()
    for result in [system.add_task(nothing) for _ in range(20_000)]:
        result.cancel()
    for result in [system.add_task(nothing, delay_ms=3_600_000) for _ in range(20_000)]:
        result.cancel()
    del result
    assert cells(system)["allocated_bytes"] < 20_000
    assert system.memory_stats()["arenas"]["records"]["allocated_bytes"] < 200_000
    system.resume()


def test_a_system_that_nobody_has_any_more_is_freed() -> None:
    system = TaskSystem(backend="cpp", workers=1)
    system.add_task(nothing).wait(PATIENCE_S)
    system.shutdown(timeout=PATIENCE_S)
    kept = system.add_task
    watch = weakref.ref(system)
    del system, kept
    deadline = time.monotonic() + PATIENCE_S
    while watch() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert watch() is None


# -- the end -------------------------------------------------------------------------------------

SLOW = """
#include <cstdio>
#include <unistd.h>
namespace {
struct Slow {
    ~Slow() { sleep(3); std::puts("torn down"); std::fflush(stdout); }
} slow;
}
"""

STUCK = """
import ctypes, sys, threading, time
from catzilla import TaskSystem
ctypes.CDLL(sys.argv[1])
system = TaskSystem(backend="cpp", workers=6, shutdown_timeout=0.3, enable_auto_scaling=False)
inside = threading.Semaphore(0)

def sleeps():
    inside.release()
    time.sleep(3600)

def asks_for_the_gil():
    inside.release()
    while True:
        time.sleep(0.0005)

def computes():
    inside.release()
    while True:
        pass

def submits():
    inside.release()
    while True:
        try:
            system.add_task(int).cancel()
        except RuntimeError:
            time.sleep(0.0005)

def waits():
    inside.release()
    system.add_task(sleeps).wait()

for task in (sleeps, asks_for_the_gil, computes, submits, waits):
    system.add_task(task)
for _ in range(6):  # every one has started: where no thread can be, exit would run it itself
    assert inside.acquire(timeout=30)
"""


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_an_exit_with_stuck_workers_while_a_static_destructor_runs(tmp_path: Path) -> None:
    # Given a library whose static destructor takes three seconds, and workers stuck in every way there is
    tmp_path.joinpath("slow.cpp").write_text(SLOW, encoding="utf-8")
    library = tmp_path / "slow.so"
    subprocess.run(["c++", "-shared", "-fPIC", "-o", library, tmp_path / "slow.cpp"], check=True)
    # When the process ends
    done = subprocess.run(
        [sys.executable, "-c", STUCK, library], capture_output=True, text=True, timeout=50, check=False
    )
    # Then it does so in order, whatever the threads do meanwhile
    assert (done.returncode, done.stdout) == (0, "torn down\n"), done.stderr
    assert "terminate called" not in done.stderr


@pytest.mark.stress
def test_an_interpreter_that_ends_in_the_middle_of_everything() -> None:
    script = """
import sys, threading, time
from catzilla import TaskSystem
system = TaskSystem(backend="cpp", workers=4, shutdown_timeout=0.05, enable_auto_scaling=False)
inside = threading.Semaphore(0)
def churn():
    inside.release()
    while True:
        try:
            system.add_task(int).cancel()
        except Exception:
            pass
        time.sleep(0)
for _ in range(4):
    system.add_task(churn)
for _ in range(4):
    assert inside.acquire(timeout=30)
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
        assert done.returncode == 0, done.stderr


# -- the comparison ------------------------------------------------------------------------------


@pytest.mark.skipif(not SOURCES.is_dir(), reason="an installed copy has no benchmarks")
def test_the_comparison_with_the_c_backend_prints_a_table() -> None:
    script = SOURCES.parents[1] / "benchmarks" / "compare_backends.py"
    options = ("--quick", "--rounds", "1", "--markdown", "--scenario", "steals", "--backend", "python", "cpp")
    done = subprocess.run([sys.executable, script, *options], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert "| python | cpp | cpp against python |" in done.stdout
    assert "| of 1,000 tasks behind a busy one, stolen | tasks | 0 | 1,000 | - |" in done.stdout


# -- sources -------------------------------------------------------------------------------------


def code_of(path: Path) -> str:
    return re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8"))


@pytest.mark.skipif(not SOURCES.is_dir(), reason="an installed copy has no sources")
def test_the_core_knows_nothing_of_python() -> None:
    core = [path for path in SOURCES.rglob("*.?pp") if path.parent.name != "py"]
    assert len(core) > 10
    assert not [path.name for path in core if re.search(r"Python\.h|pybind11", code_of(path))]


@pytest.mark.skipif(not SOURCES.is_dir(), reason="an installed copy has no sources")
def test_who_handles_memory_by_itself() -> None:
    sources = [*SOURCES.glob("src/**/*.?pp"), *SOURCES.glob("include/catzilla/*.hpp")]
    by_hand = re.compile(r"\bnew\b(?! *_)|\bdelete\b(?!;)|\bmalloc\(|\bfree\(")
    found = {
        path.name for path in sources if by_hand.search(code_of(path).replace("= delete", "").replace("<new>", ""))
    }
    assert found <= {"pool.cpp", "pool.hpp", "kernel.cpp"}, (
        found
    )  # a kernel is C: it has malloc, and we free what it took
