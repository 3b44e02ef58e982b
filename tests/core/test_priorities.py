"""Which task is next, and how soon a CRITICAL one starts. The order itself is in the conformance suite."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskPriority, TaskStatus
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


def test_the_four_levels() -> None:
    assert [(priority.name, priority.value) for priority in TaskPriority] == [
        ("CRITICAL", 0),
        ("HIGH", 1),
        ("NORMAL", 2),
        ("LOW", 3),
    ]


def test_a_number_is_a_priority_too(system: TaskSystem) -> None:
    system.pause(*TaskPriority)
    system.add_task(int, priority=3)
    assert system.stats().low_queue_size == 1


@pytest.mark.parametrize("priority", [4, -1, "HIGH", 1.0, True, None])
def test_what_is_no_priority_is_an_error(system: TaskSystem, priority: object) -> None:
    with pytest.raises((TypeError, ValueError), match="priority"):
        system.add_task(int, priority=priority)
    assert system.stats().submitted == 0


def test_two_blocking_critical_tasks_and_a_third(open_system: OpenSystem) -> None:
    # Given every worker busy, and two CRITICAL tasks that block
    system = open_system(workers=2)
    gate = threading.Event()
    busy = [system.add_task(gate.wait, PATIENCE_S) for _ in range(2)]
    eventually(lambda: all(task.status is TaskStatus.RUNNING for task in busy), "the workers are busy")
    blocking = [system.add_task(gate.wait, PATIENCE_S, priority=TaskPriority.CRITICAL) for _ in range(2)]
    # Then a third one runs while all of them block
    assert system.add_task(int, "3", priority=TaskPriority.CRITICAL).wait(PATIENCE_S) == 3
    assert not any(task.done() for task in (*busy, *blocking))
    # And the reserve that took them is no part of the workers
    stats = system.stats()
    assert stats.total_workers == 2
    assert stats.reserve_workers >= 2
    gate.set()


def test_beyond_the_reserve_critical_queues(open_system: OpenSystem) -> None:
    system = open_system(workers=1, critical_reserve=1)
    gate = threading.Event()
    blocking = [system.add_task(gate.wait, PATIENCE_S, priority=TaskPriority.CRITICAL) for _ in range(2)]
    eventually(lambda: all(task.status is TaskStatus.RUNNING for task in blocking), "worker and reserve are busy")
    third = system.add_task(int, priority=TaskPriority.CRITICAL)
    with pytest.raises(TimeoutError):
        third.wait(0.05)
    gate.set()
    assert third.wait(PATIENCE_S) == 0


def test_the_reserve_leaves_other_lanes_alone(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    gate = threading.Event()
    busy = system.add_task(gate.wait, PATIENCE_S)
    eventually(lambda: busy.status is TaskStatus.RUNNING, "the worker is busy")
    high = system.add_task(int, priority=TaskPriority.HIGH)
    system.add_task(int, priority=TaskPriority.CRITICAL).wait(PATIENCE_S)
    assert high.status is TaskStatus.PENDING
    gate.set()
    assert high.wait(PATIENCE_S) == 0


def test_the_switch_interval_is_lowered_while_critical_waits_and_restored(open_system: OpenSystem) -> None:
    # Given a CRITICAL task that cannot start
    system = open_system(workers=1)
    before = sys.getswitchinterval()
    system.pause(*TaskPriority)
    waiting = [system.add_task(int, priority=TaskPriority.CRITICAL) for _ in range(3)]
    assert sys.getswitchinterval() < 0.001
    # When each has started or was cancelled
    waiting[0].cancel()
    system.resume(*TaskPriority)
    for task in waiting[1:]:
        task.wait(PATIENCE_S)
    # Then it is as before
    eventually(lambda: sys.getswitchinterval() == pytest.approx(before), "the interval is restored")


def test_a_shutdown_restores_the_switch_interval(open_system: OpenSystem) -> None:
    before = sys.getswitchinterval()
    system = open_system(workers=1)
    system.add_task(int).wait(PATIENCE_S)
    system.pause(*TaskPriority)
    system.add_task(int, priority=TaskPriority.CRITICAL)
    system.shutdown(timeout=0.1, cancel_pending=True)
    assert sys.getswitchinterval() == pytest.approx(before)


def test_somebody_elses_switch_interval_is_left_alone(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    before = sys.getswitchinterval()
    system.pause(*TaskPriority)
    task = system.add_task(int, priority=TaskPriority.CRITICAL)
    sys.setswitchinterval(0.002)
    try:
        system.resume(*TaskPriority)
        task.wait(PATIENCE_S)
        time.sleep(0.02)
        assert sys.getswitchinterval() == pytest.approx(0.002)
    finally:
        sys.setswitchinterval(before)


def test_pausing_all_and_some_lanes(system: TaskSystem) -> None:
    system.pause()
    tasks = {priority: system.add_task(int, priority=priority) for priority in TaskPriority}
    time.sleep(0.02)
    assert {task.status for task in tasks.values()} == {TaskStatus.PENDING}
    system.resume(TaskPriority.HIGH)
    assert tasks[TaskPriority.HIGH].wait(PATIENCE_S) == 0
    assert tasks[TaskPriority.CRITICAL].status is TaskStatus.PENDING
    system.resume()
    for task in tasks.values():
        assert task.wait(PATIENCE_S) == 0
