"""What was given in the place of a function that can be a task, and what was probably meant."""

from __future__ import annotations

from types import CoroutineType
from typing import Any, NoReturn

from .wording import brief, kind_of


def refuse_uncallable(value: object) -> NoReturn:
    """TypeError: it is no function and no other callable.

    A coroutine that was made by the call is closed: it would never be awaited, which Python would warn of too.
    """
    raise TypeError(_words(value))


def refuse_generator_function(name: str, is_async: bool) -> NoReturn:
    """TypeError: a function with ``yield`` in it, whose call runs none of it."""
    called = name.rpartition(".")[2]
    if is_async:
        kind, remedy = (
            "an asynchronous generator",
            f"async def task(...): return [item async for item in {called}(...)]",
        )
    else:
        kind = "a generator"
        remedy = f"def task(...): return list({called}(...))"
    raise TypeError(
        f"{name} cannot be a task: it is {kind} function (it has a yield), so calling it runs none of it and gives "
        f"{kind}, which no worker goes through. Submit a function that does: {remedy}"
    )


def _words(value: Any) -> str:
    if isinstance(value, CoroutineType):
        called = value.__qualname__
        if value.cr_frame is not None and not value.cr_running and not value.cr_suspended:
            value.close()  # nobody has started it
        return (
            f"a task must be a function or another callable, and {called}(...) gave a coroutine, which is neither: "
            f"pass the function and its arguments, add_task({called}, ...), without calling it"
        )
    from .handle import TaskResult

    if isinstance(value, TaskResult):
        return (
            f"a task must be a function or another callable, and {value!r} is a task that was submitted already: "
            "use its then(fn) to go on with its value"
        )
    if hasattr(type(value), "__await__"):
        return (
            f"a task must be a function or another callable, and {brief(value)} ({kind_of(value)}) is neither but an "
            "awaitable that belongs to an event loop: await it there, or pass the function that makes it"
        )
    what = brief(value) if value is None else f"{brief(value)} ({kind_of(value)})"
    return (
        f"a task must be a function or another callable, and {what} is neither: pass the function and its arguments, "
        "add_task(fn, 1, 2), not what a call of it gave, add_task(fn(1, 2))"
    )
