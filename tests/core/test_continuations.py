"""then and catch: a task that follows another one."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from operator import mul
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskCancelled, TaskPriority, TaskResult, TaskStatus, TaskTimeout
from catzilla.conformance.rig import PATIENCE_S
from catzilla.errors import SystemClosed

OpenSystem = Callable[..., TaskSystem]


def fail() -> None:
    raise LookupError("on purpose")


def test_then_runs_with_the_value(system: TaskSystem) -> None:
    follow = system.add_task(int, "20").then(lambda value: value + 1)
    assert isinstance(follow, TaskResult)
    assert follow.wait(PATIENCE_S) == 21


def test_then_of_a_task_that_is_done(system: TaskSystem) -> None:
    result = system.add_task(int, "1")
    result.wait(PATIENCE_S)
    assert result.then(str).wait(PATIENCE_S) == "1"


def test_then_runs_as_a_task(system: TaskSystem) -> None:
    name = system.add_task(int).then(lambda _: threading.current_thread().name).wait(PATIENCE_S)
    assert name.startswith("catzilla-")


def test_then_of_a_failure_fails_in_the_same_way(system: TaskSystem) -> None:
    ran: list[Any] = []
    result = system.add_task(fail)
    follow = result.then(ran.append)
    with pytest.raises(LookupError, match="on purpose"):
        follow.wait(PATIENCE_S)
    assert follow.status is TaskStatus.FAILED
    assert follow.exception() is result.exception()
    assert ran == []


def test_then_of_a_cancelled_or_late_task_ends_as_it_did(system: TaskSystem) -> None:
    later = system.add_task(int, delay_ms=60_000)
    follow = later.then(str)
    later.cancel()
    with pytest.raises(TaskCancelled):
        follow.wait(PATIENCE_S)
    assert follow.status is TaskStatus.CANCELLED
    gate = threading.Event()
    late = system.add_task(gate.wait, PATIENCE_S, timeout_ms=20).then(str)
    with pytest.raises(TaskTimeout):
        late.wait(PATIENCE_S)
    gate.set()
    assert late.status is TaskStatus.TIMED_OUT


def test_catch_runs_with_the_exception(system: TaskSystem) -> None:
    assert system.add_task(fail).catch(repr).wait(PATIENCE_S) == "LookupError('on purpose')"


def test_catch_of_a_success_has_its_value(system: TaskSystem) -> None:
    ran: list[Any] = []
    assert system.add_task(int, "3").catch(ran.append).wait(PATIENCE_S) == 3
    assert ran == []


def test_catch_sees_cancellations(system: TaskSystem) -> None:
    later = system.add_task(int, delay_ms=60_000)
    follow = later.catch(lambda error: type(error).__name__)
    later.cancel()
    assert follow.wait(PATIENCE_S) == "TaskCancelled"


def test_a_chain(system: TaskSystem) -> None:
    result = system.add_task(int, "1")
    for _ in range(100):
        result = result.then(lambda value: value + 1)
    assert result.wait(PATIENCE_S) == 101


def test_a_failure_goes_down_the_chain_to_the_first_catch(system: TaskSystem) -> None:
    result = system.add_task(fail).then(str).then(str).catch(lambda error: "caught").then(str.upper)
    assert result.wait(PATIENCE_S) == "CAUGHT"


@pytest.mark.parametrize("cancelled", [False, True], ids=["failed", "cancelled"])
def test_an_end_goes_down_a_chain_of_any_length(open_system: OpenSystem, cancelled: bool) -> None:
    # Given a chain longer than the stack is deep, whose head has not started
    system = open_system(workers=1)
    system.pause()
    head = last = system.add_task(fail)
    steps = [last := last.then(str) for _ in range(5_000)]
    # When the head ends without a value
    if cancelled:
        head.cancel()
    system.resume()
    # Then every step ends in the same way
    assert isinstance(last.exception(PATIENCE_S), TaskCancelled if cancelled else LookupError)
    assert all(step.done() for step in steps)
    assert system.drain(PATIENCE_S)


def test_several_followers_of_one_task(system: TaskSystem) -> None:
    result = system.add_task(int, "2")
    follows = [result.then(functools.partial(mul, n)) for n in range(5)]
    assert [follow.wait(PATIENCE_S) for follow in follows] == [0, 2, 4, 6, 8]


def test_a_follower_can_be_cancelled_before_its_time(system: TaskSystem) -> None:
    gate = threading.Event()
    ran: list[Any] = []
    first = system.add_task(gate.wait, PATIENCE_S)
    follow = first.then(ran.append)
    assert follow.status is TaskStatus.DELAYED
    assert follow.cancel() is True
    assert follow.cancel() is False
    gate.set()
    assert first.wait(PATIENCE_S) is True
    with pytest.raises(TaskCancelled):
        follow.wait(PATIENCE_S)
    assert ran == []


def test_followers_bypass_the_bound_and_take_no_slot(open_system: OpenSystem) -> None:
    # Given a full lane, and a task with followers
    system = open_system(workers=1, queue_size=1)
    gate, running = threading.Event(), threading.Event()

    def work() -> int:
        running.set()
        gate.wait(PATIENCE_S)
        return 1

    first = system.add_task(work)
    assert running.wait(PATIENCE_S)
    follows = [first.then(lambda value: value + 1) for _ in range(5)]
    assert system.stats().normal_queue_size == 0
    other = system.add_task(int)
    # Then none of them is refused
    gate.set()
    assert [follow.wait(PATIENCE_S) for follow in follows] == [2] * 5
    assert other.wait(PATIENCE_S) == 0


def test_a_follower_has_the_priority_of_its_task(system: TaskSystem) -> None:
    first = system.add_task(int, priority=TaskPriority.HIGH)
    assert first.then(str).priority is TaskPriority.HIGH
    low = system.task(priority=TaskPriority.LOW)(str)
    assert first.then(low).priority is TaskPriority.LOW


def test_a_task_with_options_can_follow(system: TaskSystem) -> None:
    attempts: list[int] = []

    @system.task(max_retries=3, retry_base_ms=1)
    def flaky(value: int) -> int:
        attempts.append(value)
        if len(attempts) < 3:
            raise ConnectionError
        return value * 10

    assert system.add_task(int, "4").then(flaky).wait(PATIENCE_S) == 40
    assert attempts == [4, 4, 4]


def test_a_coroutine_can_follow(system: TaskSystem) -> None:
    async def double(value: int) -> int:
        return value * 2

    follow: Any = system.add_task(int, "4").then(double)
    assert follow.wait(PATIENCE_S) == 8


def test_what_is_no_callable_cannot_follow(system: TaskSystem) -> None:
    result: Any = system.add_task(int)
    for follow in (result.then, result.catch):
        with pytest.raises(TypeError):
            follow("not callable")


def test_waiting_for_a_follower_inside_a_task(open_system: OpenSystem) -> None:
    system = open_system(workers=1)

    def outer() -> int:
        return system.add_task(int, "1").then(lambda value: value + 1).then(lambda value: value + 1).wait()

    assert system.add_task(outer).wait(PATIENCE_S) == 3


def test_a_shutdown_ends_followers_of_what_it_cancels(open_system: OpenSystem) -> None:
    system = open_system()
    follow = system.add_task(int, delay_ms=3_600_000).then(str)
    system.shutdown(timeout=PATIENCE_S)
    with pytest.raises(TaskCancelled):
        follow.wait(PATIENCE_S)


def test_a_shutdown_runs_followers_of_what_it_drains(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    follow = system.add_task(time.sleep, 0.05).then(lambda _: "followed")
    report = system.shutdown(timeout=PATIENCE_S)
    assert follow.wait(0) == "followed"
    assert not report.cancelled


def test_what_follows_an_abandoned_task_ends_with_the_shutdown(open_system: OpenSystem) -> None:
    # Given a task that a shutdown does not wait for, and one that would go on after it
    system = open_system(workers=1)
    gate = threading.Event()
    follow = system.add_task(gate.wait, PATIENCE_S).catch(lambda error: error)
    system.shutdown(timeout=0.1)
    assert follow.done()
    assert system.unfinished() == 0
    gate.set()


def test_nothing_follows_a_finished_task_of_a_closed_system(system: TaskSystem) -> None:
    result = system.add_task(int, "1")
    result.wait(PATIENCE_S)
    system.shutdown()
    with pytest.raises(SystemClosed):
        result.then(str)
    assert system.unfinished() == 0


def identity(value: Any) -> Any:
    return value


def test_a_long_chain_of_results_is_freed(system: TaskSystem) -> None:
    # Given values that are results themselves: freed one inside the other, they would need a deep stack
    result = system.add_task(identity, 1)
    for n in range(100_000):
        result = system.add_task(identity, result)
        if n % 1_000 == 0:  # the lane has no room for all of them
            result.wait(PATIENCE_S)
    assert system.drain(PATIENCE_S)
    del result
    assert system.add_task(int, "1").wait(PATIENCE_S) == 1
