"""pytest-benchmark suites: ``pytest benchmarks`` collects bench_*.py and runs each for every backend that is built.

``pytest benchmarks --benchmark-autosave`` keeps a run, ``--benchmark-compare`` sets the next one beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from catzilla import TaskSystem, registry
from catzilla.conformance.rig import Rig

BACKENDS = {attempt.name: attempt.backend for attempt in registry.attempts() if attempt.backend is not None}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", list(BACKENDS))


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
