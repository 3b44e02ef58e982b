"""The tasks that the tests of workflows put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import Task


class Tasks:
    def __init__(self, system: TaskSystem) -> None:
        self.system = system
        self.ran: list[Any] = []

        def add(x: int, y: int = 0) -> int:
            return x + y

        def total(values: list[int]) -> int:
            return sum(values)

        def fail(*_: Any) -> None:
            raise LookupError("on purpose")

        def note(*values: Any) -> Any:
            self.ran.append(values)
            return values

        async def double(x: int) -> int:
            return 2 * x

        self.add: Task[..., Any] = system.task(add)
        self.total: Task[..., Any] = system.task(total)
        self.fail: Task[..., Any] = system.task(fail)
        self.note: Task[..., Any] = system.task(note)
        self.double: Task[..., Any] = system.task(double)


@pytest.fixture
def tasks(system: TaskSystem) -> Tasks:
    return Tasks(system)


@pytest.fixture
def open_tasks(open_system: Callable[..., TaskSystem]) -> Callable[..., Tasks]:
    return lambda **config: Tasks(open_system(**config))
