"""A plain task is run by the backend alone, others through a runner: nobody can tell which.

Every test runs twice: as it is, and with an option that has no effect on a task that works and yet
takes it off the plain path.
"""

from __future__ import annotations

import contextvars
import threading
import traceback
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskStatus, current_task

from .rig import PATIENCE_S
from .suite import BackendSuite

Options = dict[str, Any]


class Boom(Exception):
    pass


def fail_deeply(depth: int) -> None:
    if depth:
        fail_deeply(depth - 1)
    raise Boom("at the bottom")


class PathTests(BackendSuite):
    @pytest.fixture(params=[{}, {"timeout_ms": 60_000}, {"max_retries": 3, "retry_on": (ZeroDivisionError,)}], ids=str)
    def options(self, request: pytest.FixtureRequest) -> Options:
        options: Options = request.param
        return options

    def test_same_value(self, system: TaskSystem, options: Options) -> None:
        value = object()

        def give() -> object:
            return value

        task = system.task(**options)(give)
        results = [task.submit() for _ in range(50)]
        assert all(result.wait(PATIENCE_S) is value for result in results)
        assert {result.status for result in results} == {TaskStatus.COMPLETED}

    def test_same_failure(self, system: TaskSystem, options: Options) -> None:
        result = system.task(**options)(fail_deeply).submit(2)
        with pytest.raises(Boom, match="at the bottom") as caught:
            result.wait(PATIENCE_S)
        frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert frames[-3:] == ["fail_deeply"] * 3
        assert frames.count("fail_deeply") == 3
        assert result.status is TaskStatus.FAILED
        assert system.stats().failed == 1

    @pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), StopIteration("x"), GeneratorExit()])
    def test_same_base_exception(self, system: TaskSystem, options: Options, error: BaseException) -> None:
        def raise_it() -> None:
            raise error

        result = system.task(**options)(raise_it).submit()
        assert result.exception(PATIENCE_S) is error
        assert result.status is TaskStatus.FAILED

    def test_same_context(self, system: TaskSystem, options: Options) -> None:
        variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

        def swap(value: int) -> int:
            before = variable.get()
            variable.set(value)
            return before

        task = system.task(**options)(swap)
        assert [task.submit(n).wait(PATIENCE_S) for n in (1, 2, 3)] == [0, 0, 0]
        token = variable.set(7)
        assert [task.submit(n).wait(PATIENCE_S) for n in (1, 2, 3)] == [7, 7, 7]
        assert variable.get() == 7
        variable.reset(token)

    def test_same_current_task(self, system: TaskSystem, options: Options) -> None:
        result = system.task(**options)(current_task).submit()
        assert result.wait(PATIENCE_S) is result

    def test_same_thread(self, system: TaskSystem, options: Options) -> None:
        def where() -> tuple[str, bool]:
            thread = threading.current_thread()
            return thread.name, thread.daemon

        name, daemon = system.task(**options)(where).submit().wait(PATIENCE_S)
        assert name.startswith("catzilla-")
        assert daemon

    def test_same_counting(self, system: TaskSystem, options: Options) -> None:
        task = system.task(**options)(int)
        good = [task.submit("1") for _ in range(100)]
        bad = [task.submit("x") for _ in range(10)]
        for result in good:
            assert result.wait(PATIENCE_S) == 1
        for result in bad:
            assert isinstance(result.exception(PATIENCE_S), ValueError)
        stats = system.stats()
        assert (stats.submitted, stats.completed, stats.failed, stats.retried) == (110, 100, 10, 0)

    def test_same_callbacks(self, system: TaskSystem, options: Options) -> None:
        task = system.task(**options)(int)
        seen: list[Any] = []
        results = [task.submit(str(n)) for n in range(50)]
        for result in results:
            result.add_callback(seen.append)
        for result in results:
            result.then(str).wait(PATIENCE_S)
        assert {id(result) for result in seen} == {id(result) for result in results}
        assert len(seen) == 50
