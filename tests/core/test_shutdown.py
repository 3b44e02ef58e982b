"""The end of a task system: what still runs, what is cancelled, what is left behind, and what the report says."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import (
    QueueFull,
    SystemClosed,
    TaskAbandoned,
    TaskCancelled,
    TaskPriority,
    TaskStatus,
    current_task,
)
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


class Gate:
    """A task that says when it runs, and returns when it may."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> str:
        self.running.set()
        assert self.open.wait(PATIENCE_S)
        return "went through"


@pytest.fixture
def gate() -> Gate:
    return Gate()


def test_a_system_that_was_never_used(open_system: OpenSystem) -> None:
    report = open_system().shutdown()
    assert (report.completed, report.cancelled, report.abandoned) == (0, (), ())


def test_the_report_counts_what_ended_during_it(open_system: OpenSystem, gate: Gate) -> None:
    # Given five tasks that ended before, and ten that have not
    system = open_system(workers=1)
    system.add_tasks(int, [()] * 5).wait(PATIENCE_S)
    system.add_task(gate)
    assert gate.running.wait(PATIENCE_S)
    system.add_tasks(int, [()] * 9)
    # When it shuts down
    threading.Timer(0.05, gate.open.set).start()
    report = system.shutdown(timeout=PATIENCE_S)
    # Then the ten are counted
    assert (report.completed, report.cancelled, report.abandoned) == (10, (), ())
    assert "completed=10" in repr(report)


def test_what_is_due_within_the_time_runs_and_what_is_due_later_does_not(open_system: OpenSystem) -> None:
    system = open_system()
    soon, later = system.add_task(int, "1", delay_ms=50), system.add_task(int, delay_ms=3_600_000)
    report = system.shutdown(timeout=PATIENCE_S)
    assert soon.wait(0) == 1
    assert report.cancelled == (later.task_id,)


def test_a_retry_that_is_due_in_time_is_made(open_system: OpenSystem) -> None:
    system = open_system()
    attempts: list[int] = []

    def flaky() -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError
        return "third"

    result = system.add_task(flaky, max_retries=5, retry_backoff="fixed", retry_base_ms=20)
    assert system.shutdown(timeout=PATIENCE_S).completed == 1
    assert result.wait(0) == "third"


def test_a_retry_that_is_due_too_late_is_cancelled_and_listed(open_system: OpenSystem) -> None:
    system = open_system()

    def fail() -> None:
        raise ConnectionError

    result = system.add_task(fail, max_retries=1, retry_backoff="fixed", retry_base_ms=60_000)
    eventually(lambda: result.status is TaskStatus.RETRYING, "it waits for its retry")
    report = system.shutdown(timeout=0.5)
    assert report.cancelled == (result.task_id,)
    assert result.status is TaskStatus.CANCELLED


def test_when_the_time_is_over_the_rest_is_cancelled_and_the_running_abandoned(
    open_system: OpenSystem, gate: Gate
) -> None:
    # Given a task that does not return, and others behind it
    system = open_system(workers=1)
    stuck = system.add_task(gate)
    assert gate.running.wait(PATIENCE_S)
    behind = [system.add_task(int, priority=priority) for priority in TaskPriority if priority]
    # When the shutdown's time is over
    report = system.shutdown(timeout=0.1)
    # Then each handle and the report say what became of it
    assert report.completed == 0
    assert sorted(report.cancelled) == sorted(result.task_id for result in behind)
    assert report.abandoned == (stuck.task_id,)
    with pytest.raises(TaskAbandoned):
        stuck.wait(0)
    for result in behind:
        with pytest.raises(TaskCancelled):
            result.wait(0)
    # And what it returns later changes nothing
    gate.open.set()
    time.sleep(0.05)
    assert stuck.status is TaskStatus.CANCELLED
    assert system.stats().cancelled == 4


