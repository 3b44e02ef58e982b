"""Full lanes: the four policies of on_full, and the form that an event loop can await."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
import warnings
from collections.abc import Callable
from types import FrameType

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import (
    QueueFull,
    SystemClosed,
    TaskCancelled,
    TaskDropped,
    TaskPriority,
    TaskStatus,
    current_task,
)
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


@pytest.fixture
def full(open_system: OpenSystem) -> Callable[..., TaskSystem]:
    """Makes a system whose NORMAL lane holds two tasks, is full, and starts nothing."""

    def make(on_full: str, **options: object) -> TaskSystem:
        system = open_system(workers=1, queue_size=2, on_full=on_full, **options)
        system.pause(TaskPriority.NORMAL)
        system.add_task(int, "1")
        system.add_task(int, "2")
        return system

    return make


# -- raise -------------------------------------------------------------------------------------


def test_raise_is_the_default_and_queues_nothing(open_system: OpenSystem) -> None:
    system = open_system(queue_size=1)
    system.pause()
    system.add_task(int)
    for _ in range(3):
        with pytest.raises(QueueFull, match=r"NORMAL.*queue_size=1"):
            system.add_task(int)
    stats = system.stats()
    assert (stats.submitted, stats.rejected, stats.total_queued, stats.queue_pressure) == (1, 3, 1, 1.0)


def test_another_lane_has_room_of_its_own(full: Callable[..., TaskSystem]) -> None:
    system = full("raise")
    assert system.add_task(int, "5", priority=TaskPriority.HIGH).wait(PATIENCE_S) == 5


def test_the_same_for_a_task_and_with_keywords(full: Callable[..., TaskSystem]) -> None:
    system = full("raise")
    with pytest.raises(QueueFull):
        system.task(int).submit("3")
    with pytest.raises(QueueFull):
        system.add_task(int, "3", max_retries=1)
    with pytest.raises(QueueFull):
        system.add_task(int, "3", delay_ms=10)


def test_room_comes_back(full: Callable[..., TaskSystem]) -> None:
    system = full("raise")
    with pytest.raises(QueueFull):
        system.add_task(int)
    system.resume()
    system.drain(PATIENCE_S)
    assert system.add_task(int, "3").wait(PATIENCE_S) == 3


# -- block -------------------------------------------------------------------------------------


def test_block_waits_for_room(full: Callable[..., TaskSystem]) -> None:
    system = full("block")
    accepted: list[object] = []
    thread = threading.Thread(target=lambda: accepted.append(system.add_task(int, "3")))
    thread.start()
    time.sleep(0.05)
    assert accepted == []
    system.resume()
    thread.join(PATIENCE_S)
    assert accepted[0].wait(PATIENCE_S) == 3  # type: ignore[attr-defined]
    assert system.stats().rejected == 0


def test_every_blocked_submitter_gets_through(open_system: OpenSystem) -> None:
    system = open_system(workers=2, queue_size=3, on_full="block")
    done: list[int] = []

    def submit(n: int) -> None:
        for k in range(50):
            system.add_task(done.append, n * 50 + k)

    threads = [threading.Thread(target=submit, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)
    system.drain(PATIENCE_S)
    assert sorted(done) == list(range(500))


def test_a_cancelled_task_makes_room(open_system: OpenSystem) -> None:
    system = open_system(queue_size=1, on_full="block")
    system.pause()
    first = system.add_task(int)
    threading.Timer(0.05, first.cancel).start()
    second = system.add_task(int, "2")
    system.resume()
    assert second.wait(PATIENCE_S) == 2


def test_blocking_inside_a_worker_never_deadlocks(open_system: OpenSystem) -> None:
    # Given the only worker, whose task submits more than the lane holds
    system = open_system(workers=1, queue_size=2, on_full="block")

    def outer() -> int:
        return sum(task.wait() for task in [system.add_task(int, "1") for _ in range(50)])

    assert system.add_task(outer).wait(PATIENCE_S) == 50


def test_ctrl_c_reaches_a_blocked_submitter(full: Callable[..., TaskSystem]) -> None:
    system = full("block")

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def submit() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        system.add_task(int, "3")

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            submit()
    finally:
        signal.signal(signal.SIGALRM, before)
    # And the place in the line is given up
    system.resume()
    system.drain(PATIENCE_S)
    assert system.add_task(int, "4").wait(PATIENCE_S) == 4
    assert system.stats().submitted == 3


def test_a_shutdown_refuses_blocked_submitters(full: Callable[..., TaskSystem]) -> None:
    system = full("block")
    errors: list[BaseException] = []

    def submit() -> None:
        try:
            system.add_task(int)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=submit) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    system.shutdown(timeout=0.1, cancel_pending=True)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert [type(error) for error in errors] == [SystemClosed] * 3


def test_block_on_a_loops_thread_warns_once(full: Callable[..., TaskSystem]) -> None:
    system = full("block")

    async def main() -> None:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")

            def let_go() -> None:
                eventually(lambda: len(warned) > 0, "it warns before it blocks")
                system.resume()

            thread = threading.Thread(target=let_go)
            thread.start()
            system.add_task(int, "3")
            thread.join()
        [warning] = warned
        assert warning.category is RuntimeWarning
        assert "add_task_async" in str(warning.message)

    asyncio.run(main())


# -- caller_runs -------------------------------------------------------------------------------


def test_caller_runs_runs_it_here(full: Callable[..., TaskSystem]) -> None:
    system = full("caller_runs")
    result = system.add_task(threading.current_thread)
    assert result.done()
    assert result.wait(0) is threading.current_thread()
    assert system.stats().rejected == 0
    assert system.stats().total_queued == 2


def test_caller_runs_in_the_tasks_own_context(full: Callable[..., TaskSystem]) -> None:
    import contextvars

    system = full("caller_runs")
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    system.add_task(variable.set, "leak")
    assert variable.get() == "unset"
    result = system.add_task(current_task)
    assert result.wait(0) is result
    assert current_task() is None


def test_caller_runs_contains_its_failure(full: Callable[..., TaskSystem]) -> None:
    system = full("caller_runs")
    result = system.add_task(int, "x")
    assert result.status is TaskStatus.FAILED
    assert isinstance(result.exception(0), ValueError)


# -- drop_oldest -------------------------------------------------------------------------------


def test_drop_oldest_says_so_everywhere(open_system: OpenSystem, caplog: pytest.LogCaptureFixture) -> None:
    system = open_system(workers=1, queue_size=2, on_full="drop_oldest")
    system.pause()
    with caplog.at_level(logging.WARNING):
        oldest, second, third = (system.add_task(int, str(n)) for n in range(3))
        eventually(lambda: "drop" in caplog.text, "the drop is logged")
    assert oldest.status is TaskStatus.CANCELLED
    with pytest.raises(TaskDropped):
        oldest.wait(0)
    assert issubclass(TaskDropped, TaskCancelled)
    stats = system.stats()
    assert (stats.dropped, stats.cancelled, stats.rejected, stats.total_queued) == (1, 1, 0, 2)
    assert [record.levelname for record in caplog.records if "drop" in record.getMessage()] == ["WARNING"]
    system.resume()
    assert [second.wait(PATIENCE_S), third.wait(PATIENCE_S)] == [1, 2]


def test_drop_oldest_of_the_same_lane_only(open_system: OpenSystem) -> None:
    system = open_system(workers=1, queue_size=1, on_full="drop_oldest")
    system.pause()
    high = system.add_task(int, priority=TaskPriority.HIGH)
    low = [system.add_task(int, priority=TaskPriority.LOW) for _ in range(3)]
    assert high.status is TaskStatus.PENDING
    assert [task.status for task in low] == [TaskStatus.CANCELLED, TaskStatus.CANCELLED, TaskStatus.PENDING]


def test_nothing_accepted_is_lost_without_its_handle_saying_so(open_system: OpenSystem) -> None:
    system = open_system(workers=2, queue_size=5, on_full="drop_oldest")
    ran: list[int] = []
    results = [system.add_task(ran.append, n) for n in range(2_000)]
    system.drain(PATIENCE_S)
    kept = [n for n, result in enumerate(results) if result.status is TaskStatus.COMPLETED]
    dropped = [result for result in results if result.status is TaskStatus.CANCELLED]
    assert sorted(ran) == kept
    assert len(kept) + len(dropped) == 2_000
    assert all(isinstance(result.exception(0), TaskDropped) for result in dropped)
    assert system.stats().dropped == len(dropped)


# -- add_task_async ----------------------------------------------------------------------------


def test_add_task_async_is_add_task(system: TaskSystem) -> None:
    async def main() -> None:
        assert await (await system.add_task_async(int, "5")) == 5
        assert await (await system.add_task_async(divmod, 7, 2, max_retries=1)) == (3, 1)
        assert await (await system.task(int).submit_async("6")) == 6
        with pytest.raises(TypeError):
            await system.add_task_async("not callable")

    asyncio.run(main())


def test_add_task_async_waits_for_room_without_blocking_the_loop(full: Callable[..., TaskSystem]) -> None:
    system = full("block")

    async def main() -> tuple[int, int]:
        ticks = 0
        submit = asyncio.create_task(system.add_task_async(int, "3"))
        while ticks < 20:
            await asyncio.sleep(0.001)
            ticks += 1
        assert not submit.done()
        system.resume()
        return ticks, await (await submit)

    assert asyncio.run(main()) == (20, 3)


def test_add_task_async_can_be_cancelled_while_it_waits(full: Callable[..., TaskSystem]) -> None:
    system = full("block")

    async def main() -> None:
        submits = [asyncio.create_task(system.add_task_async(int, str(n))) for n in range(3)]
        await asyncio.sleep(0.02)
        submits[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await submits[0]
        system.resume()
        assert [await (await submit) for submit in submits[1:]] == [1, 2]

    asyncio.run(main())
    assert system.stats().submitted == 4


def test_add_task_async_under_the_other_policies(full: Callable[..., TaskSystem]) -> None:
    async def main() -> None:
        with pytest.raises(QueueFull):
            await full("raise").add_task_async(int)
        assert (await full("caller_runs").add_task_async(int)).done()
        assert not (await full("drop_oldest").add_task_async(int)).done()

    asyncio.run(main())


def test_many_async_submitters_get_through(open_system: OpenSystem) -> None:
    system = open_system(workers=2, queue_size=3, on_full="block")

    async def main() -> list[int]:
        async def one(n: int) -> int:
            return int(await (await system.add_task_async(int, str(n))))

        return await asyncio.gather(*(one(n) for n in range(300)))

    assert asyncio.run(main()) == list(range(300))
