"""add_tasks: many rows of one function, all or nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import BatchResult, QueueFull, TaskPriority, TaskResult, TaskStatus
from catzilla.conformance.rig import PATIENCE_S

OpenSystem = Callable[..., TaskSystem]


def divide(a: int, b: int = 1) -> float:
    return a / b


def test_it_is_a_sequence_of_results(system: TaskSystem) -> None:
    batch = system.add_tasks(divide, [(n,) for n in range(10)])
    assert isinstance(batch, BatchResult)
    assert len(batch) == 10
    assert all(isinstance(result, TaskResult) for result in batch)
    assert batch[3].wait(PATIENCE_S) == 3.0
    assert batch[-1].wait(PATIENCE_S) == 9.0
    assert batch[2:4].wait(PATIENCE_S) == [2.0, 3.0]
    with pytest.raises(IndexError):
        batch[10]


def test_wait_gives_the_values_in_order(system: TaskSystem) -> None:
    def later_first(n: int) -> int:
        time.sleep(0.01 * (5 - n))
        return n

    assert system.add_tasks(later_first, [(n,) for n in range(5)]).wait(PATIENCE_S) == [0, 1, 2, 3, 4]


def test_an_empty_batch(system: TaskSystem) -> None:
    batch = system.add_tasks(divide, [])
    assert len(batch) == 0
    assert batch.wait(0) == []
    assert batch.exceptions(0) == []


def test_rows_may_come_from_a_generator(system: TaskSystem) -> None:
    def rows() -> Iterator[tuple[int, int]]:
        for n in range(100):
            yield n, 2

    assert sum(system.add_tasks(divide, rows()).wait(PATIENCE_S)) == 99 * 100 / 4


def test_a_failed_row_is_raised_and_the_others_have_their_values(system: TaskSystem) -> None:
    batch = system.add_tasks(divide, [(1, 1), (1, 0), (4, 2)])
    with pytest.raises(ZeroDivisionError):
        batch.wait(PATIENCE_S)
    first, second, third = batch.exceptions(PATIENCE_S)
    assert first is None
    assert isinstance(second, ZeroDivisionError)
    assert third is None
    assert batch[2].wait(0) == 2.0


def test_a_timeout_of_a_wrong_type_is_an_error(system: TaskSystem) -> None:
    timeout: Any = "1"
    batch = system.add_tasks(int, [("1",)])
    for call in (batch.wait, batch.exceptions):
        with pytest.raises(TypeError, match="timeout must be seconds"):
            call(timeout)
    assert batch.wait(PATIENCE_S) == [1]


def test_wait_runs_out_for_the_batch_as_a_whole(system: TaskSystem) -> None:
    gate = threading.Event()
    batch = system.add_tasks(gate.wait, [(PATIENCE_S,)] * 4)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        batch.wait(0.05)
    assert time.monotonic() - started < 5
    gate.set()
    assert batch.wait(PATIENCE_S) == [True] * 4


def test_cancel_takes_what_has_not_started(system: TaskSystem) -> None:
    system.pause(TaskPriority.NORMAL)
    batch = system.add_tasks(divide, [(n,) for n in range(5)])
    batch.cancel()
    assert {result.status for result in batch} == {TaskStatus.CANCELLED}
    system.resume(TaskPriority.NORMAL)
    assert system.stats().cancelled == 5


@pytest.mark.parametrize("rows", [[(1, 2, 3)], [(1,), ()], [(1,), 2], [(1,), [2]], ["ab"]])
def test_a_bad_row_is_an_error_and_nothing_is_queued(system: TaskSystem, rows: Any) -> None:
    with pytest.raises(TypeError):
        system.add_tasks(divide, rows)
    assert system.stats().submitted == 0


def test_a_batch_that_is_too_big_queues_nothing(open_system: OpenSystem) -> None:
    system = open_system(queue_size=10)
    system.pause(*TaskPriority)
    system.add_task(divide, 1)
    with pytest.raises(QueueFull):
        system.add_tasks(divide, [(n,) for n in range(10)])
    stats = system.stats()
    assert (stats.total_queued, stats.submitted, stats.rejected) == (1, 1, 10)
    assert len(system.add_tasks(divide, [(n,) for n in range(9)])) == 9


def test_block_feeds_a_big_batch_in_chunks(open_system: OpenSystem) -> None:
    system = open_system(queue_size=10, on_full="block")
    assert system.add_tasks(divide, [(n,) for n in range(200)]).wait(PATIENCE_S) == [float(n) for n in range(200)]


def test_options_apply_to_every_row(system: TaskSystem) -> None:
    system.pause(TaskPriority.LOW)
    batch = system.add_tasks(divide, [(n,) for n in range(5)], priority=TaskPriority.LOW)
    assert system.stats().low_queue_size == 5
    system.resume(TaskPriority.LOW)
    assert len(batch.wait(PATIENCE_S)) == 5
    with pytest.raises(TypeError, match="no_such_option"):
        system.add_tasks(divide, [(1,)], no_such_option=1)
