"""The threads that serve an engine's slots. A backend gives the loop, this gives the thread:
a daemon ``threading.Thread``, so that names, tracing and ``threading.enumerate`` work."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from .errors import TaskInterrupted
from .log import logger

if TYPE_CHECKING:
    from .system import TaskSystem


class Threads:
    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self._wanted: deque[int] = deque()
        self._slots: dict[int, int] = {}  # thread id -> slot
        self._serving: dict[threading.Thread, None] = {}
        self._complained = False
        self.name_prefix = "catzilla"
        self.worker_name = "catzilla-worker"
        self.initializer: Callable[[], bool] | None = None  # first on each worker's thread; False: it must not serve

    def want(self, slot: int) -> None:
        """EngineConfig.spawn: from any thread, a signal handler or a ``__del__``, so it only notes it.

        Starting a thread takes locks of the threading module, which whoever we interrupt may hold.
        """
        self._wanted.append(slot)
        self._system.supervisor.wake()

    def start_wanted(self) -> bool:
        """On the supervisor's thread. False: a thread could not be started; try again later."""
        while self._wanted:
            slot = self._wanted.popleft()
            name = f"{self.name_prefix}-reserve_{-slot}" if slot < 0 else f"{self.worker_name}_{slot}"
            thread = threading.Thread(target=self._main, args=(slot,), name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # "can't start new thread"
                if not self._complained and "interpreter shutdown" not in str(error):  # last_resort takes over then
                    self._complained = True
                    logger.error("no thread could be started for worker slot %d (%s); trying again", slot, error)
                self._system.engine.workers.spawn_failed(slot)
                return False
            self._complained = False
        return True

    def _main(self, slot: int) -> None:
        engine = self._system.engine
        ident = threading.get_ident()
        me = threading.current_thread()
        self._slots[ident] = slot
        self._serving[me] = None
        try:
            if self.initializer is None or self.initializer():
                engine.workers.serve(slot)
        except TaskInterrupted:
            pass  # a condemned thread's interrupt may arrive as late as here; it was leaving anyway
        finally:
            self._slots.pop(ident, None)
            self._serving.pop(me, None)
            self._system.deadlines.thread_leaves()

    def serve(self) -> bool:
        """Whether there is a worker's thread."""
        return bool(self._serving)

    def join(self, timeout_s: float) -> None:
        """After the workers were stopped: wait until those that are not stuck are gone."""
        end = monotonic() + timeout_s
        for thread in self._serving.copy():
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - monotonic()))

    def replace(self, thread_id: int) -> None:
        """The thread is condemned: its slot is free for another."""
        slot = self._slots.pop(thread_id, None)
        if slot is not None:
            self._system.engine.workers.lose(slot)
