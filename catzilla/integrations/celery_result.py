"""``AsyncResult``: a TaskResult, or the WorkflowResult of a chain, group or chord, as Celery shows it."""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Final

from catzilla.canvas import WorkflowResult
from catzilla.priority import TaskStatus

STATES: Final = {
    TaskStatus.PENDING: "PENDING",
    TaskStatus.DELAYED: "PENDING",
    TaskStatus.RUNNING: "STARTED",
    TaskStatus.RETRYING: "RETRY",
    TaskStatus.COMPLETED: "SUCCESS",
    TaskStatus.FAILED: "FAILURE",
    TaskStatus.TIMED_OUT: "FAILURE",
    TaskStatus.CANCELLED: "REVOKED",
}


class AsyncResult:
    """``handle`` is Catzilla's own result."""

    def __init__(self, handle: Any, before: Sequence[Any] = ()) -> None:
        self.handle = handle
        self._before = before  # of a chain's step: the handles of those before it

    @property
    def id(self) -> str:
        return str(self.handle.task_id)

    task_id = id

    @property
    def state(self) -> str:
        """PENDING, STARTED, RETRY, SUCCESS, FAILURE or REVOKED."""
        return STATES[self.handle.status]

    status = state

    @property
    def result(self) -> Any:
        """The value, or the exception; None: not done."""
        if not self.handle.done():
            return None
        error = self.handle.exception(0)
        return self.handle.wait(0) if error is None else error

    info = result

    @property
    def traceback(self) -> str | None:
        """Of the exception, as text; None: there is none."""
        error = self.handle.exception(0) if self.handle.done() else None
        return None if error is None else "".join(traceback.format_exception(error))

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float | None = None,
        disable_sync_subtasks: bool | None = None,
    ) -> Any:
        """The value; raises the task's exception (``propagate=False``: returns it), or TimeoutError.

        ``interval`` and ``disable_sync_subtasks`` are taken as Celery's: nothing is polled here, and a
        task may wait for another one.
        """
        if propagate:
            return self.handle.wait(timeout)
        error = self.handle.exception(timeout)
        return self.handle.wait(0) if error is None else error

    wait = get
    join = get

    def ready(self) -> bool:
        return bool(self.handle.done())

    def successful(self) -> bool:
        return bool(self.handle.successful())

    def failed(self) -> bool:
        return self.state == "FAILURE"

    def waiting(self) -> bool:
        return not self.ready()

    def maybe_throw(self) -> Any:
        return self.get(0)

    def revoke(self, terminate: bool = False) -> bool:
        """Cancel it. A function that runs cannot be stopped from outside: time_limit= does that."""
        return bool(self.handle.cancel())

    def forget(self) -> None:
        """Let go of the value."""
        self.handle = _Forgotten()

    @property
    def results(self) -> list[AsyncResult]:
        """Of a group, chain or chord: its parts. Of a task: none."""
        return [AsyncResult(part) for part in self.handle.parts] if isinstance(self.handle, WorkflowResult) else []

    children = results

    @property
    def parent(self) -> AsyncResult | None:
        """Of a chain: the result of the step before its last one, which has a parent in turn; None: there is none."""
        before = self._before
        if isinstance(self.handle, WorkflowResult) and self.handle.kind == "chain":
            before = self.handle.parts[:-1]
        return AsyncResult(before[-1], before[:-1]) if before else None

    def completed_count(self) -> int:
        return sum(result.successful() for result in self.results)

    def __iter__(self) -> Iterator[AsyncResult]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __bool__(self) -> bool:
        return True

    def __await__(self) -> Generator[Any, None, Any]:
        return (yield from self.handle.__await__())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<AsyncResult: {self.state}>"


class _Forgotten:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("the result was forgotten: forget() was called")
