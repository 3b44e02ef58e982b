"""pytest-benchmark suites: ``pytest benchmarks`` collects bench_*.py and runs each for every backend that is built.

``pytest benchmarks --benchmark-autosave`` keeps a run, ``--benchmark-compare`` sets the next one beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from catzilla import TaskSystem, registry
from catzilla.conformance.rig import Rig

BACKENDS = {attempt.name: attempt.backend for attempt in registry.attempts() if attempt.backend is not None}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", list(BACKENDS))


@pytest.hookimpl(tryfirst=True)
def pytest_benchmark_group_stats(benchmarks: list[Any], group_by: str) -> list[tuple[str, list[Any]]] | None:
    """A table for each part: its backends, and what it was before. Unless other groups are asked for."""
    if group_by != "group":
        return None
    groups: dict[str, list[Any]] = {}
    for one in benchmarks:
        part, _, rest = one["name"].partition("[")
        ids = [word for word in rest.rstrip("]").split("-") if word and word not in BACKENDS]
        groups.setdefault(" ".join([part, *ids]), []).append(one)
    for found in groups.values():
        found.sort(key=lambda one: one["name"])
    return sorted(groups.items())


@pytest.fixture
def rig(backend: str) -> Iterator[Rig]:
    """An engine without the task system: what the parts themselves cost."""
    with Rig(BACKENDS[backend], queue_size=10_000_000) as rig:
        yield rig


@pytest.fixture
def system(backend: str) -> Iterator[TaskSystem]:
    """A task system with one worker, as users have it but for the bounds that a burst would meet."""
    with TaskSystem(backend=backend, workers=1, queue_size=1_000_000, enable_auto_scaling=False) as system:
        yield system
