"""``TaskResult``: what users do with a task they submitted.

The handle *is* the backend's own type; these methods are attached to it once (``attach``), so that
looking at a result costs no wrapper. ``TaskResult`` itself is what to check and annotate with.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable, Generator
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, cast

from .errors import TaskCancelled
from .ext import Ext
from .interface import CANCELLED, COMPLETED, DELAYED, PENDING, RUNNING
from .limits import waits
from .priority import TaskPriority, TaskStatus
from .timeouts import check_timeout
from .waiters import Waiting, waiters_on

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .plan import Spec
    from .stats import TaskStats

R = TypeVar("R")
S = TypeVar("S")


def _spec(handle: Any) -> Spec:
    return cast("Spec", handle.plan.owner)


class TaskResult(Generic[R], metaclass=ABCMeta):
    """One submitted task. Every backend's handle type is a (virtual) subclass."""

    __slots__ = ()

    @property
    def task_id(self) -> str:
        """Unique across processes; made when it is first asked for."""
        return _spec(self).system.lookup.id_of(cast("Any", self))

    @property
    def status(self) -> TaskStatus:
        state = self.state()
        if state == DELAYED:
            ext: Ext | None = self.ext
            row = None if ext is None else ext.row
            if row is not None:
                state = RUNNING if row[0].started else PENDING
        return TaskStatus(state)

    @property
    def name(self) -> str:
        return _spec(self).name

    @property
    def priority(self) -> TaskPriority:
        return _spec(self).options.priority

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody called cancel() while it ran: a long task looks here and returns."""
        ext: Ext | None = self.ext
        return ext is not None and ext.cancel_requested

    @property
    def attempt(self) -> int:
        """1 for the first run, 2 for the first retry, …"""
        ext: Ext | None = self.ext
        return 1 if ext is None else 1 + ext.retries

    def done(self) -> bool:
        return self.state() >= COMPLETED

    def is_ready(self) -> bool:
        return self.state() >= COMPLETED

    def wait(self, timeout: float | None = None) -> R:
        """The task's value. Raises the task's own exception, TaskCancelled or TaskTimeout.

        ``timeout`` in seconds: raises the built-in TimeoutError when it runs out, and the task goes
        on; 0 is a poll. Inside a task, waiting never uses up the workers.
        """
        try:
            _wait_done(self, timeout)
            return cast("R", self.outcome())
        finally:
            del self  # the exception's traceback holds this frame: no cycle through it

    def result(self, timeout: float | None = None) -> R:
        """As ``wait``."""
        try:
            return self.wait(timeout)
        finally:
            del self

    def get(self, timeout: float | None = None) -> R:
        """As ``wait``."""
        try:
            return self.wait(timeout)
        finally:
            del self

    def ready(self) -> bool:
        """As ``done``."""
        return self.state() >= COMPLETED

    def successful(self) -> bool:
        """Whether it has a value."""
        return self.state() == COMPLETED

    def failed(self) -> bool:
        """Whether it ended without a value: FAILED, CANCELLED or TIMED_OUT."""
        return self.state() > COMPLETED

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The task's exception (also TaskCancelled, TaskTimeout), or None; waits as ``wait`` does."""
        _wait_done(self, timeout)
        return self.error()

    def cancel(self) -> bool:
        """End the task: one that has not started is CANCELLED, a coroutine is cancelled.

        False for one that runs: a function cannot be stopped from outside, but finds
        ``current_task().cancel_requested`` set. One that runs as C is CANCELLED at its loop's next round.
        """
        spec = _spec(self)
        handle = cast("Any", self)
        if self.withdraw(TaskCancelled(f"task {spec.name} was cancelled before it started")):
            return True
        ext: Ext | None = self.ext
        if ext is not None and ext.row is not None:
            return ext.row[0].cancel_row(handle, ext.row[1])
        if ext is not None and ext.promise:
            return self.settle(CANCELLED, TaskCancelled(f"task {spec.name} was cancelled before it started"))
        if self.state() == RUNNING:
            spec.system.ensure_ext(handle).cancel_requested = True
            spec.system.compiling.stop(handle)
            return spec.system.coroutines.cancel(handle)
        return False

    def add_callback(self, fn: Callable[[TaskResult[R]], object]) -> None:
        """Call ``fn(result)`` once when done: on the thread that settles it, or here and now if it is.

        What it raises is logged, and harms neither the task nor other callbacks.
        """
        if not callable(fn):
            raise TypeError(f"a callback must be callable, and {fn!r} is not")
        fault = _spec(self).system.fault

        def call(handle: Any) -> None:
            try:
                fn(handle)
            except BaseException as error:
                fault(error)

        self.on_done(call)

    def then(self, fn: Callable[[R], S]) -> TaskResult[S]:
        """A task that runs ``fn(value)`` when this one completed; else it ends as this one did."""
        from .continuations import then

        return cast("TaskResult[S]", then(cast("Any", self), fn))

    def catch(self, fn: Callable[[BaseException], Any]) -> TaskResult[Any]:
        """A task that runs ``fn(exception)`` when this one did not complete; else it has this one's value."""
        from .continuations import catch

        return cast("TaskResult[Any]", catch(cast("Any", self), fn))

    def future(self) -> Future[R]:
        """A ``concurrent.futures.Future`` that follows the task; cancelling it cancels the task."""
        from .futures import future_of

        return cast("Future[R]", future_of(cast("Any", self)))

    def stats(self) -> TaskStats:
        from .stats import TaskStats

        return TaskStats.of(cast("Any", self))

    def __await__(self) -> Generator[Any, None, R]:
        if self.state() < COMPLETED:
            import asyncio

            from .port import port_of

            loop = asyncio.get_running_loop()
            if self.state() < COMPLETED:
                waiters, by = waiters_on(loop)
                if by is None and not waiters and waits.in_use and (task := _current_task()) is not None:
                    waiters = [task]  # no coroutine, and it runs a loop of its own
                if by is None and not waiters:
                    yield from port_of(loop).future_of(cast("Any", self))
                else:
                    with Waiting(waiters, self, is_limited=False, by=by):
                        if waits.in_use:
                            waits.untangle()
                        yield from port_of(loop).future_of(cast("Any", self))
        try:
            return cast("R", self.outcome())
        finally:
            del self

    def __repr__(self) -> str:
        ext: Ext | None = self.ext
        known = "" if ext is None or ext.task_id is None else f" {ext.task_id}"
        return f"<TaskResult{known} of {self.name}: {self.status.name}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a TaskResult cannot be pickled: it belongs to this process's task system; "
            f"pass its value, or its task_id ({self.name}), instead"
        )

    if TYPE_CHECKING:  # the backend's own part (interface.Handle)
        plan: Any
        ext: Any
        ready_ns: int

        def state(self) -> int: ...
        def withdraw(self, error: BaseException) -> bool: ...
        def settle(self, state: int, value: object) -> bool: ...
        def outcome(self) -> object: ...
        def error(self) -> BaseException | None: ...
        def wait_ns(self, timeout_ns: int) -> bool: ...
        def on_done(self, fn: Callable[[Any], None]) -> None: ...
        def worker_slot(self) -> int | None: ...
        def times_ns(self) -> tuple[int, int] | None: ...


