"""Memory: of what waits, after everything is done, and over many tasks."""

from __future__ import annotations

import gc
import os
import random
import time
from typing import Any

from harness.contender import ARENAS, PENDING, Contender
from harness.scenario import Metric, Scenario, Trial
from harness.workloads import noop

SETTLE_S = 2.0


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def pending(trial: Trial) -> dict[str, float]:
    n = 30_000 if trial.quick else 50_000
    with trial.open() as contender:
        contender.burst(noop, 1000)
        release = contender.occupy()
        handles: list[Any] = [None] * n
        gc.collect()
        before = resident_bytes()
        contender.fill(noop, handles)
        after = resident_bytes()
        release()
    return {"bytes": (after - before) / n}


def after_drain(trial: Trial) -> dict[str, float]:
    """Before: a process that has run a thousand tasks. After: two seconds after the last result was dropped."""
    n = 200_000 if trial.quick else 1_000_000
    with trial.open() as contender:
        contender.burst(noop, 1000)
        gc.collect()
        before = resident_bytes()
        contender.burst(noop, n)
        gc.collect()
        time.sleep(SETTLE_S)
        after = resident_bytes()
    return {"percent": 100 * (after - before) / before, "mib": (after - before) / 2**20}


def leak(trial: Trial) -> dict[str, float]:
    """Growth of the same burst again and again, after the first ones have made the process as large as it gets."""
    n, bursts = 20_000, 4 if trial.quick else 10
    with trial.open() as contender:
        for _ in range(3):
            contender.burst(noop, n)
        gc.collect()
        before = resident_bytes()
        for _ in range(bursts):
            contender.burst(noop, n)
        gc.collect()
        after = resident_bytes()
    return {"bytes": (after - before) / (n * bursts), "kib": (after - before) / 1024}


def churn(trial: Trial) -> dict[str, float]:
    """Results live for random times: of 100,000 kept ones, random ones are replaced again and again."""
    kept_at_once, turns = (20_000, 50) if trial.quick else (100_000, 200)
    choose, per_turn = random.Random(1), kept_at_once // 100
    with trial.open() as contender:
        contender.burst(noop, 1000)
        before = resident_bytes()
        kept = [contender.submit(noop) for _ in range(kept_at_once)]
        percents = []
        for _ in range(turns):
            for _ in range(per_turn):
                kept[choose.randrange(kept_at_once)] = contender.submit(noop)
            percents += _fragmentation(contender)
        for handle in kept:
            contender.result(handle)
        figures = {"rss_bytes": (resident_bytes() - before) / kept_at_once}
        if percents:
            figures |= {"percent": sorted(percents)[len(percents) // 2], "worst_percent": max(percents)}
        survivors = [handle for handle in kept if choose.random() < 0.1]
        kept.clear()
        gc.collect()
        time.sleep(SETTLE_S / 4 if trial.quick else SETTLE_S)
        if left := _fragmentation(contender):
            figures["sparse_percent"] = left[0]
        figures["sparse_rss_bytes"] = (resident_bytes() - before) / len(survivors)
    return figures


def _fragmentation(contender: Contender) -> list[float]:
    system: Any = getattr(contender, "system", None)
    percent = None if system is None else system.memory_stats()["fragmentation_percent"]
    return [] if percent is None else [percent]


SCENARIOS = (
    Scenario(
        50,
        "memory",
        "Resident memory of a pending no-op task and its handle",
        (Metric("bytes", "bytes/task"),),
        pending,
        PENDING,
    ),
    Scenario(
        51,
        "after-drain",
        f"Resident memory {SETTLE_S:.0f} s after a million no-op tasks (quick: 200,000) and their results are gone",
        (
            Metric("percent", "% above before", 1, compared=False),
            Metric("mib", "MiB above before", 1, compared=False),
        ),
        after_drain,
        ARENAS,
        rounds=2,
    ),
    Scenario(
        52,
        "leak",
        "Growth of the process over 200,000 no-op tasks (quick: 80,000), after 60,000 before",
        (Metric("bytes", "bytes/task", 3, compared=False), Metric("kib", "KiB in all", compared=False)),
        leak,
        ARENAS,
    ),
    Scenario(
        53,
        "fragmentation",
        "Results that live for random times: fragmentation of the engine's arenas, resident bytes for each that lives",
        (
            Metric("percent", "% of the arenas, median", 2, compared=False),
            Metric("worst_percent", "% at worst", 2, compared=False),
            Metric("rss_bytes", "RSS bytes/result", compared=False),
            Metric("sparse_percent", "% when 9 of 10 are gone", 2, compared=False),
            Metric("sparse_rss_bytes", "RSS bytes/survivor then", compared=False),
        ),
        churn,
        ARENAS,
        rounds=2,
    ),
)
