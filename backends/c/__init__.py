"""The C backend: the reference's mechanism in C11, and CPython objects that are queue cells at once."""

from __future__ import annotations

from catzilla.backends.c._native import Engine, TaskResult
from catzilla.interface import EngineConfig


class CBackend:
    name = "c"
    features = frozenset({"fork", "short-kernels", "kernels", "callers", "rows"})
    handle_type = TaskResult

    def open(self, config: EngineConfig) -> Engine:
        return Engine(config)


BACKEND = CBackend()