def _current_task() -> Any:
    from .system import current_task

    return current_task()


def _wait_done(handle: Any, timeout: float | None) -> None:
    if handle.state() >= COMPLETED:
        return
    check_timeout(timeout)
    if not _spec(handle).system.wait(handle, timeout):
        spec = _spec(handle)
        waited_s = max(0.0, timeout or 0.0)
        raise TimeoutError(
            f"task {spec.name} was not done within {waited_s:g} s (it is {TaskStatus(handle.state()).name} and goes on)"
        )


_ATTACHED = [
    "task_id",
    "status",
    "name",
    "priority",
    "cancel_requested",
    "attempt",
    "done",
    "is_ready",
    "result",
    "get",
    "ready",
    "successful",
    "failed",
    "exception",
    "cancel",
    "add_callback",
    "then",
    "catch",
    "future",
    "stats",
    "__await__",
    "__repr__",
    "__reduce__",
]


def attach(handle_type: type) -> None:
    """Give a backend's handle type the methods of TaskResult, once.

    A type may have its own ``wait(timeout)`` for the finished case; it leaves the rest to ``_wait``.
    """
    if issubclass(handle_type, TaskResult):
        return
    for name in _ATTACHED:
        setattr(handle_type, name, TaskResult.__dict__[name])
    handle_type._wait = TaskResult.__dict__["wait"]  # type: ignore[attr-defined]
    if "wait" not in handle_type.__dict__:
        handle_type.wait = TaskResult.__dict__["wait"]  # type: ignore[attr-defined]
    handle_type.__class_getitem__ = classmethod(lambda cls, _: cls)  # type: ignore[attr-defined]
    TaskResult.register(handle_type)


def wall_time_s(monotonic: int) -> float:
    """A monotonic time as seconds since the epoch."""
    return (time_ns() - monotonic_ns() + monotonic) / 1e9
