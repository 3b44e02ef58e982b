"""Threads that are asleep: who is woken for what, and what the reserve is kept for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from catzilla.interface import RUNNING

from .rig import (
    CRITICAL,
    HIGH,
    PATIENCE_S,
    SECOND_NS,
    Rig,
    RigPlan,
    eventually,
    finish,
    value_of,
    withdraw,
)
from .suite import BackendSuite

OpenRig = Callable[..., Rig]


def nothing() -> None: ...


def echo(*args: object, **kwargs: object) -> object:
    return args, kwargs


def thread_name() -> str:
    return threading.current_thread().name


class WakeTests(BackendSuite):
    """An idle worker hears of every task."""

    def test_one_task_after_another(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=2)
        for n in range(3_000):
            assert value_of(rig.put(echo, n)) == ((n,), {})

    def test_bursts_after_idleness(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=4)
        for burst in range(300):
            meet = threading.Barrier(burst % 4 + 1)
            handles = [rig.put(meet.wait, PATIENCE_S) for _ in range(meet.parties)]
            finish(*handles)
            assert sorted(handle.outcome() for handle in handles) == list(range(meet.parties))  # type: ignore[type-var]

    def test_a_batch_wakes_as_many_as_it_needs(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=3)
        for _ in range(100):
            meet = threading.Barrier(3)
            batch = rig.queue.put_many(RigPlan(meet.wait), [(PATIENCE_S,)] * 3)
            assert batch is not None
            finish(*batch)

    def test_what_falls_due_wakes_a_worker(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        for _ in range(300):
            due = time.monotonic_ns() + 3600 * SECOND_NS
            handle = rig.put(nothing, due_ns=due)
            rig.queue.advance(due)
            finish(handle)

    def test_no_head_of_line_trap(self, open_rig: OpenRig) -> None:
        # Given two workers and a task that takes one of them for long
        rig = open_rig(workers=2)
        rig.hold()
        long = threading.Event()
        sleeper = rig.put(long.wait, PATIENCE_S)
        others = [rig.put(nothing) for _ in range(1_000)]
        rig.release()
        # Then no task waits behind it: all thousand end while it runs
        finish(*others)
        assert sleeper.state() == RUNNING
        long.set()
        finish(sleeper)


class ReserveTests(BackendSuite):
    """Slots that are kept for CRITICAL."""

    def test_critical_starts_though_every_worker_is_busy(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=2, reserve=1)
        blockers = [rig.block_worker(), rig.block_worker()]
        high = rig.put(nothing, lane=HIGH)
        assert value_of(rig.put(thread_name, lane=CRITICAL))
        assert high.wait_ns(20_000_000) is False, "a reserve takes CRITICAL only"
        for blocker in blockers:
            blocker.release()
        finish(high)

    def test_two_blocking_ones_and_a_third(self, open_rig: OpenRig) -> None:
        # Given a reserve of two, and every worker busy
        rig = open_rig(workers=1, reserve=2)
        blocker = rig.block_worker()
        critical = [rig.block_worker(lane=CRITICAL), rig.block_worker(lane=CRITICAL)]
        # When a third comes, it waits: the reserve is used up
        third = rig.put(nothing, lane=CRITICAL)
        assert third.wait_ns(20_000_000) is False
        assert sum(view.reserve and view.handle is not None for view in rig.workers.snapshot()) == 2
        # And starts as soon as one is free
        critical[0].release()
        finish(third)
        critical[1].release()
        blocker.release()

    def test_waiting_critical_tasks_are_told_and_taken_back(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        blocker = rig.block_worker()
        first, second = rig.put(nothing, lane=CRITICAL), rig.put(nothing, lane=CRITICAL)
        assert rig.critical >= 1
        assert withdraw(second)
        blocker.release()
        finish(first)
        eventually(lambda: rig.critical == 0, "nobody waits any more")
        assert rig.lowest_critical >= 0
        rig.put(nothing, lane=CRITICAL)
        eventually(lambda: rig.critical == 0, "nobody waits any more")
