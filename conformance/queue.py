"""The queue: four bounded lanes, batches, delays and pauses. Room and retries, and the native submitter, have
files of their own; QueueTests is all of them."""

from __future__ import annotations

import time
from collections.abc import Callable

from catzilla.interface import CANCELLED, DELAYED, PENDING

from .rig import CRITICAL, HIGH, LOW, NORMAL, SECOND_NS, Rig, RigExt, RigPlan, eventually, finish, value_of, withdraw
from .room import PromiseTests, RetryTests, RoomTests
from .submitter import SubmitterTests
from .suite import BackendSuite

OpenRig = Callable[..., Rig]


def nothing() -> None: ...


def echo(value: object) -> object:
    return value


def in_an_hour_ns() -> int:
    return time.monotonic_ns() + 3600 * SECOND_NS


class LaneTests(BackendSuite):
    """Lanes and their bound."""

    def test_a_task_put_is_pending_and_counted_in_its_lane(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        handles = [rig.put(nothing, lane=lane) for lane in (CRITICAL, HIGH, NORMAL, LOW, LOW)]
        assert [handle.state() for handle in handles] == [PENDING] * 5
        assert tuple(rig.queue.sizes()) == (1, 1, 1, 2)
        assert rig.queue.ready() == 5

    def test_a_full_lane_refuses_and_changes_nothing(self, open_rig: OpenRig) -> None:
        rig = open_rig(queue_size=2)
        rig.put(nothing)
        rig.put(nothing)
        submitted = rig.metrics.counters()["submitted"]
        assert rig.queue.put(RigPlan(nothing), (), None) is None
        assert tuple(rig.queue.sizes()) == (0, 0, 2, 0)
        assert rig.metrics.counters()["submitted"] == submitted
        assert len(rig.queue.pending()) == 2

    def test_each_lane_has_its_own_bound(self, open_rig: OpenRig) -> None:
        rig = open_rig(queue_size=1)
        for lane in (CRITICAL, HIGH, NORMAL, LOW):
            rig.put(nothing, lane=lane)
        assert tuple(rig.queue.sizes()) == (1, 1, 1, 1)

    def test_force_ignores_the_bound(self, open_rig: OpenRig) -> None:
        rig = open_rig(queue_size=1)
        rig.put(nothing)
        assert rig.put(nothing, force=True).state() == PENDING
        assert tuple(rig.queue.sizes()) == (0, 0, 2, 0)

    def test_a_task_that_starts_frees_its_slot(self, open_rig: OpenRig) -> None:
        # Given a lane of one slot and one worker that runs a task
        rig = open_rig(queue_size=1, workers=1)
        blocker = rig.block_worker()
        # Then the lane has room for one more, and for no second
        assert tuple(rig.queue.sizes()) == (0, 0, 0, 0)
        waiting = rig.put(nothing)
        assert rig.queue.put(RigPlan(nothing), (), None) is None
        blocker.release()
        finish(waiting)

    def test_pending_lists_what_has_not_started(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        ready = rig.put(nothing)
        later = rig.put(nothing, due_ns=in_an_hour_ns())
        gone = rig.put(nothing)
        withdraw(gone)
        pending = rig.queue.pending()
        assert len(pending) == 2
        assert {id(handle) for handle in pending} == {id(ready), id(later)}

    def test_oldest_ready_is_the_head_of_each_lane(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        assert tuple(rig.queue.oldest_ready_ns()) == (None, None, None, None)
        before = time.monotonic_ns()
        first = rig.put(nothing, lane=HIGH)
        between = time.monotonic_ns()
        rig.put(nothing, lane=HIGH)
        since = rig.queue.oldest_ready_ns()
        assert since[CRITICAL] is None
        assert since[NORMAL] is None
        assert since[LOW] is None
        assert since[HIGH] is not None
        assert before <= since[HIGH] <= between
        assert withdraw(first)
        since = rig.queue.oldest_ready_ns()
        assert since[HIGH] is not None
        assert since[HIGH] >= between


class BatchTests(BackendSuite):
    """Many at once: all or nothing."""

    def test_put_many_accepts_every_row_in_order(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        before = rig.put(nothing)
        batch = rig.queue.put_many(RigPlan(echo), [(n,) for n in range(100)])
        after = rig.put(nothing)
        assert batch is not None
        assert len(batch) == 100
        assert tuple(rig.queue.sizes()) == (0, 0, 102, 0)
        rig.workers.resize(1)
        assert [value_of(handle) for handle in batch] == list(range(100))
        assert value_of(batch[99]) == 99
        finish(before, after)

    def test_put_many_that_does_not_fit_queues_nothing(self, open_rig: OpenRig) -> None:
        rig = open_rig(queue_size=10)
        rig.put(nothing)
        assert rig.queue.put_many(RigPlan(echo), [(n,) for n in range(10)]) is None
        assert tuple(rig.queue.sizes()) == (0, 0, 1, 0)
        assert rig.metrics.counters()["submitted"] == 1

    def test_put_many_that_just_fits_is_taken(self, open_rig: OpenRig) -> None:
        rig = open_rig(queue_size=10)
        assert rig.queue.put_many(RigPlan(echo), [(n,) for n in range(10)]) is not None
        assert rig.queue.put(RigPlan(nothing), (), None) is None

    def test_put_many_of_nothing(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        batch = rig.queue.put_many(RigPlan(echo), [])
        assert batch is not None
        assert len(batch) == 0
        assert tuple(rig.queue.sizes()) == (0, 0, 0, 0)

    def test_each_row_may_have_an_ext(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        settled: list[object] = []
        exts = [RigExt(on_settled=settled.append), None]
        batch = rig.queue.put_many(RigPlan(echo), [(1,), (2,)], exts)
        assert batch is not None
        assert [value_of(handle) for handle in batch] == [1, 2]
        eventually(lambda: len(settled) == 1, "on_settled of the row that has one")
        assert settled[0] is batch[0]


class DelayTests(BackendSuite):
    """Tasks that are not due yet. ``advance`` is told the time, so no test waits for it."""

    def test_a_delayed_task_counts_in_its_lane_and_is_not_ready(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        due = in_an_hour_ns()
        later = rig.put(nothing, due_ns=due)
        assert later.state() == DELAYED
        assert tuple(rig.queue.sizes()) == (0, 0, 1, 0)
        assert rig.queue.ready() == 0
        assert rig.queue.oldest_ready_ns()[NORMAL] is None
        assert rig.queue.advance(due - 1) == due
        assert later.state() == DELAYED

    def test_a_delayed_task_holds_a_slot_of_its_lane(self, open_rig: OpenRig) -> None:
        rig = open_rig(queue_size=1)
        rig.put(nothing, due_ns=in_an_hour_ns())
        assert rig.queue.put(RigPlan(nothing), (), None) is None

    def test_what_is_due_becomes_ready_and_runs(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        due = time.monotonic_ns() + 30_000_000
        later = rig.put(echo, "late", due_ns=due)
        time.sleep(0.035)
        assert rig.queue.advance(time.monotonic_ns()) is None
        assert later.state() == PENDING
        assert rig.queue.ready() == 1
        assert tuple(rig.queue.sizes()) == (0, 0, 1, 0)
        rig.workers.resize(1)
        assert value_of(later) == "late"

    def test_advance_takes_what_is_due_in_order_of_time(self, open_rig: OpenRig) -> None:
        # Given tasks put in another order than they fall due, two of them at the same time
        rig = open_rig()
        started: list[str] = []
        base = in_an_hour_ns()
        rig.put(started.append, "third", due_ns=base + 30)
        rig.put(started.append, "first", due_ns=base + 10)
        rig.put(started.append, "second", due_ns=base + 20)
        rig.put(started.append, "fourth", due_ns=base + 30)
        # When time passes
        assert rig.queue.advance(base) == base + 10
        assert rig.queue.advance(base + 20) == base + 30
        assert rig.queue.ready() == 2
        assert rig.queue.advance(base + 30) is None
        # Then they start as they fell due, and ties as they were put
        rig.workers.resize(1)
        eventually(lambda: len(started) == 4, "all four started")
        assert started == ["first", "second", "third", "fourth"]

    def test_an_earlier_due_time_wakes_the_supervisor(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        due = in_an_hour_ns()
        rig.put(nothing, due_ns=due)
        wakes = rig.wakes
        rig.put(nothing, due_ns=due - SECOND_NS)
        assert rig.wakes > wakes
        assert rig.queue.advance(due - 2 * SECOND_NS) == due - SECOND_NS

    def test_a_cancelled_delay_is_forgotten(self, open_rig: OpenRig) -> None:
        rig = open_rig(queue_size=1)
        due = in_an_hour_ns()
        later = rig.put(nothing, due_ns=due)
        assert withdraw(later)
        assert later.state() == CANCELLED
        assert tuple(rig.queue.sizes()) == (0, 0, 0, 0)
        rig.put(nothing)  # its slot is free again
        rig.queue.advance(due)
        assert tuple(rig.queue.sizes()) == (0, 0, 1, 0)
        assert rig.queue.advance(due) is None


class PauseTests(BackendSuite):
    """Lanes that start nothing, and queues that take nothing."""

    def test_a_paused_lane_starts_nothing_and_others_go_on(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        rig.queue.pause(frozenset((NORMAL,)))
        held = rig.put(echo, "held")
        assert rig.queue.ready() == 0
        assert value_of(rig.put(echo, "free", lane=LOW)) == "free"
        assert held.state() == PENDING
        rig.queue.pause(frozenset())
        assert value_of(held) == "held"

    def test_pause_replaces_the_set_of_lanes(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        rig.queue.pause(frozenset((NORMAL, LOW)))
        normal, low = rig.put(nothing), rig.put(nothing, lane=LOW)
        rig.queue.pause(frozenset((LOW,)))
        finish(normal)
        assert low.state() == PENDING
        rig.queue.pause(frozenset())
        finish(low)

    def test_a_paused_task_can_be_cancelled(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        rig.hold()
        handle = rig.put(nothing)
        assert withdraw(handle)
        assert tuple(rig.queue.sizes()) == (0, 0, 0, 0)

    def test_close_leaves_what_is_queued_alone(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        queued = rig.put(echo, "in time")
        rig.queue.close()
        forced = rig.put(echo, "policy may")
        rig.workers.resize(1)
        assert value_of(queued) == "in time"
        assert value_of(forced) == "policy may"


class QueueTests(LaneTests, BatchTests, DelayTests, PauseTests, RoomTests, RetryTests, PromiseTests, SubmitterTests):
    """Everything that a queue must do."""
