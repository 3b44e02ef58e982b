"""Executors to test: TaskExecutor on each backend, and ThreadPoolExecutor where the two must agree."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pytest

from catzilla.executor import TaskExecutor
from catzilla.interface import Backend

MakeExecutor = Callable[..., Any]
PATIENCE_S = 20.0  # for what must happen; never reached when it does


@pytest.fixture
def make(backend: Backend) -> Iterator[Callable[..., TaskExecutor]]:
    """Makes TaskExecutors on the backend; shuts them down after the test."""
    yield from _maker(functools.partial(TaskExecutor, backend=backend.name))


@pytest.fixture(params=["TaskExecutor", "ThreadPoolExecutor"])
def kind(request: pytest.FixtureRequest, backend: Backend) -> MakeExecutor:
    """Makes executors that nobody shuts down, of both kinds: what is tested is what ThreadPoolExecutor does."""
    return (
        functools.partial(TaskExecutor, backend=backend.name) if request.param == "TaskExecutor" else ThreadPoolExecutor
    )


@pytest.fixture
def make_either(kind: MakeExecutor) -> Iterator[MakeExecutor]:
    """The same, and shuts them down after the test."""
    yield from _maker(kind)


def _maker(kind: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    made: list[Executor] = []

    def make(*args: Any, **kwargs: Any) -> Any:
        executor = kind(*args, **kwargs)
        made.append(executor)
        return executor

    yield make
    for executor in made:
        executor.shutdown(wait=True, cancel_futures=True)
