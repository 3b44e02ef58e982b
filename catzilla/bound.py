"""What a task with ``bind=True`` knows of its own run, and how it asks for another one."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from .errors import ConfigValueError, MaxRetriesExceeded, Retry

if TYPE_CHECKING:
    from .task import Task


class Request:
    """``self.request``: id, retries (0 in the first run) and whether the function was called in place."""

    __slots__ = ("called_directly", "id", "retries")

    def __init__(self, task_id: str | None, retries: int) -> None:
        self.id = task_id
        self.retries = retries
        self.called_directly = task_id is None

    @classmethod
    def of(cls, task: Task[Any, Any]) -> Request:
        handle = _running(task)
        return cls(None, 0) if handle is None else cls(handle.task_id, handle.attempt - 1)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"self.request has no {name!r}: it has id, retries and called_directly; arguments are the function's own, "
            "and nothing is delivered by a broker"
        )

    def __repr__(self) -> str:
        return f"<Request {self.id}, retries={self.retries}>"


def retry(
    task: Task[Any, Any],
    exc: BaseException | None,
    countdown: float | None,
    eta: datetime | None,
    max_retries: int | None,
) -> NoReturn:
    """Raise Retry, which the runner takes for: again, in ``countdown`` seconds, at ``eta``, or after the backoff.

    After ``max_retries`` (None: the task's own) it raises ``exc``, else the exception being handled,
    else MaxRetriesExceeded. Called in place, it raises ``exc`` too. RuntimeError: not inside a task
    with ``bind=True``.
    """
    from .canvas.timing import check_times, resolve_times

    check_times({"countdown": countdown, "eta": eta})
    failure = exc if exc is not None else sys.exception()
    handle = _running(task)
    if handle is None:
        if failure is not None:
            raise failure
        raise RuntimeError(f"{task.name}.retry() works only inside a run of it that was submitted, with bind=True")
    limit = handle.plan.owner.options.max_retries if max_retries is None else max_retries
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise ConfigValueError(f"max_retries={max_retries!r} must be an int of at least 0, or None for the task's own")
    retries = handle.attempt - 1
    if retries >= limit:
        handle.plan.owner.system.ensure_ext(handle).gave_up = True
        if failure is not None:
            raise failure
        raise MaxRetriesExceeded(f"{task.name} was run again {retries} times, which is its max_retries")
    times: dict[str, Any] = resolve_times(handle.plan.owner.system, {"countdown": countdown, "eta": eta})
    raise Retry(times.get("delay_ms")) from failure


def _running(task: Task[Any, Any]) -> Any:
    """The handle of the innermost run on this thread, if it is one of this task."""
    from .system import current_task

    handle: Any = current_task()
    if handle is None:
        return None
    bound = handle.plan.owner.task
    return handle if bound is not None and bound.fn is task.fn else None
