"""When a scheduled task runs, by a clock that the test moves."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskPriority
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.testing import FrozenClock

pytest.importorskip("cronsim", reason="needs the schedule extra")

UTC = timezone.utc  # noqa: UP017
MINUTE = 60


class Minutes:
    """Notes at which minute of the clock it was called."""

    def __init__(self, clock: FrozenClock) -> None:
        self.clock = clock
        self.began_ns = clock.now_ns()
        self.at: list[float] = []

    def __call__(self) -> None:
        self.at.append((self.clock.now_ns() - self.began_ns) / 60e9)


@pytest.fixture
def clock(system: TaskSystem) -> Iterator[FrozenClock]:
    with FrozenClock(system, at=datetime(2030, 1, 1, 12, tzinfo=UTC)) as clock:
        yield clock


def test_every_so_often(system: TaskSystem, clock: FrozenClock) -> None:
    minutes = Minutes(clock)
    schedule = system.add_schedule(minutes, every=5 * MINUTE, name="minutes")
    assert schedule.next_run == datetime(2030, 1, 1, 12, 5, tzinfo=UTC)
    clock.advance(4 * MINUTE)
    assert minutes.at == []
    clock.advance(12 * MINUTE)
    assert minutes.at == [5, 10, 15]
    assert (schedule.runs, schedule.missed, schedule.skipped) == (3, 0, 0)
    assert schedule.last_run == datetime(2030, 1, 1, 12, 15, tzinfo=UTC)
    assert schedule.is_owner


def test_by_cron(system: TaskSystem, clock: FrozenClock) -> None:
    minutes = Minutes(clock)
    system.add_schedule(minutes, cron="*/15 12 * * *", name="minutes")
    clock.advance(timedelta(hours=25))
    assert minutes.at == [15, 30, 45, 24 * 60, 24 * 60 + 15, 24 * 60 + 30, 24 * 60 + 45, 25 * 60][:7]


def test_the_time_zone_is_the_schedules(system: TaskSystem, clock: FrozenClock) -> None:
    schedule = system.add_schedule(int, cron="0 9 * * *", timezone="Asia/Tokyo", name="tokyo")
    assert schedule.next_run == datetime(2030, 1, 2, 0, tzinfo=UTC)
    assert schedule.timetable == "cron '0 9 * * *' (Asia/Tokyo)"


@pytest.mark.parametrize(
    ("began", "cron", "expected"),
    [
        # 31 March 2030: 02:00 to 03:00 does not exist in Berlin. 27 October: 02:00 to 03:00 comes twice.
        ("2030-03-30T12:00Z", "30 2 * * *", ["2030-03-31T01:00Z", "2030-04-01T00:30Z"]),
        ("2030-10-26T12:00Z", "30 2 * * *", ["2030-10-27T00:30Z", "2030-10-28T01:30Z"]),
        ("2030-10-26T23:40Z", "*/30 * * * *", ["2030-10-27T00:00Z", "2030-10-27T00:30Z", "2030-10-27T01:00Z"]),
        ("2030-10-27T01:10Z", "30 2 * * *", ["2030-10-28T01:30Z"]),  # begun in the hour's second coming
    ],
)
def test_daylight_saving(system: TaskSystem, began: str, cron: str, expected: list[str]) -> None:
    with FrozenClock(system, at=datetime.fromisoformat(began.replace("Z", "+00:00"))) as clock:
        schedule = system.add_schedule(int, cron=cron, timezone="Europe/Berlin", name="berlin")
        for text in expected:
            due = datetime.fromisoformat(text.replace("Z", "+00:00"))
            assert schedule.next_run == due
            clock.move_to(due)
        assert schedule.runs == len(expected)


def test_options_of_the_task_hold_for_its_runs(system: TaskSystem, clock: FrozenClock) -> None:
    seen: list[tuple[TaskPriority, int]] = []

    @system.task(every=MINUTE, priority=TaskPriority.HIGH, max_retries=2, retry_base_ms=1, retry_backoff="fixed")
    def flaky() -> None:
        from catzilla.background_tasks import current_task

        me = current_task()
        assert me is not None
        seen.append((me.priority, me.attempt))
        raise ConnectionError("again")

    flaky.options  # noqa: B018
    clock.advance(MINUTE + 1)
    assert seen == [(TaskPriority.HIGH, attempt) for attempt in (1, 2, 3)]


def test_one_that_fails_is_told_and_goes_on(
    system: TaskSystem, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise ValueError("on purpose")

    with caplog.at_level(logging.ERROR, "catzilla.tasks"):
        schedule = system.add_schedule(fails, every=MINUTE, name="fails")
        clock.advance(2 * MINUTE)
        eventually(lambda: caplog.text.count("on purpose") >= 2, "caplog.text.count('on purpose') >= 2")
    assert schedule.runs == 2


# -- what could not run in time ----------------------------------------------------------------------


@pytest.mark.parametrize(("missed", "runs"), [("once", 1), ("skip", 0), ("all", 5)])
def test_after_a_sleep_of_the_machine(system: TaskSystem, clock: FrozenClock, missed: str, runs: int) -> None:
    schedule = system.add_schedule(int, cron="0 * * * *", missed=missed, name="hourly")
    clock.jump(timedelta(hours=5, minutes=30))
    eventually(lambda: schedule.runs == runs, "schedule.runs == runs")
    assert schedule.missed == 5 - runs
    clock.advance(timedelta(minutes=30))
    # With "all" it is made up for when the run before it is known to have ended.
    eventually(lambda: schedule.runs == runs + 1, "it goes on")


def test_skip_still_runs_what_is_a_little_late(system: TaskSystem, clock: FrozenClock) -> None:
    schedule = system.add_schedule(int, every=3600, missed="skip", name="hourly")
    clock.jump(timedelta(hours=3, seconds=30))
    assert (schedule.runs, schedule.missed) == (1, 2)


def test_a_year_of_minutes_is_no_burden(system: TaskSystem, clock: FrozenClock) -> None:
    schedule = system.add_schedule(int, cron="* * * * *", name="minutely")
    clock.jump(timedelta(days=366, seconds=30))
    assert (schedule.runs, schedule.missed) == (1, 999)  # counted up to a thousand
    assert schedule.next_run == datetime(2031, 1, 2, 12, 1, tzinfo=UTC)


# -- overlap -----------------------------------------------------------------------------------------


class Blocking:
    def __init__(self) -> None:
        self.started = 0
        self.go_on = threading.Semaphore(0)

    def __call__(self) -> None:
        self.started += 1
        assert self.go_on.acquire(timeout=PATIENCE_S)


def test_no_overlap_unless_asked(system: TaskSystem, clock: FrozenClock, caplog: pytest.LogCaptureFixture) -> None:
    blocking = Blocking()
    schedule = system.add_schedule(blocking, every=MINUTE, name="blocking")
    clock.advance(3 * MINUTE, settle=False)
    eventually(lambda: blocking.started == 1, "blocking.started == 1")
    assert (schedule.runs, schedule.skipped) == (1, 2)
    assert caplog.text.count("has not ended") == 1
    blocking.go_on.release()
    eventually(lambda: not system.unfinished(), "not system.unfinished()")
    clock.advance(MINUTE, settle=False)
    eventually(lambda: blocking.started == 2, "blocking.started == 2")
    blocking.go_on.release()


def test_overlap_when_asked(system: TaskSystem, clock: FrozenClock) -> None:
    blocking = Blocking()
    system.add_schedule(blocking, every=MINUTE, overlap=True, name="blocking")
    clock.advance(2 * MINUTE, settle=False)
    eventually(lambda: blocking.started == 2, "blocking.started == 2")
    blocking.go_on.release(2)


def test_all_makes_up_for_what_an_overlap_put_off(system: TaskSystem, clock: FrozenClock) -> None:
    blocking = Blocking()
    schedule = system.add_schedule(blocking, every=MINUTE, missed="all", name="blocking")
    clock.advance(3 * MINUTE, settle=False)
    eventually(lambda: blocking.started == 1, "blocking.started == 1")
    for started in (2, 3):
        blocking.go_on.release()
        eventually(lambda started=started: blocking.started == started, "blocking.started == started")
    blocking.go_on.release()
    eventually(lambda: schedule.runs == 3, "the supervisor has counted it")  # which a worker may outrun
    assert (schedule.skipped, schedule.missed) == (0, 0)


# -- pause -------------------------------------------------------------------------------------------


def test_pause_and_resume(system: TaskSystem, clock: FrozenClock) -> None:
    minutes = Minutes(clock)
    schedule = system.add_schedule(minutes, every=MINUTE, name="minutes")
    schedule.pause()
    assert schedule.paused
    clock.advance(3.5 * MINUTE)
    assert minutes.at == []
    schedule.resume()
    clock.advance(MINUTE)
    assert minutes.at == [4]
    assert schedule.missed == 0


def test_a_shutdown_ends_them_and_a_reopening_begins_them_again(system: TaskSystem, clock: FrozenClock) -> None:
    schedule = system.add_schedule(int, every=MINUTE, name="int")
    system.shutdown()
    assert schedule.next_run is None
    system.reopen()
    clock.advance(MINUTE)
    assert schedule.runs == 1


def test_a_full_lane_does_not_stop_it(backend: Any) -> None:
    with TaskSystem(backend=backend.name, workers=1, queue_size=1, enable_auto_scaling=False) as system:
        blocking = Blocking()
        first = system.add_task(blocking)
        eventually(lambda: blocking.started == 1, "blocking.started == 1")
        waiting = system.add_task(int)
        with FrozenClock(system) as clock:
            schedule = system.add_schedule(int, every=MINUTE, name="int")
            lossy = system.add_schedule(float, every=MINUTE, name="float", overlap=True)
            clock.advance(MINUTE, settle=False)
            eventually(lambda: schedule.runs == 1 and lossy.skipped == 1, "schedule.runs == 1 and lossy.skipped == 1")
            blocking.go_on.release()
            first.wait(PATIENCE_S)
            waiting.wait(PATIENCE_S)
