"""Resident bytes for one task that waits in the queue, its handle kept by the submitter."""

from __future__ import annotations

import gc
import os
from typing import Any

from harness.contender import Contender
from harness.scenario import Metric, Scenario


def noop() -> None:
    pass


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run(contender: Contender, quick: bool) -> dict[str, float]:
    n = 50_000 if quick else 200_000
    contender.burst(noop, 1000)
    release = contender.occupy()
    handles: list[Any] = [None] * n
    gc.collect()
    before = resident_bytes()
    contender.fill(noop, handles)
    after = resident_bytes()
    release()
    return {"bytes": (after - before) / n}


SCENARIO = Scenario(
    50,
    "memory",
    "Resident memory of a pending no-op task and its handle",
    (Metric("bytes", "bytes/task"),),
    run,
)
