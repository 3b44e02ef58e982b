"""Tells observers: one ``Observation`` a system, made with its first observer."""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from catzilla.errors import ConfigTypeError
from catzilla.ext import Ext
from catzilla.interface import COMPLETED, CONDEMNED
from catzilla.priority import TaskStatus

from .events import EVENTS, Observer, TaskRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from catzilla.interface import Handle, Runner
    from catzilla.plan import Plan, Spec
    from catzilla.system import TaskSystem


class Observation:
    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self.observers: tuple[Observer, ...] = ()
        self._choose()

    def add(self, observer: Observer) -> None:
        if not isinstance(observer, Observer):
            raise ConfigTypeError(
                f"observe() takes an instance of a subclass of catzilla.observe.Observer, and {observer!r} is none"
            )
        if observer not in self.observers:
            self.observers = (*self.observers, observer)
            self._choose()

    def remove(self, observer: Observer) -> None:
        self.observers = tuple(other for other in self.observers if other is not observer)
        self._choose()

    def _choose(self) -> None:
        """Of each event, the methods that somebody has overridden."""
        (
            self._submitting,
            self._accepted,
            self._refused,
            self._started,
            self._stopped,
            self._retried,
            self._finished,
        ) = (
            tuple(
                getattr(observer, event)
                for observer in self.observers
                if getattr(type(observer), event) is not getattr(Observer, event)
            )
            for event in EVENTS
        )

    def _tell(self, methods: tuple[Callable[..., object], ...], *about: Any) -> None:
        for method in methods:
            try:
                method(*about)
            except Exception as error:
                self._system.fault(error)

    def forked(self) -> None:
        for observer in self.observers:
            observer.forked()

    # -- where it happens ----------------------------------------------------------------------

    def submitting(self, plan: Plan, ext: Ext | None) -> Ext:
        """Before a task is queued, perhaps not for the first time: its lane may have been full."""
        if ext is None:
            ext = Ext(None, None)
        if ext.record is None:
            ext.record = record = TaskRecord(plan, monotonic_ns())
            ext.on_settled = self._system.settled
            if self._submitting:
                self._tell(self._submitting, record)
        return ext

    def accepted(self, handle: Any) -> None:
        record: TaskRecord = handle.ext.record
        record.queued = True
        if self._accepted:
            self._tell(self._accepted, record, handle)

    def refused(self, ext: Ext | None, error: BaseException | None) -> None:
        """Its submit ends with ``error``, whatever had been tried to make room for it."""
        record = None if ext is None else ext.record
        if record is None or record.queued:
            return
        record.queued = True
        if self._refused:
            self._tell(self._refused, record, error)

    def started(self, record: TaskRecord, handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        record.args = args
        record.kwargs = kwargs
        record.started_ns = monotonic_ns()
        record.open.append(None)
        if self._started:
            self._tell(self._started, record, handle)

    def stopped(self, record: TaskRecord, handle: Any, error: BaseException | None) -> None:
        """Once an attempt, whoever comes first: its own thread, or who took it away."""
        try:
            record.open.pop()
        except IndexError:
            return
        record.ended_ns = monotonic_ns()
        if self._stopped:
            self._tell(self._stopped, record, handle, error)

    def retried(self, handle: Any, error: BaseException, wait_ns: int) -> None:
        record: TaskRecord | None = handle.ext.record
        if record is None:
            return
        self.stopped(record, handle, error)
        if self._retried:
            self._tell(self._retried, record, handle, error, wait_ns / 1e9)

    def finished(self, handle: Any, record: TaskRecord) -> None:
        state = handle.state()
        if record.open:  # it was taken away while it ran
            self.stopped(record, handle, None if state == COMPLETED else handle.error())
        if self._finished:
            self._tell(self._finished, record, handle, TaskStatus(state))
        record.args = ()
        record.kwargs = {}

    # -- around an attempt ---------------------------------------------------------------------

    def around(self, spec: Spec, runner: Runner | None) -> Runner:
        """A runner that tells of the attempt, around the one that the task has anyway."""

        def run_observed(handle: Handle, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            ext: Ext | None = handle.ext
            record = None if ext is None else ext.record
            if record is not None:
                self.started(record, handle, args, kwargs)
            try:
                value = spec.fn(*args, **kwargs) if runner is None else runner(handle, args, kwargs)
            except BaseException as error:
                if record is not None:
                    self.stopped(record, handle, error)
                # One frame of a runner comes before the task's (interface.Runner): this one, and not the inner's.
                inner = error.__traceback__ and error.__traceback__.tb_next
                if runner is not None and inner is not None:
                    inner = inner.tb_next
                raise error.with_traceback(inner)  # noqa: B904  (the very same)
            else:
                # An attempt that was taken away is told of by who took it: the next one may have begun.
                if record is not None and value is not CONDEMNED:
                    self.stopped(record, handle, None)
                return value
            finally:
                # The frames of a task's exception lead back to this one: it must not hold the handle.
                handle = args = kwargs = ext = record = None  # type: ignore[assignment]

        return run_observed
