"""``Queue``: a lane of a task system, as RQ shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from catzilla.canvas.run import Run, Step
from catzilla.canvas.signature import TaskSignature
from catzilla.canvas.timing import check_times, resolve_times
from catzilla.errors import ConfigTypeError, ConfigValueError
from catzilla.integrations.in_place import run_until_done
from catzilla.integrations.rq_job import Job
from catzilla.integrations.rq_options import (
    Callback,
    Dependency,
    EnqueueData,
    Retry,
    checked,
    explicit,
    of_call,
    timeout_ms,
)
from catzilla.integrations.unsupported import Unsupported
from catzilla.priority import TaskPriority
from catzilla.system import TaskSystem

LANES: Final = {
    "critical": TaskPriority.CRITICAL,
    "high": TaskPriority.HIGH,
    "default": TaskPriority.NORMAL,
    "low": TaskPriority.LOW,
}
_LIST: Final = "keep the jobs you enqueue; queue.fetch_job(id) finds one, and the dashboard shows all"
_FAILED: Final = "use on_failure=; the dashboard and system.observe() show failures"
UNSUPPORTED: Final = {
    "jobs": _LIST,
    "job_ids": _LIST,
    "get_jobs": _LIST,
    "get_job_ids": _LIST,
    "started_job_registry": _LIST,
    "finished_job_registry": _LIST,
    "scheduled_job_registry": _LIST,
    "deferred_job_registry": _LIST,
    "canceled_job_registry": _LIST,
    "failed_job_registry": _FAILED,
    "empty": "call cancel() of each job, or queue.system.shutdown(cancel_pending=True)",
    "delete": "call cancel() of each job, or queue.system.shutdown(cancel_pending=True)",
    "create_job": "use enqueue_call(); to enqueue later, prepare_data() and enqueue_many()",
    "enqueue_job": "use enqueue_call(); to enqueue later, prepare_data() and enqueue_many()",
    "connection": "there is no Redis",
}
Success = Callable[[Job, None, Any], object] | Callback
Failure = Callable[[Job, None, type[BaseException], BaseException, Any], object] | Callback
_shared: list[TaskSystem] = []


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
        self._timeout_ms = timeout_ms(default_timeout)
        self.system = system or (_shared_system() if is_async else TaskSystem())
        if not is_async:
            self.system.pause()

    # -- enqueueing -------------------------------------------------------------------------------

    def enqueue(
        self,
        f: Callable[..., Any] | str,
        /,
        *args: Any,
        job_timeout: float | str | None = None,
        ttl: float | None = None,
        retry: Retry | int | None = None,
        depends_on: Job | Sequence[Job] | Dependency | None = None,
        on_success: Success | None = None,
        on_failure: Failure | None = None,
        description: str | None = None,
        **kwargs: Any,
    ) -> Job:
        """Queue ``f(*args, **kwargs)``; ``f`` may be "module.function". Times in seconds, or "3m", "1h".

        The function's arguments can also be given as ``args=(...), kwargs={...}``.
        """
        options = {
            "timeout": job_timeout,
            "ttl": ttl,
            "retry": retry,
            "depends_on": depends_on,
            "on_success": on_success,
            "on_failure": on_failure,
            "description": description,
        }
        return self._enqueue(of_call("enqueue()", f, args, kwargs, options), {})

    def enqueue_call(
        self,
        func: Callable[..., Any] | str,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        timeout: float | str | None = None,
        **options: Any,
    ) -> Job:
        """Queue ``func(*args, **kwargs)``. ``options``: as of enqueue(); every keyword of the function is in kwargs."""
        return self._enqueue(explicit("enqueue_call()", func, args, kwargs, {"timeout": timeout, **options}), {})

    @staticmethod
    def prepare_data(
        func: Callable[..., Any] | str,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        timeout: float | str | None = None,
        **options: Any,
    ) -> EnqueueData:
        """A call for enqueue_many(), as enqueue_call() takes it."""
        return explicit("prepare_data()", func, args, kwargs, {"timeout": timeout, **options})

    def enqueue_many(self, job_datas: Iterable[EnqueueData], pipeline: None = None, group_id: None = None) -> list[Job]:
        """Queue them, in order; their jobs, in the same order.

        When one is refused (its arguments do not fit, the lane is full), those before it that have not started
        are cancelled, and its error says how many have.
        """
        checked("enqueue_many()", {"pipeline": pipeline, "group_id": group_id})
        datas = list(job_datas)
        for data in datas:
            if not isinstance(data, EnqueueData):
                raise ConfigTypeError(f"enqueue_many() takes what Queue.prepare_data() gives, not {data!r}")
        jobs: list[Job] = []
        for data in datas:
            try:
                jobs.append(self._enqueue(data, {}))
            except Exception as error:
                started = len(jobs) - sum(job.cancel() for job in jobs)
                error.add_note(
                    f"refused: job {len(jobs) + 1} of the {len(datas)} of enqueue_many(); of those before it "
                    f"{started} had started, the others were cancelled"
                )
                raise
        return jobs

    def enqueue_in(self, time_delta: timedelta, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Job:
        """``enqueue``, to start after this time."""
        if not isinstance(time_delta, timedelta):
            raise ConfigTypeError(f"enqueue_in() takes a timedelta, not {time_delta!r}")
        return self._later("enqueue_in()", {"countdown": time_delta}, func, args, kwargs)

    def enqueue_at(self, when: datetime, f: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Job:
        """``enqueue``, to start then; at once when that has passed. Without a time zone it is this machine's time."""
        return self._later("enqueue_at()", {"eta": _with_zone(when)}, f, args, kwargs)

    def _later(self, where: str, times: dict[str, Any], f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job:
        names = ("ttl", "retry", "depends_on", "on_success", "on_failure", "description")
        options = {name: kwargs.pop(name, None) for name in names}
        options["timeout"] = kwargs.pop("job_timeout", None)
        return self._enqueue(of_call(where, f, args, kwargs, options), times)

    def _enqueue(self, data: EnqueueData, times: dict[str, Any]) -> Job:
        if data.ttl is not None:
            times = {**times, "expires": data.ttl}
        check_times(times)
        options: dict[str, Any] = {
            "priority": LANES[self.name],
            "timeout_ms": self._timeout_ms if data.timeout is None else timeout_ms(data.timeout),
            **({} if data.retry is None else data.retry.options()),
            **({} if data.description is None else {"name": data.description}),
        }
        if data.depends_on is None:
            submit = self.system.submitting.submit
            handle = submit(data.func, data.args, data.kwargs, {**options, **resolve_times(self.system, times)})
        else:
            signature: TaskSignature[Any] = TaskSignature(
                data.func, self.system, data.args, data.kwargs, {**options, **times}, immutable=True
            )
            handle = self._after(data.depends_on, signature)
        job = Job(handle)
        _call_back(job, data.on_success, data.on_failure)
        if not self.is_async:
            run_until_done(self.system, handle)
        return job

    def _after(self, dependency: Dependency, signature: TaskSignature[Any]) -> Any:
        run = Run(self.system)
        run.check_leaf(signature, upstream=True)
        steps = [Step(job.handle, None, None) for job in dependency.jobs]
        if dependency.allow_failure:
            steps = [run.ended(step) for step in steps]
        return run.leaf(signature, steps[0] if len(steps) == 1 else run.join(steps, None, None), None).handle

    # -- looking ----------------------------------------------------------------------------------

    def fetch_job(self, job_id: str) -> Job | None:
        """One that is not finished, or one of the last ``TaskSystem(keep_results=n)`` finished; None: not known."""
        handle = self.system.get_task(job_id)
        return None if handle is None else Job(handle)

    @property
    def count(self) -> int:
        """How many are ready and have not started."""
        lane = LANES[self.name].name.lower()
        return int(getattr(self.system.stats(), f"{lane}_queue_size"))

    def is_empty(self) -> bool:
        return self.count == 0

    def __len__(self) -> int:
        return self.count

    def __bool__(self) -> bool:
        return True  # also when it is empty

    def __getattr__(self, name: str) -> Any:
        if name in UNSUPPORTED:
            raise Unsupported(f"a Queue has no {name}: {UNSUPPORTED[name]}")
        raise AttributeError(f"a Queue has no {name!r}")

    def __repr__(self) -> str:
        return f"<Queue {self.name}>"


def _with_zone(when: Any) -> Any:
    if not isinstance(when, datetime):
        raise ConfigTypeError(f"enqueue_at() takes a datetime, not {when!r}; for a time from now use enqueue_in()")
    return when.astimezone() if when.utcoffset() is None else when


def _call_back(job: Job, on_success: Any, on_failure: Any) -> None:
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


def _shared_system() -> TaskSystem:
    if not _shared:
        _shared.append(TaskSystem())
    return _shared[0]
