"""Counters that are exact and histograms that are samples with weights.

A worker's own counters are written by its thread alone (``Tally``), so ``+= 1`` is exact there.
Counters that any thread may add to are consumed iterators: ``next(repeat(None, n))`` is one atomic
step under the GIL, and ``operator.length_hint`` tells how many are left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import islice, repeat
from operator import length_hint
from typing import Final

SUB_BITS: Final = 5  # 32 buckets per power of two: a bucket's bounds differ by at most 1/32
_SUB: Final = 1 << SUB_BITS
_FULL: Final = 1 << 62

consume = partial(deque[None], maxlen=0)  # an iterator's rest, in one step that no signal handler interrupts

COUNTERS: Final = (
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
)
_WITHDRAWN: Final = "withdrawn"  # accepted by a thread that found the lane overfilled and took it back


def bucket_of(value_ns: int) -> int:
    """Log-linear bucket, as in HdrHistogram: linear within each power of two."""
    shift = value_ns.bit_length() - SUB_BITS - 1
    if shift <= 0:
        return value_ns if value_ns > 0 else 0
    return (shift << SUB_BITS) + (value_ns >> shift)


def bucket_top_ns(bucket: int) -> int:
    """The largest value that falls into the bucket."""
    if bucket < 2 * _SUB:
        return bucket
    shift = (bucket >> SUB_BITS) - 1
    return ((bucket - (shift << SUB_BITS) + 1) << shift) - 1


class SharedCounter:
    """Counted up by any thread."""

    __slots__ = ("_left", "bump")

    def __init__(self) -> None:
        self._left = repeat(None, _FULL)
        self.bump = self._left.__next__  # one atomic step

    def several(self, n: int) -> Iterator[None]:
        """To be consumed in one step, which counts up by n."""
        return islice(self._left, n)

    def value(self) -> int:
        return _FULL - length_hint(self._left)


class Tally:
    """What one worker slot counts; one thread writes, anybody reads."""

    __slots__ = ("completed", "execution", "execution_sum_ns", "failed", "retried", "wait")

    def __init__(self) -> None:
        self.completed = 0
        self.failed = 0
        self.retried = 0
        self.execution: dict[int, int] = {}
        self.execution_sum_ns = 0
        self.wait: dict[int, int] = {}

    def observe(self, execution_ns: int, wait_ns: int, weight: int) -> None:
        bucket = bucket_of(execution_ns)
        self.execution[bucket] = self.execution.get(bucket, 0) + weight
        self.execution_sum_ns += execution_ns * weight
        bucket = bucket_of(wait_ns)
        self.wait[bucket] = self.wait.get(bucket, 0) + weight


class Metrics:
    def __init__(self) -> None:
        self.shared = {name: SharedCounter() for name in (*COUNTERS, _WITHDRAWN)}
        self.tallies: list[Tally] = []
        self._spare: list[Tally] = []
        self._outside = self.borrow()

    def add(self, counter: str, n: int = 1) -> None:
        consume(self.shared[counter].several(n))

    def observe(self, execution_ns: int, wait_ns: int) -> None:
        """A run that was not a worker's own (a coroutine's). One thread at a time."""
        self._outside.observe(execution_ns, wait_ns, 1)

    def borrow(self) -> Tally:
        """A tally for a thread that is no worker; give it back so that few are ever made."""
        try:
            return self._spare.pop()
        except IndexError:
            tally = Tally()
            self.tallies.append(tally)
            return tally

    def give_back(self, tally: Tally) -> None:
        self._spare.append(tally)

    def counters(self) -> dict[str, int]:
        # Ends are read before "submitted": a snapshot never shows more ended than were accepted.
        tallies = list(self.tallies)
        own = {
            "completed": sum(tally.completed for tally in tallies),
            "failed": sum(tally.failed for tally in tallies),
            "retried": sum(tally.retried for tally in tallies),
        }
        counters = {name: self.shared[name].value() + own.get(name, 0) for name in reversed(COUNTERS)}
        counters["submitted"] -= self.shared[_WITHDRAWN].value()
        return counters

    def execution_ns(self) -> dict[int, int]:
        return self._merged([tally.execution for tally in list(self.tallies)])

    def execution_sum_ns(self) -> int:
        return sum(tally.execution_sum_ns for tally in list(self.tallies))

    def wait_ns(self) -> dict[int, int]:
        return self._merged([tally.wait for tally in list(self.tallies)])

    @staticmethod
    def _merged(histograms: list[dict[int, int]]) -> dict[int, int]:
        merged: dict[int, int] = {}
        for histogram in histograms:
            for bucket, weight in histogram.copy().items():
                top_ns = bucket_top_ns(bucket)
                merged[top_ns] = merged.get(top_ns, 0) + weight
        return merged