def test_nothing_more_starts_after_it(open_system: OpenSystem, gate: Gate) -> None:
    system = open_system(workers=1)
    ran: list[int] = []
    system.add_task(gate)
    assert gate.running.wait(PATIENCE_S)
    for n in range(10):
        system.add_task(ran.append, n)
    system.shutdown(timeout=0.05)
    gate.open.set()
    time.sleep(0.1)
    assert ran == []


@pytest.mark.parametrize("wait", [True, False])
def test_cancel_pending(open_system: OpenSystem, gate: Gate, wait: bool) -> None:
    system = open_system(workers=1)
    running = system.add_task(gate)
    assert gate.running.wait(PATIENCE_S)
    pending = [system.add_task(int), system.add_task(int, delay_ms=10), system.add_task(int, delay_ms=3_600_000)]
    threading.Timer(0.05, gate.open.set).start()
    system.shutdown(wait=wait, timeout=PATIENCE_S, cancel_pending=True)
    assert {result.status for result in pending} == {TaskStatus.CANCELLED}
    assert running.wait(PATIENCE_S) == "went through"


def test_a_submit_during_it_is_refused(open_system: OpenSystem, gate: Gate) -> None:
    # Given a shutdown that waits for a task
    system = open_system(workers=1)
    task = system.task(int)
    system.add_task(gate)
    assert gate.running.wait(PATIENCE_S)
    closing = threading.Thread(target=system.shutdown, kwargs={"timeout": PATIENCE_S})
    closing.start()
    eventually(lambda: system.closed, "it is closing")
    # Then every way in is shut, with an error that says so
    for submit in (
        lambda: system.add_task(int),
        lambda: system.add_task(int, "1", max_retries=1),
        lambda: task.submit("1"),
        lambda: system.add_tasks(int, [("1",)]),
    ):
        with pytest.raises(SystemClosed, match="shut"):
            submit()
    assert closing.is_alive()
    gate.open.set()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()


def test_a_running_task_that_submits_during_it_is_refused_and_goes_on(open_system: OpenSystem, gate: Gate) -> None:
    system = open_system(workers=1)

    def submits_late() -> str:
        gate()
        try:
            system.add_task(int)
        except SystemClosed:
            return "refused"
        return "accepted"

    result = system.add_task(submits_late)
    assert gate.running.wait(PATIENCE_S)
    threading.Timer(0.05, gate.open.set).start()
    system.shutdown(timeout=PATIENCE_S)
    assert result.wait(0) == "refused"


def test_submits_that_race_with_it_run_or_are_refused(open_system: OpenSystem) -> None:
    # Given threads that submit as fast as they can
    system = open_system(workers=2, queue_size=1_000_000)
    accepted: list[list[object]] = [[] for _ in range(4)]
    under_way = threading.Barrier(5)

    def submit(mine: list[object]) -> None:
        under_way.wait(PATIENCE_S)
        try:
            while True:
                mine.append(system.add_task(int, "7"))
        except SystemClosed:
            pass

    threads = [threading.Thread(target=submit, args=(mine,)) for mine in accepted]
    for thread in threads:
        thread.start()
    # When the system shuts down among them
    under_way.wait(PATIENCE_S)
    time.sleep(0.02)
    system.shutdown(timeout=PATIENCE_S)
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    # Then whatever was accepted came to an end
    results = [result for mine in accepted for result in mine]
    assert results
    assert {result.status for result in results} <= {TaskStatus.COMPLETED, TaskStatus.CANCELLED}  # type: ignore[attr-defined]


def test_twice_and_from_two_threads(open_system: OpenSystem, gate: Gate) -> None:
    system = open_system(workers=1)
    result = system.add_task(gate)
    assert gate.running.wait(PATIENCE_S)
    closing = [threading.Thread(target=system.shutdown, kwargs={"timeout": PATIENCE_S}) for _ in range(3)]
    for thread in closing:
        thread.start()
    gate.open.set()
    for thread in closing:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert result.wait(0) == "went through"
    assert system.shutdown().completed == 0


