"""max_concurrency: how many of a task run at once, and what becomes of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import QueueFull, TaskCancelled, TaskDropped, TaskPriority, TaskStatus
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


class Gauge:
    """How many run at once, now and at most; they run until they are let go."""

    def __init__(self, open_at_once: bool = False) -> None:
        self.lock = threading.Lock()
        self.now = self.most = self.ended = 0
        self.go_on = threading.Semaphore(10_000 if open_at_once else 0)

    def __call__(self, *_: object) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        assert self.go_on.acquire(timeout=PATIENCE_S)
        with self.lock:
            self.now -= 1
            self.ended += 1


def test_no_more_than_the_limit_run_at_once(open_system: OpenSystem) -> None:
    system = open_system(workers=8)
    gauge = Gauge()
    results = [system.add_task(gauge, n, max_concurrency=2) for n in range(10)]
    eventually(lambda: gauge.now == 2, "two run")
    assert [result.status for result in results[2:]] == [TaskStatus.DELAYED] * 8
    for ended in range(1, 11):
        gauge.go_on.release()
        eventually(lambda ended=ended: gauge.ended == ended, "one more ended")
    for result in results:
        result.wait(PATIENCE_S)
    assert gauge.most == 2


def test_a_parked_task_holds_no_worker(open_system: OpenSystem) -> None:
    system = open_system(workers=2)
    gauge = Gauge()
    results = [system.add_task(gauge, max_concurrency=1) for _ in range(5)]
    assert [system.add_task(int, str(n)).wait(PATIENCE_S) for n in range(20)] == list(range(20))
    gauge.go_on.release(5)
    for result in results:
        result.wait(PATIENCE_S)


def test_each_key_has_a_limit_of_its_own(open_system: OpenSystem) -> None:
    system = open_system(workers=8)
    gauges = {name: Gauge() for name in "ab"}

    @system.task(max_concurrency=1, limit_key=lambda name, n: name)
    def work(name: str, n: int) -> None:
        gauges[name]()

    results = [work.submit(name, n) for n in range(3) for name in "ab"]
    for gauge in gauges.values():
        eventually(lambda gauge=gauge: gauge.now == 1, "one of each runs")
        gauge.go_on.release(3)
    for result in results:
        result.wait(PATIENCE_S)
    assert [gauge.most for gauge in gauges.values()] == [1, 1]


def test_tasks_that_name_one_limit_share_it(open_system: OpenSystem) -> None:
    system = open_system(workers=8)
    gauge = Gauge()

    def one() -> None:
        gauge()

    def other() -> None:
        gauge()

    results = [system.add_task(fn, max_concurrency=1, limit_key="api") for fn in (one, other) * 3]
    gauge.go_on.release(6)
    for result in results:
        result.wait(PATIENCE_S)
    assert gauge.most == 1


def test_other_options_are_still_the_same_task(open_system: OpenSystem) -> None:
    system = open_system(workers=8)
    gauge = Gauge()
    order: list[str] = []

    @system.task(max_concurrency=1)
    def work(name: str) -> None:
        order.append(name)
        gauge()

    urgent = work.with_options(priority=TaskPriority.HIGH)
    first, second = work.submit("first"), work.submit("second")
    eventually(lambda: gauge.now == 1, "the first runs")
    third = urgent.submit("third")
    gauge.go_on.release(3)
    for result in (first, second, third):
        result.wait(PATIENCE_S)
    assert (gauge.most, order) == (1, ["first", "third", "second"])


def test_coroutines_count_too(open_system: OpenSystem) -> None:
    system = open_system()
    now = most = 0
    go_on = threading.Event()

    @system.task(max_concurrency=3)
    async def work() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        while not go_on.is_set():
            await asyncio.sleep(0.001)
        now -= 1

    results = [work.submit() for _ in range(30)]
    eventually(lambda: now == 3, "three run")
    go_on.set()
    for result in results:
        result.wait(PATIENCE_S)
    assert most == 3


def test_methods_and_batches(open_system: OpenSystem) -> None:
    system = open_system(workers=4)
    gauge = Gauge(open_at_once=True)
    batch = system.add_tasks(gauge.__call__, [(n,) for n in range(50)], max_concurrency=2)
    batch.wait(PATIENCE_S)
    assert gauge.ended == 50
    assert gauge.most <= 2


def test_a_failure_and_a_deadline_free_the_place(open_system: OpenSystem) -> None:
    system = open_system(workers=2)
    stop = threading.Event()

    @system.task(max_concurrency=1)
    def work(kind: str) -> str:
        if kind == "fails":
            raise ValueError
        while kind == "slow" and not stop.wait(0.001):
            pass
        return kind

    results = [work.submit("fails"), work.with_options(timeout_ms=50).submit("slow"), work.submit("works")]
    assert isinstance(results[0].exception(PATIENCE_S), ValueError)
    assert results[1].exception(PATIENCE_S) is not None
    assert results[2].wait(PATIENCE_S) == "works"
    stop.set()


def test_what_follows_another_task_is_limited_too(open_system: OpenSystem) -> None:
    system = open_system(workers=8)
    gauge = Gauge()
    limited = system.task(max_concurrency=2)(gauge.__call__)
    results = [system.add_task(int, str(n)).then(limited) for n in range(8)]
    eventually(lambda: gauge.now == 2, "two run")
    eventually(lambda: system.stats().parked == 6, "the others are parked")
    assert any(result.cancel() for result in results)  # one of the six
    gauge.go_on.release(8)
    for result in results:
        result.exception(PATIENCE_S)
    assert gauge.most == 2


def test_a_key_function_that_fails_after_another_task_fails_its_task(system: TaskSystem) -> None:
    limited = system.task(max_concurrency=1, limit_key=lambda value: 1 / value)(int)
    assert isinstance(system.add_task(int).then(limited).exception(PATIENCE_S), ZeroDivisionError)


def test_retries_keep_the_place(open_system: OpenSystem) -> None:
    system = open_system(workers=4)
    order: list[tuple[str, int]] = []
    attempts = dict.fromkeys("abc", 0)

    @system.task(max_concurrency=1, max_retries=2, retry_base_ms=5, retry_backoff="fixed")
    def flaky(name: str) -> str:
        attempts[name] += 1
        order.append((name, attempts[name]))
        if attempts[name] < 3:
            raise ConnectionError
        return name

    assert [result.wait(PATIENCE_S) for result in [flaky.submit(name) for name in "abc"]] == ["a", "b", "c"]
    assert order == [(name, attempt) for name in "abc" for attempt in (1, 2, 3)]


# -- cancelling, counting, room ----------------------------------------------------------------------


def test_a_parked_task_can_be_cancelled(open_system: OpenSystem) -> None:
    system = open_system(workers=4)
    gauge = Gauge()
    results = [system.add_task(gauge, n, max_concurrency=1) for n in range(4)]
    assert results[1].cancel()
    assert results[1].status is TaskStatus.CANCELLED
    assert isinstance(results[1].exception(PATIENCE_S), TaskCancelled)
    gauge.go_on.release(3)
    for result in (results[0], *results[2:]):
        result.wait(PATIENCE_S)
    stats = system.stats()
    assert (stats.submitted, stats.completed, stats.cancelled, stats.parked) == (4, 3, 1, 0)


def test_the_statistics_count_them(open_system: OpenSystem) -> None:
    system = open_system(workers=4)
    gauge = Gauge()
    results = [system.add_task(gauge, max_concurrency=1, priority=TaskPriority.LOW) for _ in range(5)]
    eventually(lambda: gauge.now == 1, "one runs")
    stats = system.stats()
    assert (stats.submitted, stats.parked, stats.low_queue_size, stats.total_queued) == (5, 4, 4, 4)
    assert results[3].stats().created_at > 0
    gauge.go_on.release(5)
    for result in results:
        result.wait(PATIENCE_S)
    stats = system.stats()
    assert (stats.completed, stats.retried, stats.parked, stats.total_queued) == (5, 0, 0, 0)


def test_parked_tasks_take_room(open_system: OpenSystem) -> None:
    system = open_system(workers=2, queue_size=3)
    gauge = Gauge()
    running = system.add_task(gauge, max_concurrency=1)
    eventually(lambda: gauge.now == 1, "one runs")
    parked = [system.add_task(gauge, max_concurrency=1) for _ in range(3)]
    with pytest.raises(QueueFull, match="holds 3 of queue_size=3"):
        system.add_task(gauge, max_concurrency=1)
    with pytest.raises(QueueFull):
        system.add_tasks(gauge, [()], max_concurrency=1)
    assert system.stats().rejected == 2
    gauge.go_on.release(4)
    for result in (running, *parked):
        result.wait(PATIENCE_S)


def test_block_waits_until_they_go_on(open_system: OpenSystem) -> None:
    system = open_system(workers=2, queue_size=2, on_full="block")
    gauge = Gauge(open_at_once=True)
    results = [system.add_task(gauge, n, max_concurrency=1) for n in range(50)]
    for result in results:
        result.wait(PATIENCE_S)
    assert (gauge.ended, gauge.most) == (50, 1)


def test_block_waits_on_an_event_loop_too(open_system: OpenSystem) -> None:
    system = open_system(workers=2, queue_size=2, on_full="block")
    gauge = Gauge(open_at_once=True)

    async def submit() -> list[Any]:
        return [await system.add_task_async(gauge, n, max_concurrency=1) for n in range(20)]

    for result in asyncio.run(submit()):
        result.wait(PATIENCE_S)


def test_drop_oldest_drops_the_oldest_parked(open_system: OpenSystem) -> None:
    system = open_system(workers=2, queue_size=2, on_full="drop_oldest")
    gauge = Gauge()
    running = system.add_task(gauge, max_concurrency=1)
    eventually(lambda: gauge.now == 1, "one runs")
    first, *others = [system.add_task(gauge, max_concurrency=1) for _ in range(3)]
    assert isinstance(first.exception(PATIENCE_S), TaskDropped)
    gauge.go_on.release(3)
    for result in (running, *others):
        result.wait(PATIENCE_S)


def test_a_delay_takes_no_place(open_system: OpenSystem) -> None:
    system = open_system(workers=2)
    later = system.add_task(int, "1", max_concurrency=1, delay_ms=3_600_000)
    assert system.add_task(int, "2", max_concurrency=1).wait(PATIENCE_S) == 2
    soon = system.add_task(int, "3", max_concurrency=1, delay_ms=10)
    assert soon.wait(PATIENCE_S) == 3
    assert later.cancel()


def test_ten_thousand_parked(open_system: OpenSystem) -> None:
    system = open_system(workers=4, queue_size=20_000)
    results = [system.add_task(int, str(n), max_concurrency=2) for n in range(10_000)]
    for result in results[1::2]:
        result.cancel()
    for result in results:
        result.exception(PATIENCE_S)
    stats = system.stats()
    assert stats.completed + stats.cancelled == 10_000


# -- the end -----------------------------------------------------------------------------------------


def test_a_drain_waits_for_them(open_system: OpenSystem) -> None:
    system = open_system(workers=4)
    gauge = Gauge(open_at_once=True)
    for n in range(20):
        system.add_task(gauge, n, max_concurrency=1)
    assert system.drain(PATIENCE_S)
    assert gauge.ended == 20


def test_a_shutdown_drains_or_reports_each(open_system: OpenSystem) -> None:
    system = open_system(workers=4)
    gauge = Gauge()
    results = [system.add_task(gauge, max_concurrency=1) for _ in range(4)]
    delayed = system.add_task(int, max_concurrency=1, delay_ms=3_600_000)
    eventually(lambda: gauge.now == 1, "one runs")
    report = system.shutdown(timeout=0.1)
    assert set(report.cancelled) == {result.task_id for result in (*results[1:], delayed)}
    assert report.abandoned == (results[0].task_id,)
    assert all(result.done() for result in (*results, delayed))
    gauge.go_on.release(4)


def test_a_shutdown_lets_them_end(open_system: OpenSystem) -> None:
    system = open_system(workers=4)
    gauge = Gauge(open_at_once=True)
    for n in range(20):
        system.add_task(gauge, n, max_concurrency=1)
    report = system.shutdown(timeout=PATIENCE_S)
    assert (gauge.ended, report.cancelled, report.abandoned) == (20, (), ())


def test_cancel_pending_cancels_them(open_system: OpenSystem) -> None:
    system = open_system(workers=4)
    gauge = Gauge()
    results = [system.add_task(gauge, max_concurrency=1) for _ in range(4)]
    eventually(lambda: gauge.now == 1, "one runs")
    system.shutdown(wait=False, cancel_pending=True)
    assert [result.status for result in results[1:]] == [TaskStatus.CANCELLED] * 3
    gauge.go_on.release()
    results[0].wait(PATIENCE_S)
