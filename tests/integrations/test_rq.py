"""RQ's calls, as code that moves from RQ writes them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import QueueFull, TaskExpired, TaskPriority, TaskTimeout
from catzilla.conformance.rig import PATIENCE_S
from catzilla.integrations import rq
from catzilla.integrations.rq import Callback, Dependency, Job, Queue, Retry, Unsupported, get_current_job, job
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


def test_the_arguments_in_a_tuple_and_a_dict(queue: Queue) -> None:
    assert queue.enqueue(int, args=("12",), kwargs={"base": 3}, job_timeout="1m").wait(PATIENCE_S) == 5
    assert queue.enqueue(int, args=["12"]).wait(PATIENCE_S) == 12
    assert queue.enqueue(dict, kwargs={"args": 1, "retry": 2}).wait(PATIENCE_S) == {"args": 1, "retry": 2}
    late = queue.enqueue_in(timedelta(0), int, args=("12",), kwargs={"base": 3}, retry=1)
    assert late.wait(PATIENCE_S) == 5
    assert queue.enqueue_at(datetime(2020, 1, 1, tzinfo=UTC), int, kwargs=None, args=("3",)).wait(PATIENCE_S) == 3


def test_enqueue_call(queue: Queue) -> None:
    first = queue.enqueue_call(int, ("12",), {"base": 3}, timeout=5)
    assert first.wait(PATIENCE_S) == 5
    assert first.handle.plan.owner.options.timeout_ms == 5_000
    second = queue.enqueue_call(
        func="builtins.int", args=("7",), timeout="2m", ttl=60, retry=Retry(1), depends_on=first, description="seven"
    )
    assert second.wait(PATIENCE_S) == 7
    assert (second.func_name, second.handle.plan.owner.options.timeout_ms) == ("seven", 120_000)
    assert first.handle.plan.owner.options.max_retries == 0
    # What code that passes every option on gives for "not asked for".
    assert queue.enqueue_call(int, result_ttl=None, at_front=False, meta=None, unique=False).wait(PATIENCE_S) == 0


def test_enqueue_many(queue: Queue) -> None:
    first = queue.enqueue(int, "1")
    datas = (
        Queue.prepare_data(int, (text,), {"base": 3}, timeout=9, depends_on=depends_on)
        for text, depends_on in (("1", None), ("2", first), ("10", [first]))
    )
    jobs = queue.enqueue_many(datas)
    assert [job.wait(PATIENCE_S) for job in jobs] == [1, 2, 3]
    assert {job.handle.plan.owner.options.timeout_ms for job in jobs} == {9_000}
    assert queue.enqueue_many([]) == []


def test_enqueue_many_leaves_nothing_behind_a_refusal(open_system: Callable[..., TaskSystem]) -> None:
    queue = Queue(system=open_system(queue_size=2))
    queue.system.pause()
    with pytest.raises(QueueFull) as refused:
        queue.enqueue_many([Queue.prepare_data(int)] * 3)
    assert "job 3 of the 3" in refused.value.__notes__[0]
    assert "0 had started" in refused.value.__notes__[0]
    assert queue.is_empty()
    assert queue.system.stats().cancelled == 2


def test_a_decorated_function(system: TaskSystem) -> None:
    @job(Queue("low", system=system), timeout=5, retry=2)
    def double(n: int) -> int:
        return 2 * n

    assert double(2) == 4
    first = double.delay(3)
    assert first.wait(PATIENCE_S) == 6
    assert double.delay(n=4, depends_on=first).wait(PATIENCE_S) == 8
    options = first.handle.plan.owner.options
    assert (options.timeout_ms, options.max_retries, first.handle.priority) == (5_000, 2, TaskPriority.LOW)


def test_a_task_with_limits_is_enqueued_like_a_function(queue: Queue) -> None:
    @queue.system.task(unique=True)
    def once(n: int) -> int:
        return n

    queue.system.pause()
    jobs = [queue.enqueue(once, 1), queue.enqueue_call(once, (1,)), queue.enqueue(once, 2)]
    queue.system.resume()
    assert [job.wait(PATIENCE_S) for job in jobs] == [1, 1, 2]
    assert jobs[0] == jobs[1]


def test_the_current_job(queue: Queue) -> None:
    assert get_current_job() is None
    seen = queue.enqueue(get_current_job)
    assert seen.wait(PATIENCE_S) == seen
    assert hash(seen.wait(PATIENCE_S)) == hash(seen)


def test_counts_and_finding(queue: Queue) -> None:
    queue.system.pause()
    jobs = [queue.enqueue(int) for _ in range(3)]
    assert (queue.count, len(queue), queue.is_empty(), bool(queue)) == (3, 3, False, True)
    assert queue.fetch_job(jobs[1].id) == jobs[1]
    assert queue.fetch_job("of yesterday") is None
    queue.system.resume()
    for each in jobs:
        each.wait(PATIENCE_S)
    assert (len(queue), queue.is_empty(), bool(queue)) == (0, True, True)


def test_the_times_of_a_job(open_system: Callable[..., TaskSystem]) -> None:
    queue = Queue(system=open_system(enable_profiling="full"))
    queue.system.pause()
    before = datetime.now(UTC) - timedelta(seconds=1)  # the two clocks may differ by a little
    timed = queue.enqueue(int)
    assert (timed.started_at, timed.ended_at) == (None, None)
    queue.system.resume()
    timed.wait(PATIENCE_S)
    assert timed.started_at is not None
    assert timed.ended_at is not None
    assert before < timed.enqueued_at <= timed.started_at <= timed.ended_at < datetime.now(UTC) + timedelta(seconds=1)


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


def test_a_time_without_a_zone_is_of_this_machine(queue: Queue) -> None:
    with FrozenClock(queue.system, at=datetime(2030, 1, 1, tzinfo=UTC)) as clock:
        here = datetime(2030, 1, 1, 0, 1, tzinfo=UTC).astimezone().replace(tzinfo=None)
        late = queue.enqueue_at(here, int, "1")
        clock.advance(59)
        assert late.is_scheduled
        clock.advance(2)
        assert late.wait(PATIENCE_S) == 1


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


def test_depends_on_what_may_fail(queue: Queue) -> None:
    failed, fine = queue.enqueue(int, "x"), queue.enqueue(int)
    assert queue.enqueue(int, "1", depends_on=Dependency(failed, allow_failure=True)).wait(PATIENCE_S) == 1
    both = Dependency(jobs=[failed, fine], allow_failure=True)
    assert queue.enqueue(int, "2", depends_on=both).wait(PATIENCE_S) == 2
    assert isinstance(
        queue.enqueue(int, depends_on=Dependency([failed, fine])).handle.exception(PATIENCE_S), ValueError
    )
    assert queue.enqueue(int, "3", depends_on=[]).wait(PATIENCE_S) == 3
    assert failed.is_failed
    assert failed.exc_info is not None


told = threading.Event()


def tell(job: Job, connection: None, result: Any) -> None:
    told.set()


def test_a_callback_object(queue: Queue) -> None:
    seen = threading.Event()
    queue.enqueue(int, on_success=Callback(lambda job, connection, result: seen.set()))
    assert seen.wait(PATIENCE_S)
    told.clear()
    queue.enqueue(int, on_success=Callback(f"{__name__}.tell"))
    assert told.wait(PATIENCE_S)


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
        (lambda queue: queue.enqueue_call(int, meta={"a": 1}), "beside it"),
        (lambda queue: queue.enqueue_in(timedelta(1), int, unique=True), "@system.task"),
        (lambda queue: queue.enqueue_many([], group_id="g"), "canvas"),
        (lambda queue: Queue.prepare_data(int, on_stopped=print), "cancel_requested"),
        (lambda queue: Callback(print, timeout=5), "short"),
        (lambda queue: Retry(1, enqueue_at_front=True), "high"),
        (lambda queue: job("low", result_ttl=5), "as long as its Job"),
        (lambda queue: queue.failed_job_registry, "on_failure"),
        (lambda queue: queue.empty(), "cancel"),
        (lambda queue: Job.fetch("1", connection=None), "fetch_job"),
        (lambda queue: Job(None).requeue(), "Retry"),
        (lambda queue: rq.Worker, "no worker"),
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
        (lambda queue: queue.enqueue_at(5, int), TypeError),
        (lambda queue: queue.enqueue(int, "1", args=("1",)), TypeError),
        (lambda queue: queue.enqueue(int, args=("1",), base=3), TypeError),
        (lambda queue: queue.enqueue(int, args="12"), TypeError),
        (lambda queue: queue.enqueue(int, kwargs=[]), TypeError),
        (lambda queue: queue.enqueue_call(int, base=3), TypeError),
        (lambda queue: queue.enqueue_call(int, timeout="soon"), ValueError),
        (lambda queue: queue.enqueue_many([int]), TypeError),
        (lambda queue: Queue.prepare_data(int, ttl="1"), TypeError),
        (lambda queue: queue.enqueue(int, on_success=3), TypeError),
        (lambda queue: Callback(3), TypeError),
        (lambda queue: job("low", base=3), TypeError),
        (lambda queue: job("mail"), ValueError),
        (lambda queue: queue.nonsense, AttributeError),
        (lambda queue: Job(None).nonsense, AttributeError),
        (lambda queue: rq.nonsense, AttributeError),
        (lambda queue: Retry(max=0), ValueError),
        (lambda queue: Retry(max="1"), TypeError),
        (lambda queue: Retry(max=1, interval=-1), ValueError),
        (lambda queue: Retry(max=1, interval=[]), ValueError),
    ],
)
def test_mistakes_are_told(queue: Queue, call: Callable[[Queue], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        call(queue)
    assert queue.system.stats().submitted == 0
