"""Counters of the last seconds, for rates. Apart from stats.py, whose dataclasses are slow to import."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .system import TaskSystem

WINDOW_NS: Final = 10_000_000_000


class Ticker:
    """Remembers the counters of the last seconds, for rates. The supervisor calls ``tick``."""

    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self.began_ns = monotonic_ns()
        self._past: deque[tuple[int, int, int]] = deque([(self.began_ns, 0, 0)], maxlen=12)

    def tick(self, now_ns: int) -> int:
        last_ns = self._past[-1][0]
        if now_ns - last_ns >= 1_000_000_000:
            self._past.append(self._now(now_ns))
            last_ns = now_ns
            self._system.deadlines.interrupt_stuck()
        return last_ns + 1_000_000_000

    def _now(self, now_ns: int) -> tuple[int, int, int]:
        finished = finished_of(self._system.counters())
        busy_ns = sum(
            view.busy_ns for view in self._system.engine.workers.snapshot() if view.slot >= 0 and not view.outer
        )
        return now_ns, finished, busy_ns

    def rates(self) -> tuple[float, float]:
        """Tasks a second and the workers' busy share of one, over the last 10 s (or since the start)."""
        now_ns, finished, busy_ns = self._now(monotonic_ns())
        then_ns, finished_then, busy_then_ns = self._past[0]
        for entry in list(self._past):
            if now_ns - entry[0] <= WINDOW_NS:
                break
            then_ns, finished_then, busy_then_ns = entry
        elapsed_ns = max(1, now_ns - then_ns)
        return (finished - finished_then) * 1e9 / elapsed_ns, (busy_ns - busy_then_ns) / elapsed_ns


def finished_of(counters: Mapping[str, int]) -> int:
    return counters["completed"] + counters["failed"] + counters["cancelled"] + counters["timed_out"]
