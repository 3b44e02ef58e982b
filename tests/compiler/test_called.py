"""Kernels that a backend calls by itself: text, containers, loops, and what they print, one by one.

The other tests of the compiler go through cffi; here the worker reads the arguments and makes the result.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from corpus import arithmetic, data, tasks, text
from differential import alike, outcome
from test_corpus import compiled

from catzilla import TaskSystem
from catzilla.compiling import Native
from catzilla.conformance.rig import PATIENCE_S
from catzilla.errors import TaskCancelled

ALL = [entry for module in (arithmetic, text, data, tasks) for entry in module.CALLS]
MANY = int(os.environ.get("CATZILLA_LEAK_TASKS", "30000"))


@pytest.fixture(autouse=True)
def calls_kernels(quick: Any, system: TaskSystem) -> None:
    if "kernels" not in system.backend_features:
        pytest.skip("this backend leaves kernels to cffi")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.002)


def ready(system: TaskSystem, fn: Any, *args: Any, **options: Any) -> tuple[Any, Any]:
    task = system.task(compile_to_c=True, **options)(fn)
    native = system.plan_for(task, {}).owner.native

    def built() -> bool:
        task.submit(*copy.deepcopy(args)).wait(PATIENCE_S)
        return bool(native.state == "ready")

    until(built)
    native.runs = native.deopts = 0
    return task, native


def run(task: Any, args: tuple[Any, ...]) -> tuple[Any, str]:
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        result = task.submit(*args)
        error = result.exception(PATIENCE_S)
        value = error if error is not None else result.wait(0)
    return value, written.getvalue()


def same(a: Any, b: Any) -> bool:
    return alike(a, b) if not isinstance(b, Exception) else repr(a) == repr(b) and type(a) is type(b)


def test_the_realistic_set(system: TaskSystem, quick: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Native, "request", lambda self, types: None)  # the kernel is the one that is built here
    ran = went_back = 0
    for fn, cases in ALL:
        kernel = compiled(fn, cases, quick)
        if kernel is None:
            continue
        task = system.task(compile_to_c=True)(fn)
        native = system.plan_for(task, {}).owner.native
        native.built(kernel)
        for args in cases:
            wanted, before = outcome(fn, args), repr(args)
            value, printed = run(task, args)
            assert same(value, wanted[0]), f"{fn.__name__}{args!r} gave {value!r} instead of {wanted[0]!r}"
            assert printed == wanted[1]
            assert repr(args) == before
        ran, went_back = ran + native.runs, went_back + native.deopts
    assert ran > 250
    assert ran / (ran + went_back) >= 0.95


WORDS = ["", "a", "\xe9", "ÿ" * 300, "日本", "\U0001f600x", "\ud800", "x" * 100_000, "\x00"]


def join_twice(words: list[str], by: str) -> str:
    return by.join(words) + by


def index_of(rows: dict[str, list[int]], key: str) -> dict[str, int]:
    found = {}
    for name in rows:
        found[name + key] = sum(rows[name])
    return found


def pairs(n: int) -> list[tuple[int, str, float | None]]:
    made = []
    for i in range(n):
        made.append((i, str(i), None if i % 2 else i / 4))
    return made


def twice(n: int) -> list[list[int]]:
    row = [n]
    rows = [row, row]
    for _ in range(2):
        row.append(n)
    return rows


def nested(data: dict[str, list[tuple[int, str]]]) -> list[str]:
    return [f"{name}:{number}{word}" for name in data for number, word in data[name]]


def keyword_only(n: int, *, step: int = 2) -> int:
    total = 0
    for i in range(0, n, step):
        total += i
    return total


def default_text(n: int, unit: str = "kg \u2192") -> str:
    text = ""
    for i in range(n):
        text += f"{i}{unit}"
    return text


def says(n: int, word: str) -> int:
    for i in range(n):
        print(word, i, sep="-", end="|\n")
    return n


@pytest.mark.parametrize(
    ("fn", "cases"),
    [
        (join_twice, [(WORDS, by) for by in WORDS] + [([], ","), (["a", 1], ","), (["a"], None)]),
        (index_of, [({"a": [1, 2], "\u65e5": []}, "k"), ({}, "k"), ({"a": [2**63]}, "k"), ({1: [2]}, "k")]),
        (pairs, [(0,), (1,), (300,)]),
        (nested, [({"a": [(1, "x"), (2, "\u65e5")], "b": []},), ({"a": [(1, 2)]},)]),
        (keyword_only, [(10,), (-1,), (True,)]),
        (default_text, [(3,), (2, "\U0001f600"), (2, "ÿ")]),
        (says, [(3, "\xe9"), (0, ""), (2, "日")]),
    ],
)
def test_what_goes_in_and_out(fn: Any, cases: list[Any], system: TaskSystem) -> None:
    task, native = ready(system, fn, *cases[0])
    for args in cases:
        wanted = outcome(fn, args)
        got = run(task, args)
        assert same(got[0], wanted[0]), args
        assert got[1] == wanted[1]
    assert native.runs >= 1
    assert native.runs + native.deopts == len(cases)


def test_what_is_there_twice_is_one_object(system: TaskSystem) -> None:
    task, native = ready(system, twice, 3)
    one, two = task.submit(7).wait(PATIENCE_S)
    assert one is two
    assert one == [7, 7, 7]
    assert native.runs == 1


def count(n: int) -> int:
    total = 0
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total


def test_the_gil_is_free_meanwhile(system: TaskSystem) -> None:
    task, _ = ready(system, count, 10)
    result = task.submit(10**13)
    until(lambda: result in system.compiling.computing())
    assert sum(range(100_000)) == 4999950000  # would not get the GIL
    assert result.cancel() is False
    assert isinstance(result.exception(PATIENCE_S), TaskCancelled)
    assert not system.compiling.computing()


def test_cancel_of_one_that_an_inner_wait_runs(system: TaskSystem) -> None:
    """The thread that waits inside a task runs what it waits for: with that task's own kernel."""
    task, _ = ready(system, count, 10)
    inner: list[Any] = []

    def outer() -> Any:
        inner.append(task.submit(10**13))
        return inner[0].exception(PATIENCE_S)

    outside = system.add_task(outer)
    until(lambda: bool(inner) and inner[0] in system.compiling.computing())
    inner[0].cancel()
    assert isinstance(outside.wait(PATIENCE_S), TaskCancelled)


