"""A backend as small as it gets: one lock, a deque for each lane, a heap for what is not due yet.

It is what somebody writes who knows catzilla.interface and nothing else of Catzilla.
"""

from __future__ import annotations

from threading import RLock
from typing import Any

from catzilla.interface import CANCELLED, EngineConfig

from .handle import ToyHandle
from .measure import ToyAllocator, ToyMetrics
from .queue import ToyQueue
from .workers import ToyWorkers


class ToyEngine:
    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        # Reentrant: a signal handler or a finalizer may submit while its thread holds the lock.
        self.lock = RLock()
        self.metrics = ToyMetrics(self)
        self.allocator = ToyAllocator(self, config.memory_limit_bytes)
        self.workers = ToyWorkers(self)
        self.queue = ToyQueue(self)

    def abandon(self, error: BaseException) -> list[Any]:
        self.lock = RLock()  # a thread that is not in this process may have held the old one
        lost = [handle for handle in self.queue.pending() if handle.withdraw(error)]
        for view in self.workers.snapshot():
            if view.handle is not None and view.handle.settle(CANCELLED, error):
                lost.append(view.handle)
        return lost


class ToyBackend:
    name = "toy"
    features = frozenset({"fork"})
    handle_type: type = ToyHandle

    def open(self, config: EngineConfig) -> ToyEngine:
        return ToyEngine(config)


BACKEND = ToyBackend()
