"""What a handle keeps alive, for how long, and what is said of a failure that nobody looked at."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from catzilla.interface import (
    CANCELLED,
    COMPLETED,
    DETACHED,
)

from .rig import Rig, RigPlan, eventually, finish, value_of, withdraw
from .suite import BackendSuite

OpenRig = Callable[..., Rig]


def nothing() -> None: ...


def echo(value: object) -> object:
    return value


class Boom(Exception):
    pass


def fail() -> None:
    raise Boom("on purpose")


class Thing:
    """Something a weak reference can watch."""


def detach(handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    return DETACHED


class LifetimeTests(BackendSuite):
    """What a handle keeps alive, and for how long."""

    def test_a_result_is_freed_with_its_handle(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        handle = rig.put(Thing)
        watch = weakref.ref(value_of(handle))
        assert watch() is not None
        finish(rig.put(nothing))  # the worker holds on to nothing of the task before
        del handle
        eventually(lambda: gc.collect() >= 0 and watch() is None, "the result was freed")

    def test_results_nobody_waits_for_are_freed(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        made: list[weakref.ref[Thing]] = []

        def make() -> Thing:
            thing = Thing()
            made.append(weakref.ref(thing))
            return thing

        for _ in range(100):
            rig.put(make)
        finish(rig.put(nothing))
        assert len(made) == 100
        eventually(lambda: gc.collect() >= 0 and not any(watch() for watch in made), "every result was freed")

    def test_arguments_are_freed_when_the_task_is_over(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        thing = Thing()
        watch = weakref.ref(thing)
        handle = rig.put(lambda argument: None, thing)
        del thing
        finish(handle, rig.put(nothing))
        eventually(lambda: gc.collect() >= 0 and watch() is None, "the argument was freed")
        assert handle.state() == COMPLETED

    def test_a_cancelled_task_frees_its_arguments(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        thing = Thing()
        watch = weakref.ref(thing)
        handle = rig.put(echo, thing)
        del thing
        assert withdraw(handle)
        rig.workers.resize(1)
        finish(rig.put(nothing))
        eventually(lambda: gc.collect() >= 0 and watch() is None, "the argument was freed")
        assert handle.state() == CANCELLED

    def test_a_failure_nobody_looked_at_is_reported_once(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        plan = RigPlan(fail)
        assert rig.queue.put(plan, (), None) is not None
        finish(rig.put(nothing))
        eventually(lambda: gc.collect() >= 0 and len(rig.lost_failures) > 0, "the failure was reported")
        gc.collect()
        [(reported, error)] = rig.lost_failures
        assert reported is plan
        assert isinstance(error, Boom)

    @pytest.mark.parametrize("look", ["outcome", "error"])
    def test_a_failure_somebody_looked_at_is_not_reported(self, open_rig: OpenRig, look: str) -> None:
        rig = open_rig(workers=1)
        handle = rig.put(fail)
        finish(handle)
        if look == "outcome":
            with pytest.raises(Boom):
                handle.outcome()
        else:
            handle.error()
        del handle
        finish(rig.put(nothing))
        gc.collect()
        assert rig.lost_failures == []

    def test_a_callback_that_the_collector_holds_up(self, open_rig: OpenRig) -> None:
        # Given garbage whose finalizer lets the task end, and adds a callback of its own before
        rig = open_rig(workers=1)
        rig.hold()
        handle = rig.put(nothing)
        called: list[str] = []

        class Slow:
            def __init__(self) -> None:
                self.itself = self

            def __del__(self) -> None:
                handle.on_done(lambda _: called.append("finalizer"))
                rig.release()
                finish(handle)

        threshold = gc.get_threshold()
        gc.disable()
        try:
            Slow()
            remember: Callable[[Any], None] = lambda _: called.append("caller")  # noqa: E731
            gc.set_threshold(1)
            gc.enable()
            # When a callback is added, and the memory it needs makes the collector run
            handle.on_done(remember)
        finally:
            gc.enable()
            gc.set_threshold(*threshold)
        # Then neither is lost
        eventually(lambda: gc.collect() >= 0 and sorted(called) == ["caller", "finalizer"], "both were called")

    def test_a_cancelled_task_is_no_failure(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        rig.hold()
        assert withdraw(rig.put(fail))
        rig.release()
        finish(rig.put(nothing))
        gc.collect()
        assert rig.lost_failures == []