def test_a_cancel_before_it_starts(system: TaskSystem) -> None:
    task, native = ready(system, count, 10)
    with TaskSystem(backend=system.backend_name, workers=1, enable_auto_scaling=False) as one:
        task, native = ready(one, count, 10)
        long = task.submit(10**13)
        until(lambda: long in one.compiling.computing())
        waiting = [task.submit(5) for _ in range(50)]
        assert all(result.cancel() for result in waiting[::2])
        long.cancel()
        for index, result in enumerate(waiting):
            if index % 2:
                assert result.wait(PATIENCE_S) == count(5)
            else:
                assert isinstance(result.exception(PATIENCE_S), TaskCancelled)
        assert native.runs == 25


def test_a_list_that_changes_while_it_is_read(system: TaskSystem) -> None:
    task, _ = ready(system, join_twice, ["a"], "-")
    words = [f"word{i}" for i in range(50)]
    done, wrong = threading.Event(), []

    def change() -> None:
        while not done.is_set():
            words[:] = [f"{word}x"[:20] for word in words]
            words.reverse()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            value = task.submit(words, "-").wait(PATIENCE_S)
            if not (isinstance(value, str) and value.count("-") in (0 + 1, 50)):
                wrong.append(value)
    finally:
        done.set()
        thread.join()
    assert not wrong


def test_print_that_fails_is_the_tasks_failure(system: TaskSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    task, native = ready(system, says, 1, "x")

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("the pipe is broken")

    monkeypatch.setattr(sys, "stdout", Broken())
    assert isinstance(task.submit(1, "x").exception(PATIENCE_S), OSError)
    monkeypatch.undo()
    assert (native.runs, native.deopts) == (0, 0)


def checked(words: list[str], limit: int) -> dict[str, list[int]]:
    lengths: dict[str, list[int]] = {}
    for word in words:
        if len(word) > limit:
            raise ValueError(word)
        lengths[word] = [len(word), limit]
    return lengths


@pytest.mark.parametrize("case", ["value", "deopt", "failure", "mismatch", "stopped"])
def test_nothing_leaks(case: str, system: TaskSystem) -> None:
    fn, args, well = {
        "value": (checked, (["one", "日本", "three" * 20], 200), None),
        "deopt": (join_twice, (["a"], None), (["a", "b"], "-")),
        "failure": (checked, (["one", "long" * 30], 5), (["one"], 5)),
        "mismatch": (checked, (["one", 7], 5), (["one"], 5)),
        "stopped": (count, (10**13,), (100,)),
    }[case]
    task, native = ready(system, fn, *(well or args))
    native.request = lambda types: None  # no other kernel for other types
    rounds = MANY // 1000 if case != "stopped" else 20

    def burst() -> None:
        if case == "stopped":
            result = task.submit(*args)
            until(lambda: result in system.compiling.computing())
            result.cancel()
            result.exception(PATIENCE_S)
            return
        for _ in range(100):
            results = [task.submit(*(args if index % 2 or not well else well)) for index in range(10)]
            for result in results:
                result.exception(PATIENCE_S)

    for _ in range(5):
        burst()
    gc.collect()
    blocks, resident = sys.getallocatedblocks(), resident_kb()
    for _ in range(rounds):
        burst()
    until(lambda: gc.collect() >= 0 and sys.getallocatedblocks() - blocks < 1000)
    assert resident_kb() - resident < 10_000
    assert native.state == "ready"


def resident_kb() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def test_no_memory_is_the_tasks_failure(system: TaskSystem, define: Callable[..., Any]) -> None:
    """Python's, where the kernel finds none for its own work."""
    fn = define(
        "def big(n: int) -> int:\n    total = 0\n    for i in range(n):\n        total += len('x' * 1000)\n    return total\n"
    )
    task, _ = ready(system, fn, 2)
    assert task.submit(50_000).wait(PATIENCE_S) == 50_000_000


def test_switching_while_it_computes(system: TaskSystem) -> None:
    """A kernel that is replaced ends its own runs."""
    task, native = ready(system, count, 10)
    plan = system.plan_for(task, {})
    result = task.submit(10**13)
    until(lambda: result in system.compiling.computing())
    native.kernel = plan.kernel = None
    native._publish()
    gc.collect()
    assert task.submit(10).wait(PATIENCE_S) == count(10)
    result.cancel()
    assert isinstance(result.exception(PATIENCE_S), TaskCancelled)
