"""bind=True with retry(), expires_ms, and the Celery-shaped calls of a task."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import MaxRetriesExceeded, QueueFull, TaskExpired, TaskResult, TaskStatus
from catzilla.conformance.rig import PATIENCE_S
from catzilla.testing import FrozenClock

UTC = timezone.utc  # noqa: UP017


def test_a_bound_task_gets_itself_first(system: TaskSystem) -> None:
    @system.task(bind=True)
    def who(self: Any, value: int) -> Any:
        return self, self.request.id, self.request.retries, value

    result: TaskResult[Any] = who.delay(5)  # type: ignore[call-arg,arg-type]
    assert result.wait(PATIENCE_S) == (who, result.task_id, 0, 5)
    assert who(6) == (who, None, 0, 6)  # type: ignore[call-arg,arg-type]
    with pytest.raises(TypeError):
        who.delay(1, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["def", "async def"])
def test_retry_runs_it_again(system: TaskSystem, asynchronous: bool) -> None:
    seen: list[int] = []

    def work(self: Any, value: int) -> str:
        seen.append(self.request.retries)
        if len(seen) < 3:
            self.retry(countdown=0)
        return f"{value} at the {len(seen)}rd"

    async def work_async(self: Any, value: int) -> str:
        return work(self, value)

    task: Any = system.task(bind=True, max_retries=2)(work_async if asynchronous else work)
    result = task.delay(4)
    assert result.wait(PATIENCE_S) == "4 at the 3rd"
    assert seen == [0, 1, 2]
    assert result.attempt == 3


def test_after_the_last_retry_the_reason_is_raised(system: TaskSystem) -> None:
    attempts: list[int] = []

    @system.task(bind=True, max_retries=2, retry_on=())
    def failing(self: Any, how: str) -> None:
        attempts.append(1)
        try:
            raise LookupError("the cause")
        except LookupError as error:
            if how == "given":
                self.retry(exc=OSError("given"), countdown=0)
            if how == "handled":
                self.retry(countdown=0)
            cause = error
        assert cause
        self.retry(countdown=0, max_retries=1)

    task: Any = failing
    for how, error, runs in (("given", OSError, 3), ("handled", LookupError, 3), ("none", MaxRetriesExceeded, 2)):
        attempts.clear()
        assert isinstance(task.delay(how).exception(PATIENCE_S), error)
        assert len(attempts) == runs


def test_a_last_retry_is_the_last_also_with_automatic_retries(system: TaskSystem) -> None:
    attempts: list[int] = []

    @system.task(bind=True, max_retries=5, retry_base_ms=1)
    def failing(self: Any) -> None:
        attempts.append(1)
        self.retry(exc=OSError(), max_retries=1, countdown=0)

    task: Any = failing
    assert isinstance(task.delay().exception(PATIENCE_S), OSError)
    assert len(attempts) == 2


def test_retry_elsewhere_is_an_error(system: TaskSystem) -> None:
    plain = system.task(lambda: plain.retry())
    with pytest.raises(RuntimeError, match="bind=True"):
        plain.retry()
    assert isinstance(plain.delay().exception(PATIENCE_S), RuntimeError)
    with pytest.raises(OSError, match="given"):
        plain.retry(exc=OSError("given"))


def test_bind_is_for_tasks_that_are_functions(system: TaskSystem) -> None:
    with pytest.raises(ValueError, match="bind=True is for tasks"):
        system.add_task(print, bind=True)
    with pytest.raises(TypeError, match="bind"):
        system.task(bind=1)(print)

    class Service:
        @system.task(bind=True)
        def method(self) -> None: ...

    with pytest.raises(TypeError, match="cannot be a method"):
        Service().method  # noqa: B018


def test_a_task_that_expired_does_not_run(system: TaskSystem) -> None:
    ran: list[int] = []

    async def later() -> None:
        ran.append(2)

    with FrozenClock(system) as clock:
        system.pause()
        late = system.add_task(ran.append, 1, expires_ms=1_000)
        too = system.add_task(later, expires_ms=1_000)
        many = system.add_tasks(ran.append, [(3,), (4,)], expires_ms=500)
        in_time = system.add_task(int, expires_ms=10_000)
        clock.advance(2, settle=False)
        system.resume()
        for result in (late, too, *many):
            assert isinstance(result.exception(PATIENCE_S), TaskExpired)
            assert result.status is TaskStatus.CANCELLED
        assert in_time.wait(PATIENCE_S) == 0
    assert ran == []


def test_apply_async_takes_times(system: TaskSystem) -> None:
    task = system.task(int)
    with FrozenClock(system, at=datetime(2030, 1, 1, tzinfo=UTC)) as clock:
        zone = timezone(timedelta(hours=5))
        ways: list[Callable[[datetime], dict[str, Any]]] = [
            lambda now: {"countdown": 60},
            lambda now: {"countdown": timedelta(minutes=1)},
            lambda now: {"eta": now + timedelta(minutes=1)},
            lambda now: {"eta": (now + timedelta(minutes=1)).astimezone(zone)},
        ]
        for way in ways:
            result = task.apply_async(("7",), **way(clock.now()))
            clock.advance(59)
            assert result.status is TaskStatus.DELAYED
            clock.advance(2)
            assert result.get(PATIENCE_S) == 7
            assert result.ready()
            assert result.successful()
        past = task.apply_async(("8",), eta=datetime(2020, 1, 1, tzinfo=UTC))
        assert past.get(PATIENCE_S) == 8
        expired = task.apply_async(("9",), countdown=10, expires=datetime(2020, 1, 1, tzinfo=UTC))
        clock.advance(10)
        assert isinstance(expired.exception(PATIENCE_S), TaskExpired)
        assert expired.failed()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"countdown": "1"}, TypeError),
        ({"countdown": -1}, ValueError),
        ({"countdown": True}, TypeError),
        ({"eta": 5}, TypeError),
        ({"eta": datetime(2030, 1, 1)}, ValueError),
        ({"expires": datetime(2030, 1, 1)}, ValueError),
        ({"countdown": 1, "eta": datetime(2030, 1, 1, tzinfo=UTC)}, ValueError),
        ({"countdown": 1, "delay_ms": 1}, ValueError),
        ({"nonsense": 1}, TypeError),
        ({"retry": 1}, TypeError),
        ({"retry_policy": {"nonsense": 1}}, ValueError),
        ({"retry_policy": {"max_retries": -1}}, ValueError),
        ({"retry_policy": 3}, TypeError),
        ({"link": print}, TypeError),
    ],
)
def test_bad_options_are_refused_at_once(system: TaskSystem, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        system.task(int).apply_async(**options)
    assert system.stats().submitted == 0


def test_a_refused_submit_is_tried_again_as_the_policy_says(open_system: Callable[..., TaskSystem]) -> None:
    # Given a full lane
    system = open_system(workers=1, queue_size=1)
    system.pause()
    task = system.task(int)
    first = task.delay()
    policy = {"max_retries": 10_000, "interval_start": 0, "interval_step": 0.001, "interval_max": 0.005}
    # When nobody makes room, then it is refused at last
    with pytest.raises(QueueFull):
        task.apply_async(retry_policy={**policy, "max_retries": 2})
    assert system.stats().rejected == 3
    with pytest.raises(QueueFull):
        task.apply_async(retry=False)
    # When room comes meanwhile, then it is queued
    threading.Timer(0.05, system.resume).start()
    assert task.apply_async(("3",), retry=True, retry_policy=policy).wait(PATIENCE_S) == 3
    assert first.wait(PATIENCE_S) == 0
