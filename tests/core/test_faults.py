"""What goes wrong stays where it went wrong, and what nobody keeps is freed, also in great numbers."""

from __future__ import annotations

import asyncio
import gc
import operator
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskCancelled, TaskStatus
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Thing:
    """Something a weak reference can watch."""

    result: Any = None


# -- exceptions of every kind ------------------------------------------------------------------

KINDS = [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), StopIteration(1), MemoryError()]


@pytest.mark.parametrize("options", [{}, {"timeout_ms": 60_000}, {"max_retries": 2}], ids=str)
@pytest.mark.parametrize("error", KINDS, ids=lambda error: type(error).__name__)
def test_whatever_a_task_raises_is_its_own(open_system: OpenSystem, error: BaseException, options: Any) -> None:
    # Given the only worker, and a task that raises what would end a thread or a process
    system = open_system(workers=1)

    def raise_it() -> None:
        raise error

    result = system.add_task(raise_it, retry_base_ms=1, **options)
    # Then it is the task's outcome, and the worker goes on
    assert result.exception(PATIENCE_S) is error
    assert result.status is TaskStatus.FAILED
    with pytest.raises(type(error)):
        result.wait(0)
    assert system.add_task(int, "1").wait(PATIENCE_S) == 1
    assert threading.main_thread().is_alive()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=lambda e: type(e).__name__)
def test_whatever_a_coroutine_raises_is_its_own(system: TaskSystem, error: BaseException) -> None:
    async def raise_it() -> None:
        raise error

    async def fine() -> int:
        return 1

    result = system.add_task(raise_it)
    assert isinstance(result.exception(PATIENCE_S), type(error) | RuntimeError)
    assert result.status is TaskStatus.FAILED
    assert system.add_task(fine).wait(PATIENCE_S) == 1


def test_a_coroutine_that_cancels_itself_is_cancelled(system: TaskSystem) -> None:
    async def cancels() -> None:
        raise asyncio.CancelledError

    result = system.add_task(cancels)
    assert isinstance(result.exception(PATIENCE_S), TaskCancelled)


def test_an_exception_that_cannot_be_shown(system: TaskSystem, caplog: pytest.LogCaptureFixture) -> None:
    # Given an error whose text is an error, in a task that nobody looks at, and in a callback
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def raise_it(_: object = None) -> None:
        raise Broken

    system.add_task(raise_it)
    system.add_task(int).add_callback(raise_it)
    eventually(lambda: gc.collect() >= 0 and system.stats().unretrieved_failures == 1, "the failure was counted")
    # Then whoever logs it lives on
    assert system.add_task(int, "1", delay_ms=5).wait(PATIENCE_S) == 1
    eventually(lambda: len(caplog.records) >= 2, "both were logged")


# -- large and many ----------------------------------------------------------------------------


def test_results_of_100_mb(system: TaskSystem) -> None:
    size = 100_000_000
    result = system.add_task(operator.mul, b"x", size)  # not bytes(size), whose pages would never be touched
    value = result.wait(PATIENCE_S)
    assert len(value) == size
    assert result.wait(0) is value  # the object itself, never a copy
    assert system.add_task(len, value).wait(PATIENCE_S) == size
    assert result.then(len).wait(PATIENCE_S) == size

    async def awaited(task: Any) -> Any:
        return await task

    assert asyncio.run(awaited(result)) is value
    before = resident_bytes()
    del value, result
    system.add_tasks(int, [()] * 4).wait(PATIENCE_S)
    eventually(lambda: gc.collect() >= 0 and before - resident_bytes() > 0.9 * size, "its memory is given back")


def test_a_thousand_arguments_and_deep_data(system: TaskSystem) -> None:
    assert system.add_task(lambda *args: len(args), *range(1_000)).wait(PATIENCE_S) == 1_000
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    assert system.add_task(len, nested).wait(PATIENCE_S) == 1
    while nested:  # from the outside in: the interpreter would recurse
        nested = nested[0]


def test_results_that_nobody_waits_for_are_freed(system: TaskSystem) -> None:
    things = []

    def make() -> Thing:
        thing = Thing()
        things.append(weakref.ref(thing))
        return thing

    for options in ({}, {"max_retries": 1}, {"timeout_ms": 60_000}, {"delay_ms": 1}):
        for _ in range(50):
            system.add_task(make, **options)
    system.drain(PATIENCE_S)
    system.add_tasks(int, [()] * 4).wait(PATIENCE_S)
    assert len(things) == 200
    eventually(lambda: gc.collect() >= 0 and not any(thing() for thing in things), "every result is freed")


def test_a_cycle_through_a_result_is_collected(system: TaskSystem) -> None:
    def make() -> Thing:
        return Thing()

    result = system.add_task(make)
    thing = result.wait(PATIENCE_S)
    thing.result = result
    watch = weakref.ref(thing)
    system.add_tasks(int, [()] * 4).wait(PATIENCE_S)
    del result, thing
    eventually(lambda: gc.collect() >= 0 and watch() is None, "the cycle is collected")


@pytest.mark.stress
@pytest.mark.timeout(120)
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc to measure memory")
def test_a_million_tasks_with_flat_memory(open_system: OpenSystem) -> None:
    # Given a system that has run a hundred thousand tasks
    system = open_system(workers=2, queue_size=10_000)
    rows: list[tuple[()]] = [()] * 9_000

    def run(count: int) -> None:
        for _ in range(count // 10_000):
            system.add_tasks(int, rows)
            for _ in range(1_000):
                system.add_task(int)
            assert system.drain(PATIENCE_S)

    run(100_000)
    gc.collect()
    before = resident_bytes()
    # When it runs a million
    for _ in range(10):
        run(100_000)
    # Then each was counted, and memory has not grown: 8 bytes a task would be seen
    assert system.stats().completed == 1_100_000
    eventually(lambda: gc.collect() >= 0 and resident_bytes() - before < 8_000_000, "it is as small as before")
