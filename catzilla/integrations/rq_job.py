"""``Job``: a TaskResult, as RQ shows it."""

from __future__ import annotations

import traceback
from datetime import datetime, timezone
from typing import Any, Final, NoReturn

from catzilla.integrations.unsupported import Unsupported
from catzilla.priority import TaskStatus
from catzilla.system import current_task

UNSUPPORTED: Final = {
    "args": "arguments are let go once the job has run; keep what you need beside the job",
    "kwargs": "arguments are let go once the job has run; keep what you need beside the job",
    "meta": "keep what belongs to a job beside it",
    "get_meta": "keep what belongs to a job beside it",
    "save_meta": "keep what belongs to a job beside it",
    "save": "nothing is stored",
    "delete": "nothing is stored: a job is gone with its last reference; cancel() keeps it from running",
    "requeue": "enqueue the function again; retry=Retry(max=...) does it when it fails",
    "latest_result": "use return_value() or exc_info",
    "results": "use return_value() or exc_info",
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


class Job:
    """One that was enqueued. ``handle`` is Catzilla's TaskResult."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    @classmethod
    def fetch(cls, id: str, connection: Any = None) -> NoReturn:
        raise Unsupported("Job.fetch(): ids belong to a task system, not to a Redis; use queue.fetch_job(id)")

    @property
    def id(self) -> str:
        return str(self.handle.task_id)

    def get_id(self) -> str:
        return self.id

    @property
    def func_name(self) -> str:
        """The description it was enqueued with, else module and name of the function."""
        return str(self.handle.name)

    def get_status(self, refresh: bool = True) -> str:
        """queued, started, deferred (waits for another), scheduled, finished, failed or canceled. Always of now."""
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

    @property
    def is_stopped(self) -> bool:
        """Never: a running job is not stopped from outside."""
        return False

    @property
    def enqueued_at(self) -> datetime:
        return _utc(self.handle.stats().created_at)

    @property
    def started_at(self) -> datetime | None:
        """In UTC. None: it has not, or its times were not sampled (``enable_profiling="full"`` times every job)."""
        seconds = self.handle.stats().started_at
        return None if seconds is None else _utc(seconds)

    @property
    def ended_at(self) -> datetime | None:
        """In UTC. None: as for started_at."""
        seconds = self.handle.stats().finished_at
        return None if seconds is None else _utc(seconds)

    def return_value(self, refresh: bool = False) -> Any:
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

    def __getattr__(self, name: str) -> Any:
        if name in UNSUPPORTED:
            raise Unsupported(f"a Job has no {name}: {UNSUPPORTED[name]}")
        raise AttributeError(f"a Job has no {name!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.handle is self.handle

    def __hash__(self) -> int:
        return hash(self.handle)

    def __repr__(self) -> str:
        return f"<Job {self.handle.name}: {self.get_status()}>"


def get_current_job() -> Job | None:
    """The job that runs on this thread, or None."""
    handle = current_task()
    return None if handle is None else Job(handle)


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)  # noqa: UP017  (one spelling on every version)
