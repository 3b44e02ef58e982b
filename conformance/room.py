"""Room: who waits for a slot of a full lane, who makes one free, and who never gave his up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from catzilla.errors import TaskCancelled, TaskDropped
from catzilla.interface import CANCELLED, DELAYED, DETACHED, PENDING, RETRYING, RUNNING, Again

from .rig import HIGH, LOW, NORMAL, SECOND_NS, Rig, RigPlan, eventually, finish, value_of, withdraw
from .suite import BackendSuite

OpenRig = Callable[..., Rig]


def nothing() -> None: ...


def echo(value: object) -> object:
    return value


def in_an_hour_ns() -> int:
    return time.monotonic_ns() + 3600 * SECOND_NS


class RoomTests(BackendSuite):
    """How submitters that wait for room get it."""

    def test_on_space_calls_at_once_when_there_is_room(self, open_rig: OpenRig) -> None:
        rig = open_rig(queue_size=1)
        calls: list[int] = []
        rig.queue.on_space(NORMAL, lambda: calls.append(1))
        assert calls == [1]

    @pytest.mark.parametrize("how", ["start", "cancel", "evict"])
    def test_on_space_calls_once_when_a_slot_is_freed(self, open_rig: OpenRig, how: str) -> None:
        rig = open_rig(queue_size=1)
        handle = rig.put(nothing)
        calls: list[int] = []
        rig.queue.on_space(NORMAL, lambda: calls.append(1))
        assert calls == []
        if how == "start":
            rig.workers.resize(1)
            finish(handle)
        elif how == "cancel":
            assert withdraw(handle)
        else:
            assert rig.queue.evict_oldest(NORMAL, TaskDropped("old")) is handle
        eventually(lambda: calls == [1], "room was announced")
        finish(rig.put(nothing, lane=NORMAL)) if how == "start" else rig.put(nothing)
        assert calls == [1]

    def test_room_in_one_lane_does_not_call_those_of_another(self, open_rig: OpenRig) -> None:
        rig = open_rig(queue_size=1)
        rig.put(nothing, lane=HIGH)
        low = rig.put(nothing, lane=LOW)
        calls: list[str] = []
        rig.queue.on_space(HIGH, lambda: calls.append("high"))
        assert withdraw(low)
        assert calls == []

    def test_off_space_forgets(self, open_rig: OpenRig) -> None:
        rig = open_rig(queue_size=1)
        handle = rig.put(nothing)
        calls: list[str] = []

        def first() -> None:
            calls.append("first")

        def second() -> None:
            calls.append("second")

        rig.queue.on_space(NORMAL, first)
        rig.queue.on_space(NORMAL, second)
        rig.queue.off_space(NORMAL, first)
        assert withdraw(handle)
        assert calls == ["second"]

    def test_off_space_after_the_call_passes_the_turn(self, open_rig: OpenRig) -> None:
        # Given two who wait, and room for one
        rig = open_rig(queue_size=2)
        one, _ = rig.put(nothing), rig.put(nothing)
        calls: list[str] = []

        def first() -> None:
            calls.append("first")

        def second() -> None:
            calls.append("second")

        rig.queue.on_space(NORMAL, first)
        rig.queue.on_space(NORMAL, second)
        assert withdraw(one)
        assert "first" in calls
        # When the one who was called does not use the room
        rig.queue.off_space(NORMAL, first)
        # Then the next one hears of it
        assert "second" in calls

    def test_evict_takes_the_oldest_and_says_so(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        oldest = rig.put(nothing)
        rig.put(nothing)
        rig.put(nothing, lane=HIGH)
        error = TaskDropped("too old")
        assert rig.queue.evict_oldest(NORMAL, error) is oldest
        assert oldest.state() == CANCELLED
        assert oldest.error() is error
        assert tuple(rig.queue.sizes()) == (0, 1, 1, 0)
        assert rig.queue.evict_oldest(LOW, error) is None

    def test_evict_skips_what_was_cancelled(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        first, second = rig.put(nothing), rig.put(nothing)
        assert withdraw(first)
        assert rig.queue.evict_oldest(NORMAL, TaskDropped("")) is second
        assert isinstance(first.error(), TaskCancelled)
        assert not isinstance(first.error(), TaskDropped)


class RetryTests(BackendSuite):
    """A task that goes back into its slot."""

    def test_requeue_runs_a_detached_task_again_when_due(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        attempts: list[tuple[Any, ...]] = []

        def runner(handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            attempts.append(args)
            return DETACHED if len(attempts) == 1 else "second"

        handle = rig.put(echo, "argument", runner=runner)
        eventually(lambda: len(attempts) == 1, "the first attempt")
        finish(rig.put(nothing))  # the worker is done with the first attempt
        assert handle.state() == RUNNING
        due = in_an_hour_ns()
        rig.queue.requeue(handle, ("argument",), due)
        assert handle.state() == RETRYING
        assert tuple(rig.queue.sizes()) == (0, 0, 1, 0)
        rig.queue.advance(due)
        assert value_of(handle) == "second"
        assert attempts == [("argument",), ("argument",)]

    def test_a_retry_is_never_refused_by_a_full_lane(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1, queue_size=1)
        attempts: list[int] = []

        def runner(handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            attempts.append(1)
            return DETACHED if len(attempts) == 1 else "done"

        handle = rig.put(nothing, runner=runner)
        eventually(lambda: len(attempts) == 1, "the first attempt")
        finish(rig.put(nothing))
        rig.queue.pause(frozenset((NORMAL,)))
        other = rig.queue.put(RigPlan(nothing), (), None)  # may or may not have room
        rig.queue.requeue(handle, (), time.monotonic_ns())
        rig.queue.advance(time.monotonic_ns())
        rig.release()
        assert value_of(handle) == "done"
        if other is not None:
            finish(other)

    def test_a_retrying_task_can_be_cancelled(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)

        def runner(handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            return Again(in_an_hour_ns())

        handle = rig.put(nothing, runner=runner)
        eventually(lambda: handle.state() == RETRYING, "the attempt is over")
        assert withdraw(handle)
        assert handle.state() == CANCELLED
        assert tuple(rig.queue.sizes()) == (0, 0, 0, 0)


class PromiseTests(BackendSuite):
    """A task that is accepted before its arguments are known."""

    def test_a_promise_is_in_no_lane(self, open_rig: OpenRig) -> None:
        rig = open_rig(queue_size=1)
        promise = rig.queue.promise(RigPlan(echo), None)
        assert promise.state() == DELAYED
        assert promise.wait_ns(0) is False
        assert tuple(rig.queue.sizes()) == (0, 0, 0, 0)
        assert rig.metrics.counters()["submitted"] == 1
        rig.put(nothing)  # its lane has as much room as before

    def test_a_promise_is_kept(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        promise = rig.queue.promise(RigPlan(echo), None)
        rig.queue.requeue(promise, ("kept",), 0)
        assert value_of(promise) == "kept"
        counters = rig.metrics.counters()
        assert (counters["submitted"], counters["completed"], counters["retried"]) == (1, 1, 0)

    def test_a_promise_ignores_the_bound(self, open_rig: OpenRig) -> None:
        rig = open_rig(queue_size=1)
        promise = rig.queue.promise(RigPlan(echo), None)
        rig.put(nothing)
        rig.queue.requeue(promise, ("kept",), 0)
        assert promise.state() == PENDING
        assert tuple(rig.queue.sizes()) == (0, 0, 2, 0)

    def test_a_promise_can_be_broken(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        promise = rig.queue.promise(RigPlan(echo), None)
        error = TaskCancelled("broken")
        assert promise.settle(CANCELLED, error) is True
        assert promise.settle(CANCELLED, error) is False
        assert promise.error() is error
        rig.queue.requeue(promise, ("too late",), 0)
        finish(rig.put(nothing))
        assert promise.state() == CANCELLED
        assert rig.metrics.counters()["cancelled"] == 1
