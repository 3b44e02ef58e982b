"""The metrics: counters that are exact, histograms within four per cent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from .rig import PATIENCE_S, SECOND_NS, Rig, RigPlan, finish, withdraw
from .suite import BackendSuite

OpenRig = Callable[..., Rig]

COUNTERS = {
    "submitted",
    "completed",
    "failed",
    "cancelled",
    "timed_out",
    "retried",
    "dropped",
    "rejected",
    "native_executions",
    "deopts",
    "steals",
}


def nothing() -> None: ...


def fail() -> None:
    raise ValueError("on purpose")


class MetricsTests(BackendSuite):
    def test_every_counter_is_there_and_starts_at_zero(self, open_rig: OpenRig) -> None:
        counters = open_rig().metrics.counters()
        assert set(counters) >= COUNTERS
        assert {name for name in COUNTERS if counters[name] != 0} == set()

    def test_add(self, open_rig: OpenRig) -> None:
        metrics = open_rig().metrics
        metrics.add("rejected")
        metrics.add("rejected", 41)
        assert metrics.counters()["rejected"] == 42

    def test_adding_from_threads_loses_nothing(self, open_rig: OpenRig) -> None:
        metrics = open_rig().metrics
        start = threading.Barrier(4)

        def add() -> None:
            start.wait(PATIENCE_S)
            for _ in range(5_000):
                metrics.add("rejected")

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert metrics.counters()["rejected"] == 20_000

    def test_each_end_is_counted_once(self, open_rig: OpenRig) -> None:
        # Given tasks of which some fail and some are cancelled
        rig = open_rig(workers=2)
        rig.hold()
        good = [rig.put(nothing) for _ in range(700)]
        bad = [rig.put(fail) for _ in range(200)]
        gone = [rig.put(nothing) for _ in range(100)]
        assert rig.metrics.counters()["submitted"] == 1_000
        for handle in gone:
            assert withdraw(handle)
        # When all are done
        rig.release()
        finish(*good, *bad)
        assert all(isinstance(handle.error(), ValueError) for handle in bad)
        # Then the counters say exactly that
        counters = rig.metrics.counters()
        ends = {name: counters[name] for name in ("submitted", "completed", "failed", "cancelled", "timed_out")}
        assert ends == {"submitted": 1_000, "completed": 700, "failed": 200, "cancelled": 100, "timed_out": 0}

    def test_counted_before_the_waiter_is_released(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        for n in range(1, 1_001):
            finish(rig.put(nothing))
            assert rig.metrics.counters()["completed"] == n

    def test_every_task_of_a_long_run_is_counted(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=2)
        batch = rig.queue.put_many(RigPlan(nothing), [()] * 12_000)
        assert batch is not None
        more = [rig.put(nothing) for _ in range(13_000)]
        finish(*batch, *more)
        counters = rig.metrics.counters()
        assert (counters["submitted"], counters["completed"]) == (25_000, 25_000)

    def test_execution_times(self, open_rig: OpenRig) -> None:
        # Given tasks that measure how long they take
        rig = open_rig(workers=1)
        taken: list[int] = []

        def work(seconds: float) -> None:
            started = time.monotonic_ns()
            time.sleep(seconds)
            taken.append(time.monotonic_ns() - started)

        finish(*[rig.put(work, 0.01) for _ in range(20)], rig.put(work, 0.1))
        # Then the histogram holds each of them, and the sum agrees
        histogram = rig.metrics.execution_ns()
        assert sum(histogram.values()) == 21
        slow = [top for top, count in histogram.items() for _ in range(count) if top >= 90_000_000]
        assert len(slow) == sum(ns >= 90_000_000 for ns in taken) >= 1
        assert max(slow) == pytest.approx(max(taken), rel=0.10)
        assert rig.metrics.execution_sum_ns() == pytest.approx(sum(taken), rel=0.10)

    def test_bucket_bounds_are_within_four_per_cent(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        handles: list[Any] = [rig.put(time.sleep, seconds) for seconds in (0.001, 0.003, 0.007, 0.02, 0.06)]
        finish(*handles)
        tops = sorted(top for top, count in rig.metrics.execution_ns().items() for _ in range(count))
        taken = sorted(end - start for start, end in (handle.times_ns() for handle in handles))
        assert len(tops) == len(taken)
        for top, ns in zip(tops, taken, strict=True):
            assert ns <= top * 1.001
            assert top <= ns * 1.041

    def test_runs_that_no_worker_measured_can_be_added(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        rig.metrics.observe(5_000_000, 1_000_000)
        [(execution, count)] = rig.metrics.execution_ns().items()
        assert (count, rig.metrics.execution_sum_ns()) == (1, 5_000_000)
        assert execution == pytest.approx(5_000_000, rel=0.04)
        assert list(rig.metrics.wait_ns()) == [pytest.approx(1_000_000, rel=0.04)]

    def test_queue_waits(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        rig.hold()
        handles = [rig.put(nothing) for _ in range(10)]
        time.sleep(0.1)
        rig.release()
        finish(*handles)
        waits = rig.metrics.wait_ns()
        assert sum(waits.values()) == 10
        assert all(95_000_000 <= top <= 5 * SECOND_NS for top in waits)

    def test_a_sampled_histogram_weighs_what_it_left_out(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1, profiling=True)
        finish(*[rig.put(nothing) for _ in range(3_200)])
        assert sum(rig.metrics.execution_ns().values()) == pytest.approx(3_200, rel=0.10)

    def test_without_profiling_there_are_counters_only(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1, profiling=False)
        finish(*[rig.put(nothing) for _ in range(50)])
        assert rig.metrics.counters()["completed"] == 50
        assert sum(rig.metrics.execution_ns().values()) == 0
