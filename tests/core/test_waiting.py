"""Tasks that wait for tasks: never a deadlock, with one worker and any depth."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskCancelled, TaskPriority, TaskStatus, TaskTimeout, WaitLimit, current_task
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


@pytest.fixture
def one(open_system: OpenSystem) -> TaskSystem:
    """One worker: what waits and what it waits for cannot both have it."""
    return open_system(workers=1, queue_size=20_000)


@pytest.mark.parametrize("timeout", [None, PATIENCE_S])
@pytest.mark.parametrize("options", [{}, {"timeout_ms": 20_000}, {"max_retries": 1}, {"delay_ms": 5}], ids=str)
def test_a_task_waits_for_another(one: TaskSystem, timeout: float | None, options: dict[str, Any]) -> None:
    def outer() -> int:
        return one.add_task(int, "1", **options).wait(timeout) + 1

    assert one.add_task(outer).wait(PATIENCE_S) == 2
    assert one.add_task(outer, timeout_ms=20_000).wait(PATIENCE_S) == 2


@pytest.mark.parametrize("timeout", [None, PATIENCE_S])
@pytest.mark.parametrize("options", [{}, {"timeout_ms": 20_000}, {"max_concurrency": 1}], ids=str)
def test_a_task_that_waits_for_itself_is_told(one: TaskSystem, timeout: float | None, options: dict[str, Any]) -> None:
    def serpent() -> None:
        task = current_task()
        assert task is not None
        with pytest.raises(TimeoutError):  # a poll is no wait
            task.wait(0)
        task.wait(timeout)

    with pytest.raises(RuntimeError, match="serpent waits for its own result"):
        one.add_task(serpent, **options).wait(PATIENCE_S)


class Circle:
    """Tasks that begin to wait for the next one when all are there."""

    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self._go = threading.Event()
        self.tasks: list[Any] = []

    def wait_for(self, index: int, timeout: float | None = None) -> Any:
        assert self._go.wait(PATIENCE_S)
        return self.tasks[index].wait(timeout)

    async def await_for(self, index: int) -> Any:
        while not self._go.is_set():
            await asyncio.sleep(0.001)
        return await self.tasks[index]

    async def gather_for(self, index: int) -> Any:
        while not self._go.is_set():
            await asyncio.sleep(0.001)
        return await asyncio.gather(self._system.add_task(int), self.tasks[index])

    def close(self, *fns: Callable[[int], Any]) -> list[BaseException | None]:
        """How each ended; the last one waits for the first."""
        self.tasks = [self._system.add_task(fn, (index + 1) % len(fns)) for index, fn in enumerate(fns)]
        self._go.set()
        return [task.exception(PATIENCE_S) for task in self.tasks]


@pytest.mark.parametrize(
    "ways",
    [
        ("wait_for", "wait_for"),
        ("wait_for", "wait_for", "wait_for"),
        ("wait_for", "await_for"),
        ("await_for", "await_for"),
        ("await_for", "gather_for", "wait_for"),
        ("gather_for", "gather_for"),
    ],
    ids="-".join,
)
def test_tasks_that_wait_for_each_other_are_told(open_system: OpenSystem, ways: tuple[str, ...]) -> None:
    circle = Circle(open_system(workers=3))
    errors = circle.close(*(getattr(circle, way) for way in ways))
    # Then one of them hears of it, and the others have its failure
    assert {type(error) for error in errors} == {RuntimeError}
    assert all(
        re.search(r"waits for .*, which waits for .*: none of them can ever end", str(error)) for error in errors
    )


def test_a_wait_for_each_other_that_has_a_limit_is_none(open_system: OpenSystem) -> None:
    # Given one that gives up waiting for the other
    circle = Circle(open_system(workers=3))

    def patient(index: int) -> str:
        with pytest.raises(TimeoutError):
            circle.wait_for(index, 0.2)
        return "gave up"

    assert circle.close(patient, circle.wait_for) == [None, None]
    assert circle.tasks[1].wait() == "gave up"


def test_a_task_that_waits_for_the_one_that_runs_it_inside_is_told(one: TaskSystem) -> None:
    def outer() -> Any:
        me = current_task()
        assert me is not None
        return one.add_task(lambda: me.wait()).wait()  # runs on this thread, inside this wait

    with pytest.raises(RuntimeError, match=r"outer, which waits for .*<lambda>: none of them can ever end"):
        one.add_task(outer).wait(PATIENCE_S)


def test_a_task_that_waits_for_what_follows_it_is_told(one: TaskSystem) -> None:
    def outer() -> Any:
        me = current_task()
        assert me is not None
        return me.then(str).then(str).wait()

    with pytest.raises(RuntimeError, match=r"which waits for .*outer: none of them can ever end"):
        one.add_task(outer).wait(PATIENCE_S)


def test_who_has_waited_waits_for_nobody_any_more(open_system: OpenSystem) -> None:
    from catzilla import waiters

    system = open_system(workers=3)
    circle = Circle(system)

    def several() -> int:
        with pytest.raises(TimeoutError):
            system.add_task(int, delay_ms=60_000).wait(0.01)
        return sum(system.add_task(int, "2").wait() for _ in range(3))

    assert system.add_task(several).wait(PATIENCE_S) == 6
    circle.close(circle.wait_for, circle.gather_for)
    eventually(lambda: not waiters.any_waits(), "nothing is noted of waits that have ended")


def test_every_way_of_waiting(one: TaskSystem) -> None:
    def outer() -> list[object]:
        return [
            one.add_task(int, "1").wait(),
            one.add_task(int, "2").result(),
            type(one.add_task(int, "x").exception()).__name__,
            *one.add_tasks(int, [("3",), ("4",)]).wait(),
            one.add_task(int, "5").then(str).wait(),
        ]

    assert one.add_task(outer).wait(PATIENCE_S) == [1, 2, "ValueError", 3, 4, "5"]


@pytest.mark.parametrize("timeout", [None, PATIENCE_S])
def test_a_chain_of_waits_a_thousand_deep(one: TaskSystem, timeout: float | None) -> None:
    def chain(depth: int) -> int:
        return 0 if depth == 0 else one.add_task(chain, depth - 1).wait(timeout) + 1

    assert one.add_task(chain, 1_000).wait(50) == 1_000


def test_a_tree_of_waits(one: TaskSystem) -> None:
    def count(depth: int) -> int:
        if depth == 0:
            return 1
        return sum(child.wait() for child in [one.add_task(count, depth - 1) for _ in range(3)])

    assert one.add_task(count, 6).wait(50) == 3**6


def test_two_thousand_nesting_tasks_need_few_threads(one: TaskSystem) -> None:
    most = 0

    def outer(n: int) -> int:
        nonlocal most
        most = max(most, threading.active_count())
        return one.add_task(int, str(n)).wait() + 1

    before = threading.active_count()
    results = [one.add_task(outer, n) for n in range(2_000)]
    assert [result.wait(50) for result in results] == [n + 1 for n in range(2_000)]
    assert most - before < 60


def test_waiting_for_what_runs_already_grows_nothing(open_system: OpenSystem) -> None:
    system = open_system(workers=2)
    gate = threading.Event()
    running = system.add_task(gate.wait, PATIENCE_S)
    eventually(lambda: running.status is TaskStatus.RUNNING, "it runs")
    outer = system.add_task(lambda: running.wait(PATIENCE_S))
    eventually(lambda: outer.status is TaskStatus.RUNNING, "the other waits for it")
    threads = threading.active_count()
    time.sleep(0.05)
    assert threading.active_count() <= threads  # fewer: helpers of other tests may leave
    gate.set()
    assert outer.wait(PATIENCE_S) is True


def test_a_wait_inside_a_task_that_runs_out(one: TaskSystem) -> None:
    gate = threading.Event()

    def outer() -> str:
        inner = one.add_task(gate.wait, PATIENCE_S)
        try:
            inner.wait(0.02)
        except TimeoutError:
            gate.set()
            return f"gave up, then {inner.wait(PATIENCE_S)}"
        return "no timeout"

    assert one.add_task(outer).wait(PATIENCE_S) == "gave up, then True"


def test_a_failure_inside_reaches_the_outer_task(one: TaskSystem) -> None:
    def outer() -> int:
        result: int = one.add_task(int, "x").wait()
        return result

    with pytest.raises(ValueError, match="invalid literal"):
        one.add_task(outer).wait(PATIENCE_S)


def test_an_inner_cancellation_or_deadline_reaches_the_outer_task(one: TaskSystem) -> None:
    def cancelled() -> None:
        inner = one.add_task(int, delay_ms=60_000)
        inner.cancel()
        inner.wait()

    def late() -> None:
        one.add_task(time.sleep, 0.3, timeout_ms=20).wait()

    assert isinstance(one.add_task(cancelled).exception(PATIENCE_S), TaskCancelled)
    assert isinstance(one.add_task(late).exception(PATIENCE_S), TaskTimeout)


def test_the_deadline_of_a_task_that_waits(one: TaskSystem) -> None:
    # Given a task with a deadline that waits for one that never ends by itself
    gate = threading.Event()

    def outer() -> None:
        one.add_task(gate.wait, PATIENCE_S).wait()

    with pytest.raises(TaskTimeout):
        one.add_task(outer, timeout_ms=50).wait(PATIENCE_S)
    # Then the system goes on
    assert one.add_task(int, "1").wait(PATIENCE_S) == 1
    gate.set()


# The interrupt of the outer one may come while its thread ends, inside a finalizer: Python reports it there.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*__del__:pytest.PytestUnraisableExceptionWarning")
def test_an_inner_task_is_never_hit_by_the_outer_deadline(one: TaskSystem) -> None:
    inner_ends: list[str] = []

    over = threading.Event()

    def inner() -> str:
        end = time.monotonic() + PATIENCE_S
        while not over.is_set() and time.monotonic() < end:  # computes until the outer task's deadline has struck
            pass
        inner_ends.append("ended well")
        return "inner"

    results: list[Any] = []

    def outer() -> None:
        results.append(one.add_task(inner))
        results[0].wait()

    error = one.add_task(outer, timeout_ms=30).exception(PATIENCE_S)
    over.set()
    assert isinstance(error, TaskTimeout)
    assert results[0].wait(PATIENCE_S) == "inner"
    assert inner_ends == ["ended well"]


def test_a_task_in_a_paused_lane_stays_paused_though_a_task_waits_for_it(one: TaskSystem) -> None:
    one.pause(TaskPriority.LOW)

    def outer() -> int:
        return one.add_task(int, "1", priority=TaskPriority.LOW).wait()

    result = one.add_task(outer)
    with pytest.raises(TimeoutError):
        result.wait(0.1)
    one.resume(TaskPriority.LOW)
    assert result.wait(PATIENCE_S) == 1


def test_two_systems_wait_for_each_other(open_system: OpenSystem) -> None:
    first, second = open_system(workers=1), open_system(workers=1)

    def ping(depth: int) -> int:
        return 0 if depth == 0 else second.add_task(pong, depth - 1).wait() + 1

    def pong(depth: int) -> int:
        return 0 if depth == 0 else first.add_task(int, str(depth)).wait() + 1

    assert first.add_task(ping, 3).wait(PATIENCE_S) == 4


def test_more_helpers_than_the_limit(one: TaskSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a system that may start three helpers
    from catzilla import waiting

    monkeypatch.setattr(waiting, "MOST_HELPERS", 3)

    def chain(depth: int) -> int:
        return 0 if depth == 0 else one.add_task(chain, depth - 1).wait(PATIENCE_S) + 1

    assert one.add_task(chain, 3).wait(PATIENCE_S) == 3
    # When waits nest deeper, then the task that would need one more hears of it
    with pytest.raises(WaitLimit):
        one.add_task(chain, 10).wait(PATIENCE_S)
    assert one.add_task(int, "1").wait(PATIENCE_S) == 1


def test_failed_waits_inside_many_functions_leak_nothing(one: TaskSystem) -> None:
    # Given a hundred thousand functions that wait in vain
    gate = threading.Event()
    result = one.add_task(gate.wait, PATIENCE_S)

    def wait_in_vain() -> None:
        with pytest.raises(TimeoutError):
            result.wait(0)

    for _ in range(1_000):
        wait_in_vain()
    before = sys.getallocatedblocks()
    for _ in range(100_000):
        try:
            result.wait(0)
        except TimeoutError:
            pass
    assert sys.getallocatedblocks() - before < 2_000
    gate.set()
    assert result.wait(PATIENCE_S) is True


def test_a_thread_that_is_no_worker_never_runs_tasks(one: TaskSystem) -> None:
    names = {one.add_task(lambda: threading.current_thread().name).wait() for _ in range(50)}
    assert threading.current_thread().name not in names


@pytest.mark.parametrize("timeout", [float("-inf"), -1, float("inf"), 10**400], ids=["-inf", "-1", "inf", "huge"])
def test_a_timeout_that_no_clock_can_hold(one: TaskSystem, timeout: float) -> None:
    # Given something that is done, and something that is not
    done = one.add_tasks(int, [("1",), ("2",)])
    assert done.wait(PATIENCE_S) == [1, 2]
    assert done.wait(timeout) == [1, 2]
    if timeout < 0:
        later = one.add_task(int, delay_ms=60_000)
        batch = one.add_tasks(int, [("1",)], delay_ms=60_000)
        for wait in (later.wait, batch.wait):
            with pytest.raises(TimeoutError):
                wait(timeout)
    else:
        assert one.add_task(int, "3", delay_ms=5).wait(timeout) == 3
        assert one.add_tasks(int, [("3",)], delay_ms=5).wait(timeout) == [3]
        assert one.drain(timeout)
    one.shutdown(timeout=timeout)


def test_a_first_submit_that_is_interrupted_leaves_a_system_that_starts(
    open_system: OpenSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a system whose supervisor could not be started in the first submit, as the stack was full
    from catzilla import lifecycle

    system = open_system(workers=1)
    started = lifecycle.started

    def stack_is_full(_: TaskSystem) -> None:
        monkeypatch.setattr(lifecycle, "started", started)
        raise RecursionError

    monkeypatch.setattr(lifecycle, "started", stack_is_full)
    result = system.add_task(int, "1")
    # Then it starts with the first wait at the latest
    assert result.wait(PATIENCE_S) == 1
    assert system.add_task(int, "2").wait(PATIENCE_S) == 2
