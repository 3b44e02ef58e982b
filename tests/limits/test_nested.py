"""Tasks that wait inside for tasks that a limit holds back: no deadlock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import Task
from catzilla.conformance.rig import PATIENCE_S

OpenSystem = Callable[..., TaskSystem]


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("limit", [1, 3])
def test_one_that_waits_for_itself(open_system: OpenSystem, workers: int, limit: int) -> None:
    system = open_system(workers=workers)

    @system.task(max_concurrency=limit)
    def depth(n: int) -> int:
        return 0 if n == 0 else 1 + depth.submit(n - 1).wait()

    assert depth.submit(30).wait(PATIENCE_S) == 30


def test_two_that_wait_for_each_others_place(open_system: OpenSystem) -> None:
    system = open_system(workers=4)

    @system.task(max_concurrency=1)
    def ping(n: int) -> int:
        return n if n == 0 else pong.submit(n - 1).wait() + 1

    @system.task(max_concurrency=1)
    def pong(n: int) -> int:
        return n if n == 0 else ping.submit(n - 1).wait() + 1

    results = [task.submit(n) for n in range(6) for task in (ping, pong)]
    assert [result.wait(PATIENCE_S) for result in results] == [n for n in range(6) for _ in "ab"]


@pytest.mark.parametrize("workers", [1, 2])
def test_one_in_between_that_has_no_limit(open_system: OpenSystem, workers: int) -> None:
    system = open_system(workers=workers)

    @system.task(max_concurrency=1)
    def limited(n: int) -> int:
        return 0 if n == 0 else between.submit(n).wait()

    @system.task
    def between(n: int) -> int:
        return limited.submit(n - 1).wait() + 1

    assert limited.submit(10).wait(PATIENCE_S) == 10


def test_many_that_wait_for_parked_ones(open_system: OpenSystem) -> None:
    system = open_system(workers=2)
    inner: Task[[int], int] = system.task(max_concurrency=1)(_same)

    def outer(n: int) -> int:
        return inner.submit(n).wait()

    results = [system.add_task(outer, n) for n in range(40)]
    assert [result.wait(PATIENCE_S) for result in results] == list(range(40))


def _same(n: int) -> int:
    return n


def test_one_that_waits_for_what_follows_a_parked_one(open_system: OpenSystem) -> None:
    system = open_system(workers=1)

    @system.task(max_concurrency=1)
    def limited(n: int) -> int:
        return 0 if n == 0 else limited.submit(n - 1).then(_same).wait() + 1

    assert limited.submit(5).wait(PATIENCE_S) == 5


def test_coroutines_that_await_themselves(open_system: OpenSystem) -> None:
    system = open_system(workers=1)

    @system.task(max_concurrency=1)
    async def depth(n: int) -> int:
        return 0 if n == 0 else 1 + await depth.submit(n - 1)

    assert depth.submit(20).wait(PATIENCE_S) == 20


async def _gather(result: Any) -> Any:
    return (await asyncio.gather(_awaited(result), asyncio.sleep(0)))[0]


async def _nested_gather(result: Any) -> Any:
    return (await asyncio.gather(asyncio.gather(result)))[0][0]


async def _task(result: Any) -> Any:
    return await asyncio.create_task(_awaited(result))


async def _wait_for(result: Any) -> Any:
    return await asyncio.wait_for(result, PATIENCE_S)


async def _wait_for_all(result: Any) -> Any:
    done, _ = await asyncio.wait([asyncio.ensure_future(result)])
    return done.pop().result()


async def _task_group(result: Any) -> Any:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(_awaited(result))
        await asyncio.sleep(0.01)  # the task waits before its group does
    return task.result()


async def _awaited(result: Any) -> Any:
    return await result


@pytest.mark.parametrize("way", [_gather, _nested_gather, _task, _wait_for, _wait_for_all, _task_group])
def test_coroutines_that_let_asyncio_await_themselves(open_system: OpenSystem, way: Callable[[Any], Any]) -> None:
    system = open_system(workers=1)

    @system.task(max_concurrency=1)
    async def depth(n: int) -> Any:
        return 0 if n == 0 else 1 + await way(depth.submit(n - 1))

    assert depth.submit(2).wait(PATIENCE_S) == 2


def test_many_awaited_at_once_by_one_that_holds_their_place(open_system: OpenSystem) -> None:
    system = open_system(workers=2)
    running = most = 0

    @system.task(max_concurrency=1)
    async def leaf(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return n

    @system.task(max_concurrency=1, name=leaf.name)
    async def root() -> list[int]:
        return list(await asyncio.gather(*[leaf.submit(n) for n in range(200)]))

    assert root.submit().wait(PATIENCE_S) == list(range(200))
    assert most == 1  # the one that waits does not run, and one at a time takes its place


def test_a_coroutine_that_runs_keeps_its_place_while_asyncio_waits_for_it(open_system: OpenSystem) -> None:
    # Given one whose asyncio.Task waits for a parked one, while it does something else itself
    system = open_system(workers=2)
    inside = threading.Event()
    go_on = threading.Event()

    @system.task(max_concurrency=1)
    async def limited(n: int) -> str:
        if n == 0:
            return "held back until then"
        waiting = asyncio.create_task(_awaited(limited.submit(n - 1)))
        await asyncio.sleep(0)
        inside.set()
        while not go_on.is_set():
            await asyncio.sleep(0.001)
        assert not waiting.done()
        return str(await waiting)

    result = limited.submit(1)
    assert inside.wait(PATIENCE_S)
    for n in range(20):  # the end of each makes it look who can go on
        system.add_task(_same, n, max_concurrency=1, name="another limit").wait(PATIENCE_S)
    go_on.set()
    assert result.wait(PATIENCE_S) == "held back until then"


def test_a_system_of_its_own_in_between(open_system: OpenSystem) -> None:
    one, other = open_system(workers=1), open_system(workers=1)

    @one.task(max_concurrency=1)
    def limited(n: int) -> int:
        return 0 if n == 0 else between.submit(n).wait()

    @other.task
    def between(n: int) -> int:
        return limited.submit(n - 1).wait() + 1

    assert limited.submit(5).wait(PATIENCE_S) == 5


def test_a_wait_that_runs_out_leaves_it_parked(open_system: OpenSystem) -> None:
    system = open_system(workers=2)
    blocker = system.add_task(_wait_for_cancel, max_concurrency=1, name="limited")

    def outer() -> str:
        parked = system.add_task(_same, 1, max_concurrency=1, name="limited")
        try:
            parked.wait(0.01)
        except TimeoutError:
            blocker.cancel()
            return f"timed out, then {parked.wait()}"
        return "no"

    assert system.add_task(outer).wait(PATIENCE_S) == "timed out, then 1"


def _wait_for_cancel() -> None:
    import threading

    from catzilla.background_tasks import current_task

    me = current_task()
    assert me is not None
    while not me.cancel_requested:
        threading.Event().wait(0.001)
