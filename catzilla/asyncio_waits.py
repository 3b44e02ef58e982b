"""What a coroutine waits for that does not await by itself: ``asyncio.gather``, ``TaskGroup``, ``asyncio.wait``.

These let tasks of asyncio's own do the awaiting, which wake the coroutine through callbacks. asyncio tells nobody
who belongs together, so this looks into the callbacks. Where a Python keeps them elsewhere nothing is found, and
the coroutine is taken to be running.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .coroutines import Coroutines

current = asyncio.current_task


def in_whose_place(task: Any, coroutines: Coroutines) -> list[Any]:
    """The coroutines, by their asyncio.Task, that go on after ``task``."""
    return [future for future in _goes_on_after(task) if coroutines.handle_of(future) is not None]


def goes_on_after(coroutine: Any, task: Any) -> bool:
    """Whether ``coroutine`` sleeps until ``task``, and perhaps more of them, has ended."""
    sought = getattr(coroutine, "_fut_waiter", None)
    if sought is None:
        return False  # it runs, or is about to
    return any(future is sought for future in _goes_on_after(task))


def _goes_on_after(task: Any) -> Iterator[Any]:
    """``task``, and what its end brings nearer to theirs, and so on."""
    seen: set[Any] = set()
    todo = [task]
    while todo:
        future = todo.pop()
        if future not in seen:
            seen.add(future)
            yield future
            todo.extend(_woken_by(future))


def _woken_by(future: Any) -> Iterator[Any]:
    for callback, _context in list(getattr(future, "_callbacks", None) or ()):
        if isinstance(callback, partial):  # wait_for, before Python 3.12
            mentioned = list(callback.args)
        elif (owner := getattr(callback, "__self__", None)) is not None:  # a task that awaits it; a TaskGroup
            mentioned = [owner, getattr(owner, "_on_completed_fut", None), getattr(owner, "_parent_task", None)]
        else:  # gather, wait, shield
            mentioned = [_content(cell) for cell in getattr(callback, "__closure__", None) or ()]
            if asyncio.FIRST_COMPLETED in [value for value in mentioned if isinstance(value, str)]:
                continue  # another one may end first
        yield from (value for value in mentioned if asyncio.isfuture(value))


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None
