"""The submitter: the backend's own ``add_task``, with no Python of policy above it."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from typing import Any

import pytest

from .rig import LOW, SECOND_NS, Rig, RigPlan, finish, value_of
from .suite import BackendSuite

OpenRig = Callable[..., Rig]


def nothing() -> None: ...


def echo(value: object) -> object:
    return value


def in_an_hour_ns() -> int:
    return time.monotonic_ns() + 3600 * SECOND_NS


class SubmitterTests(BackendSuite):
    """The backend's own ``add_task``."""

    @pytest.fixture
    def calls(self) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        """What reached the fallback."""
        return []

    @pytest.fixture
    def submit(self, open_rig: OpenRig, calls: list[tuple[tuple[Any, ...], dict[str, Any]]]) -> Callable[..., Any]:
        """A submitter of ``echo`` (one argument) on an engine with one worker and two slots a lane."""
        self.rig = rig = open_rig(workers=1, queue_size=2)
        self.plans: dict[Any, Any] = {echo: RigPlan(echo, arity=(1, 1))}

        def fallback(*args: Any, **kwargs: Any) -> Any:
            calls.append((args, kwargs))
            return "fallback"

        return rig.queue.submitter(self.plans, fallback)

    def test_a_known_positional_call_is_queued(self, backend: Any, submit: Any, calls: list[Any]) -> None:
        handle = submit(echo, "value")
        assert isinstance(handle, backend.handle_type)
        assert value_of(handle) == "value"
        assert handle.plan is self.plans[echo]
        assert calls == []
        assert self.rig.metrics.counters()["submitted"] == 1

    def test_the_lane_is_the_plans(self, submit: Any) -> None:
        self.rig.hold()
        self.plans[echo] = RigPlan(echo, lane=LOW, arity=(1, 1))
        submit(echo, 1)
        assert tuple(self.rig.queue.sizes()) == (0, 0, 0, 1)

    def test_what_is_not_simple_goes_to_the_fallback_unchanged(self, submit: Any, calls: list[Any]) -> None:
        unhashable = type("Unhashable", (), {"__call__": lambda self: None, "__hash__": None})()
        assert submit(nothing, 1, 2) == "fallback"  # no plan
        assert submit(echo) == "fallback"  # too few
        assert submit(echo, 1, 2) == "fallback"  # too many
        assert submit(echo, value=1) == "fallback"  # a keyword
        assert submit(unhashable, 1) == "fallback"
        assert calls == [
            ((nothing, 1, 2), {}),
            ((echo,), {}),
            ((echo, 1, 2), {}),
            ((echo,), {"value": 1}),
            ((unhashable, 1), {}),
        ]
        assert tuple(self.rig.queue.sizes()) == (0, 0, 0, 0)
        assert self.rig.metrics.counters()["submitted"] == 0

    def test_a_plan_added_later_is_seen(self, submit: Any, calls: list[Any]) -> None:
        assert submit(nothing) == "fallback"
        self.plans[nothing] = RigPlan(nothing, arity=(0, 0))
        finish(submit(nothing))
        assert len(calls) == 1

    def test_an_arity_with_defaults_takes_each_count_in_it(self, submit: Any, calls: list[Any]) -> None:
        def most_two(a: int, b: int = 2) -> tuple[int, int]:
            return a, b

        self.plans[most_two] = RigPlan(most_two, arity=(1, 2))
        assert value_of(submit(most_two, 1)) == (1, 2)
        assert value_of(submit(most_two, 1, 3)) == (1, 3)
        assert submit(most_two, 1, 2, 3) == "fallback"

    def test_a_full_lane_goes_to_the_fallback(self, submit: Any, calls: list[Any]) -> None:
        self.rig.hold()
        kept = [submit(echo, 1), submit(echo, 2)]
        assert submit(echo, 3) == "fallback"
        assert calls == [((echo, 3), {})]
        self.rig.release()
        assert [value_of(handle) for handle in kept] == [1, 2]

    def test_a_closed_queue_goes_to_the_fallback(self, submit: Any, calls: list[Any]) -> None:
        self.rig.queue.close()
        assert submit(echo, 1) == "fallback"
        assert calls == [((echo, 1), {})]
        self.rig.queue.reopen()
        assert value_of(submit(echo, 2)) == 2
        assert len(calls) == 1

    def test_the_submitters_context_goes_with_the_task(self, submit: Any) -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

        def read() -> str:
            return variable.get()

        self.plans[read] = RigPlan(read, arity=(0, 0))

        def submit_with(value: str) -> Any:
            variable.set(value)
            handle = submit(read)
            variable.set("changed after submit")
            return handle

        assert value_of(contextvars.copy_context().run(submit_with, "one")) == "one"
        assert value_of(contextvars.copy_context().run(submit_with, "two")) == "two"
        assert value_of(contextvars.Context().run(submit, read)) == "unset"

    def test_fifo_with_put_and_put_many(self, submit: Any) -> None:
        self.rig = rig = self.rig
        rig.hold()
        started: list[object] = []
        plan = RigPlan(started.append, arity=(1, 1))
        self.plans[started.append] = plan
        first = submit(started.append, 0)
        second = rig.queue.put(plan, (1,), None)
        many = rig.queue.put_many(plan, [(2,)]) or ()
        assert second is not None
        assert len(many) == 0  # the third does not fit
        rig.release()
        finish(first, second)
        assert started == [0, 1]
