"""RQ's calls on a task system of this process: change the import and the Queue line.

    from catzilla.integrations.rq import Queue, Retry

    job = Queue().enqueue(count_words, "http://example.org", job_timeout=30, retry=Retry(max=3))

There is no Redis and no worker to start. What needs one raises Unsupported and names the alternative.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from catzilla.canvas.run import Run, Step
from catzilla.canvas.signature import TaskSignature
from catzilla.canvas.timing import check_times, resolve_times
from catzilla.errors import ConfigTypeError, ConfigValueError
from catzilla.integrations.in_place import run_until_done
from catzilla.integrations.unsupported import Unsupported, refuse
from catzilla.priority import TaskPriority, TaskStatus
from catzilla.system import TaskSystem

__all__ = ["Job", "Queue", "Retry", "Unsupported"]

LANES: Final = {
    "critical": TaskPriority.CRITICAL,
    "high": TaskPriority.HIGH,
    "default": TaskPriority.NORMAL,
    "low": TaskPriority.LOW,
}
UNSUPPORTED: Final = {
    "result_ttl": "a result lives as long as its Job; just leave it out",
    "failure_ttl": "a failure lives as long as its Job; just leave it out",
    "job_id": "ids are made here: take job.id",
    "at_front": "use a queue of a higher priority: Queue('high')",
    "meta": "keep what belongs to a job beside it",
    "repeat": "use system.add_schedule(fn, every=...)",
    "group_id": "use catzilla.canvas.group",
}
_STATES: Final = {
    TaskStatus.PENDING: "queued",
    TaskStatus.DELAYED: "scheduled",
    TaskStatus.RETRYING: "scheduled",
    TaskStatus.RUNNING: "started",
    TaskStatus.COMPLETED: "finished",
    TaskStatus.FAILED: "failed",
    TaskStatus.TIMED_OUT: "failed",
    TaskStatus.CANCELLED: "canceled",
}
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_shared: list[TaskSystem] = []


class Retry:
    """``max`` more attempts, ``interval`` seconds before each: a number, or one for each attempt."""

    def __init__(self, max: int, interval: float | Sequence[float] = 0) -> None:
        if isinstance(max, bool) or not isinstance(max, int):
            raise ConfigTypeError(f"Retry(max={max!r}) must be an int")
        if max < 1:
            raise ConfigValueError(f"Retry(max={max!r}) must be at least 1")
        intervals: list[Any] = list(interval) if isinstance(interval, Sequence) else [interval]
        if not intervals or any(
            isinstance(each, bool) or not isinstance(each, int | float) or not each >= 0 for each in intervals
        ):
            raise ConfigValueError(f"Retry(interval={interval!r}) must be seconds of at least 0, or a list of them")
        self.max = max
        self.intervals = intervals

    def options(self) -> dict[str, Any]:
        intervals = self.intervals
        if len(intervals) == 1:
            ms = intervals[0] * 1000
            return {"max_retries": self.max, "retry_backoff": "fixed", "retry_base_ms": ms, "retry_max_ms": ms}
        return {
            "max_retries": self.max,
            "retry_backoff": lambda retry: intervals[min(retry, len(intervals)) - 1] * 1000,
            "retry_base_ms": 0,
            "retry_max_ms": max(intervals) * 1000,
        }


class Job:
    """One that was enqueued. ``handle`` is Catzilla's TaskResult."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    @property
    def id(self) -> str:
        return str(self.handle.task_id)

    def get_id(self) -> str:
        return self.id

    def get_status(self) -> str:
        """queued, started, deferred (waits for another), scheduled, finished, failed or canceled."""
        follows = self.handle.ext.follows if self.handle.ext is not None else None
        if follows is not None and self.handle.status is TaskStatus.DELAYED:
            return "deferred"
        return _STATES[self.handle.status]

    @property
    def is_finished(self) -> bool:
        return self.get_status() == "finished"

    @property
    def is_failed(self) -> bool:
        return self.get_status() == "failed"

    @property
    def is_queued(self) -> bool:
        return self.get_status() == "queued"

    @property
    def is_started(self) -> bool:
        return self.get_status() == "started"

    @property
    def is_deferred(self) -> bool:
        return self.get_status() == "deferred"

    @property
    def is_scheduled(self) -> bool:
        return self.get_status() == "scheduled"

    @property
    def is_canceled(self) -> bool:
        return self.get_status() == "canceled"

    def return_value(self) -> Any:
        """The value; None: it has none (yet)."""
        return self.handle.wait(0) if self.handle.successful() else None

    @property
    def result(self) -> Any:
        return self.return_value()

    @property
    def exc_info(self) -> str | None:
        """The traceback of a failure, as text."""
        error = self.handle.exception(0) if self.handle.done() else None
        return None if error is None else "".join(traceback.format_exception(error))

    def wait(self, timeout: float | None = None) -> Any:
        """The value, once it is there; raises the job's exception, or TimeoutError after ``timeout`` seconds."""
        return self.handle.wait(timeout)

    def cancel(self) -> bool:
        return bool(self.handle.cancel())

    def refresh(self) -> Job:
        """Itself: what it says is always of now."""
        return self

    def __repr__(self) -> str:
        return f"<Job {self.handle.name}: {self.get_status()}>"


