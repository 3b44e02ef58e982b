"""``Observer``: what it may be told of a task, and ``TaskRecord``: the task as it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catzilla.handle import TaskResult
    from catzilla.plan import Plan
    from catzilla.priority import TaskPriority, TaskStatus


class TaskRecord:
    """One task in the eyes of observers. It never holds the ``TaskResult``: a failure is told when that is freed.

    Times are monotonic nanoseconds. ``notes`` is for observers: each keeps what it likes there, under
    a key of its own.
    """

    __slots__ = (
        "accepted_ns",
        "args",
        "ended_ns",
        "kwargs",
        "lane",
        "name",
        "notes",
        "open",
        "plan",
        "queued",
        "started_ns",
    )

    def __init__(self, plan: Plan, accepted_ns: int) -> None:
        self.plan = plan
        self.name: str = plan.owner.name
        self.lane: TaskPriority = plan.owner.options.priority
        self.accepted_ns = accepted_ns
        self.started_ns: int | None = None  # of the last attempt
        self.ended_ns: int | None = None
        self.args: tuple[Any, ...] = ()  # of the last attempt, from its start on
        self.kwargs: dict[str, Any] = {}
        self.open: list[None] = []  # one entry while an attempt runs; taking it decides who ends it
        self.queued = False  # observers were told that it was accepted, or that it was not
        self.notes: dict[Any, Any] = {}


class Observer:
    """Override what you want to know; what you do not override costs nothing.

    Every method is called at the moment it tells of, on the thread where it happens, and must be quick.
    What one raises is logged and harms nobody. A task accepted before it was observed is not told of.
    """

    def submitting(self, record: TaskRecord) -> None:
        """A task is about to be queued, in the submitter's context: ``accepted`` or ``refused`` follows."""

    def accepted(self, record: TaskRecord, task: TaskResult[Any]) -> None:
        """It was queued. A worker may be quicker: ``started`` can come at the same time, on its thread."""

    def refused(self, record: TaskRecord, error: BaseException | None) -> None:
        """Its submit has no new result: ``error`` is raised there. None: it is ``unique``, and was queued already.

        Of a task that a shutdown took back while it was submitted ``finished`` is told too.
        """

    def started(self, record: TaskRecord, task: TaskResult[Any]) -> None:
        """An attempt begins (``task.attempt`` counts them), in the task's own context."""

    def stopped(self, record: TaskRecord, task: TaskResult[Any], error: BaseException | None) -> None:
        """The attempt is over; ``error`` is what it raised. In the task's own context, before anybody is told."""

    def retried(self, record: TaskRecord, task: TaskResult[Any], error: BaseException, wait_s: float) -> None:
        """It failed with ``error`` and starts again in ``wait_s`` seconds."""

    def finished(self, record: TaskRecord, task: TaskResult[Any], status: TaskStatus) -> None:
        """It is settled: COMPLETED, FAILED, CANCELLED or TIMED_OUT. Once, and the last to be told."""

    def forked(self) -> None:
        """This is the child of a fork: forget what belongs to the parent."""


EVENTS = ("submitting", "accepted", "refused", "started", "stopped", "retried", "finished")
