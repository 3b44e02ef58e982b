"""Retries: how often, how long after, and of what."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskPriority, TaskStatus, TaskTimeout, current_task
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


class Flaky:
    """Fails a number of times, then works; notes when it was called."""

    def __init__(self, failures: int, error: type[BaseException] = ConnectionError) -> None:
        self.failures = failures
        self.error = error
        self.times: list[float] = []
        self.attempts: list[int] = []

    def __call__(self, value: object = "worked") -> object:
        self.times.append(time.monotonic())
        me = current_task()
        assert me is not None
        self.attempts.append(me.attempt)
        if len(self.times) <= self.failures:
            raise self.error(f"failure {len(self.times)}")
        return value


def test_it_is_tried_until_it_works(system: TaskSystem) -> None:
    flaky = Flaky(2)
    result = system.add_task(flaky, "value", max_retries=3, retry_base_ms=1)
    assert result.wait(PATIENCE_S) == "value"
    assert flaky.attempts == [1, 2, 3]
    assert result.attempt == 3
    assert result.stats().retries == 2


def test_when_the_retries_are_used_up_the_last_error_is_the_outcome(system: TaskSystem) -> None:
    flaky = Flaky(10)
    result = system.add_task(flaky, max_retries=2, retry_base_ms=1)
    with pytest.raises(ConnectionError, match="failure 3"):
        result.wait(PATIENCE_S)
    assert len(flaky.times) == 3
    stats = system.stats()
    assert (stats.retried, stats.failed, stats.completed) == (2, 1, 0)


def test_without_max_retries_there_is_one_attempt(system: TaskSystem) -> None:
    flaky = Flaky(1)
    assert isinstance(system.add_task(flaky).exception(PATIENCE_S), ConnectionError)
    assert len(flaky.times) == 1


def test_only_what_retry_on_names_is_retried(system: TaskSystem) -> None:
    flaky = Flaky(1, KeyError)
    result = system.add_task(flaky, max_retries=3, retry_base_ms=1, retry_on=(ConnectionError, OSError))
    assert isinstance(result.exception(PATIENCE_S), KeyError)
    assert len(flaky.times) == 1
    flaky = Flaky(1, BrokenPipeError)  # an OSError
    result = system.add_task(flaky, max_retries=3, retry_base_ms=1, retry_on=OSError)
    assert result.wait(PATIENCE_S) == "worked"


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_by_default_exits_and_interrupts_are_not_retried(system: TaskSystem, error: type[BaseException]) -> None:
    flaky = Flaky(1, error)
    assert isinstance(system.add_task(flaky, max_retries=3, retry_base_ms=1).exception(PATIENCE_S), error)
    assert len(flaky.times) == 1


def test_a_fixed_backoff(system: TaskSystem) -> None:
    flaky = Flaky(3)
    system.add_task(flaky, max_retries=3, retry_backoff="fixed", retry_base_ms=30).wait(PATIENCE_S)
    gaps = [after - before for before, after in zip(flaky.times, flaky.times[1:], strict=False)]
    assert all(gap >= 0.030 for gap in gaps)


def test_an_exponential_backoff_stays_below_its_bounds() -> None:
    # Given the backoff itself, without waiting for it
    from catzilla.options import DEFAULTS
    from catzilla.retry import backoff_ns

    options = DEFAULTS.changed({"max_retries": 20, "retry_base_ms": 100, "retry_max_ms": 1_000})
    for retry, bound_ms in ((1, 100), (2, 200), (3, 400), (4, 800), (5, 1_000), (20, 1_000)):
        waits = [backoff_ns(options, retry) / 1e6 for _ in range(300)]
        assert min(waits) >= 0
        assert max(waits) <= bound_ms
        # Full jitter: anywhere between nothing and the bound
        assert max(waits) - min(waits) > bound_ms / 2


def test_a_backoff_of_your_own_is_given_the_number_of_the_retry(system: TaskSystem) -> None:
    numbers: list[int] = []

    def backoff(number: int) -> float:
        numbers.append(number)
        return 1.0

    system.add_task(Flaky(3), max_retries=3, retry_backoff=backoff).wait(PATIENCE_S)
    assert numbers == [1, 2, 3]


def test_a_retry_waits_in_its_slot(open_system: OpenSystem) -> None:
    # Given a lane of one slot, and a task that waits for its retry
    system = open_system(queue_size=1)
    flaky = Flaky(1)
    result = system.add_task(flaky, max_retries=1, retry_backoff="fixed", retry_base_ms=1_000)
    eventually(lambda: result.status is TaskStatus.RETRYING, "the first attempt failed")
    # Then it is counted in its lane, and a retry is never refused
    assert system.stats().normal_queue_size == 1
    assert result.wait(PATIENCE_S) == "worked"


def test_the_worker_is_free_while_a_task_waits_for_its_retry(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    result = system.add_task(Flaky(1), max_retries=1, retry_backoff="fixed", retry_base_ms=60_000)
    eventually(lambda: result.status is TaskStatus.RETRYING, "the first attempt failed")
    assert system.add_task(int, "1").wait(PATIENCE_S) == 1
    assert result.cancel() is True


def test_a_retry_keeps_its_priority_and_arguments(system: TaskSystem) -> None:
    seen: list[tuple[Any, ...]] = []

    def work(a: int, b: int = 0) -> None:
        seen.append((a, b))
        if len(seen) < 3:
            raise ValueError

    result = system.add_task(work, 1, b=2, max_retries=5, retry_base_ms=1, priority=TaskPriority.LOW)
    result.wait(PATIENCE_S)
    assert seen == [(1, 2)] * 3
    assert result.priority is TaskPriority.LOW


def test_a_timed_out_attempt_is_retried_only_when_asked(system: TaskSystem) -> None:
    gates = [threading.Event(), threading.Event()]
    calls: list[int] = []

    def slow_at_first() -> str:
        calls.append(1)
        if len(calls) == 1:
            gates[0].wait(PATIENCE_S)
        return "second"

    result = system.add_task(slow_at_first, timeout_ms=30, max_retries=2, retry_base_ms=1, retry_on=(TaskTimeout,))
    assert result.wait(PATIENCE_S) == "second"
    gates[0].set()
    late = system.add_task(gates[1].wait, PATIENCE_S, timeout_ms=30, max_retries=2, retry_base_ms=1)
    with pytest.raises(TaskTimeout):
        late.wait(PATIENCE_S)
    assert late.stats().retries == 0
    gates[1].set()


def test_a_task_asked_to_stop_is_not_tried_again(system: TaskSystem) -> None:
    running, gate = threading.Event(), threading.Event()

    def fail_later() -> None:
        running.set()
        gate.wait(PATIENCE_S)
        raise ConnectionError

    result = system.add_task(fail_later, max_retries=5, retry_base_ms=1)
    assert running.wait(PATIENCE_S)
    assert result.cancel() is False
    gate.set()
    assert isinstance(result.exception(PATIENCE_S), ConnectionError)
    assert result.stats().retries == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_retries", -1),
        ("max_retries", 1.5),
        ("max_retries", "3"),
        ("max_retries", True),
        ("retry_backoff", "linear"),
        ("retry_backoff", 3),
        ("retry_base_ms", -1),
        ("retry_base_ms", float("nan")),
        ("retry_max_ms", float("inf")),
        ("retry_on", "ValueError"),
        ("retry_on", (ValueError, 3)),
        ("timeout_ms", 0),
        ("timeout_ms", -5),
        ("timeout_ms", "1s"),
        ("delay_ms", -1),
        ("delay_ms", None),
        ("name", ""),
        ("name", 3),
        ("compile_to_c", "yes"),
    ],
)
def test_bad_options_are_refused_at_once(system: TaskSystem, option: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=option):
        system.add_task(int, **{option: value})
    with pytest.raises((TypeError, ValueError), match=option):
        system.task(**{option: value})
    assert system.stats().submitted == 0


def test_retry_max_below_retry_base_is_refused(system: TaskSystem) -> None:
    with pytest.raises(ValueError, match="retry_max_ms"):
        system.add_task(int, max_retries=1, retry_base_ms=100, retry_max_ms=10)


def no_backoff(retry: int) -> float:
    raise ZeroDivisionError("on purpose")


def test_a_backoff_that_raises_ends_a_coroutine(system: TaskSystem) -> None:
    async def fails() -> None:
        raise ConnectionError

    result = system.task(max_retries=2, retry_backoff=no_backoff)(fails).submit()
    assert isinstance(result.exception(PATIENCE_S), ZeroDivisionError)


def test_a_backoff_that_raises_ends_a_task_that_ran_out_of_time(system: TaskSystem) -> None:
    gate = threading.Event()

    def slow() -> None:
        gate.wait(PATIENCE_S)

    task = system.task(max_retries=2, timeout_ms=20, retry_on=(TaskTimeout,), retry_backoff=no_backoff)(slow)
    result = task.submit()
    assert isinstance(result.exception(PATIENCE_S), TaskTimeout)
    assert system.add_task(int, "1").wait(PATIENCE_S) == 1
    gate.set()
