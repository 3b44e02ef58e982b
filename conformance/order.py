"""Which task is next. One worker, so that the order of start is the order that is seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from catzilla.interface import SHARE

from .rig import (
    CRITICAL,
    HIGH,
    LOW,
    NORMAL,
    Rig,
    finish,
    withdraw,
)
from .suite import BackendSuite

OpenRig = Callable[..., Rig]


def nothing() -> None: ...


def echo(*args: object, **kwargs: object) -> object:
    return args, kwargs


def thread_name() -> str:
    return threading.current_thread().name


class OrderTests(BackendSuite):
    """Which task is next: one worker, so that the order of start is the order that is seen."""

    def test_fifo_within_a_lane(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        started: list[int] = []
        rig.hold()
        handles = [rig.put(started.append, n) for n in range(2_000)]
        withdraw(handles[7])
        rig.release()
        finish(*handles)
        assert started == [n for n in range(2_000) if n != 7]

    def test_fifo_while_tasks_are_put(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        started: list[int] = []
        handles = [rig.put(started.append, n) for n in range(5_000)]
        finish(*handles)
        assert started == list(range(5_000))

    def test_higher_lanes_go_first(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        started: list[int] = []
        rig.hold()
        handles = [rig.put(started.append, lane, lane=lane) for lane in (LOW, NORMAL, HIGH, CRITICAL) * 1]
        rig.release()
        finish(*handles)
        assert started == [CRITICAL, HIGH, NORMAL, LOW]

    def test_a_higher_lane_overtakes_between_tasks(self, open_rig: OpenRig) -> None:
        # Given a worker that has a backlog to go through
        rig = open_rig(workers=1)
        started: list[str] = []
        blocker = rig.block_worker()
        low = [rig.put(started.append, "low", lane=LOW) for _ in range(100)]
        # When a HIGH task comes while one of the backlog runs
        high = rig.put(started.append, "high", lane=HIGH)
        blocker.release()
        finish(high, *low)
        # Then it is next
        assert started[0] == "high"

    def test_critical_goes_first_without_bound(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        started: list[int] = []
        rig.hold()
        overdue = rig.put(started.append, HIGH, lane=HIGH)
        time.sleep(0.03)  # three times the target of HIGH
        handles = [rig.put(started.append, CRITICAL, lane=CRITICAL) for _ in range(200)]
        rig.release()
        finish(overdue, *handles)
        assert started == [CRITICAL] * 200 + [HIGH]

    def test_an_overdue_lower_lane_gets_its_share(self, open_rig: OpenRig) -> None:
        # Given NORMAL tasks that are overdue (100 ms) and HIGH ones without end
        rig = open_rig(workers=1)
        started: list[int] = []
        rig.hold()
        normal = [rig.put(started.append, NORMAL, lane=NORMAL) for _ in range(10)]
        time.sleep(0.15)
        high = [rig.put(started.append, HIGH, lane=HIGH) for _ in range(500)]
        rig.release()
        finish(*normal, *high)
        # Then one pick in eight is theirs
        assert started[:SHARE].count(NORMAL) >= 1
        assert started[: SHARE * 10].count(NORMAL) == 10
        assert started[:SHARE].count(HIGH) >= SHARE // 2, "a share, not a turn-over"

    def test_low_is_not_starved(self, open_rig: OpenRig) -> None:
        # Given LOW tasks that are overdue (1 s) under HIGH and NORMAL backlogs
        rig = open_rig(workers=1)
        started: list[int] = []
        rig.hold()
        low = [rig.put(started.append, LOW, lane=LOW) for _ in range(5)]
        time.sleep(1.05)
        high = [rig.put(started.append, HIGH, lane=HIGH) for _ in range(500)]
        rig.release()
        finish(*low, *high)
        assert started[:SHARE].count(LOW) >= 1
        assert started[: SHARE * 5].count(LOW) == 5

    def test_the_longest_overdue_goes_first(self, open_rig: OpenRig) -> None:
        # Given LOW overdue by 100 ms at most, NORMAL overdue by far
        rig = open_rig(workers=1)
        started: list[int] = []
        rig.hold()
        low = rig.put(started.append, LOW, lane=LOW)
        normal = rig.put(started.append, NORMAL, lane=NORMAL)
        time.sleep(1.05)
        high = [rig.put(started.append, HIGH, lane=HIGH) for _ in range(100)]
        rig.release()
        finish(low, normal, *high)
        assert started.index(NORMAL) < started.index(LOW) < 2 * SHARE

    def test_what_is_not_overdue_waits(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        started: list[int] = []
        rig.hold()
        handles = [rig.put(started.append, LOW, lane=LOW) for _ in range(5)]
        handles += [rig.put(started.append, HIGH, lane=HIGH) for _ in range(100)]
        rig.release()
        finish(*handles)
        assert started == [HIGH] * 100 + [LOW] * 5
