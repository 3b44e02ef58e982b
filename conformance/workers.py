"""The workers: slots, threads, and how a task is called. Order, waking and loss have files of their own;
WorkersTests is all of them."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

from catzilla.errors import TaskLostInFork
from catzilla.interface import PENDING, RETRYING, RUNNING, Again

from .loss import LossTests
from .order import OrderTests
from .rig import (
    PATIENCE_S,
    SECOND_NS,
    Rig,
    RigExt,
    eventually,
    finish,
    value_of,
    withdraw,
)
from .suite import BackendSuite
from .waking import ReserveTests, WakeTests

OpenRig = Callable[..., Rig]


def nothing() -> None: ...


def echo(*args: object, **kwargs: object) -> object:
    return args, kwargs


def thread_name() -> str:
    return threading.current_thread().name


class SlotTests(BackendSuite):
    """Slots and threads."""

    def test_threads_are_asked_for_when_there_is_work(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=4)
        assert rig.spawned == []
        assert value_of(rig.put(thread_name)) == f"catzilla-rig-{rig.spawned[0]}"
        assert len(rig.spawned) == len(set(rig.spawned)), "one thread for a slot"

    def test_as_many_tasks_run_at_once_as_there_are_slots(self, open_rig: OpenRig) -> None:
        # Given four slots and four tasks that need each other to run
        rig = open_rig(workers=4)
        meet = threading.Barrier(4)
        handles = [rig.put(meet.wait, PATIENCE_S) for _ in range(4)]
        # Then all four run, on four threads, and a fifth waits its turn
        assert sorted(value_of(handle) for handle in handles) == [0, 1, 2, 3]  # type: ignore[type-var]
        blockers = [rig.block_worker() for _ in range(4)]
        fifth = rig.put(nothing)
        assert fifth.wait_ns(20_000_000) is False
        assert fifth.state() == PENDING
        for blocker in blockers:
            blocker.release()
        finish(fifth)
        assert len(set(rig.spawned)) == 4

    def test_more_slots_start_what_waits(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        blocker = rig.block_worker()
        waiting = [rig.put(thread_name) for _ in range(10)]
        assert not any(handle.wait_ns(0) for handle in waiting)
        rig.workers.resize(2)
        names = {value_of(handle) for handle in waiting}
        assert len(names) == 1
        blocker.release()

    def test_fewer_slots_let_threads_go(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=4)
        blockers = [rig.block_worker() for _ in range(4)]
        rig.workers.resize(1)
        for blocker in blockers:  # what runs goes on to its end
            assert blocker.handle.state() == RUNNING
            blocker.release()
        eventually(lambda: sum(thread.is_alive() for thread in rig.threads) == 1, "three threads left")
        assert value_of(rig.put(thread_name))
        rig.workers.resize(3)
        again = [rig.block_worker() for _ in range(3)]
        for blocker in again:
            blocker.release()

    def test_a_backlog_is_taken_by_one_thread_after_another(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=2)
        ran: list[int] = []
        handles = [rig.put(ran.append, n) for n in range(5_000)]
        finish(*handles)
        assert sorted(ran) == list(range(5_000))

    def test_stop_lets_every_thread_go(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=3)
        meet = threading.Barrier(3)
        finish(*[rig.put(meet.wait, PATIENCE_S) for _ in range(3)])
        blocker = rig.block_worker()
        rig.workers.stop()
        eventually(lambda: sum(thread.is_alive() for thread in rig.threads) == 1, "the idle threads left")
        blocker.release()
        eventually(lambda: not any(thread.is_alive() for thread in rig.threads), "the busy one left")
        assert value_of(blocker.handle) == "released"

    def test_a_slot_that_got_no_thread_asks_again(self, open_rig: OpenRig) -> None:
        # Given a machine that gives no more threads
        rig = open_rig(workers=1)
        rig.refuse_threads = True
        first = rig.put(thread_name)
        assert len(rig.refused) == 1
        assert first.wait_ns(0) is False
        # When it does again, the next task brings one, which takes both
        rig.refuse_threads = False
        second = rig.put(thread_name)
        assert value_of(first) == value_of(second)

    def test_a_backlog_is_told_once(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        told: list[int] = []
        rig.queue.on_backlog(lambda: told.append(1))
        blocker = rig.block_worker()
        assert told == [], "a slot was free for it"
        waiting = [rig.put(nothing), rig.put(nothing)]
        assert told == [1]
        rig.queue.on_backlog(lambda: told.append(2))
        rig.queue.on_backlog(None)
        waiting.append(rig.put(nothing))
        assert told == [1]
        blocker.release()
        finish(*waiting)

    def test_a_stopped_engine_can_go_on(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=2, reserve=1)
        finish(rig.put(nothing))
        rig.workers.stop()
        eventually(lambda: not any(thread.is_alive() for thread in rig.threads), "every thread left")
        waiting = rig.put(nothing)
        rig.workers.reopen()
        finish(waiting, rig.put(nothing))
        meet = threading.Barrier(2)
        finish(*[rig.put(meet.wait, PATIENCE_S) for _ in range(2)])

    def test_snapshot_shows_who_runs_what(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=2)
        first = rig.block_worker()
        second = rig.block_worker()
        busy = {view.slot: view for view in rig.workers.snapshot() if view.handle is not None}
        assert len(busy) == 2
        assert {id(view.handle) for view in busy.values()} == {id(first.handle), id(second.handle)}
        for view in busy.values():
            assert view.handle is not None
            assert view.handle.worker_slot() == view.slot
            assert view.reserve is False
            assert view.native_id in {thread.native_id for thread in rig.threads} | {None}
        first.release()
        second.release()
        finish(first.handle, second.handle)
        eventually(lambda: all(view.handle is None for view in rig.workers.snapshot()), "both are idle in the snapshot")

    def test_busy_time_grows_while_a_task_runs(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        blocker = rig.block_worker()
        before = sum(view.busy_ns for view in rig.workers.snapshot())
        time.sleep(0.05)
        after = sum(view.busy_ns for view in rig.workers.snapshot())
        blocker.release()
        assert 40_000_000 <= after - before <= 2 * SECOND_NS


class RunTests(BackendSuite):
    """How a task is called."""

    def test_a_plain_task_gets_its_arguments(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        assert value_of(rig.put(echo, 1, "two")) == ((1, "two"), {})
        assert value_of(rig.put(echo, 1, ext=RigExt(kwargs={"b": 2}))) == ((1,), {"b": 2})

    def test_a_runner_is_called_in_its_place(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        seen: list[tuple[Any, ...]] = []

        def runner(handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            seen.append((handle, args, kwargs, threading.current_thread().name))
            return "from the runner"

        handle = rig.put(nothing, 1, 2, runner=runner, ext=RigExt(kwargs={"c": 3}))
        assert value_of(handle) == "from the runner"
        plain = rig.put(nothing, runner=runner)
        finish(plain)
        assert seen == [
            (handle, (1, 2), {"c": 3}, f"catzilla-rig-{rig.spawned[0]}"),
            (plain, (), {}, f"catzilla-rig-{rig.spawned[0]}"),
        ]

    def test_again_runs_the_task_again_when_due(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        attempts: list[tuple[Any, ...]] = []
        due = time.monotonic_ns() + 3600 * SECOND_NS

        def runner(handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            attempts.append((args, kwargs))
            return Again(due) if len(attempts) < 3 else "at last"

        handle = rig.put(nothing, "a", runner=runner, ext=RigExt(kwargs={"k": 1}))
        for attempt in (1, 2):
            eventually(lambda: len(attempts) == attempt and handle.state() == RETRYING, "the attempt is over")  # noqa: B023
            assert tuple(rig.queue.sizes()) == (0, 0, 1, 0)
            rig.queue.advance(due)
        assert value_of(handle) == "at last"
        assert attempts == [(("a",), {"k": 1})] * 3
        counters = rig.metrics.counters()
        assert (counters["submitted"], counters["completed"], counters["retried"]) == (1, 1, 2)

    def test_a_task_runs_in_the_context_of_its_ext(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
        context = contextvars.Context()
        context.run(variable.set, "given")
        assert value_of(rig.put(variable.get, ext=RigExt(context))) == "given"
        assert value_of(rig.put(variable.get)) == "unset"

    def test_what_a_task_sets_never_reaches_the_next(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
        finish(rig.put(variable.set, "leak"))
        assert value_of(rig.put(variable.get)) == "unset"

        def runner(handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            variable.set("leak")
            return None

        finish(rig.put(nothing, runner=runner))
        assert value_of(rig.put(variable.get)) == "unset"

        def set_and_fail() -> None:
            variable.set("leak")
            raise ValueError

        failed = rig.put(set_and_fail)
        finish(failed)
        assert isinstance(failed.error(), ValueError)
        assert value_of(rig.put(variable.get)) == "unset"

    def test_run_starts_exactly_this_one_here(self, open_rig: OpenRig) -> None:
        # Given tasks that no worker can take
        rig = open_rig()
        first, second = rig.put(thread_name), rig.put(thread_name)
        # When one is run from here
        assert rig.workers.run(second) is True
        # Then it ran on this thread, and the other is untouched
        assert second.outcome() == threading.current_thread().name
        assert first.state() == PENDING
        assert tuple(rig.queue.sizes()) == (0, 0, 1, 0)
        assert rig.metrics.counters()["completed"] == 1
        assert rig.workers.run(second) is False
        assert withdraw(first)
        assert rig.workers.run(first) is False

    def test_current_is_what_the_thread_runs(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        inner: list[Any] = []

        def run_another() -> list[Any]:
            seen = [rig.workers.current()]
            inner.append(rig.put(rig.workers.current))
            assert rig.workers.run(inner[0])
            return [*seen, rig.workers.current()]

        outer = rig.put(run_another)
        assert value_of(outer) == [outer, outer]
        assert inner[0].outcome() is inner[0]
        assert rig.workers.current() is None

    def test_a_task_that_runs_another_inside_is_outer(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)

        def look() -> list[tuple[Any, bool]]:
            return [(view.handle, view.outer) for view in rig.workers.snapshot() if view.handle is not None]

        def run_inside() -> list[tuple[Any, bool]]:
            inner = rig.put(look)
            assert rig.workers.run(inner)
            seen = inner.outcome()
            assert isinstance(seen, list)
            return [(view if view is not inner else "inner", outer) for view, outer in seen]

        outer = rig.put(run_inside)
        seen = value_of(outer)
        assert isinstance(seen, list)
        assert sorted((str(view is outer), is_outer) for view, is_outer in seen) == [("False", False), ("True", True)]

    def test_run_does_not_take_what_runs_elsewhere(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        blocker = rig.block_worker()
        assert rig.workers.run(blocker.handle) is False
        blocker.release()
        assert value_of(blocker.handle) == "released"

    def test_run_leaves_the_context_of_its_caller_alone(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
        token = variable.set("the caller's")
        handle = rig.put(variable.get)
        setter = rig.put(variable.set, "the task's")
        assert rig.workers.run(handle)
        assert rig.workers.run(setter)
        assert handle.outcome() == "unset"
        assert variable.get() == "the caller's"
        variable.reset(token)


class AbandonTests(BackendSuite):
    """In the child of a fork no thread is left: everything ends there."""

    def test_all_that_is_not_done_is_settled(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        done = rig.put(echo, "done")
        finish(done)
        blocker = rig.block_worker()
        pending = rig.put(nothing)
        later = rig.put(nothing, due_ns=time.monotonic_ns() + 3600 * SECOND_NS)
        error = TaskLostInFork("lost")
        lost = rig.engine.abandon(error)
        assert {id(handle) for handle in lost} == {id(blocker.handle), id(pending), id(later)}
        for handle in lost:
            assert handle.wait_ns(0) is True
            assert handle.error() is error
        assert value_of(done) == (("done",), {})
        assert tuple(rig.queue.sizes()) == (0, 0, 0, 0)
        blocker.release()


class WorkersTests(SlotTests, RunTests, OrderTests, WakeTests, ReserveTests, LossTests, AbandonTests):
    """Everything that workers must do."""
