"""Threads that are stuck in a task whose time is over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from catzilla.errors import TaskTimeout
from catzilla.interface import CONDEMNED, TIMED_OUT

from .rig import (
    PATIENCE_S,
    Rig,
    finish,
    value_of,
)
from .suite import BackendSuite

OpenRig = Callable[..., Rig]


def nothing() -> None: ...


def echo(*args: object, **kwargs: object) -> object:
    return args, kwargs


def thread_name() -> str:
    return threading.current_thread().name


class LossTests(BackendSuite):
    """Threads that are stuck in a task whose time is over."""

    def test_a_lost_slot_gets_a_fresh_thread(self, open_rig: OpenRig) -> None:
        # Given the only worker, stuck in a task, and work behind it
        rig = open_rig(workers=1)
        blocker = rig.block_worker()
        handle = blocker.handle
        slot = handle.worker_slot()
        assert slot is not None
        behind = [rig.put(thread_name) for _ in range(100)]
        # When its task is timed out and the slot given up
        assert handle.settle(TIMED_OUT, TaskTimeout("stuck"))
        rig.workers.lose(slot)
        # Then a fresh thread takes all that waits
        finish(*behind)
        assert rig.threads[0].is_alive()
        # And the stuck one leaves when the call returns, without another task
        rig.hold()
        after = [rig.put(threading.current_thread) for _ in range(10)]
        blocker.release()
        rig.threads[0].join(PATIENCE_S)
        assert not rig.threads[0].is_alive()
        rig.release()
        assert all(value_of(task) is not rig.threads[0] for task in after)
        assert handle.state() == TIMED_OUT
        assert rig.metrics.counters()["timed_out"] == 1

    def test_a_runner_that_was_condemned_leaves(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        running, gate = threading.Event(), threading.Event()

        def runner(handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            running.set()
            assert gate.wait(PATIENCE_S)
            return CONDEMNED

        handle = rig.put(nothing, runner=runner)
        assert running.wait(PATIENCE_S)
        slot = handle.worker_slot()
        assert slot is not None
        assert handle.settle(TIMED_OUT, TaskTimeout("stuck"))
        rig.workers.lose(slot)
        assert value_of(rig.put(threading.current_thread)) is not rig.threads[0]
        gate.set()
        rig.threads[0].join(PATIENCE_S)
        assert not rig.threads[0].is_alive()
        assert handle.state() == TIMED_OUT

    def test_losing_slots_over_and_over_keeps_the_count(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=2)
        for _ in range(20):
            blocker = rig.block_worker()
            slot = blocker.handle.worker_slot()
            assert slot is not None
            assert blocker.handle.settle(TIMED_OUT, TaskTimeout("stuck"))
            rig.workers.lose(slot)
            meet = threading.Barrier(2)
            finish(*[rig.put(meet.wait, PATIENCE_S) for _ in range(2)])
        assert sum(not view.reserve for view in rig.workers.snapshot()) <= 2
