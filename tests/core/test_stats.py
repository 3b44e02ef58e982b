"""Every statistic against an independent measurement of a known load: within 10 %."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import QueueFull, SystemStats, TaskPriority, TaskTimeout
from catzilla.conformance.rig import PATIENCE_S, eventually

from .measuring import measured

OpenSystem = Callable[..., TaskSystem]

WITHIN = 0.10


class Clock:
    """Tasks that sleep for so long, and measure themselves how long it was."""

    def __init__(self) -> None:
        self.started: list[float] = []
        self.taken: list[float] = []

    def sleep(self, seconds: float) -> None:
        start = time.monotonic()
        time.sleep(seconds)
        self.started.append(start)
        self.taken.append(time.monotonic() - start)

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.taken)
        return 1_000 * ordered[math.ceil(share * len(ordered)) - 1]

    def mean_ms(self) -> float:
        return 1_000 * sum(self.taken) / len(self.taken)


@pytest.mark.parametrize("profiling", [True, "full"])
def test_execution_times(open_system: OpenSystem, profiling: Any) -> None:
    def check() -> None:
        clock = Clock()
        # Given a hundred tasks: nine in ten take 10 ms, the others 60 ms
        system = open_system(workers=4, enable_profiling=profiling)
        batch = system.add_tasks(clock.sleep, [(0.06 if n % 10 == 0 else 0.01,) for n in range(100)])
        batch.wait(PATIENCE_S)
        stats = system.stats()
        assert stats.avg_execution_time_ms == pytest.approx(clock.mean_ms(), rel=WITHIN)
        assert stats.p50_execution_time_ms == pytest.approx(clock.percentile_ms(0.50), rel=WITHIN)
        assert stats.p95_execution_time_ms == pytest.approx(clock.percentile_ms(0.95), rel=WITHIN)
        assert stats.p99_execution_time_ms == pytest.approx(clock.percentile_ms(0.99), rel=WITHIN)

    measured(check)


def test_execution_times_of_coroutines(open_system: OpenSystem) -> None:
    def check() -> None:
        import asyncio

        system = open_system()
        taken: list[float] = []

        async def pause() -> None:
            start = time.monotonic()
            await asyncio.sleep(0.05)
            taken.append(time.monotonic() - start)

        for result in [system.add_task(pause) for _ in range(20)]:
            result.wait(PATIENCE_S)
        assert system.stats().avg_execution_time_ms == pytest.approx(1_000 * sum(taken) / len(taken), rel=WITHIN)

    measured(check)


def test_queue_waits(open_system: OpenSystem) -> None:
    def check() -> None:
        clock = Clock()
        # Given one worker and forty tasks of 10 ms put at once: each waits for those before it
        system = open_system(workers=1, enable_profiling="full")
        submitted = time.monotonic()
        system.add_tasks(clock.sleep, [(0.01,)] * 40).wait(PATIENCE_S)
        waits_ms = sorted(1_000 * (started - submitted) for started in clock.started)
        stats = system.stats()
        assert stats.p95_queue_wait_ms == pytest.approx(waits_ms[int(0.95 * 40)], rel=WITHIN)
        assert stats.p99_queue_wait_ms == pytest.approx(waits_ms[-1], rel=WITHIN)

    measured(check)


def test_throughput_and_utilization(open_system: OpenSystem) -> None:
    def check() -> None:
        clock = Clock()
        # Given four workers of which two are kept busy for a good second
        system = open_system(workers=4)
        began = time.monotonic()
        for _ in range(50):
            system.add_tasks(clock.sleep, [(0.02,)] * 2).wait(PATIENCE_S)
        stats = system.stats()
        elapsed = time.monotonic() - began
        assert stats.tasks_per_second == pytest.approx(100 / elapsed, rel=WITHIN)
        assert stats.avg_worker_utilization == pytest.approx(sum(clock.taken) / elapsed / 4, rel=WITHIN)
        assert stats.uptime_seconds == pytest.approx(elapsed, rel=WITHIN)

    measured(check)


def test_rates_forget_what_is_long_past(open_system: OpenSystem) -> None:
    system = open_system()
    system.add_tasks(int, [()] * 1_000).wait(PATIENCE_S)
    burst = system.stats().tasks_per_second
    time.sleep(2)
    assert 0 < system.stats().tasks_per_second < burst / 2
    assert system.stats().tasks_per_second <= 1_000 / 2 * 1.1


def test_workers(open_system: OpenSystem) -> None:
    system = open_system(workers=5)
    gate = threading.Event()
    busy = [system.add_task(gate.wait, PATIENCE_S) for _ in range(3)]
    eventually(lambda: len(system.running()) == 3, "three run")
    stats = system.stats()
    assert (stats.active_workers, stats.idle_workers, stats.total_workers) == (3, 2, 5)
    assert stats.stuck_workers == 0
    gate.set()
    for task in busy:
        task.wait(PATIENCE_S)
    eventually(lambda: system.stats().active_workers == 0, "all are idle")
    assert system.stats().idle_workers == 5


def test_slots_count_before_a_thread_is_started(open_system: OpenSystem) -> None:
    stats = open_system(workers=7).stats()
    assert (stats.active_workers, stats.idle_workers, stats.total_workers) == (0, 7, 7)


def test_queues_and_pressure(open_system: OpenSystem) -> None:
    system = open_system(queue_size=20)
    system.pause()
    for count, priority in ((1, TaskPriority.CRITICAL), (2, TaskPriority.HIGH), (15, TaskPriority.NORMAL)):
        for _ in range(count):
            system.add_task(int, priority=priority)
    system.add_task(int, delay_ms=60_000, priority=TaskPriority.LOW)
    stats = system.stats()
    sizes = (stats.critical_queue_size, stats.high_queue_size, stats.normal_queue_size, stats.low_queue_size)
    assert sizes == (1, 2, 15, 1)
    assert stats.total_queued == 19
    assert stats.queue_pressure == pytest.approx(0.75)


def test_the_age_of_the_oldest_ready_task(open_system: OpenSystem) -> None:
    def check() -> None:
        system = open_system()
        assert system.stats().oldest_ready_age_ms is None
        system.pause()
        submitted = time.monotonic()
        system.add_task(int, priority=TaskPriority.LOW)
        time.sleep(0.2)
        system.add_task(int, priority=TaskPriority.HIGH)
        age_ms = system.stats().oldest_ready_age_ms
        assert age_ms == pytest.approx(1_000 * (time.monotonic() - submitted), rel=WITHIN)
        system.resume()
        system.drain(PATIENCE_S)
        assert system.stats().oldest_ready_age_ms is None

    measured(check)


def test_every_count(open_system: OpenSystem) -> None:
    # Given a known number of each fate
    system = open_system(workers=2, queue_size=1_000)
    attempts: dict[int, int] = {}

    def flaky(n: int) -> None:
        attempts[n] = attempts.get(n, 0) + 1
        if attempts[n] <= 2:
            raise ConnectionError

    good = system.add_tasks(int, [("1",)] * 101)
    bad = [system.add_task(int, "x") for _ in range(7)]
    gate = threading.Event()
    late = [system.add_task(gate.wait, PATIENCE_S, timeout_ms=10) for _ in range(3)]
    retried = [system.add_task(flaky, n, max_retries=2, retry_base_ms=1) for n in range(5)]
    gone = [system.add_task(int, delay_ms=60_000) for _ in range(11)]
    assert all(task.cancel() for task in gone)
    good.wait(PATIENCE_S)
    for task in retried:
        task.wait(PATIENCE_S)
    assert all(isinstance(task.exception(PATIENCE_S), ValueError) for task in bad)
    assert all(isinstance(task.exception(PATIENCE_S), TaskTimeout) for task in late)
    with pytest.raises(QueueFull):
        system.add_tasks(int, [()] * 1_001)
    # Then the counts are exactly these
    stats = system.stats()
    assert stats.submitted == 101 + 7 + 3 + 5 + 11
    assert (stats.completed, stats.failed, stats.timed_out) == (106, 7, 3)
    assert (stats.cancelled, stats.retried, stats.dropped, stats.rejected) == (11, 10, 0, 1_001)
    assert stats.total_queued == 0
    gate.set()


def test_memory_usage_is_the_process_own(system: TaskSystem) -> None:
    def check() -> None:
        with open("/proc/self/status") as status:
            [resident_kb] = [int(line.split()[1]) for line in status if line.startswith("VmRSS")]
        assert system.stats().memory_usage_mb == pytest.approx(resident_kb / 1024, rel=WITHIN)

    measured(check)


def test_before_anything_ran_what_cannot_be_known_is_none(system: TaskSystem) -> None:
    stats = system.stats()
    assert stats.avg_execution_time_ms is None
    assert stats.p50_execution_time_ms is None
    assert stats.p99_queue_wait_ms is None
    assert (stats.submitted, stats.completed, stats.avg_worker_utilization) == (0, 0, 0.0)


def test_without_profiling_times_are_none_and_counts_are_not(open_system: OpenSystem) -> None:
    system = open_system(enable_profiling=False)
    system.add_tasks(int, [()] * 50).wait(PATIENCE_S)
    stats = system.stats()
    assert stats.completed == 50
    assert stats.avg_execution_time_ms is None
    assert stats.p95_queue_wait_ms is None


def test_sampling_keeps_the_figures_right(open_system: OpenSystem) -> None:
    def check() -> None:
        # Given many tasks that are too short to be timed each, and a sampled profile
        system = open_system(workers=1, enable_profiling=True, queue_size=100_000)
        full = open_system(workers=1, enable_profiling="full", queue_size=100_000)
        for one in (system, full):
            one.add_tasks(int, [("12345",)] * 20_000).wait(PATIENCE_S)
        sampled, exact = system.stats().p50_execution_time_ms, full.stats().p50_execution_time_ms
        assert sampled is not None
        assert exact is not None
        # Then both find the same order of magnitude (the clock itself is part of what is measured)
        assert exact / 4 < sampled < exact * 4

    measured(check)


def test_it_is_a_frozen_value_with_the_backends_name(system: TaskSystem, backend: Any) -> None:
    stats = system.stats()
    assert isinstance(stats, SystemStats)
    assert stats.backend == backend.name
    assert stats.allocator in ("jemalloc", "malloc", "python")
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.completed = 3  # type: ignore[misc]
    assert stats.as_dict()["completed"] == 0
    assert set(stats.as_dict()) == {field.name for field in dataclasses.fields(SystemStats)}


def test_a_task_is_counted_before_its_waiter_is_released(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    for n in range(1, 501):
        system.add_task(int).wait(PATIENCE_S)
        assert system.stats().completed == n
