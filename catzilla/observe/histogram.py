"""A histogram of durations in fixed buckets: ten a decade, from 1 µs to 1,000 s."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

_STEPS: Final = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)  # Renard's R10
BOUNDS_S: Final = (*(step * 10.0**power for power in range(-6, 3) for step in _STEPS), 1e3)
_BOUNDS_NS: Final = [round(bound_s * 1e9) for bound_s in BOUNDS_S]
EXPORTED: Final = tuple(
    index for index in range(len(BOUNDS_S)) if index % 10 in (0, 4, 7) and BOUNDS_S[index] * 1.001 >= 1e-5
)  # 1, 2.5 and 5 of each decade from 10 µs on


class Histogram:
    __slots__ = ("count", "counts", "sum_ns")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.count = 0
        self.sum_ns = 0

    def add(self, duration_ns: int) -> None:
        index = bisect_left(_BOUNDS_NS, duration_ns)
        self.counts[index] = self.counts.get(index, 0) + 1
        self.count += 1
        self.sum_ns += duration_ns

    def copy(self) -> Histogram:
        return merged((self,))

    def quantile_s(self, share: float) -> float | None:
        """What ``share`` (0..1) of all lie below, interpolated within its bucket: up to 28 % from the exact value.

        None: nothing was measured. What took over 1,000 s counts as 1,000 s.
        """
        if not self.count:
            return None
        seen = 0
        for index in sorted(self.counts):
            number = self.counts[index]
            if seen + number >= share * self.count:
                if index >= len(BOUNDS_S):
                    return BOUNDS_S[-1]
                below_s = BOUNDS_S[index - 1] if index else 0.0
                return below_s + (BOUNDS_S[index] - below_s) * (share * self.count - seen) / number
            seen += number
        raise AssertionError("the counts of the buckets do not add up")

    def mean_s(self) -> float | None:
        return self.sum_ns / self.count / 1e9 if self.count else None

    def cumulative(self) -> list[tuple[str, float]]:
        """Prometheus's buckets: upper bound in seconds, as text, and how many lie below it."""
        buckets: list[tuple[str, float]] = []
        total = below = 0
        for bound in EXPORTED:
            total += sum(self.counts.get(index, 0) for index in range(below, bound + 1))
            below = bound + 1
            buckets.append((f"{BOUNDS_S[bound]:.6g}", float(total)))
        buckets.append(("+Inf", float(self.count)))
        return buckets


def merged(histograms: Iterable[Histogram]) -> Histogram:
    together = Histogram()
    for histogram in histograms:
        for index, count in histogram.counts.items():
            together.counts[index] = together.counts.get(index, 0) + count
        together.count += histogram.count
        together.sum_ns += histogram.sum_ns
    return together
