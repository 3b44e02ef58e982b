"""Counts and times by task and lane."""

from __future__ import annotations

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskPriority, TaskStatus
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.observe import TaskMeter, meter
from catzilla.observe.histogram import BOUNDS_S, Histogram, merged


def test_a_quantile_lies_within_its_bucket() -> None:
    histogram = Histogram()
    for ms in range(1, 101):
        histogram.add(ms * 1_000_000)
    for share, exact_s in ((0.5, 0.050), (0.95, 0.095), (0.99, 0.099)):
        shown_s = histogram.quantile_s(share)
        assert shown_s is not None
        assert exact_s / 1.28 <= shown_s <= 1.28 * exact_s
    assert histogram.quantile_s(0.5) == pytest.approx(0.050)  # half of what is evenly spread, not a bucket's bound
    assert histogram.mean_s() == pytest.approx(0.0505)


def test_quantiles_grow_within_one_bucket() -> None:
    histogram = Histogram()
    for _ in range(100):
        histogram.add(45_000_000)  # in (40, 50] ms
    shown = [histogram.quantile_s(share) for share in (0.5, 0.95, 0.99, 1.0)]
    assert shown == pytest.approx([0.045, 0.0495, 0.0499, 0.05])


def test_nothing_measured_is_none() -> None:
    assert Histogram().quantile_s(0.5) is None
    assert Histogram().mean_s() is None


def test_what_is_longer_than_all_buckets_is_in_the_last() -> None:
    histogram = Histogram()
    histogram.add(5_000 * 10**9)
    assert histogram.quantile_s(0.5) == BOUNDS_S[-1]
    assert histogram.cumulative()[-2:] == [("1000", 0.0), ("+Inf", 1.0)]


def test_bounds_grow_and_buckets_add_up() -> None:
    assert list(BOUNDS_S) == sorted(set(BOUNDS_S))
    one, other = Histogram(), Histogram()
    one.add(3_000)
    other.add(3_000_000)
    counts = [count for _, count in merged([one, other]).cumulative()]
    assert counts == sorted(counts)
    assert counts[-1] == 2


def test_counts_are_exact_and_lanes_have_their_times(system: TaskSystem) -> None:
    observer = TaskMeter()
    system.observe(observer)

    def fails() -> None:
        raise ValueError("no")

    system.add_tasks(abs, [(-number,) for number in range(1_000)], name="many", priority=TaskPriority.HIGH).wait(
        PATIENCE_S
    )
    system.add_task(fails, name="fails", max_retries=2, retry_base_ms=0, retry_backoff="fixed").exception(PATIENCE_S)
    eventually(lambda: observer.by_name()["fails"].outcomes[TaskStatus.FAILED] == 1, "observers know")
    eventually(lambda: observer.by_name()["many"].outcomes[TaskStatus.COMPLETED] == 1_000, "observers know")
    figures = observer.by_name()
    assert figures["many"].durations.count == 1_000
    assert (figures["fails"].retries, figures["fails"].durations.count) == (2, 3)
    durations, waits = observer.by_lane()[TaskPriority.HIGH]
    assert durations.count == waits.count == 1_000
    assert observer.by_lane()[TaskPriority.LOW][0].count == 0


def test_names_without_end_are_counted_together(system: TaskSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "MOST_NAMES", 2)
    observer = TaskMeter()
    system.observe(observer)
    for number in range(5):
        system.add_task(abs, number, name=f"task {number}").wait(PATIENCE_S)
    eventually(
        lambda: sum(figures.outcomes[TaskStatus.COMPLETED] for figures in observer.by_name().values()) == 5,
        "observers know",
    )
    assert len(observer.by_name()) == 3
    assert meter.OTHER in observer.by_name()
