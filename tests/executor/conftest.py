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
def make_either(request: pytest.FixtureRequest, backend: Backend) -> Iterator[MakeExecutor]:
    """The same, and once more with ThreadPoolExecutor: what is tested is what that one does."""
    if request.param == "TaskExecutor":
        yield from _maker(functools.partial(TaskExecutor, backend=backend.name))
    else:
        yield from _maker(ThreadPoolExecutor)


def _maker(kind: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    made: list[Executor] = []

    def make(*args: Any, **kwargs: Any) -> Any:
        executor = kind(*args, **kwargs)
        made.append(executor)
        return executor

    yield make
    for executor in made:
        executor.shutdown(wait=True, cancel_futures=True)
