"""The pool and the counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import ToyEngine

NAMES = (
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


def bucket_top_ns(value_ns: int) -> int:
    """The largest value of the bucket: 32 of them in each power of two."""
    shift = max(0, value_ns.bit_length() - 6)
    return ((value_ns >> shift) + 1 << shift) - 1


class ToyAllocator:
    name = "python"

    def __init__(self, engine: ToyEngine, limit_bytes: int | None) -> None:
        self.engine = engine
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.peak_bytes = 0

    def charge(self, size_bytes: int) -> bool:
        with self.engine.lock:
            if self.limit_bytes is not None and self.used_bytes + size_bytes > self.limit_bytes:
                return False
            self.force(size_bytes)
            return True

    def force(self, size_bytes: int) -> None:
        with self.engine.lock:
            self.used_bytes += size_bytes
            self.peak_bytes = max(self.peak_bytes, self.used_bytes)

    def stats(self) -> dict[str, Any]:
        return {
            "allocated_bytes": None,
            "active_bytes": None,
            "charged_bytes": self.used_bytes,
            "charged_peak_bytes": self.peak_bytes,
            "arenas": {},
        }


class ToyMetrics:
    def __init__(self, engine: ToyEngine) -> None:
        self.engine = engine
        self.counts = dict.fromkeys(NAMES, 0)
        self.execution: dict[int, int] = {}
        self.execution_sum = 0
        self.wait: dict[int, int] = {}

    def add(self, counter: str, n: int = 1) -> None:
        with self.engine.lock:
            self.counts[counter] = self.counts.get(counter, 0) + n

    def observe(self, execution_ns: int, wait_ns: int) -> None:
        with self.engine.lock:
            top = bucket_top_ns(execution_ns)
            self.execution[top] = self.execution.get(top, 0) + 1
            self.execution_sum += execution_ns
            top = bucket_top_ns(wait_ns)
            self.wait[top] = self.wait.get(top, 0) + 1

    def counters(self) -> dict[str, int]:
        with self.engine.lock:
            return dict(self.counts)

    def execution_ns(self) -> dict[int, int]:
        with self.engine.lock:
            return dict(self.execution)

    def execution_sum_ns(self) -> int:
        return self.execution_sum

    def wait_ns(self) -> dict[int, int]:
        with self.engine.lock:
            return dict(self.wait)