class Queue:
    """A lane: ``Queue("high")``; critical, high, default and low are the four there are.

    Queues share one TaskSystem, or use ``system=``. ``default_timeout`` in seconds, as RQ's 180.
    ``is_async=False`` runs each job in ``enqueue``, on the calling thread, on a system of its own.
    """

    def __init__(
        self,
        name: str = "default",
        connection: Any = None,
        default_timeout: float | str | None = 180,
        is_async: bool = True,
        *,
        system: TaskSystem | None = None,
    ) -> None:
        if connection is not None:
            raise Unsupported("Queue(connection=...): there is no Redis; leave it out, jobs run in this process")
        if name not in LANES:
            raise ConfigValueError(
                f"Queue({name!r}): the queues are {', '.join(LANES)}, each a lane of the task system"
            )
        self.name = name
        self.is_async = is_async
        self.system = system or (_shared_system() if is_async else TaskSystem())
        if not is_async:
            self.system.pause()
        self._timeout_ms = _timeout_ms(default_timeout)

    def enqueue(
        self,
        f: Callable[..., Any] | str,
        /,
        *args: Any,
        job_timeout: float | str | None = None,
        ttl: float | None = None,
        retry: Retry | int | None = None,
        depends_on: Job | Sequence[Job] | None = None,
        on_success: Callable[[Job, None, Any], object] | None = None,
        on_failure: Callable[[Job, None, type[BaseException], BaseException, Any], object] | None = None,
        description: str | None = None,
        **kwargs: Any,
    ) -> Job:
        """Queue ``f(*args, **kwargs)``; ``f`` may be "module.function". Times in seconds, or "3m", "1h"."""
        options: dict[str, Any] = {} if ttl is None else {"expires": ttl}
        return self._enqueue(
            f, args, kwargs, options, job_timeout, retry, depends_on, on_success, on_failure, description
        )

    def enqueue_in(self, delay: timedelta, f: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Job:
        """``enqueue``, to start after this time."""
        if not isinstance(delay, timedelta):
            raise ConfigTypeError(f"enqueue_in() takes a timedelta, not {delay!r}")
        return self._later({"countdown": delay}, f, args, kwargs)

    def enqueue_at(self, when: datetime, f: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Job:
        """``enqueue``, to start then: a datetime with a time zone."""
        return self._later({"eta": when}, f, args, kwargs)

    def _later(self, times: dict[str, Any], f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job:
        ttl = kwargs.pop("ttl", None)
        own = (None, None, None, None, None, None)
        names = ("job_timeout", "retry", "depends_on", "on_success", "on_failure", "description")
        given = [kwargs.pop(name, default) for name, default in zip(names, own, strict=True)]
        options = times if ttl is None else {**times, "expires": ttl}
        return self._enqueue(f, args, kwargs, options, *given)

    def _enqueue(
        self,
        f: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        times: dict[str, Any],
        job_timeout: Any,
        retry: Any,
        depends_on: Any,
        on_success: Any,
        on_failure: Any,
        description: Any,
    ) -> Job:
        refuse(kwargs, UNSUPPORTED, "enqueue()")
        if isinstance(retry, int) and not isinstance(retry, bool):
            retry = Retry(retry)
        if retry is not None and not isinstance(retry, Retry):
            raise ConfigTypeError(f"retry={retry!r} must be a Retry(max=..., interval=...) or an int")
        check_times(times)
        options: dict[str, Any] = {
            "priority": LANES[self.name],
            "timeout_ms": self._timeout_ms if job_timeout is None else _timeout_ms(job_timeout),
            **({} if retry is None else retry.options()),
            **({} if description is None else {"name": description}),
        }
        fn = _imported(f) if isinstance(f, str) else f
        if depends_on is None:
            handle = self.system.submitting.submit(fn, args, kwargs, {**options, **resolve_times(self.system, times)})
        else:
            signature: TaskSignature[Any] = TaskSignature(
                fn, self.system, args, kwargs, {**options, **times}, immutable=True
            )
            handle = self._after(depends_on, signature)
        job = Job(handle)
        _call_back(job, on_success, on_failure)
        if not self.is_async:
            run_until_done(self.system, handle)
        return job

    def _after(self, depends_on: Job | Sequence[Job], signature: TaskSignature[Any]) -> Any:
        jobs = [depends_on] if isinstance(depends_on, Job) else list(depends_on)
        for job in jobs:
            if not isinstance(job, Job):
                raise ConfigTypeError(f"depends_on takes a Job or a list of them, not {job!r}")
        run = Run(self.system)
        run.check_leaf(signature, upstream=True)
        steps = [Step(job.handle, None, None) for job in jobs]
        return run.leaf(signature, steps[0] if len(steps) == 1 else run.join(steps, None, None), None).handle

    def __repr__(self) -> str:
        return f"<Queue {self.name}>"


def _call_back(job: Job, on_success: Any, on_failure: Any) -> None:
    for name, hook in (("on_success", on_success), ("on_failure", on_failure)):
        if hook is not None and not callable(hook):
            raise ConfigTypeError(f"{name}={hook!r} must be callable")
    if on_success is None and on_failure is None:
        return

    def ended(handle: Any) -> None:
        if handle.successful():
            if on_success is not None:
                on_success(job, None, handle.wait(0))
        elif on_failure is not None:
            error = handle.exception(0)
            on_failure(job, None, type(error), error, error.__traceback__)

    job.handle.add_callback(ended)


def _timeout_ms(value: Any) -> float | None:
    """Seconds, or "30s", "3m", "1h", "2d"; None and -1: no limit."""
    if value is None or value == -1:
        return None
    if isinstance(value, str):
        number, unit = (value[:-1], value[-1:]) if value[-1:] in _UNITS else (value, "s")
        if not number.isdigit():
            raise ConfigValueError(f"job_timeout={value!r} must be seconds, or like '30s', '3m', '1h', '2d'")
        value = int(number) * _UNITS[unit]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigTypeError(f"job_timeout={value!r} must be seconds, or like '30s', '3m', '1h', '2d'")
    if not value > 0:
        raise ConfigValueError(f"job_timeout={value!r} must be more than 0; -1 means no limit")
    return value * 1000


def _imported(path: str) -> Any:
    module, _, name = path.rpartition(".")
    if not module:
        raise ConfigValueError(f"{path!r} is no path to a function: write 'module.function', or pass the function")
    return getattr(importlib.import_module(module), name)


def _shared_system() -> TaskSystem:
    if not _shared:
        _shared.append(TaskSystem())
    return _shared[0]
