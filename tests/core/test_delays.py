"""delay_ms: not before its time, and soon after."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import QueueFull, TaskPriority, TaskStatus
from catzilla.conformance.rig import PATIENCE_S

OpenSystem = Callable[..., TaskSystem]


def test_it_starts_at_its_time_and_not_before(open_system: OpenSystem) -> None:
    # Given one worker: two could take what is due in turn, and the second be first to look at the time
    system = open_system(workers=1)
    submitted = time.monotonic()
    results = [system.add_task(time.monotonic, delay_ms=delay_ms) for delay_ms in (600, 400, 500)]
    assert {result.status for result in results} == {TaskStatus.DELAYED}
    after = [result.wait(PATIENCE_S) - submitted for result in results]
    assert all(waited >= due for waited, due in zip(after, (0.6, 0.4, 0.5), strict=True))
    assert after[1] < after[2] < after[0]


def test_no_delay_is_no_delay(system: TaskSystem) -> None:
    assert system.add_task(int, delay_ms=0).wait(PATIENCE_S) == 0


def test_an_earlier_one_that_comes_later_is_not_held_up(system: TaskSystem) -> None:
    far = system.add_task(int, delay_ms=3_600_000)
    assert system.add_task(int, "1", delay_ms=20).wait(PATIENCE_S) == 1
    assert far.status is TaskStatus.DELAYED
    assert far.cancel()


def test_a_delayed_task_holds_a_slot_from_its_acceptance(open_system: OpenSystem) -> None:
    system = open_system(queue_size=1)
    later = system.add_task(int, delay_ms=3_600_000)
    with pytest.raises(QueueFull):
        system.add_task(int)
    assert later.cancel()
    assert system.add_task(int).wait(PATIENCE_S) == 0


def test_its_wait_in_the_queue_starts_when_it_is_due(open_system: OpenSystem) -> None:
    system = open_system(enable_profiling="full")
    system.add_task(int, delay_ms=1_000).wait(PATIENCE_S)
    wait_ms = system.stats().p99_queue_wait_ms
    assert wait_ms is not None
    assert wait_ms < 950


def test_a_thousand_delays(system: TaskSystem) -> None:
    due: list[float] = []

    def note(at: float) -> None:
        due.append(time.monotonic() - at)

    start = time.monotonic()
    results = [
        system.add_task(note, start + (n % 50) / 1_000, delay_ms=n % 50, priority=TaskPriority(n % 4))
        for n in range(1_000)
    ]
    for result in results:
        result.wait(PATIENCE_S)
    assert len(due) == 1_000
    assert min(due) >= 0


def test_waiting_for_a_delayed_task_inside_a_task(open_system: OpenSystem) -> None:
    system = open_system(workers=1)

    def outer() -> int:
        return system.add_task(int, "7", delay_ms=30).wait()

    assert system.add_task(outer).wait(PATIENCE_S) == 7


def test_delays_of_a_batch(system: TaskSystem) -> None:
    submitted = time.monotonic()
    batch = system.add_tasks(time.monotonic, [()] * 5, delay_ms=400)
    assert {result.status for result in batch} == {TaskStatus.DELAYED}
    assert min(batch.wait(PATIENCE_S)) - submitted >= 0.4
