"""``then`` and ``catch``, and what a workflow's steps are made of: a task that is queued when another one ends.

Its handle exists at once, in no lane (Queue.promise), so it holds no lane slot before it is ready and
is never refused afterwards: the bound is for what comes from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .ext import Ext
from .in_turn import in_turn
from .interface import CANCELLED, COMPLETED, FAILED
from .task import Task

if TYPE_CHECKING:
    from contextvars import Context

    from .plan import Plan
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
    if handle.state() >= COMPLETED:
        system.submitting.check_open()  # it would begin now, and perhaps no worker is left
    ext = system.context_ext()
    following = promise(system, plan, ext, handle)

    def go_on(done: Any) -> None:
        state = done.state()
        if (state == COMPLETED) == on_success:
            value = done.outcome() if on_success else done.error()
            begin(following, (*system.receiver_of(fn), value))
        else:
            end(following, state, done.outcome() if state == COMPLETED else done.error())

    when_done(handle, following, go_on)
    return following


def when_done(handle: Any, following: Any, go_on: Callable[[Any], None]) -> None:
    """Call ``go_on(handle)`` when it is done. If that fails, the promise ``following`` ends with it."""

    def call(done: Any) -> None:
        try:
            go_on(done)
        except BaseException as error:
            following.settle(FAILED, error)
            raise

    try:
        handle.on_done(call)
    except BaseException as error:  # no memory
        following.settle(CANCELLED, error)
        raise


def make_ext(system: TaskSystem, context: Context | None, kwargs: dict[str, Any] | None) -> Ext:
    ext = Ext(context, kwargs)
    ext.on_settled = system.settled
    return ext


def promise(system: TaskSystem, plan: Plan, ext: Ext, follows: Any) -> Any:
    """A handle that waits for ``begin`` or ``end``; ``follows`` is what has to end before (or None)."""
    ext.promise = True
    ext.follows = follows
    observation = system.observation
    if observation is not None:
        ext = observation.submitting(plan, ext)
    try:
        following: Any = system.engine.queue.promise(plan, ext)
    except BaseException as error:  # no memory
        if observation is not None:
            observation.refused(ext, error)
        raise
    if observation is not None:
        observation.accepted(following)
    return following


def begin(following: Any, args: tuple[Any, ...]) -> None:
    """Queue it, over the bound, after its own ``delay_ms``. No effect on one that has ended meanwhile."""
    spec = following.plan.owner
    ext: Ext = following.ext
    delay_ms = spec.options.delay_ms
    due_ns = spec.system.now_ns() + int(delay_ms * 1e6) if delay_ms else 0
    if spec.options.expires_ms is not None:
        ext.expires_ns = spec.system.now_ns() + int(spec.options.expires_ms * 1e6)
    ext.follows = None
    if spec.limit is not None and not spec.system.in_place:
        spec.system.limits.follow(following, args, due_ns)
        return
    ext.promise = False
    spec.system.engine.queue.requeue(following, args, due_ns)


def end(following: Any, state: int, value: object) -> None:
    """End it without running it."""
    following.ext.follows = None
    in_turn(lambda: following.settle(state, value))  # it may have followers of its own, and so on
