"""Nothing is kept alive longer than somebody needs it, without the help of the cycle collector."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest

from catzilla.executor import TaskExecutor
from catzilla.interface import Backend

from .conftest import PATIENCE_S, MakeExecutor


class Thing:
    def give(self, *_: object, **__: object) -> Thing:
        return Thing()

    def fail(self) -> None:
        raise Error


class Error(Exception):
    pass


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Freed:
    """When an object is freed, on whichever thread."""

    def __init__(self, thing: Any) -> None:
        self._event = threading.Event()
        self._reference = weakref.ref(thing, lambda _: self._event.set())

    def check(self) -> None:
        assert self._event.wait(PATIENCE_S)

    def check_with_collector(self) -> None:
        """More than once: a thread that is just ending may hold a part of a cycle still."""
        end = monotonic() + PATIENCE_S
        while not self._event.wait(0.01):
            gc.collect()
            assert monotonic() < end


def test_what_a_call_was_given(make_either: MakeExecutor) -> None:
    executor = make_either(1)
    things = [Thing() for _ in range(3)]
    freed = [Freed(thing) for thing in things]
    future = executor.submit(things[0].give, things[1], keyword=things[2])
    things.clear()
    for one in freed:
        one.check()
    future.result(PATIENCE_S)


def test_what_a_cancelled_call_was_given(make: Callable[..., TaskExecutor]) -> None:
    """ThreadPoolExecutor keeps it until a thread comes to it."""
    executor = make(1)
    go = threading.Event()
    executor.submit(go.wait, PATIENCE_S)
    thing = Thing()
    freed = Freed(thing)
    future = executor.submit(thing.give)
    del thing
    future.cancel()
    freed.check()
    go.set()


def test_the_result_when_its_future_goes(make_either: MakeExecutor) -> None:
    executor = make_either(1)
    future = executor.submit(Thing().give)
    freed = [Freed(future), Freed(future.result(PATIENCE_S))]
    del future
    for one in freed:
        one.check()


@pytest.mark.parametrize("look", [True, False])
def test_the_exception_and_its_frames_when_its_future_goes(make_either: MakeExecutor, look: bool) -> None:
    executor = make_either(1)
    thing = Thing()
    freed = [Freed(thing)]
    future = executor.submit(thing.fail)
    del thing
    if look:
        with pytest.raises(Error):
            future.result(PATIENCE_S)
    executor.submit(int).result(PATIENCE_S)
    error = future.exception(PATIENCE_S)
    freed += [Freed(future), Freed(error)]
    del future, error
    for one in freed:
        one.check()


def test_a_future_that_is_kept_keeps_no_engine(backend: Backend) -> None:
    executor = TaskExecutor(1, backend=backend.name)
    done = executor.submit(int)
    done.result(PATIENCE_S)
    executor.shutdown()
    pool = Freed(executor._pool)
    del executor
    pool.check_with_collector()  # its engine's parts know each other
    assert done.result() == 0


def test_results_of_map(make_either: MakeExecutor) -> None:
    for thing in make_either(2).map(Thing.give, [Thing() for _ in range(10)]):
        freed = Freed(thing)
        del thing
        freed.check()
