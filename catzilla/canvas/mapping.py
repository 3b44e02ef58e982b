"""``task.map`` and ``task.starmap``: one task that calls the function for each item."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from catzilla.canvas.signature import TaskSignature
from catzilla.errors import ConfigValueError
from catzilla.task import Task


def mapped(task: Task[Any, Any], items: Iterable[Any] | None, star: bool) -> TaskSignature[list[Any]]:
    """Without items it takes the value of the step before it."""
    if task.options.bind:
        raise ConfigValueError(f"{task.name} has bind=True, which map() and starmap() cannot give it; use a group")
    fn: Any = (_starmap_async if star else _map_async) if task.is_async else (_starmap if star else _map)
    options = task.options.as_dict()
    del options["compile_to_c"], options["bind"]
    options["name"] = f"{'starmap' if star else 'map'} of {task.name}"
    call = task.fn if not task.receiver else task.__call__
    if items is None:
        return TaskSignature(fn, task.system(), (call,), None, options)
    return TaskSignature(fn, task.system(), (list(items), call), None, options, immutable=True)


def _map(items: Iterable[Any], fn: Callable[..., Any]) -> list[Any]:
    return [fn(item) for item in items]


def _starmap(rows: Iterable[Iterable[Any]], fn: Callable[..., Any]) -> list[Any]:
    return [fn(*row) for row in rows]


async def _map_async(items: Iterable[Any], fn: Callable[..., Any]) -> list[Any]:
    return [await fn(item) for item in items]


async def _starmap_async(rows: Iterable[Iterable[Any]], fn: Callable[..., Any]) -> list[Any]:
    return [await fn(*row) for row in rows]
