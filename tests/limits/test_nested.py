"""Tasks that wait inside for tasks that a limit holds back: no deadlock."""

from __future__ import annotations

from collections.abc import Callable

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
