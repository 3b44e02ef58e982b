"""FrozenClock: what time decides happens when the test says so, and not before."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import ConfigError, TaskStatus, TaskTimeout
from catzilla.conformance.rig import PATIENCE_S
from catzilla.testing import FrozenClock

UTC = timezone.utc  # noqa: UP017
OpenSystem = Callable[..., TaskSystem]


def test_a_delay_of_an_hour_takes_no_time(system: TaskSystem) -> None:
    with FrozenClock(system) as clock:
        result = system.add_task(int, "7", delay_ms=3_600_000)
        clock.advance(3_599)
        assert result.status is TaskStatus.DELAYED
        clock.advance(1)
        assert result.wait(PATIENCE_S) == 7


def test_delays_end_in_their_order(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    order: list[int] = []
    with FrozenClock(system) as clock:
        for seconds in (30, 10, 20):
            system.add_task(order.append, seconds, delay_ms=seconds * 1_000)
        clock.advance(timedelta(minutes=1))
    assert order == [10, 20, 30]


def test_retries_wait_for_it(system: TaskSystem) -> None:
    calls: list[float] = []
    with FrozenClock(system) as clock:
        began_ns = clock.now_ns()

        def fails() -> None:
            calls.append((clock.now_ns() - began_ns) / 1e9)
            raise ConnectionError("no")

        result = system.add_task(fails, max_retries=2, retry_backoff="fixed", retry_base_ms=60_000)
        clock.advance(59)
        assert result.status is TaskStatus.RETRYING
        clock.advance(121)
        assert isinstance(result.exception(PATIENCE_S), ConnectionError)
    assert calls == [0, 60, 120]


def test_a_deadline_passes_when_it_moves(system: TaskSystem) -> None:
    started, let_go = threading.Event(), threading.Event()

    def stuck() -> None:
        started.set()
        let_go.wait(PATIENCE_S)

    with FrozenClock(system) as clock:
        result = system.add_task(stuck, timeout_ms=60_000)
        assert started.wait(PATIENCE_S)
        clock.advance(59)
        assert result.status is TaskStatus.RUNNING
        clock.advance(1)
        assert isinstance(result.exception(PATIENCE_S), TaskTimeout)
        let_go.set()


def test_a_task_that_waits_for_a_delayed_one_holds_up_nothing(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    waiting = threading.Event()

    def outer() -> int:
        inner = system.add_task(int, "3", delay_ms=60_000)
        waiting.set()
        return inner.wait()

    with FrozenClock(system) as clock:
        result = system.add_task(outer)
        assert waiting.wait(PATIENCE_S)
        clock.advance(60, settle=False)
        assert result.wait(PATIENCE_S) == 3


def test_afterwards_the_machines_clock_is_back(system: TaskSystem) -> None:
    with FrozenClock(system):
        assert system.add_task(int).wait(PATIENCE_S) == 0
    assert system.add_task(int, "1", delay_ms=20).wait(PATIENCE_S) == 1


def test_a_deadline_that_runs_already_is_not_over_at_once(system: TaskSystem) -> None:
    started, let_go = threading.Event(), threading.Event()

    def works() -> str:
        started.set()
        let_go.wait(PATIENCE_S)
        return "worked"

    result = system.add_task(works, timeout_ms=3_600_000)
    assert started.wait(PATIENCE_S)
    with FrozenClock(system) as clock:
        clock.advance(60)
        assert result.status is TaskStatus.RUNNING
    let_go.set()
    assert result.wait(PATIENCE_S) == "worked"


def test_it_has_a_time_of_day(system: TaskSystem) -> None:
    with FrozenClock(system, at=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)) as clock:
        clock.advance(1.5)
        assert clock.now() == datetime(2030, 1, 2, 3, 4, 6, 500_000, tzinfo=UTC)
        clock.move_to(datetime(2030, 1, 2, 4, tzinfo=UTC))
        assert clock.now() == datetime(2030, 1, 2, 4, tzinfo=UTC)
        with pytest.raises(ConfigError, match="does not go back"):
            clock.move_to(datetime(2030, 1, 2, 3, tzinfo=UTC))


@pytest.mark.parametrize("seconds", [-1, float("nan"), "1", True, None])
def test_what_is_no_time_is_refused(system: TaskSystem, seconds: object) -> None:
    with FrozenClock(system) as clock, pytest.raises(ConfigError):
        clock.advance(seconds)  # type: ignore[arg-type]


def test_a_time_of_day_needs_a_zone(system: TaskSystem) -> None:
    with pytest.raises(ConfigError, match="time zone"):
        FrozenClock(system, at=datetime(2030, 1, 1))


def test_one_that_is_not_installed_says_so(system: TaskSystem) -> None:
    with pytest.raises(RuntimeError, match="not installed"):
        FrozenClock(system).advance(1)


def test_a_task_that_waits_for_the_test_is_named(system: TaskSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catzilla.testing.clock.SETTLE_S", 0.2)
    let_go = threading.Event()
    with FrozenClock(system) as clock:
        result = system.add_task(let_go.wait, PATIENCE_S)
        with pytest.raises(TimeoutError, match="settle=False"):
            clock.advance(1)
        let_go.set()
        assert result.wait(PATIENCE_S)
