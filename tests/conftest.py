"""Which backends the tests run on, and how a test gets one.

    pytest --backend=python                 only this one (again, or with commas, for more)
    CATZILLA_BACKEND=python pytest          the same
    CATZILLA_TEST_REQUIRE=python,c pytest   a missing one is a failure, not a skip

Without either, every built-in backend that this install has.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from catzilla import TaskSystem, registry
from catzilla.errors import BackendError
from catzilla.interface import Backend

# The toy backend registers itself the way an installed one does: by the metadata of a distribution.
sys.path.append(str(Path(__file__).parent / "third_party"))


def pytest_configure(config: pytest.Config) -> None:
    # A suite in the background of a script is started with Ctrl-C ignored, which every child would inherit.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    # Thousands of collected tests are no garbage: without this every gc.collect() of a test looks through them.
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend", action="append", default=[], metavar="NAME", help="run on this backend only (default: every one)"
    )


def split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def required() -> list[str]:
    return split(os.environ.get("CATZILLA_TEST_REQUIRE", ""))


def selected(config: pytest.Config) -> list[str]:
    """The names to run on, usable or not."""
    named = split(",".join(config.getoption("--backend"))) or split(os.environ.get(registry.VARIABLE, ""))
    if named and named != ["auto"]:
        return named
    usable = [attempt.name for attempt in registry.attempts() if attempt.backend is not None]
    return [name for name in registry.BUILT_IN if name in usable or name in required()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend_name" in metafunc.fixturenames:
        metafunc.parametrize("backend_name", selected(metafunc.config), scope="session")


@pytest.fixture(scope="session")
def one_backend_name(pytestconfig: pytest.Config) -> str:
    """The first of them: for what no backend can have an influence on, and takes long."""
    return selected(pytestconfig)[0]


@pytest.fixture(scope="session")
def backend(backend_name: str) -> Backend:
    """Each selected backend in turn."""
    try:
        return registry.load(backend_name)
    except BackendError as error:
        if backend_name in required() or not isinstance(error, ImportError):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.fixture
def open_system(backend: Backend) -> Iterator[Callable[..., TaskSystem]]:
    """Makes task systems on the backend (two workers, no autoscaling); shuts them down after the test."""
    systems: list[TaskSystem] = []

    def open_system(**config: Any) -> TaskSystem:
        config.setdefault("workers", 2)
        config.setdefault("enable_auto_scaling", False)
        system = TaskSystem(backend=backend.name, **config)
        systems.append(system)
        return system

    yield open_system
    for system in systems:
        system.shutdown(timeout=10.0, cancel_pending=True)


@pytest.fixture
def system(open_system: Callable[..., TaskSystem]) -> TaskSystem:
    return open_system()
