"""``WorkflowResult``: the whole of a started workflow, and its parts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from catzilla.interface import COMPLETED
from catzilla.priority import TaskStatus

if TYPE_CHECKING:
    from catzilla.canvas.run import Step
    from catzilla.handle import TaskResult

R = TypeVar("R")
S = TypeVar("S")


class WorkflowResult(Generic[R]):
    """As a TaskResult; ``handle`` is the one of the whole: of a chain's last step, a chord's body, a group."""

    __slots__ = ("_step",)

    def __init__(self, step: Step) -> None:
        self._step = step

    @property
    def handle(self) -> TaskResult[R]:
        return cast("TaskResult[R]", self._step.handle)

    @property
    def task_id(self) -> str:
        return self.handle.task_id

    @property
    def status(self) -> TaskStatus:
        return self.handle.status

    @property
    def kind(self) -> str:
        """chain, group or chord."""
        return self._step.kind

    @property
    def parts(self) -> list[TaskResult[Any] | WorkflowResult[Any]]:
        """A chain's steps, a group's members, a chord's header (a group) and body."""
        return [WorkflowResult(part) if part.parts or part.kind != "task" else part.handle for part in self._step.parts]

    def steps(self) -> Iterator[TaskResult[Any]]:
        """Every task of it, in order, however deep."""
        return (step.handle for step in _leaves(self._step))

    def failed_steps(self) -> list[TaskResult[Any]]:
        """The tasks that ended without a value themselves, not those that were skipped because of them."""
        return [step.handle for step in _leaves(self._step) if step.handle.state() > COMPLETED and not step.skipped()]

    def wait(self, timeout: float | None = None) -> R:
        """The value of the whole; raises the exception of the step that failed, which a note on it names."""
        try:
            self.exception(timeout)
            return self.handle.wait(0)
        finally:
            del self

    def result(self, timeout: float | None = None) -> R:
        """As ``wait``."""
        return self.wait(timeout)

    def get(self, timeout: float | None = None) -> R:
        """As ``wait``."""
        return self.wait(timeout)

    def join(self, timeout: float | None = None) -> R:
        """As ``wait``."""
        return self.wait(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self.handle.exception(timeout)
        return self._step.error()

    def done(self) -> bool:
        return self.handle.done()

    is_ready = ready = done

    def successful(self) -> bool:
        return self.handle.status is TaskStatus.COMPLETED

    def failed(self) -> bool:
        return self.handle.done() and not self.successful()

    def completed_count(self) -> int:
        """How many of its tasks have completed."""
        return sum(1 for step in self.steps() if step.status is TaskStatus.COMPLETED)

    def cancel(self) -> bool:
        """Cancel every task that can be; the whole ends when what runs has ended. True: one was cancelled."""
        handles = [step.handle for step in _leaves(self._step)]
        # From the end: what comes last is not started by the end of what comes before.
        return [handle.cancel() for handle in reversed(handles)].count(True) > 0

    def add_callback(self, fn: Callable[[WorkflowResult[R]], object]) -> None:
        """Call ``fn(result)`` once when the whole is done, as TaskResult.add_callback."""
        if not callable(fn):
            raise TypeError(f"a callback must be callable, and {fn!r} is not")
        self.handle.add_callback(lambda _: fn(self))

    def then(self, fn: Callable[[R], S]) -> TaskResult[S]:
        return self.handle.then(fn)

    def catch(self, fn: Callable[[BaseException], Any]) -> TaskResult[Any]:
        return self.handle.catch(fn)

    def future(self) -> Future[R]:
        return self.handle.future()

    def __await__(self) -> Generator[Any, None, R]:
        try:
            value = yield from self.handle.__await__()
        except BaseException:
            if self.handle.done():
                self._step.error()  # names the step
            raise
        return value

    def __repr__(self) -> str:
        return f"<WorkflowResult {self.kind}: {self.status.name}>"


def _leaves(step: Step) -> Iterator[Step]:
    waiting = [step]
    while waiting:
        step = waiting.pop()
        if step.parts:
            waiting.extend(reversed(step.parts))
        elif step.kind == "task":
            yield step
