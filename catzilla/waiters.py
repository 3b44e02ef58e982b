"""Who waits for whom: the tasks that wait inside for other tasks, and the circles that they must not make.

Written without a lock, as only the thread (or loop) of a waiter changes what it waits for, and each change
is one step of a dict. A waiter notes its wait before it looks for a circle: of those that close one at the
same time, at least one sees it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final

from .coroutines import serving

NAMES: Final = 5  # of a circle, in a message


class Waiting:
    """``with Waiting(waiters, awaited, is_limited):`` while the tasks ``waiters``, of one thread, wait for it.

    ``is_limited``: it ends by itself when its time is over. ``by``: the asyncio.Task that waits in the place of
    the one waiter, a coroutine, as asyncio.gather makes them. RuntimeError: ``awaited`` waits for a waiter.
    """

    __slots__ = ("_waiters", "awaited", "by", "is_limited")

    def __init__(self, waiters: list[Any], awaited: Any, is_limited: bool, by: Any = None) -> None:
        self._waiters = waiters
        self.awaited = awaited
        self.is_limited = is_limited
        self.by = by

    def __enter__(self) -> None:
        for waiter in self._waiters:
            _waits.setdefault(waiter, {})[self] = None
        if not self._waiters:
            _of_nobody[self] = None
        try:
            refuse_circle(self._waiters, self.awaited)
        except BaseException:
            self._end()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        _of_nobody.pop(self, None)
        for waiter in self._waiters:
            waits = _waits.get(waiter, {})
            waits.pop(self, None)  # a fork has perhaps cleared them
            if not waits:
                _waits.pop(waiter, None)


_waits: dict[Any, dict[Waiting, None]] = {}  # of a waiter
_of_nobody: dict[Waiting, None] = {}  # of an asyncio.Task that no coroutine waited for when it began to wait itself


def awaited_by(waiter: Any) -> list[Any]:
    """What has to end before this one goes on, all of it. Empty: it does not wait.

    One thread's waits lie one inside the other, so a function waits for the last one. A coroutine waits for one,
    or by way of asyncio for several.
    """
    return [wait.awaited for wait in _waits_of(waiter, list(_of_nobody))]


def _waits_of(waiter: Any, of_nobody: list[Waiting]) -> list[Waiting]:
    waits = list(_waits.get(waiter, ()))
    coroutine = None if waiter.ext is None else waiter.ext.coroutine
    if coroutine is None or (waits and waits[-1].by is None):
        return waits[-1:]
    if not waits and not of_nobody:
        return waits
    from .asyncio_waits import goes_on_after

    return [wait for wait in (*waits, *of_nobody) if goes_on_after(coroutine, wait.by)]


def any_waits() -> bool:
    return bool(_waits or _of_nobody)


def all_awaited() -> list[Any]:
    return [wait.awaited for waits in (*_waits.values(), _of_nobody) for wait in list(waits)]


def forget_all() -> None:
    """In the child of a fork: the waiters are not here."""
    _waits.clear()
    _of_nobody.clear()


def refuse_circle(waiters: list[Any], awaited: Any) -> None:
    """RuntimeError if ``awaited`` can only go on after one of those that wait for it.

    A wait that is limited is no part of a circle: it ends, and so do the others then.
    """
    if awaited.ext is None and awaited not in _waits and awaited not in waiters:
        return  # it runs, or will
    before: dict[Any, Any] = {awaited: None}
    todo = [awaited]
    while todo:  # a loop, as chains of waits are long
        task = todo.pop()
        if any(task is waiter for waiter in waiters):
            raise RuntimeError(_words(task, before))
        if task.ext is not None and task.ext.follows is not None:
            following = [task.ext.follows]
        else:
            following = [wait.awaited for wait in _waits_of(task, []) if not wait.is_limited]
        for other in following:
            if other not in before:
                before[other] = task
                todo.append(other)


def _words(waiter: Any, before: dict[Any, Any]) -> str:
    circle = [waiter]
    while (task := before[circle[-1]]) is not None:
        circle.append(task)
    names = [task.plan.owner.name for task in reversed(circle)]
    if len(names) == 1:
        return f"task {names[0]} waits for its own result, which it can only have once it ends"
    if len(names) > NAMES:
        names = [*names[:2], f"{len(names) - 4} others", *names[-2:]]
    told = ", which waits for ".join(names)
    return (
        f"task {names[-1]} waits for {told}: none of them can ever end. Let one of them end without the other's "
        "result, and follow it with then()"
    )


def waiters_on(loop: Any) -> tuple[list[Any], Any]:
    """Whose await this is, on the loop that runs on this thread: tasks, and ``Waiting.by``."""
    coroutines = serving()
    if coroutines is None:
        return [], None
    from .asyncio_waits import current, in_whose_place

    task = current(loop)
    handle = coroutines.handle_of(task)
    if handle is not None:
        return [handle], None
    return [coroutines.handle_of(other) for other in in_whose_place(task, coroutines)], task
