"""Policy's data of one task, made only when its call is not plain: most handles have none."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .deadlines import Attempt
    from .interface import Handle
    from .limits.bucket import Claim
    from .memory import Charge
    from .observe.events import TaskRecord
    from .rows import Part


class Ext:
    __slots__ = (
        "attempt",
        "cancel_requested",
        "charge",
        "claim",
        "context",
        "coroutine",
        "created_ns",
        "expires_ns",
        "follows",
        "gave_up",
        "kwargs",
        "on_settled",
        "promise",
        "record",
        "retries",
        "row",
        "task_id",
        "times_ns",
    )

    def __init__(self, context: Context | None, kwargs: dict[str, Any] | None) -> None:
        self.context = context
        self.kwargs = kwargs
        self.on_settled: Callable[[Handle], None] | None = None
        self.promise = False  # a continuation whose first task has not ended
        self.follows: Handle | None = None  # that task
        self.row: tuple[Part, int] | None = None  # of a batch that runs as C, until it has ended: where it is
        self.record: TaskRecord | None = None  # for observers
        self.task_id: str | None = None
        self.retries = 0
        self.attempt: Attempt | None = None  # of a deadline, while it runs
        self.cancel_requested = False
        self.coroutine: Any = None  # the asyncio.Task, while it runs
        self.charge: Charge | None = None
        self.claim: Claim | None = None  # of a limited task
        self.created_ns: int | None = None  # when it differs from Handle.ready_ns
        self.expires_ns: int | None = None  # too late to start, by the system's clock
        self.gave_up = False  # its own retry() said that it was the last attempt
        self.times_ns: tuple[int, int] | None = None  # of a coroutine
