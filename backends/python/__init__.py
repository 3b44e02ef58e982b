"""The reference backend: pure Python, no dependency, and the specification of the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from catzilla.interface import RUNNING, EngineConfig

from .allocator import Allocator
from .gate import Gate
from .handle import Handle, make_handle_type
from .metrics import Metrics
from .queue import Queue
from .workers import Workers


class Engine:
    """Queue, workers, allocator and metrics of one task system."""

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.handle_type = make_handle_type(self)
        self.waiters: dict[Handle, deque[Callable[[Any], None]]] = {}
        self.metrics = Metrics()
        self.allocator = Allocator(config.memory_limit_bytes)
        self.gate = Gate(self)
        self.workers = Workers(self)
        self.queue = Queue(self)

    def abandon(self, error: BaseException) -> list[Handle]:
        lost = []
        for handle in self.queue.pending():
            if handle.withdraw(error):
                lost.append(handle)
        for view in self.workers.snapshot():
            running = view.handle
            if running is not None and running.state() == RUNNING and running.settle(6, error):
                lost.append(running)
        return lost


class PythonBackend:
    name = "python"
    features = frozenset({"fork", "rows"})
    handle_type = Handle

    def open(self, config: EngineConfig) -> Engine:
        return Engine(config)


BACKEND = PythonBackend()
