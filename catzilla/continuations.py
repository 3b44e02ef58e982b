"""``then`` and ``catch``: a task that is queued when another one ends.

Its handle exists at once, in no lane (Queue.promise), so it holds no lane slot before it is ready and
is never refused afterwards: the bound is for what comes from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .in_turn import in_turn
from .interface import COMPLETED
from .task import Task

if TYPE_CHECKING:
    from .system import TaskSystem


def then(handle: Any, fn: Callable[..., Any]) -> Any:
    return _follow(handle, fn, on_success=True)


def catch(handle: Any, fn: Callable[..., Any]) -> Any:
    return _follow(handle, fn, on_success=False)


def _follow(handle: Any, fn: Callable[..., Any], on_success: bool) -> Any:
    if not callable(fn):
        raise TypeError(f"{'then' if on_success else 'catch'}() takes a callable, and {fn!r} is not")
    system: TaskSystem = handle.plan.owner.system
    options = {} if isinstance(fn, Task) else {"priority": handle.plan.owner.options.priority}
    plan = system.plan_for(fn, options)
    ext = system.context_ext()
    ext.promise = True
    ext.follows = handle
    if system.observation is not None:
        ext = system.observation.submitting(plan, ext)
    promise: Any = system.engine.queue.promise(plan, ext)
    if system.observation is not None:
        system.observation.accepted(promise)

    def go_on(done: Any) -> None:
        ext.follows = None
        state = done.state()
        if (state == COMPLETED) == on_success:
            value = done.outcome() if on_success else done.error()
            ext.promise = False
            system.engine.queue.requeue(promise, (*system.receiver_of(fn), value), 0)
        else:
            value = done.outcome() if state == COMPLETED else done.error()
            in_turn(lambda: promise.settle(state, value))  # it may have followers of its own, and so on

    handle.on_done(go_on)
    return promise
