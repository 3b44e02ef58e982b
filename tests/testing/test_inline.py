"""inline(): tasks run where they are submitted, and mistakes are the same as when they are queued."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import ConfigError, TaskStatus, current_task
from catzilla.conformance.rig import PATIENCE_S
from catzilla.testing import inline


def where() -> int:
    return threading.get_ident()


def test_it_runs_on_this_thread_at_once(system: TaskSystem) -> None:
    task = system.task(where)
    with inline(system) as same:
        assert same is system
        results = [task.submit(), system.add_task(where), *system.add_tasks(where, [(), ()])]
        assert all(result.done() for result in results)
    assert {result.wait() for result in results} == {threading.get_ident()}
    assert task.submit().wait(PATIENCE_S) != threading.get_ident()


def test_mistakes_are_errors_all_the_same(system: TaskSystem) -> None:
    @system.task
    def greet(name: str) -> str:
        return name

    with inline(system):
        with pytest.raises(TypeError, match="cannot be called with these arguments"):
            greet.submit()  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="is neither: pass the function"):
            system.add_task("greet")  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="delay_ms"):
            system.add_task(where, delay_ms=-1)
        with pytest.raises(TypeError, match="tuple"):
            system.add_tasks(greet, ["name"])  # type: ignore[list-item]


def test_a_failure_is_in_the_result(system: TaskSystem) -> None:
    with inline(system):
        result = system.add_task(int, "x")
        assert result.status is TaskStatus.FAILED
        assert isinstance(result.exception(), ValueError)


def test_retries_and_delays_do_not_wait(system: TaskSystem) -> None:
    attempts: list[int] = []

    def flaky() -> str:
        me = current_task()
        assert me is not None
        attempts.append(me.attempt)
        if len(attempts) < 3:
            raise ConnectionError
        return "done"

    with inline(system):
        result = system.add_task(flaky, max_retries=5, retry_base_ms=60_000, retry_backoff="fixed", delay_ms=3_600_000)
        assert result.done()
        assert result.wait() == "done"
    assert attempts == [1, 2, 3]


def test_tasks_inside_tasks_and_what_follows(system: TaskSystem) -> None:
    def outer(n: int) -> int:
        return 0 if n == 0 else system.add_task(outer, n - 1).wait() + 1

    with inline(system):
        result = system.add_task(outer, 5)
        follower = result.then(lambda value: value * 2)
        caught = system.add_task(int, "x").catch(lambda error: type(error).__name__)
        assert (result.wait(), follower.done(), follower.wait(), caught.wait()) == (5, True, 10, "ValueError")


def test_a_long_chain(system: TaskSystem) -> None:
    with inline(system):
        result: Any = system.add_task(int)
        for _ in range(2_000):
            result = result.then(lambda value: value + 1)
        assert result.done()
        assert result.wait() == 2_000


def test_coroutines(system: TaskSystem) -> None:
    attempts: list[int] = []

    @system.task(max_retries=2, retry_base_ms=60_000, retry_backoff="fixed")
    async def work(n: int) -> int:
        await asyncio.sleep(0)
        attempts.append(n)
        if len(attempts) < 3:
            raise ConnectionError
        return n

    @system.task
    async def outer() -> int:
        return await work.submit(7) + system.add_task(int, "1").wait()

    with inline(system):
        result = work.submit(5)
        assert result.done()
        assert result.wait() == 5
        assert outer.submit().wait() == 8
        assert work.submit(1).then(lambda value: value + 1).wait(PATIENCE_S) == 2


def test_limits_hold_nothing_back(system: TaskSystem) -> None:
    with inline(system):
        results = [system.add_task(int, "1", rate_limit="1/h", max_concurrency=1, unique=True) for _ in range(3)]
        assert [result.wait(0) for result in results] == [1, 1, 1]


def test_the_statistics_count_them(system: TaskSystem) -> None:
    with inline(system):
        system.add_task(int)
    assert system.stats().completed == 1


def test_a_full_lane_is_no_matter(backend_name: str) -> None:
    with TaskSystem(backend=backend_name, queue_size=1) as system:
        later = system.add_task(int, delay_ms=3_600_000)
        with inline(system):
            assert system.add_task(int).done()
        assert later.cancel()


def test_twice_is_an_error(system: TaskSystem) -> None:
    with inline(system), pytest.raises(RuntimeError, match="already"), inline(system):
        pass
    with pytest.raises(TypeError, match="is wanted"), inline(7):
        pass


def test_a_paused_lane_is_paused_again_afterwards(system: TaskSystem) -> None:
    system.pause()
    with inline(system):
        assert system.add_task(int).done()
    assert len(system.paused_lanes()) == 4
    system.resume()
    assert system.add_task(int).wait(PATIENCE_S) == 0
