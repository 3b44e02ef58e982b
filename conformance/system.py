"""The task system on the backend: what a user sees of submit, order, time, waiting and counting."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskCancelled, TaskPriority, TaskStatus, TaskTimeout, current_task
from catzilla.interface import Backend

from .paths import PathTests
from .rig import PATIENCE_S
from .suite import BackendSuite

OpenSystem = Callable[..., TaskSystem]


def add(a: int, b: int = 10) -> int:
    return a + b


class SubmitTests(BackendSuite):
    def test_a_task_gives_its_value(self, system: TaskSystem) -> None:
        result = system.add_task(add, 1, 2)
        assert result.wait(timeout=PATIENCE_S) == 3
        assert result.status is TaskStatus.COMPLETED
        assert result.done()
        assert result.is_ready()

    def test_a_result_is_the_backends_own_handle(self, system: TaskSystem, backend: Backend) -> None:
        assert isinstance(system.add_task(add, 1), backend.handle_type)
        assert isinstance(system.add_task(add, a=1), backend.handle_type)
        assert isinstance(system.add_task(add, 1, max_retries=1), backend.handle_type)

    def test_keywords_and_defaults_reach_the_function(self, system: TaskSystem) -> None:
        assert system.add_task(add, 1).wait(PATIENCE_S) == 11
        assert system.add_task(add, 1, b=2).wait(PATIENCE_S) == 3
        assert system.add_task(add, b=3, a=2).wait(PATIENCE_S) == 5

    def test_ids_are_unique_strings(self, system: TaskSystem) -> None:
        ids = {system.add_task(add, n).task_id for n in range(500)}
        assert len(ids) == 500
        assert {type(task_id) for task_id in ids} == {str}
        assert all(ids)

    def test_an_unfinished_task_is_found_by_its_id(self, system: TaskSystem) -> None:
        gate = threading.Event()
        result = system.add_task(gate.wait, PATIENCE_S)
        assert system.get_task(result.task_id) is result
        gate.set()
        assert result.wait(PATIENCE_S) is True

    def test_a_failure_is_raised_at_the_waiter(self, system: TaskSystem) -> None:
        result = system.add_task(int, "not a number")
        with pytest.raises(ValueError, match="not a number"):
            result.wait(PATIENCE_S)
        assert result.status is TaskStatus.FAILED
        assert isinstance(result.exception(), ValueError)

    def test_a_batch(self, system: TaskSystem) -> None:
        batch = system.add_tasks(add, [(n, n) for n in range(1_000)])
        assert len(batch) == 1_000
        assert batch.wait(PATIENCE_S) == [2 * n for n in range(1_000)]
        assert batch[7].wait(0) == 14
        assert [result.wait(0) for result in batch][:3] == [0, 2, 4]

    def test_an_await(self, system: TaskSystem) -> None:
        async def main() -> int:
            return await system.add_task(add, 20, 22)

        assert asyncio.run(main()) == 42

    def test_an_async_task(self, system: TaskSystem) -> None:
        async def answer(value: int) -> int:
            await asyncio.sleep(0)
            return value

        assert system.add_task(answer, 42).wait(PATIENCE_S) == 42

    def test_current_task(self, system: TaskSystem) -> None:
        result = system.add_task(current_task)
        assert result.wait(PATIENCE_S) is result
        assert current_task() is None


class OrderTests(BackendSuite):
    def test_priorities_and_fifo(self, open_system: OpenSystem) -> None:
        # Given one worker that is held, and tasks put in the wrong order (no CRITICAL: the reserve
        # would take some of them on another thread)
        system = open_system(workers=1)
        system.pause(*TaskPriority)
        started: list[tuple[int, int]] = []
        results = [
            system.add_task(started.append, (priority.value, n), priority=priority)
            for n in range(20)
            for priority in (TaskPriority.LOW, TaskPriority.NORMAL, TaskPriority.HIGH)
        ]
        # When it goes on
        system.resume(*TaskPriority)
        for result in results:
            result.wait(PATIENCE_S)
        # Then the higher priority is first, and within one the earlier
        assert started == sorted(started)

    def test_a_paused_lane_waits_for_resume(self, system: TaskSystem) -> None:
        system.pause(TaskPriority.NORMAL)
        held = system.add_task(add, 1, 1)
        assert system.add_task(add, 2, 2, priority=TaskPriority.LOW).wait(PATIENCE_S) == 4
        assert held.status is TaskStatus.PENDING
        system.resume(TaskPriority.NORMAL)
        assert held.wait(PATIENCE_S) == 2

    def test_no_head_of_line_trap(self, open_system: OpenSystem) -> None:
        # Given two workers, of which one runs a long task
        system = open_system(workers=2)
        gate = threading.Event()
        long = system.add_task(gate.wait, PATIENCE_S)
        # Then a thousand short ones do not wait for it
        system.add_tasks(add, [(n,) for n in range(1_000)]).wait(PATIENCE_S)
        assert not long.done()
        gate.set()
        long.wait(PATIENCE_S)

    def test_critical_goes_past_busy_workers(self, open_system: OpenSystem) -> None:
        system = open_system(workers=1)
        gate = threading.Event()
        busy = system.add_task(gate.wait, PATIENCE_S)
        while busy.status is not TaskStatus.RUNNING:
            time.sleep(0.001)
        assert system.add_task(add, 1, 1, priority=TaskPriority.CRITICAL).wait(PATIENCE_S) == 2
        assert not busy.done()
        gate.set()
        busy.wait(PATIENCE_S)


class TimeTests(BackendSuite):
    def test_a_delay(self, system: TaskSystem) -> None:
        before = time.monotonic()
        result = system.add_task(time.monotonic, delay_ms=300)
        assert result.status is TaskStatus.DELAYED
        assert result.wait(PATIENCE_S) - before >= 0.3

    def test_retries_until_it_works(self, system: TaskSystem) -> None:
        attempts: list[int] = []

        def flaky() -> str:
            attempts.append(1)
            if len(attempts) < 3:
                raise ConnectionError
            return "third time lucky"

        result = system.add_task(flaky, max_retries=5, retry_base_ms=1)
        assert result.wait(PATIENCE_S) == "third time lucky"
        assert len(attempts) == 3
        assert system.stats().retried == 2

    def test_a_deadline_frees_waiter_and_slot(self, open_system: OpenSystem) -> None:
        # Given the only worker, in a task that never ends by itself
        system = open_system(workers=1)
        gate = threading.Event()
        stuck = system.add_task(gate.wait, PATIENCE_S, timeout_ms=50)
        # Then its waiter hears of the deadline, and the next task runs while it is still stuck
        with pytest.raises(TaskTimeout):
            stuck.wait(PATIENCE_S)
        assert stuck.status is TaskStatus.TIMED_OUT
        assert system.add_task(add, 1, 1).wait(PATIENCE_S) == 2
        assert system.stats().timed_out == 1
        gate.set()

    def test_a_deadline_never_hits_another_task(self, open_system: OpenSystem) -> None:
        # Given tasks that run out of time and innocent ones on the same workers
        system = open_system(workers=2)

        def spin(seconds: float) -> str:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                pass
            return "done"

        late = [system.add_task(spin, PATIENCE_S, timeout_ms=10) for _ in range(20)]
        innocent = [system.add_task(spin, 0.002) for _ in range(100)]
        assert [result.wait(PATIENCE_S) for result in innocent] == ["done"] * 100
        assert all(isinstance(result.exception(PATIENCE_S), TaskTimeout) for result in late)


class WaitTests(BackendSuite):
    def test_a_wait_that_runs_out_leaves_the_task(self, system: TaskSystem) -> None:
        gate = threading.Event()
        result = system.add_task(gate.wait, PATIENCE_S)
        with pytest.raises(TimeoutError):
            result.wait(0.01)
        with pytest.raises(TimeoutError):
            result.wait(0)
        gate.set()
        assert result.wait(PATIENCE_S) is True

    def test_a_task_that_waits_for_another_on_one_worker(self, open_system: OpenSystem) -> None:
        system = open_system(workers=1)

        def outer(timeout: float | None) -> int:
            return system.add_task(add, 1, 1).wait(timeout) + 1

        assert system.add_task(outer, None).wait(PATIENCE_S) == 3
        assert system.add_task(outer, PATIENCE_S).wait(PATIENCE_S) == 3

    def test_a_chain_of_a_hundred_waits(self, open_system: OpenSystem) -> None:
        system = open_system(workers=1)

        def chain(depth: int) -> int:
            return 0 if depth == 0 else system.add_task(chain, depth - 1).wait() + 1

        assert system.add_task(chain, 100).wait(PATIENCE_S) == 100

    def test_callbacks_and_continuations(self, system: TaskSystem) -> None:
        called = threading.Event()
        seen: list[Any] = []

        def note(result: Any) -> None:
            seen.append(result)
            called.set()

        result = system.add_task(add, 1, 1)
        result.add_callback(note)
        assert result.then(lambda value: value * 10).wait(PATIENCE_S) == 20
        assert called.wait(PATIENCE_S)
        assert seen == [result]
        assert system.add_task(int, "x").catch(lambda error: type(error).__name__).wait(PATIENCE_S) == "ValueError"

    def test_cancel(self, system: TaskSystem) -> None:
        system.pause(TaskPriority.NORMAL)
        result = system.add_task(add, 1, 1)
        assert result.cancel() is True
        assert result.cancel() is False
        assert result.status is TaskStatus.CANCELLED
        with pytest.raises(TaskCancelled):
            result.wait(PATIENCE_S)
        system.resume(TaskPriority.NORMAL)
        assert system.stats().cancelled == 1

    def test_context_goes_in_and_does_not_come_out(self, system: TaskSystem) -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
        token = variable.set("submitter")
        assert system.add_task(variable.get).wait(PATIENCE_S) == "submitter"
        system.add_task(variable.set, "task").wait(PATIENCE_S)
        variable.reset(token)
        assert [system.add_task(variable.get).wait(PATIENCE_S) for _ in range(20)] == ["unset"] * 20


class CountTests(BackendSuite):
    def test_the_statistics_add_up(self, system: TaskSystem) -> None:
        good = system.add_tasks(add, [(n,) for n in range(300)])
        bad = [system.add_task(int, "x") for _ in range(20)]
        good.wait(PATIENCE_S)
        assert all(isinstance(result.exception(PATIENCE_S), ValueError) for result in bad)
        stats = system.stats()
        assert (stats.submitted, stats.completed, stats.failed, stats.cancelled) == (320, 300, 20, 0)
        assert stats.total_queued == 0
        assert stats.backend

    def test_queue_sizes_by_priority(self, system: TaskSystem) -> None:
        system.pause(*TaskPriority)
        for count, priority in enumerate(TaskPriority, start=1):
            for _ in range(count):
                system.add_task(add, 1, priority=priority)
        stats = system.stats()
        sizes = (stats.critical_queue_size, stats.high_queue_size, stats.normal_queue_size, stats.low_queue_size)
        assert sizes == (1, 2, 3, 4)
        assert stats.total_queued == 10
        system.resume(*TaskPriority)
        assert system.drain(PATIENCE_S) is not False
        assert system.stats().total_queued == 0

    def test_memory_figures_are_measured_or_none(self, system: TaskSystem) -> None:
        system.add_task(add, 1).wait(PATIENCE_S)
        memory = system.memory_stats()
        assert memory["allocator"] in ("jemalloc", "malloc", "python")
        assert memory["jemalloc_enabled"] is (memory["allocator"] == "jemalloc")
        assert memory["resident_bytes"] is None or memory["resident_bytes"] > 1_000_000


class SystemTests(SubmitTests, OrderTests, TimeTests, WaitTests, CountTests, PathTests):
    """Everything of this file and of paths.py, for one backend."""
