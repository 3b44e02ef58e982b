"""The C++ backend: work stealing between workers, in C++20 with pybind11."""

from __future__ import annotations

from catzilla.backends.cpp._native import Engine, TaskResult
from catzilla.interface import EngineConfig


class CppBackend:
    name = "cpp"
    features = frozenset({"fork", "rows", "short-kernels", "kernels", "callers"})
    handle_type = TaskResult

    def open(self, config: EngineConfig) -> Engine:
        return Engine(config)


BACKEND = CppBackend()
