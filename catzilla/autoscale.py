"""How many worker slots a system has: more while workers are blocked, fewer when they are idle.

More workers help when tasks wait and the workers are blocked (sleeping, in I/O). They do not help
when the workers compute: on a build with the GIL one thread computes at a time. The two are told
apart by the workers' CPU time against the wall time.
"""

from __future__ import annotations

import sys
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from . import thread_cpu
from .cpus import usable_cpus
from .interface import TARGET_NS
from .log import logger
from .supervisor import BUSY_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .interface import WorkerView
    from .system import TaskSystem

COMPUTING: Final = 0.5  # of the CPUs that the workers can use at once: above it they compute, not wait
IDLE_NS: Final = 3_000_000_000  # idle that long, slots are given back
SHRINK_NS: Final = 1_000_000_000  # and again each such time


class Autoscaler:
    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        config = system.config
        self.slots = config.workers
        self._least, self._most = config.min_workers, config.max_workers
        self._enabled = config.enable_auto_scaling
        self.blocked_submitters = 0  # workers that wait for room in a lane: each has a slot more meanwhile
        self.grown = 0
        self.shrunk = 0
        self._looked_ns = 0
        self._readings: thread_cpu.Readings | None = None
        self._idle_since_ns: int | None = None
        self._shrunk_ns = 0
        self._armed = False

    def usable_parallelism(self) -> int:
        gil = getattr(sys, "_is_gil_enabled", lambda: True)()
        return 1 if gil else usable_cpus()

    def apply(self) -> None:
        self._system.engine.workers.resize(self.slots + self.blocked_submitters)

    def look(self, now_ns: int) -> int | None:
        """Decide; when to look again, None: when a backlog shows, or with the next tick."""
        if not self._enabled:
            return None
        engine = self._system.engine
        views = [view for view in engine.workers.snapshot() if view.slot >= 0]
        busy = sum(1 for view in views if view.handle is not None)
        ready = engine.queue.ready()
        if ready and busy >= self.slots:
            self._idle_since_ns = None
            if self._looked_ns and now_ns - self._looked_ns < BUSY_NS:
                return self._looked_ns + BUSY_NS
            self._consider_growth(now_ns, views, ready)
            return self._looked_ns + BUSY_NS
        self._looked_ns = 0
        self._readings = None
        if not self._armed:
            self._armed = True
            engine.queue.on_backlog(self._backlog)
        self._consider_shrinking(now_ns, busy)
        return None

    def _backlog(self) -> None:
        self._armed = False
        self._system.supervisor.wake()

    def _consider_growth(self, now_ns: int, views: Sequence[WorkerView], ready: int) -> None:
        readings = thread_cpu.read(view.native_id for view in views if view.native_id is not None)
        before, self._readings = self._readings, readings
        first = self._looked_ns == 0
        self._looked_ns = monotonic_ns()  # reading may have waited for the GIL
        if first or self.slots >= self._most or not self._overdue(now_ns):
            return
        if readings is not None:
            if before is None:
                return  # two readings are needed to tell
            share = thread_cpu.computing(before, readings) / self.usable_parallelism()
            if share > COMPUTING:
                logger.debug("not growing beyond %d workers: they compute (%.0f %%)", self.slots, 100 * share)
                return
        more = min(self._most - self.slots, max(1, min(ready, self.slots)))
        total = self.slots + more
        logger.debug("growing from %d to %d workers: %d tasks are ready, workers are blocked", self.slots, total, ready)
        self.slots = total
        self.grown += more
        self._readings = None  # the new threads' start must not count as computing
        self.apply()

    def _overdue(self, now_ns: int) -> bool:
        """A head waits longer than its lane's target; of NORMAL and LOW a quarter is enough to begin."""
        for lane, since_ns in enumerate(self._system.engine.queue.oldest_ready_ns()):
            if since_ns is not None and now_ns - since_ns > min(TARGET_NS[lane], BUSY_NS):
                return True
        return False

    def _consider_shrinking(self, now_ns: int, busy: int) -> None:
        if self.slots <= self._least or 2 * busy > self.slots:
            self._idle_since_ns = None
            return
        if self._idle_since_ns is None:
            self._idle_since_ns = now_ns
        if now_ns - self._idle_since_ns < IDLE_NS or now_ns - self._shrunk_ns < SHRINK_NS:
            return
        fewer = max(self._least, busy, self.slots // 2)
        logger.debug("shrinking from %d to %d workers: %d are busy", self.slots, fewer, busy)
        self.shrunk += self.slots - fewer
        self.slots = fewer
        self._shrunk_ns = now_ns
        self.apply()
