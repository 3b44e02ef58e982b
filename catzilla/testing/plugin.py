"""The pytest plugin. Loaded in every project of an environment that has Catzilla: it imports nothing of it yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from catzilla.system import TaskSystem
    from catzilla.testing.clock import FrozenClock


@pytest.fixture
def catzilla_system() -> Iterator[Any]:
    """The task system (or application) of the other ``catzilla_`` fixtures: a fresh one.

    Override it in your conftest.py to return your own.
    """
    from catzilla.system import TaskSystem

    system = TaskSystem(workers=2)
    yield system
    system.shutdown(timeout=10.0, cancel_pending=True)


@pytest.fixture
def catzilla_inline(catzilla_system: Any) -> Iterator[TaskSystem]:
    """Tasks run where they are submitted, at once; wrong arguments and options are errors as always."""
    from catzilla.testing import inline

    with inline(catzilla_system) as system:
        yield system


@pytest.fixture
def catzilla_live(catzilla_system: Any) -> Iterator[TaskSystem]:
    """Tasks run on workers. At the end the test fails unless they end; what is due later is cancelled."""
    from catzilla.testing import drain, system_of

    system = system_of(catzilla_system)
    system.reopen()
    yield system
    if not system.closed:
        drain(system)


@pytest.fixture
def catzilla_clock(catzilla_system: Any) -> Iterator[FrozenClock]:
    """A clock that stands still: delays, retries, deadlines, rates and schedules wait for ``advance(seconds)``."""
    from catzilla.testing import FrozenClock, system_of

    system = system_of(catzilla_system)
    with FrozenClock(system) as clock:
        yield clock
        for handle in system.pending():
            handle.cancel()  # by the machine's clock it would be due in years


@pytest.fixture
def catzilla_drain(catzilla_system: Any) -> Callable[..., None]:
    """``catzilla_drain(timeout_s=30)``: wait until every task has ended, also retries; TimeoutError names the rest."""
    from catzilla.testing import drain

    return lambda timeout_s=30.0: drain(catzilla_system, timeout_s)
