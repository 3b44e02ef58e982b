"""Kernels of tasks that have something around each call: a deadline, retries, keywords, all of that at once.

Their runner is Python; what it calls is the kernel as the backend calls it, or as cffi does, and nobody can tell.
"""

from __future__ import annotations

import gc
import io
import sys
from typing import Any

import pytest
from differential import outcome
from test_called import ALL, MANY, checked, count, keyword_only, ready, resident_kb, run, same, says, until
from test_corpus import compiled

from catzilla import TaskSystem
from catzilla.compiling import Native
from catzilla.conformance.rig import PATIENCE_S
from catzilla.errors import TaskCancelled, TaskTimeout

OPTIONS: dict[str, dict[str, Any]] = {
    "deadline": {"timeout_ms": 60_000},
    "retries": {"max_retries": 1, "retry_base_ms": 0.01},
    "both": {"max_retries": 1, "retry_base_ms": 0.01, "timeout_ms": 60_000},
}


@pytest.fixture(params=list(OPTIONS))
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return OPTIONS[request.param]


def test_the_realistic_set(
    options: dict[str, Any], system: TaskSystem, quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Native, "request", lambda self, types: None)  # the kernel is the one that is built here
    ran = went_back = 0
    for fn, cases in ALL:
        kernel = compiled(fn, cases, quick)
        if kernel is None:
            continue
        task = system.task(compile_to_c=True, **options)(fn)
        native = system.plan_for(task, {}).owner.native
        native.built(kernel)
        for args in cases:
            wanted = outcome(fn, args)
            value, printed = run(task, args)
            assert same(value, wanted[0]), f"{fn.__name__}{args!r} gave {value!r} instead of {wanted[0]!r}"
            times = 2 if isinstance(wanted[0], Exception) and "max_retries" in options else 1
            assert printed == wanted[1] * times
        ran, went_back = ran + native.runs, went_back + native.deopts
    assert ran > 250
    assert ran / (ran + went_back) >= 0.9


def test_every_attempt_is_the_kernels_first(system: TaskSystem) -> None:
    task, native = ready(system, checked, ["a"], 3, max_retries=2, retry_base_ms=0.01)
    result = task.submit(["one", "long"], 3)
    assert repr(result.exception(PATIENCE_S)) == "ValueError('long')"
    assert (native.runs, native.deopts) == (0, 3)
    assert task.submit(["one"], 3).wait(PATIENCE_S) == {"one": [3, 3]}
    assert (native.runs, native.deopts) == (1, 3)


def test_counted_once(options: dict[str, Any], system: TaskSystem) -> None:
    task, native = ready(system, count, 10, **options)
    before = system.stats().native_executions
    results = [task.submit(n) for n in range(500)]
    assert [result.wait(PATIENCE_S) for result in results] == [count(n) for n in range(500)]
    assert (native.runs, native.deopts) == (500, 0)
    assert system.stats().native_executions - before == 500


@pytest.mark.parametrize("around", [{}, *OPTIONS.values()], ids=["plain", *OPTIONS])
def test_keywords(around: dict[str, Any], system: TaskSystem) -> None:
    task, native = ready(system, keyword_only, 10, **around)
    assert task.submit(10, step=3).wait(PATIENCE_S) == 18
    assert task.submit(n=10).wait(PATIENCE_S) == 20
    assert task.submit(n=7, step=1).wait(PATIENCE_S) == 21
    assert (native.runs, native.deopts) == (3, 0)
    assert repr(task.submit(n=7, step=0).exception(PATIENCE_S)) == repr(outcome(range, (0, 7, 0))[0])
    assert native.deopts >= 1


def add(a: int, b: int = 2) -> int:
    return a + b


def test_a_short_kernel(options: dict[str, Any], system: TaskSystem) -> None:
    task, native = ready(system, add, 1, **options)
    assert task.submit(2).wait(PATIENCE_S) == 4
    assert task.submit(b=5, a=1).wait(PATIENCE_S) == 6
    assert (native.runs, native.deopts) == (2, 0)
    assert task.submit(2**63, 1).wait(PATIENCE_S) == 2**63 + 1  # beyond 64 bits
    assert (native.runs, native.deopts) == (2, 1)


FACTOR = 3


def scaled(n: int) -> int:
    total = 0
    for i in range(n):
        total += i * FACTOR
    return total


def test_a_global_that_changes_is_seen_by_the_next(
    options: dict[str, Any], system: TaskSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, native = ready(system, scaled, 4, **options)
    assert task.submit(4).wait(PATIENCE_S) == 18
    monkeypatch.setitem(globals(), "FACTOR", 5)
    assert task.submit(4).wait(PATIENCE_S) == 30
    assert (native.runs, native.deopts) == (1, 1)


def test_its_time_runs_out(system: TaskSystem) -> None:
    task, native = ready(system, count, 10, timeout_ms=2_000)
    result = task.submit(10**13)  # as Python it would not end
    assert isinstance(result.exception(PATIENCE_S), TaskTimeout)
    until(lambda: not system.compiling.computing())
    until(lambda: system.stats().stuck_workers == 0)
    assert task.submit(10).wait(PATIENCE_S) == count(10)
    assert native.deopts == 0


def test_cancelled_while_it_computes(options: dict[str, Any], system: TaskSystem) -> None:
    task, _ = ready(system, count, 10, **options)
    result = task.submit(10**13)
    until(lambda: result in system.compiling.computing())
    assert result.cancel() is False
    assert isinstance(result.exception(PATIENCE_S), TaskCancelled)
    assert not system.compiling.computing()
    assert task.submit(10).wait(PATIENCE_S) == count(10)


def test_print_that_fails_is_the_tasks_failure(
    options: dict[str, Any], system: TaskSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, native = ready(system, says, 1, "x", **options)

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("the pipe is broken")

    monkeypatch.setattr(sys, "stdout", Broken())
    assert isinstance(task.submit(1, "x").exception(PATIENCE_S), OSError)
    monkeypatch.undo()
    assert native.deopts == 0


@pytest.mark.parametrize("case", ["value", "deopt", "mismatch"])
def test_nothing_leaks(case: str, options: dict[str, Any], system: TaskSystem) -> None:
    args = {"value": (["one", "three" * 20], 200), "deopt": (["one", "long" * 30], 5), "mismatch": (["one", 7], 5)}[
        case
    ]
    task, native = ready(system, checked, ["one"], 5, **options)
    native.request = lambda types: None  # no other kernel for other types

    def burst() -> None:
        for _ in range(10):
            results = [task.submit(*(args if index % 2 else (["one"], 5))) for index in range(10)]
            for result in results:
                result.exception(PATIENCE_S)

    for _ in range(20):
        burst()
    gc.collect()
    blocks, resident = sys.getallocatedblocks(), resident_kb()
    for _ in range(MANY // 1000):
        burst()
    until(lambda: gc.collect() >= 0 and sys.getallocatedblocks() - blocks < 1000)
    assert resident_kb() - resident < 10_000
    assert native.state == "ready"