def test_from_inside_a_task(open_system: OpenSystem) -> None:
    # Given a task that shuts its own system down: it does not wait for itself
    system = open_system(workers=1)

    submitted = threading.Event()

    def close() -> int:
        assert submitted.wait(PATIENCE_S)
        return system.shutdown(timeout=0.5).completed

    result = system.add_task(close)
    other = system.add_task(int, "1")
    submitted.set()
    assert result.exception(PATIENCE_S) is None
    assert other.done()


def test_a_task_that_never_returns_though_it_is_asked_to(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    running = threading.Event()

    def polite() -> str:
        me = current_task()
        assert me is not None
        running.set()
        while not me.cancel_requested:
            time.sleep(0.001)
        return "stopped"

    result = system.add_task(polite)
    assert running.wait(PATIENCE_S)
    assert result.cancel() is False
    assert system.shutdown(timeout=PATIENCE_S).completed == 1
    assert result.wait(0) == "stopped"


def test_reopen_takes_tasks_again(open_system: OpenSystem) -> None:
    system = open_system(workers=2)
    task = system.task(timeout_ms=10_000, max_retries=1)(int)
    for turn in range(3):
        assert task.submit(str(turn)).wait(PATIENCE_S) == turn
        assert system.add_task(int, "5", delay_ms=1).wait(PATIENCE_S) == 5
        system.shutdown(timeout=PATIENCE_S)
        with pytest.raises(SystemClosed):
            task.submit("1")
        system.reopen()
    assert system.add_tasks(int, [("3",)] * 20).wait(PATIENCE_S) == [3] * 20
    assert system.stats().completed == 26


@pytest.mark.parametrize(
    ("timeout", "kind"), [("1", TypeError), (True, TypeError), ([], TypeError), (float("nan"), ValueError)]
)
def test_a_bad_timeout_is_an_error_and_ends_nothing(system: TaskSystem, timeout: Any, kind: type[Exception]) -> None:
    for call in (system.drain, lambda timeout: system.shutdown(timeout=timeout)):
        with pytest.raises(kind, match="timeout must be seconds"):
            call(timeout)
    assert system.add_task(int, "3").wait(PATIENCE_S) == 3  # it was not shut down


def test_an_infinite_timeout_is_a_long_one(open_system: OpenSystem) -> None:
    system = open_system()
    assert system.add_task(int, "3").wait(PATIENCE_S) == 3
    assert system.drain(float("inf")) is True
    assert system.shutdown(timeout=float("inf")).abandoned == ()


def test_drain_says_whether_all_is_done(open_system: OpenSystem, gate: Gate) -> None:
    system = open_system(workers=1)
    system.add_task(gate)
    assert system.drain(0.02) is False
    gate.open.set()
    assert system.drain(PATIENCE_S) is True
    assert system.drain() is True
    # What is due later than it waits is none of its business
    later = system.add_task(int, delay_ms=3_600_000)
    assert system.drain(0.2) is True
    assert later.status is TaskStatus.DELAYED


def test_with_block_and_an_exception(open_system: OpenSystem) -> None:
    system = open_system()
    results = []

    def fails_inside() -> None:
        with system:
            results.append(system.add_task(int, "3"))
            raise LookupError

    with pytest.raises(LookupError):
        fails_inside()
    assert results[0].wait(0) == 3
    assert system.closed


def test_a_shutdown_in_the_middle_of_a_submit(open_system: OpenSystem) -> None:
    """What runs for the context of a submit may let another thread shut the system down."""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    variable.set(1)
    ends: list[bool] = []
    for _ in range(30):
        system = open_system(workers=1)
        system.add_task(int).wait(PATIENCE_S)
        closer = threading.Thread(target=system.shutdown, args=(True, PATIENCE_S))
        results = []
        closer.start()
        while True:
            try:
                results.append(system.add_task(int))
            except QueueFull:
                continue
            except SystemClosed:
                break
        closer.join()
        # Then nothing that was accepted is left without an end
        ends.append(all(result.done() for result in results))
    assert all(ends)
