"""``TaskMeter``: counts and times by task name and by lane, for metrics and live views.

What happens is appended to a deque, which takes no lock, and is added up by whoever has a moment: so
an event inside a signal handler or a ``__del__`` never waits for the thread that it interrupted.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from catzilla.priority import TaskPriority, TaskStatus

from .events import Observer, TaskRecord
from .histogram import Histogram, merged

if TYPE_CHECKING:
    from catzilla.handle import TaskResult

OUTCOMES: Final = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.TIMED_OUT)
MOST_NAMES: Final = 1_000  # of tasks told apart; others are counted together as OTHER
OTHER: Final = "(other)"
WINDOW_NS: Final = 30_000_000_000  # recent percentiles cover the last 30 to 60 s
_BURST: Final = 256  # events that are added up at once


@dataclass(slots=True)
class NameFigures:
    """Of the tasks of one name."""

    lane: TaskPriority
    outcomes: dict[TaskStatus, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    retries: int = 0
    durations: Histogram = field(default_factory=Histogram)
    waits: Histogram = field(default_factory=Histogram)

    def copy(self) -> NameFigures:
        return NameFigures(self.lane, dict(self.outcomes), self.retries, self.durations.copy(), self.waits.copy())


class LaneFigures:
    """Of one lane, over the last 30 to 60 s."""

    __slots__ = ("_durations", "_waits")

    def __init__(self) -> None:
        self._durations = (Histogram(), Histogram())
        self._waits = (Histogram(), Histogram())

    def add(self, duration_ns: int, wait_ns: int) -> None:
        self._durations[0].add(duration_ns)
        self._waits[0].add(wait_ns)

    def turn(self) -> None:
        self._durations = (Histogram(), self._durations[0])
        self._waits = (Histogram(), self._waits[0])

    def durations(self) -> Histogram:
        return merged(self._durations)

    def waits(self) -> Histogram:
        return merged(self._waits)


class TaskMeter(Observer):
    """Durations are those of each attempt; waits those from being ready (accepted, or due) to its start."""

    def __init__(self) -> None:
        self.forked()

    def forked(self) -> None:
        self._lock = threading.Lock()
        self._events: deque[tuple[Any, ...]] = deque()
        self._names: dict[str, NameFigures] = {}
        self._lanes = tuple(LaneFigures() for _ in TaskPriority)
        self._turned_ns = monotonic_ns()

    # -- events --------------------------------------------------------------------------------

    def stopped(self, record: TaskRecord, task: TaskResult[Any], error: BaseException | None) -> None:
        started_ns, ended_ns = record.started_ns, record.ended_ns
        if started_ns is not None and ended_ns is not None:
            ready_ns: int = task.ready_ns
            self._note((record.name, record.lane, ended_ns - started_ns, max(0, started_ns - ready_ns)))

    def retried(self, record: TaskRecord, task: TaskResult[Any], error: BaseException, wait_s: float) -> None:
        self._note((record.name, record.lane))

    def finished(self, record: TaskRecord, task: TaskResult[Any], status: TaskStatus) -> None:
        self._note((record.name, record.lane, status))

    def _note(self, event: tuple[Any, ...]) -> None:
        self._events.append(event)
        if len(self._events) >= _BURST and self._lock.acquire(blocking=False):
            try:
                self._add_up()
            finally:
                self._lock.release()

    # -- adding up, under the lock -------------------------------------------------------------

    def _add_up(self) -> None:
        events = self._events
        for _ in range(len(events)):  # what comes meanwhile is for the next one
            event = events.popleft()
            figures = self._of(event[0], event[1])
            if len(event) == 4:
                figures.durations.add(event[2])
                figures.waits.add(event[3])
                self._lanes[event[1]].add(event[2], event[3])
            elif len(event) == 3:
                figures.outcomes[event[2]] += 1
            else:
                figures.retries += 1
        now_ns = monotonic_ns()
        if now_ns - self._turned_ns >= WINDOW_NS:
            for _ in range(min(2, (now_ns - self._turned_ns) // WINDOW_NS)):
                for lane in self._lanes:
                    lane.turn()
            self._turned_ns = now_ns

    def _of(self, name: str, lane: TaskPriority) -> NameFigures:
        figures = self._names.get(name)
        if figures is None:
            if len(self._names) >= MOST_NAMES:
                name = OTHER
            figures = self._names.setdefault(name, NameFigures(lane))
        return figures

    # -- looking -------------------------------------------------------------------------------

    def by_name(self) -> dict[str, NameFigures]:
        """A copy of this moment."""
        with self._lock:
            self._add_up()
            return {name: figures.copy() for name, figures in self._names.items()}

    def by_lane(self) -> dict[TaskPriority, tuple[Histogram, Histogram]]:
        """Recent durations and waits of each lane."""
        with self._lock:
            self._add_up()
            return {
                lane: (figures.durations(), figures.waits())
                for lane, figures in zip(TaskPriority, self._lanes, strict=True)
            }
