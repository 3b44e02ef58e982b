"""What a scenario measures, and the measuring loops that several of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.contender import Contender, Offer


@dataclass(frozen=True)
class Metric:
    key: str
    title: str
    digits: int = 0
    higher_is_better: bool = False
    compared: bool = True
    """Whether a ratio to the baselines means something."""
    x: float | None = None
    """Its place on the scenario's axis, where the metrics are points of a line."""


@dataclass(frozen=True)
class Trial:
    """One measurement of one contender: what was asked for."""

    offer: Offer
    workers: int
    quick: bool
    most: int
    """Tasks in one burst."""

    def open(self, workers: int | None = None, **options: Any) -> Contender:
        """A contender of this trial, to be used in a ``with``. Options are Catzilla's."""
        return self.offer.open(self.workers if workers is None else workers, **options)

    def rate(self, burst: Callable[[int], float], most: int | None = None, at_least_s: float = 0.2) -> float:
        """Calls per second, of the first burst of growing size that is long enough to be trusted."""
        return rate(burst, at_least_s=0.05 if self.quick else at_least_s, most=most or self.most)


@dataclass(frozen=True)
class Scenario:
    rank: int
    """Where its table stands among the others."""
    name: str
    title: str
    metrics: tuple[Metric, ...]
    run: Callable[[Trial], dict[str, float]]
    """One measurement. A metric that the contender does not have is left out."""
    needs: str
    """What a contender must be able to do; see harness.contender."""
    rounds: int = 3
    timeout_s: int = 60
    compiled: bool = False
    """Of compiled tasks, not of Python's."""
    study: bool = False
    """Part of the scaling study: minutes, and only on request."""
    axis: str = ""
    """What the metrics are points of, such as "workers"; empty: each is a figure of its own."""
    baselines: tuple[str, ...] = ("ThreadPoolExecutor", "SimpleQueue + lock")


def rate(burst: Callable[[int], float], at_least_s: float, most: int) -> float:
    """A burst that is long only because the machine stalled would end this too early: one that took twice as long
    for each call as the shorter one before it is measured again, and the better of the two counts."""
    n, each_before = 500, 0.0
    while True:
        n = min(n, most)
        seconds = burst(n)
        if seconds / n > 2 * each_before and (seconds >= at_least_s or n >= most):
            seconds = min(seconds, burst(n))
        if seconds >= at_least_s or n >= most:
            return n / seconds
        each_before = seconds / n
        n *= 4


def percentile(sorted_values: Sequence[int], share: float) -> float:
    """The smallest value with at least ``share`` of all values at or below it."""
    return sorted_values[max(0, -int(-share * len(sorted_values) // 1) - 1)]


def micros(nanoseconds: Sequence[int], prefix: str = "") -> dict[str, float]:
    ordered = sorted(nanoseconds)
    shares = {"p50_us": 0.50, "p99_us": 0.99, "p999_us": 0.999}
    return {prefix + key: percentile(ordered, share) / 1e3 for key, share in shares.items()}
