"""The full path: what happens around one attempt of a task that is not plain.

By contract a runner that raises puts one frame of its own before the task's (interface.Runner): the
handle then shows the traceback that the plain path would show.
"""

from __future__ import annotations

from typing import Any

from .compiling import DEOPT
from .errors import Retry, TaskExpired, TaskInterrupted, TaskTimeout
from .ext import Ext
from .interface import CANCELLED, CONDEMNED, DETACHED, FAILED, Again, Handle
from .plan import Spec
from .retry import backoff_ns


def run_sync(handle: Handle, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    spec: Spec = handle.plan.owner
    if spec.options.expires_ms is not None and _expired(handle, spec):
        return DETACHED
    if spec.counts_starts:
        spec.system.limits.started(handle)
    deadlines = spec.system.deadlines
    attempt = None if spec.timeout_ns is None else deadlines.enter(handle, args, spec.timeout_ns)
    try:
        value = DEOPT if spec.native is None else spec.native.call(handle, args, kwargs)
        if value is DEOPT:
            value = spec.fn(*args, **kwargs)
    except BaseException as error:
        if attempt is not None and not deadlines.leave(attempt):
            return CONDEMNED
        if isinstance(error, TaskInterrupted):  # raised by the task itself: for a backend it would mean CONDEMNED
            handle.settle(FAILED, error)
            return CONDEMNED
        due_ns = retry_due_ns(handle, spec, error)
        if due_ns is None:
            raise
        return Again(due_ns)
    else:
        if attempt is not None and not deadlines.leave(attempt):
            return CONDEMNED
        return value
    finally:
        # The frames of a task's exception lead back to this one: it must not hold the handle.
        handle = args = kwargs = attempt = None  # type: ignore[assignment]


def run_async(handle: Handle, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    spec: Any = handle.plan.owner
    if spec.options.expires_ms is not None and _expired(handle, spec):
        return DETACHED
    if spec.counts_starts:
        spec.system.limits.started(handle)
    spec.system.coroutines.start(handle, args, kwargs)
    return DETACHED


def retry_due_ns(handle: Handle, spec: Spec, error: BaseException) -> int | None:
    """When to try again after this error; None: not at all. Counts the retry."""
    options = spec.options
    asked = options.bind and isinstance(error, Retry)
    if not options.max_retries and not asked:
        return None
    ext: Ext = spec.system.ensure_ext(handle)
    if ext.cancel_requested or ext.gave_up:
        return None
    if not asked and (ext.retries >= options.max_retries or not _retried(options.retry_on, error)):
        return None
    if ext.created_ns is None:
        ext.created_ns = handle.ready_ns
    ext.retries += 1
    if isinstance(error, Retry) and error.delay_ms is not None:
        wait_ns = int(error.delay_ms * 1e6)
    else:
        wait_ns = backoff_ns(options, ext.retries)
    if ext.record is not None and spec.system.observation is not None:
        spec.system.observation.retried(handle, error, wait_ns)
    return spec.system.due_after(wait_ns)


def _expired(handle: Handle, spec: Spec) -> bool:
    """Whether it is too late to start it; then it is CANCELLED."""
    ext: Ext = spec.system.ensure_ext(handle)
    if ext.expires_ns is None or spec.system.now_ns() < ext.expires_ns:
        return False
    handle.settle(CANCELLED, TaskExpired(f"task {spec.name} expired before it started"))
    return True


def _retried(retry_on: tuple[type[BaseException], ...], error: BaseException) -> bool:
    if isinstance(error, TaskTimeout):
        # The old attempt may still be running: only who names TaskTimeout has thought of that.
        return TaskTimeout in retry_on
    return isinstance(error, retry_on)
