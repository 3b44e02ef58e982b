"""memory_pool_mb: what is charged, what is refused, what is given back."""

from __future__ import annotations

import array
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import MemoryPoolFull, QueueFull, TaskDropped, TaskPriority
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]

MB = 2**20


def held_bytes(system: TaskSystem) -> int:
    held: int = system.engine.allocator.stats()["charged_bytes"]
    return held


def test_a_task_that_does_not_fit_is_refused(open_system: OpenSystem) -> None:
    system = open_system(memory_pool_mb=10)
    system.pause()
    kept = [system.add_task(len, bytes(3 * MB)) for _ in range(3)]
    with pytest.raises(MemoryPoolFull, match="memory_pool_mb=10"):
        system.add_task(len, bytes(3 * MB))
    assert issubclass(MemoryPoolFull, QueueFull)
    stats = system.stats()
    assert (stats.submitted, stats.rejected, stats.total_queued) == (3, 1, 3)
    # And one that fits is taken
    small = system.add_task(int, "1")
    system.resume()
    assert small.wait(PATIENCE_S) == 1
    assert [task.wait(PATIENCE_S) for task in kept] == [3 * MB] * 3


@pytest.mark.parametrize(
    "argument",
    ["x" * MB, bytes(MB), bytearray(MB), memoryview(bytes(MB)), array.array("b", bytes(MB))],
    ids=lambda argument: type(argument).__name__,
)
def test_what_is_counted(open_system: OpenSystem, argument: Any) -> None:
    system = open_system(memory_pool_mb=100)
    system.pause()
    before = held_bytes(system)
    task = system.add_task(len, argument)
    assert MB <= held_bytes(system) - before <= MB + 2_000
    keyword: Any = system.add_task(dict, argument=argument)
    assert 2 * MB <= held_bytes(system) - before <= 2 * MB + 4_000
    assert task.cancel()
    assert keyword.cancel()
    assert held_bytes(system) - before <= 1_000, "arguments are given back at once, cells when their lane drops them"
    del task, keyword
    system.resume()
    system.add_task(int).wait(PATIENCE_S)
    eventually(lambda: gc.collect() >= 0 and held_bytes(system) == before, "the cells are given back")


def test_arguments_are_given_back_and_results_are_charged(open_system: OpenSystem) -> None:
    system = open_system(memory_pool_mb=100)
    before = held_bytes(system)
    result = system.add_task(bytes, 4 * MB)
    assert len(result.wait(PATIENCE_S)) == 4 * MB
    eventually(lambda: held_bytes(system) - before >= 4 * MB, "the result is charged")
    other = system.add_task(len, bytes(20 * MB))
    other.wait(PATIENCE_S)
    eventually(lambda: held_bytes(system) - before < 5 * MB, "the argument is given back")
    del result, other
    system.add_task(int).wait(PATIENCE_S)
    eventually(lambda: gc.collect() >= 0 and held_bytes(system) - before < 10_000, "the result is given back")


def test_a_result_is_never_refused(open_system: OpenSystem) -> None:
    system = open_system(memory_pool_mb=1)
    result = system.add_task(bytes, 10 * MB)
    assert len(result.wait(PATIENCE_S)) == 10 * MB
    eventually(lambda: held_bytes(system) > MB, "it is charged all the same")
    with pytest.raises(MemoryPoolFull):
        system.add_task(int)
    del result
    eventually(lambda: gc.collect() >= 0 and held_bytes(system) < MB, "it is given back")
    assert system.add_task(int, "1").wait(PATIENCE_S) == 1


def test_block_waits_for_memory(open_system: OpenSystem) -> None:
    system = open_system(workers=1, memory_pool_mb=10, on_full="block")
    gate = threading.Event()

    def work(data: bytes) -> int:
        gate.wait(PATIENCE_S)
        return len(data)

    sizes: list[int] = []

    def submit() -> None:
        sizes.append(system.add_task(work, bytes(6 * MB)).wait(PATIENCE_S))

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: system.stats().submitted == 1, "the first is accepted")
    time.sleep(0.1)
    assert system.stats().submitted == 1
    gate.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sizes == [6 * MB] * 4


def test_drop_oldest_drops_until_it_fits(open_system: OpenSystem) -> None:
    system = open_system(memory_pool_mb=10, on_full="drop_oldest")
    system.pause()
    tasks = [system.add_task(len, bytes(3 * MB)) for _ in range(5)]
    assert [isinstance(task.exception(0), TaskDropped) for task in tasks[:2]] == [True, True]
    system.resume()
    assert [task.wait(PATIENCE_S) for task in tasks[2:]] == [3 * MB] * 3


def test_caller_runs_needs_no_memory(open_system: OpenSystem) -> None:
    system = open_system(memory_pool_mb=1, on_full="caller_runs")
    result = system.add_task(len, bytes(5 * MB))
    assert result.wait(0) == 5 * MB


def test_a_batch_is_charged_as_a_whole(open_system: OpenSystem) -> None:
    system = open_system(memory_pool_mb=10)
    system.pause()
    with pytest.raises(MemoryPoolFull):
        system.add_tasks(len, [(bytes(3 * MB),)] * 4)
    assert system.stats().submitted == 0
    eventually(lambda: held_bytes(system) < MB, "nothing is held of what was refused")
    assert len(system.add_tasks(len, [(bytes(3 * MB),)] * 3)) == 3


def test_without_a_pool_nothing_is_refused(system: TaskSystem) -> None:
    assert system.memory_stats()["limit_bytes"] is None
    assert system.add_task(len, bytes(50 * MB), priority=TaskPriority.LOW).wait(PATIENCE_S) == 50 * MB


def test_memory_profiling_counts_by_task(open_system: OpenSystem) -> None:
    system = open_system(memory_profiling=True)

    @system.task(name="big")
    def big() -> bytes:
        return bytes(2 * MB)

    result = big.submit()
    result.wait(PATIENCE_S)
    eventually(lambda: system.memory_stats()["bytes_by_task"].get("big", 0) >= 2 * MB, "it is counted by name")
    del result
    eventually(lambda: gc.collect() >= 0 and system.memory_stats()["bytes_by_task"]["big"] < MB, "and given back")


def test_memory_stats(system: TaskSystem) -> None:
    system.add_task(int).wait(PATIENCE_S)
    memory = system.memory_stats()
    assert memory["allocator"] in ("jemalloc", "malloc", "python")
    assert memory["jemalloc_enabled"] is (memory["allocator"] == "jemalloc")
    assert isinstance(memory["arenas"], dict)
    assert memory["peak_bytes"] >= memory["resident_bytes"] * 0.5
    if memory["allocated_bytes"] is None:
        assert memory["fragmentation_percent"] is None


@pytest.mark.parametrize("policy", ["block", "drop_oldest"])
def test_what_is_larger_than_the_pool_is_refused_at_once(open_system: OpenSystem, policy: str) -> None:
    # No room that comes, or is made, would do: nobody waits for it, and nothing is dropped for it
    system = open_system(workers=1, memory_pool_mb=1, on_full=policy)
    system.pause(*TaskPriority)
    kept = [system.add_task(int, "1") for _ in range(5)]
    with pytest.raises(MemoryPoolFull):
        system.add_task(len, bytes(2 * MB))
    assert system.stats().dropped == 0
    system.resume(*TaskPriority)
    assert [task.wait(PATIENCE_S) for task in kept] == [1] * 5
