"""RQ's calls, as code that moves from RQ writes them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskExpired, TaskPriority, TaskTimeout
from catzilla.conformance.rig import PATIENCE_S
from catzilla.integrations.rq import Job, Queue, Retry, Unsupported
from catzilla.testing import FrozenClock

UTC = timezone.utc  # noqa: UP017


@pytest.fixture
def queue(system: TaskSystem) -> Queue:
    return Queue(system=system)


def test_enqueue_and_the_job(queue: Queue) -> None:
    job = queue.enqueue(int, "12", base=3)
    assert isinstance(job, Job)
    assert job.wait(PATIENCE_S) == 5
    assert (job.result, job.return_value(), job.get_status(), job.is_finished) == (5, 5, "finished", True)
    assert job.exc_info is None
    assert job.refresh() is job
    assert job.get_id() == job.id
    assert queue.enqueue("builtins.int", "7").wait(PATIENCE_S) == 7


def test_a_failure(queue: Queue) -> None:
    job = queue.enqueue(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        job.wait(PATIENCE_S)
    assert (job.get_status(), job.is_failed, job.result) == ("failed", True, None)
    assert job.exc_info is not None
    assert "ValueError" in job.exc_info


def test_queues_are_lanes(system: TaskSystem) -> None:
    names = ("critical", "high", "default", "low")
    jobs = [Queue(name, system=system).enqueue(int) for name in names]
    assert [job.handle.priority for job in jobs] == list(TaskPriority)
    with pytest.raises(ValueError, match="critical, high, default, low"):
        Queue("mail", system=system)


def test_retry(queue: Queue) -> None:
    attempts: list[int] = []

    def flaky(good_at: int) -> int:
        attempts.append(1)
        if len(attempts) < good_at:
            raise ConnectionError
        return len(attempts)

    assert queue.enqueue(flaky, 3, retry=Retry(max=3)).wait(PATIENCE_S) == 3
    attempts.clear()
    assert isinstance(queue.enqueue(flaky, 9, retry=2).handle.exception(PATIENCE_S), ConnectionError)
    assert len(attempts) == 3


def test_retry_intervals(queue: Queue) -> None:
    runs: list[int] = []

    def fail() -> None:
        runs.append(1)
        raise ConnectionError

    with FrozenClock(queue.system) as clock:
        job = queue.enqueue(fail, retry=Retry(max=3, interval=[10, 30]))
        for seconds, count in ((9, 1), (2, 2), (20, 2), (11, 3), (31, 4)):
            clock.advance(seconds)
            assert len(runs) == count
        assert job.is_failed


def test_times(queue: Queue) -> None:
    with FrozenClock(queue.system, at=datetime(2030, 1, 1, tzinfo=UTC)) as clock:
        soon = queue.enqueue_in(timedelta(minutes=1), int, "1")
        at = queue.enqueue_at(datetime(2030, 1, 1, 0, 1, tzinfo=UTC), int, "2", job_timeout="1m")
        late = queue.enqueue_in(timedelta(minutes=1), int, ttl=30)
        assert (soon.get_status(), at.is_scheduled) == ("scheduled", True)
        clock.advance(61)
        assert (soon.wait(PATIENCE_S), at.wait(PATIENCE_S)) == (1, 2)
        assert isinstance(late.handle.exception(PATIENCE_S), TaskExpired)
        assert late.is_canceled


@pytest.mark.parametrize(("given", "ms"), [(None, 180_000), (5, 5_000), ("30s", 30_000), ("2h", 7_200_000), (-1, None)])
def test_job_timeout(queue: Queue, given: Any, ms: float | None) -> None:
    assert queue.enqueue(int, job_timeout=given).handle.plan.owner.options.timeout_ms == ms


def test_a_job_that_takes_too_long(queue: Queue) -> None:
    job = queue.enqueue(asyncio.sleep, 3_600, job_timeout=0.01)
    with pytest.raises(TaskTimeout):
        job.wait(PATIENCE_S)
    assert job.is_failed


def test_depends_on(queue: Queue) -> None:
    gate = threading.Event()
    first = queue.enqueue(gate.wait, PATIENCE_S)
    second = queue.enqueue(int, "2", depends_on=first)
    third = queue.enqueue(int, "3", depends_on=[first, second])
    assert second.is_deferred
    assert third.get_status() == "deferred"
    gate.set()
    assert third.wait(PATIENCE_S) == 3
    assert second.is_finished
    failed = queue.enqueue(int, "x")
    assert isinstance(queue.enqueue(int, depends_on=failed).handle.exception(PATIENCE_S), ValueError)


def test_callbacks(queue: Queue) -> None:
    seen: list[Any] = []
    done = threading.Barrier(3)

    def success(job: Job, connection: None, result: Any) -> None:
        seen.append((job.is_finished, result))
        done.wait(PATIENCE_S)

    def failure(job: Job, connection: None, kind: type, value: BaseException, trace: Any) -> None:
        seen.append((job.is_failed, kind))
        done.wait(PATIENCE_S)

    queue.enqueue(int, "1", on_success=success, on_failure=failure)
    queue.enqueue(int, "x", on_success=success, on_failure=failure)
    done.wait(PATIENCE_S)
    assert sorted(seen, key=repr) == sorted([(True, 1), (True, ValueError)], key=repr)


def test_cancel(queue: Queue) -> None:
    job = queue.enqueue_in(timedelta(hours=1), int)
    assert job.cancel() is True
    assert job.is_canceled


def test_in_place(open_system: Callable[..., TaskSystem]) -> None:
    queue = Queue(is_async=False, system=open_system())
    job = queue.enqueue(threading.get_ident)
    assert (job.is_finished, job.result) == (True, threading.get_ident())


@pytest.mark.parametrize(
    ("call", "alternative"),
    [
        (lambda queue: Queue(connection=object()), "no Redis"),
        (lambda queue: queue.enqueue(int, result_ttl=5), "as long as its Job"),
        (lambda queue: queue.enqueue(int, job_id="1"), r"job\.id"),
        (lambda queue: queue.enqueue(int, at_front=True), "high"),
    ],
)
def test_what_has_no_counterpart_names_the_alternative(
    queue: Queue, call: Callable[[Queue], object], alternative: str
) -> None:
    with pytest.raises(Unsupported, match=alternative):
        call(queue)
    assert queue.system.stats().submitted == 0


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda queue: queue.enqueue(int, job_timeout="soon"), ValueError),
        (lambda queue: queue.enqueue(int, job_timeout=0), ValueError),
        (lambda queue: queue.enqueue(int, job_timeout=[]), TypeError),
        (lambda queue: queue.enqueue(int, retry="3"), TypeError),
        (lambda queue: queue.enqueue(int, ttl=-1), ValueError),
        (lambda queue: queue.enqueue("int"), ValueError),
        (lambda queue: queue.enqueue(int, depends_on=["1"]), TypeError),
        (lambda queue: queue.enqueue_in(5, int), TypeError),
        (lambda queue: queue.enqueue_at(datetime(2030, 1, 1), int), ValueError),
        (lambda queue: Retry(max=0), ValueError),
        (lambda queue: Retry(max="1"), TypeError),
        (lambda queue: Retry(max=1, interval=-1), ValueError),
        (lambda queue: Retry(max=1, interval=[]), ValueError),
    ],
)
def test_mistakes_are_told(queue: Queue, call: Callable[[Queue], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        call(queue)
