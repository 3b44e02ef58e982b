"""async def tasks on the system's own loop, and results that are awaited."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskCancelled, TaskStatus, TaskTimeout, current_task
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


async def double(value: int, pause: float = 0.0) -> int:
    await asyncio.sleep(pause)
    return 2 * value


async def fail() -> None:
    await asyncio.sleep(0)
    raise LookupError("in a coroutine")


def test_a_coroutine_is_a_task(system: TaskSystem) -> None:
    assert system.add_task(double, 21).wait(PATIENCE_S) == 42
    assert system.add_task(double, value=4).wait(PATIENCE_S) == 8
    task: Any = system.task(double)
    assert task.is_async
    assert task.submit(5).wait(PATIENCE_S) == 10
    assert asyncio.run(task(6)) == 12


def test_its_failure_is_raised_with_its_traceback(system: TaskSystem) -> None:
    import traceback

    result = system.add_task(fail)
    with pytest.raises(LookupError, match="in a coroutine") as caught:
        result.wait(PATIENCE_S)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "fail"
    assert result.status is TaskStatus.FAILED


def test_many_run_at_once_on_few_threads(open_system: OpenSystem) -> None:
    # Given one worker, and coroutines that need each other to go on
    system = open_system(workers=1)
    arrived = 0

    async def meet() -> int:
        nonlocal arrived
        arrived += 1
        while arrived < 500:
            await asyncio.sleep(0.001)
        return arrived

    threads = threading.active_count()
    results = [system.add_task(meet) for _ in range(500)]
    assert {result.wait(PATIENCE_S) for result in results} == {500}
    assert threading.active_count() - threads <= 8


def test_no_more_than_async_concurrency_run_at_once(open_system: OpenSystem) -> None:
    system = open_system(async_concurrency=3)
    running = most = 0

    async def count() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1

    system.pause()
    results = [system.add_task(count) for _ in range(20)]
    system.resume()
    for result in results:
        result.wait(PATIENCE_S)
    assert most == 3


def test_cancelling_a_coroutine_ends_it(system: TaskSystem) -> None:
    started, cleaned = threading.Event(), threading.Event()

    async def long() -> None:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            cleaned.set()

    result = system.add_task(long)
    assert started.wait(PATIENCE_S)
    assert result.cancel() is True
    with pytest.raises(TaskCancelled):
        result.wait(PATIENCE_S)
    assert cleaned.wait(PATIENCE_S)
    assert result.status is TaskStatus.CANCELLED
    assert system.stats().cancelled == 1


def test_a_deadline_cancels_a_coroutine(system: TaskSystem) -> None:
    cleaned = threading.Event()

    async def long() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cleaned.set()

    with pytest.raises(TaskTimeout):
        system.add_task(long, timeout_ms=30).wait(PATIENCE_S)
    assert cleaned.wait(PATIENCE_S)
    assert system.stats().stuck_workers == 0


def test_a_coroutine_is_retried(system: TaskSystem) -> None:
    attempts: list[int] = []

    async def flaky() -> str:
        me = current_task()
        assert me is not None
        attempts.append(me.attempt)
        if len(attempts) < 3:
            raise ConnectionError
        return "third"

    assert system.add_task(flaky, max_retries=3, retry_base_ms=1).wait(PATIENCE_S) == "third"
    assert attempts == [1, 2, 3]


def test_current_task_in_a_coroutine(system: TaskSystem) -> None:
    async def look() -> tuple[Any, Any]:
        before = current_task()
        await asyncio.sleep(0.005)
        return before, current_task()

    results = [system.add_task(look) for _ in range(10)]
    for result in results:
        assert result.wait(PATIENCE_S) == (result, result)


def test_await_gives_the_value_or_raises(system: TaskSystem) -> None:
    async def main() -> None:
        assert await system.add_task(int, "5") == 5
        done = system.add_task(int, "6")
        done.wait_ns(int(PATIENCE_S * 1e9))
        assert await done == 6
        assert await done == 6
        with pytest.raises(ValueError, match="invalid literal"):
            await system.add_task(int, "x")
        later = system.add_task(int, delay_ms=60_000)
        later.cancel()
        with pytest.raises(TaskCancelled):
            await later

    asyncio.run(main())


def test_many_awaits_at_once(system: TaskSystem) -> None:
    async def main() -> list[int]:
        return await asyncio.gather(*(wrap(n) for n in range(500)))

    async def wrap(n: int) -> int:
        return int(await system.add_task(int, str(n)))

    assert asyncio.run(main()) == list(range(500))


def test_cancelling_the_one_who_awaits_leaves_the_task_alone(system: TaskSystem) -> None:
    gate = threading.Event()
    result = system.add_task(gate.wait, PATIENCE_S)
    eventually(lambda: result.status is TaskStatus.RUNNING, "it runs")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.ensure_future(wrapped()), 0.05)

    async def wrapped() -> object:
        return await result

    asyncio.run(main())
    assert result.status is TaskStatus.RUNNING
    gate.set()
    assert result.wait(PATIENCE_S) is True


def test_the_loop_goes_on_while_a_task_is_awaited(system: TaskSystem) -> None:
    gate = threading.Event()

    async def main() -> object:
        async def tick() -> None:
            for _ in range(5):
                await asyncio.sleep(0.001)
            gate.set()

        ticker = asyncio.create_task(tick())
        ended = await system.add_task(gate.wait, PATIENCE_S)
        await ticker
        return ended

    assert asyncio.run(main()) is True


def test_a_coroutine_awaits_another_task(open_system: OpenSystem) -> None:
    system = open_system(workers=1)

    async def outer() -> int:
        return int(await system.add_task(double, await system.add_task(int, "3")))

    assert system.add_task(outer).wait(PATIENCE_S) == 6


def test_wait_on_the_systems_own_loop_is_an_error(system: TaskSystem) -> None:
    gate = threading.Event()

    async def wrong() -> None:
        system.add_task(gate.wait, PATIENCE_S).wait(PATIENCE_S)

    with pytest.raises(RuntimeError, match="await"):
        system.add_task(wrong).wait(PATIENCE_S)
    gate.set()


def test_a_coroutine_that_awaits_itself_is_told(system: TaskSystem) -> None:
    async def serpent() -> None:
        await current_task()

    with pytest.raises(RuntimeError, match="serpent waits for its own result"):
        system.add_task(serpent).wait(PATIENCE_S)


def test_results_are_awaited_from_several_loops(system: TaskSystem) -> None:
    gate = threading.Event()
    shared = system.add_task(gate.wait, PATIENCE_S)
    answers: list[object] = []

    async def main() -> object:
        return await shared

    threads = [threading.Thread(target=lambda: answers.append(asyncio.run(main()))) for _ in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    gate.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert answers == [True] * 5


def test_a_loop_that_closed_harms_nobody(system: TaskSystem) -> None:
    # Given a loop that ended while something on it awaited a task
    gate = threading.Event()
    result = system.add_task(gate.wait, PATIENCE_S)

    async def main() -> None:
        async def waits() -> object:
            return await result

        waiter = asyncio.create_task(waits())
        await asyncio.sleep(0.02)
        assert not waiter.done()

    asyncio.run(main())
    # When the task ends later, then worker and task are fine
    gate.set()
    assert result.wait(PATIENCE_S) is True
    assert system.add_task(int, "1").wait(PATIENCE_S) == 1


def test_with_and_async_with(backend: Any) -> None:
    async def main() -> int:
        async with TaskSystem(backend=backend.name, workers=1) as system:
            result = system.add_task(double, 4)
        return int(result.wait(0))

    assert asyncio.run(main()) == 8


def test_async_generators_and_uncallable_results_are_plain_values(system: TaskSystem) -> None:
    # A plain function that returns a coroutine gives it as its value; nobody awaits it for it.
    def gives_a_coroutine() -> Any:
        return double(1)

    coroutine = system.add_task(gives_a_coroutine).wait(PATIENCE_S)
    assert asyncio.run(coroutine) == 2


def test_a_shutdown_waits_for_coroutines(open_system: OpenSystem) -> None:
    system = open_system()
    results = [system.add_task(double, n, 0.05) for n in range(10)]
    report = system.shutdown(timeout=PATIENCE_S)
    assert [result.wait(0) for result in results] == [2 * n for n in range(10)]
    assert not report.abandoned


def test_a_coroutine_that_never_ends_is_abandoned_at_shutdown(open_system: OpenSystem) -> None:
    system = open_system()

    async def long() -> None:
        await asyncio.sleep(3600)

    result = system.add_task(long)
    eventually(lambda: result.status is TaskStatus.RUNNING, "it runs")
    report = system.shutdown(timeout=0.1)
    assert result.done()
    assert result.task_id in report.abandoned
