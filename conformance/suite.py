"""What every class of the suite stands on: the fixtures that turn a backend into something to test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.interface import Backend

from .rig import PATIENCE_S, Rig


def require(backend: Backend, feature: str) -> None:
    """Skip the test unless the backend says that it has the capability."""
    if feature not in backend.features:
        pytest.skip(f"backend {backend.name!r} does not claim {feature!r}")


class BackendSuite:
    """Subclasses get the backend from a fixture ``backend``, which the tested project defines."""

    @pytest.fixture
    def open_rig(self, backend: Backend) -> Iterator[Callable[..., Rig]]:
        """Opens engines with no task system above them; closes them after the test."""
        rigs: list[Rig] = []

        def open_rig(**config: Any) -> Rig:
            rig = Rig(backend, **config)
            rigs.append(rig)
            return rig

        yield open_rig
        for rig in rigs:
            rig.close()

    @pytest.fixture
    def open_system(self, backend: Backend) -> Iterator[Callable[..., TaskSystem]]:
        """Makes task systems on the backend; shuts them down after the test."""
        systems: list[TaskSystem] = []

        def open_system(**config: Any) -> TaskSystem:
            config.setdefault("workers", 2)
            config.setdefault("enable_auto_scaling", False)
            system = TaskSystem(backend=backend.name, **config)
            systems.append(system)
            return system

        yield open_system
        for system in systems:
            system.shutdown(timeout=PATIENCE_S / 2, cancel_pending=True)

    @pytest.fixture
    def system(self, open_system: Callable[..., TaskSystem]) -> TaskSystem:
        """Two workers that stay two."""
        return open_system()
