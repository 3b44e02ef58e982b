"""The handle: states, outcomes, and the one winner of each race. Waiting and lifetime have files of their own;
HandleTests is all of them."""

from __future__ import annotations

import gc
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from catzilla.errors import TaskCancelled, TaskTimeout
from catzilla.interface import (
    CANCELLED,
    COMPLETED,
    DETACHED,
    FAILED,
    PENDING,
    RUNNING,
    TIMED_OUT,
)

from .lifetime import LifetimeTests
from .rig import PATIENCE_S, Rig, RigExt, RigPlan, eventually, finish, value_of, withdraw
from .suite import BackendSuite
from .waiting import WaitingTests

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


class OutcomeTests(BackendSuite):
    """States and outcomes."""

    def test_it_is_of_the_type_the_backend_names(self, backend: Any, open_rig: OpenRig) -> None:
        assert isinstance(open_rig().put(nothing), backend.handle_type)

    def test_it_carries_what_policy_gave(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        plan, ext = RigPlan(nothing), RigExt()
        before = time.monotonic_ns()
        handle = rig.queue.put(plan, (), ext)
        after = time.monotonic_ns()
        assert handle is not None
        assert handle.plan is plan
        assert handle.ext is ext
        assert before <= handle.ready_ns <= after
        assert rig.put(nothing).ext is None

    def test_a_value(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        value = Thing()
        handle = rig.put(echo, value)
        finish(handle)
        assert handle.state() == COMPLETED
        assert handle.outcome() is value
        assert handle.outcome() is value
        assert handle.error() is None

    @pytest.mark.parametrize("value", [None, False, 0, "", (), Boom("a value, not raised"), NotImplemented])
    def test_any_object_can_be_a_value(self, open_rig: OpenRig, value: object) -> None:
        rig = open_rig(workers=1)
        assert value_of(rig.put(echo, value)) is value

    def test_value_or_none_does_not_look_at_a_failure(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        good, bad = rig.put(echo, "value"), rig.put(fail)
        finish(good, bad)
        assert good.value_or_none() == "value"
        assert bad.value_or_none() is None
        del bad
        finish(rig.put(nothing))
        eventually(lambda: gc.collect() >= 0 and len(rig.lost_failures) == 1, "the failure is still reported")

    def test_an_exception_is_raised_with_its_own_traceback(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        handle = rig.put(fail)
        finish(handle)
        assert handle.state() == FAILED
        lengths = []
        for _ in range(5):
            with pytest.raises(Boom, match="on purpose") as caught:
                handle.outcome()
            frames = traceback.extract_tb(caught.value.__traceback__)
            assert frames[-1].name == "fail"
            lengths.append(len(frames))
        assert len(set(lengths)) == 1, "repeated waits lengthen the traceback"
        assert handle.error() is caught.value

    @pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("base")])
    def test_base_exceptions_fail_the_task_and_no_more(self, open_rig: OpenRig, error: BaseException) -> None:
        rig = open_rig(workers=1)

        def raise_it() -> None:
            raise error

        handle = rig.put(raise_it)
        finish(handle)
        assert handle.state() == FAILED
        assert handle.error() is error
        assert value_of(rig.put(echo, "next")) == "next"

    def test_pending_and_running_are_seen(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        blocker = rig.block_worker()
        waiting = rig.put(nothing)
        assert blocker.handle.state() == RUNNING
        assert waiting.state() == PENDING
        blocker.release()
        finish(blocker.handle, waiting)

    def test_where_and_when_it_ran(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        rig.hold()
        handle = rig.put(nothing)
        assert handle.worker_slot() is None
        assert handle.times_ns() is None
        before = time.monotonic_ns()
        rig.release()
        finish(handle)
        after = time.monotonic_ns()
        assert handle.worker_slot() in rig.spawned
        times = handle.times_ns()
        assert times is not None
        assert before <= times[0] <= times[1] <= after


class WithdrawTests(BackendSuite):
    """Cancelling what has not started, and the races it must win or lose cleanly."""

    def test_a_pending_task_is_cancelled_once(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        handle = rig.put(nothing)
        assert withdraw(handle) is True
        assert withdraw(handle) is False
        assert handle.state() == CANCELLED
        assert handle.wait_ns(0) is True
        assert isinstance(handle.error(), TaskCancelled)
        with pytest.raises(TaskCancelled):
            handle.outcome()
        assert tuple(rig.queue.sizes()) == (0, 0, 0, 0)

    def test_the_error_given_is_the_outcome(self, open_rig: OpenRig) -> None:
        handle = open_rig().put(nothing)
        error = TaskCancelled("because")
        assert handle.withdraw(error)
        assert handle.error() is error

    def test_running_and_done_tasks_are_not_cancelled(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        blocker = rig.block_worker()
        assert withdraw(blocker.handle) is False
        blocker.release()
        assert value_of(blocker.handle) == "released"
        assert withdraw(blocker.handle) is False
        assert blocker.handle.state() == COMPLETED

    def test_cancel_against_start_has_one_winner(self, open_rig: OpenRig) -> None:
        # Given workers that start tasks while another thread cancels the same ones
        rig = open_rig(workers=2)
        ran: list[int] = []
        rig.hold()
        handles = [rig.put(ran.append, n) for n in range(2_000)]
        won: list[int] = []

        def cancel_all() -> None:
            for n in reversed(range(2_000)):
                if withdraw(handles[n]):
                    won.append(n)

        canceller = threading.Thread(target=cancel_all)
        rig.release()
        canceller.start()
        canceller.join(PATIENCE_S)
        finish(*handles)
        # Then each task either ran once or was cancelled once, and its state says which
        assert sorted(ran + won) == list(range(2_000))
        assert {n for n in range(2_000) if handles[n].state() == CANCELLED} == set(won)
        counters = rig.metrics.counters()
        assert counters["cancelled"] == len(won)
        assert counters["completed"] == len(ran)

    def test_many_cancellers_have_one_winner(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        handles = [rig.put(nothing) for _ in range(500)]
        wins: list[bool] = []
        start = threading.Barrier(4)

        def cancel_all() -> None:
            start.wait(PATIENCE_S)
            wins.extend([withdraw(handle) for handle in handles])

        threads = [threading.Thread(target=cancel_all) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert wins.count(True) == 500
        assert rig.metrics.counters()["cancelled"] == 500
        assert tuple(rig.queue.sizes()) == (0, 0, 0, 0)


class SettleTests(BackendSuite):
    """Ending a running task from outside."""

    def test_only_a_running_task_is_settled(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        handle = rig.put(nothing)
        assert handle.settle(COMPLETED, 1) is False
        assert handle.state() == PENDING
        assert withdraw(handle)
        assert handle.settle(COMPLETED, 1) is False
        assert handle.state() == CANCELLED

    @pytest.mark.parametrize(
        ("state", "value", "counter"),
        [
            (COMPLETED, "value", "completed"),
            (FAILED, Boom("settled"), "failed"),
            (CANCELLED, TaskCancelled("settled"), "cancelled"),
            (TIMED_OUT, TaskTimeout("settled"), "timed_out"),
        ],
    )
    def test_a_detached_task_is_settled_by_somebody_else(
        self, open_rig: OpenRig, state: int, value: object, counter: str
    ) -> None:
        rig = open_rig(workers=1)
        handle = rig.put(nothing, runner=detach)
        finish(rig.put(nothing))  # after which the runner of the first is over
        assert handle.state() == RUNNING
        assert handle.wait_ns(0) is False
        before = rig.metrics.counters()[counter]
        assert handle.settle(state, value) is True
        assert handle.settle(COMPLETED, "too late") is False
        assert handle.state() == state
        assert handle.wait_ns(0) is True
        assert (handle.outcome() if state == COMPLETED else handle.error()) is value
        assert rig.metrics.counters()[counter] == before + 1

    def test_who_settles_first_wins_over_the_runner(self, open_rig: OpenRig) -> None:
        # Given a task that runs
        rig = open_rig(workers=1)
        blocker = rig.block_worker()
        # When somebody ends it from outside and it returns later
        error = TaskTimeout("out of time")
        slot = blocker.handle.worker_slot()
        assert slot is not None
        assert blocker.handle.settle(TIMED_OUT, error) is True
        rig.workers.lose(slot)
        assert blocker.handle.wait_ns(0) is True
        blocker.release()
        finish(rig.put(nothing))
        # Then the first end stands, and is the only one counted
        assert blocker.handle.state() == TIMED_OUT
        assert blocker.handle.error() is error
        counters = rig.metrics.counters()
        assert (counters["timed_out"], counters["completed"]) == (1, 1)

    def test_many_settlers_have_one_winner(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        handles = [rig.put(nothing, runner=detach) for _ in range(200)]
        finish(rig.put(nothing))
        wins: list[tuple[int, int]] = []
        start = threading.Barrier(4)

        def settle_all(me: int) -> None:
            start.wait(PATIENCE_S)
            wins.extend([(n, me) for n, handle in enumerate(handles) if handle.settle(COMPLETED, me)])

        threads = [threading.Thread(target=settle_all, args=(me,)) for me in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert sorted(n for n, _ in wins) == list(range(200))
        assert all(handles[n].outcome() == me for n, me in wins)


class FailureTests(BackendSuite):
    """Policy is told of failures and of its own callbacks' errors."""

    def test_it_is_told_of_what_failed_and_timed_out_only(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        failed = rig.put(fail)
        timed_out = rig.put(nothing, runner=detach)
        good = rig.put(nothing)
        finish(failed, good)
        assert timed_out.settle(TIMED_OUT, TaskTimeout("settled"))
        rig.hold()
        assert withdraw(rig.put(nothing))
        assert rig.told == [(failed.plan, FAILED), (timed_out.plan, TIMED_OUT)]
        failed.error()

    def test_callbacks_that_raise_are_reported_and_stop_nothing(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        boom = Boom("in a callback")
        seen: list[Any] = []

        def bad(handle: Any) -> None:
            raise boom

        rig.hold()
        handle = rig.put(echo, 1, ext=RigExt(on_settled=bad))
        handle.on_done(bad)
        handle.on_done(seen.append)
        rig.release()
        assert value_of(handle) == 1
        assert value_of(rig.put(echo, 2)) == 2  # the worker lives, and is done with the callbacks
        assert seen == [handle]
        handle.on_done(bad)  # here, as the task is done
        assert rig.faults == [boom, boom, boom]


class HandleTests(OutcomeTests, WithdrawTests, SettleTests, FailureTests, WaitingTests, LifetimeTests):
    """Everything that a handle must do."""
