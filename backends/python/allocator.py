"""Memory accounting of the engine. CPython's allocator has no arenas to measure, so those are None."""

from __future__ import annotations

from _thread import RLock
from typing import Any


class Allocator:
    name = "python"

    def __init__(self, limit_bytes: int | None) -> None:
        self.limit_bytes = limit_bytes
        self._used_bytes = 0
        self._peak_bytes = 0
        # Reentrant: a finalizer that the collector runs inside may give memory back.
        self._lock = RLock()

    def charge(self, size_bytes: int) -> bool:
        with self._lock:
            if self.limit_bytes is not None and self._used_bytes + size_bytes > self.limit_bytes:
                return False
            self.force(size_bytes)
            return True

    def force(self, size_bytes: int) -> None:
        with self._lock:
            self._used_bytes += size_bytes
            self._peak_bytes = max(self._peak_bytes, self._used_bytes)

    def stats(self) -> dict[str, Any]:
        return {
            "allocated_bytes": None,
            "active_bytes": None,
            "charged_bytes": self._used_bytes,
            "charged_peak_bytes": self._peak_bytes,
            "arenas": {},
        }
