"""How much threads of this process compute, from /proc/…/schedstat (Linux)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from time import monotonic_ns

Readings = Mapping[int, tuple[int, int]]  # native thread id -> (when it was read, time computed), nanoseconds


def read(native_ids: Iterable[int]) -> Readings | None:
    """For how long each thread has run or waited for a CPU; None where the system does not tell.

    Waiting for a CPU counts: on a crowded machine a computing thread gets only its share of one,
    while a thread that waits for the GIL or for I/O sleeps.
    """
    if sys.platform != "linux":
        return None
    readings = {}
    for native_id in native_ids:
        try:
            with open(f"/proc/self/task/{native_id}/schedstat", "rb", buffering=0) as file:
                # The clock comes right before the read: getting the GIL back after it may take long.
                now_ns = monotonic_ns()
                ran_ns, waited_ns, _ = file.read(100).split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread has ended meanwhile
        except OSError:
            return None
        readings[native_id] = now_ns, int(ran_ns) + int(waited_ns)
    return readings


def computing(before: Readings, after: Readings) -> float:
    """How many threads' worth of computing there was between two readings."""
    total = 0.0
    for native_id, (now_ns, computed_ns) in after.items():
        if native_id in before:
            then_ns, computed_then_ns = before[native_id]
            total += (computed_ns - computed_then_ns) / max(1, now_ns - then_ns)
    return total
