"""``LiveView``: what a dashboard or ``catzilla top`` shows of a task system, as one snapshot.

Besides what ``TaskMeter`` counts it keeps the last failures, with what is needed to try them again.
"""

from __future__ import annotations

import heapq
import reprlib
import time
import traceback
from collections import deque
from collections.abc import Callable
from itertools import count
from time import monotonic_ns
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from catzilla.compiling import Native
from catzilla.errors import ConfigValueError
from catzilla.ext import Ext
from catzilla.full import Full
from catzilla.priority import TaskPriority, TaskStatus

from .events import TaskRecord
from .histogram import BOUNDS_S, Histogram
from .meter import MOST_NAMES, OUTCOMES, NameFigures, TaskMeter

if TYPE_CHECKING:
    from catzilla.handle import TaskResult
    from catzilla.plan import Plan, Spec
    from catzilla.system import TaskSystem

ShowArguments = bool | Callable[[str, tuple[Any, ...], dict[str, Any]], str]
HIDDEN: Final = "(hidden)"
NO_ARGUMENTS: Final = "none"
MOST_PENDING: Final = 20  # shown
MOST_FRAMES: Final = 30  # of a failure's traceback


class Failure:
    """One task that FAILED or TIMED_OUT."""

    __slots__ = (
        "args",
        "at_s",
        "attempts",
        "duration_s",
        "error",
        "frames",
        "key",
        "kwargs",
        "plan",
        "status",
        "task_id",
    )

    def __init__(self, key: str, record: TaskRecord, task: TaskResult[Any], status: TaskStatus) -> None:
        self.key = key
        self.plan: Plan = record.plan
        self.args = record.args
        self.kwargs = record.kwargs
        self.task_id = task.task_id
        self.attempts = task.attempt
        self.status = status
        self.at_s = time.time()
        self.duration_s: float | None = None
        if record.started_ns is not None and record.ended_ns is not None:
            self.duration_s = (record.ended_ns - record.started_ns) / 1e9
        self.error: str = ""
        self.frames: traceback.TracebackException | None = None


class LiveView(TaskMeter):
    """``system.observe(LiveView(system))``; ``show_arguments``: True, False, or a function of (task name, positional,
    keyword arguments) that gives the text to show, for instance without what is secret.

    ``keep_failures``: how many are remembered; each holds the arguments of its task.
    """

    def __init__(self, system: TaskSystem, show_arguments: ShowArguments = True, keep_failures: int = 50) -> None:
        self._system = system
        self._show_arguments = show_arguments
        self._keep_failures = keep_failures
        super().__init__()

    def forked(self) -> None:
        super().forked()
        self._failures: deque[Failure] = deque(maxlen=self._keep_failures)
        self._keys = count(1)
        self._compiled: dict[str, Any] = {}  # task name -> its Native, or why it has none

    # -- events --------------------------------------------------------------------------------

    def stopped(self, record: TaskRecord, task: TaskResult[Any], error: BaseException | None) -> None:
        super().stopped(record, task, error)
        if error is not None:
            record.notes[self] = error

    def finished(self, record: TaskRecord, task: TaskResult[Any], status: TaskStatus) -> None:
        super().finished(record, task, status)
        name = record.name
        if name not in self._compiled and len(self._compiled) < MOST_NAMES:
            spec = record.plan.owner
            self._compiled[name] = spec.native or _why_python(spec)
        error: BaseException | None = record.notes.pop(self, None)
        if record.started_ns is None:
            return  # a group ends as its member did, which is here already: there is nothing to try again
        if status is TaskStatus.FAILED or status is TaskStatus.TIMED_OUT:
            failure = Failure(f"f{next(self._keys)}", record, task, status)
            if error is not None:
                failure.error = _plain(f"{type(error).__name__}: {error}")
                # Without its source lines, which are read when somebody looks.
                failure.frames = traceback.TracebackException(
                    type(error), error, error.__traceback__, limit=-MOST_FRAMES, lookup_lines=False, compact=True
                )
            self._failures.append(failure)

    # -- doing ---------------------------------------------------------------------------------

    def retry(self, key: str) -> TaskResult[Any]:
        """Submit a failed task again, with the same arguments. ConfigValueError: it is not remembered, or no room."""
        for failure in list(self._failures):
            if failure.key == key:
                break
        else:
            raise ConfigValueError(f"the failure {key!r} is not among the last {self._keep_failures}: nothing to retry")
        ext = Ext(None, failure.kwargs or None)
        handle = self._system.submitting.accept(failure.plan, failure.args, ext)
        if isinstance(handle, Full):
            error = ConfigValueError("there is no room for it now: try again when the queue is shorter")
            self._system.submitting.refused(ext, error)
            raise error
        return handle  # type: ignore[return-value]

    # -- looking -------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Everything of this moment, fit for JSON. Durations in seconds, sizes in bytes, times since the epoch."""
        system = self._system
        return {
            "time": time.time(),
            "stats": system.stats().as_dict(),
            "lanes": self._lanes_now(),
            "workers": self._workers(),
            "pending": self._pending(),
            "tasks": [self._task(name, figures) for name, figures in sorted(self.by_name().items())],
            "failures": [self._failure(failure) for failure in reversed(list(self._failures))],
            "schedules": [_schedule(schedule) for schedule in system.schedules()],
            "memory": {
                name: value
                for name, value in system.memory_stats().items()
                if isinstance(value, int | float | str | bool) or value is None
            },
        }

    def _lanes_now(self) -> list[dict[str, Any]]:
        system = self._system
        queue = system.engine.queue
        now_ns = monotonic_ns()
        recent = self.by_lane()
        paused = system.paused_lanes()
        return [
            {
                "name": lane.name,
                "queued": size,
                "capacity": system.config.queue_size,
                "oldest_s": None if since_ns is None else max(0, now_ns - since_ns) / 1e9,
                "paused": int(lane) in paused,
                "duration": _quantiles(recent[lane][0]),
                "wait": _quantiles(recent[lane][1]),
            }
            for lane, size, since_ns in zip(TaskPriority, queue.sizes(), queue.oldest_ready_ns(), strict=True)
        ]

    def _workers(self) -> list[dict[str, Any]]:
        now_ns = monotonic_ns()
        shown = []
        for view in sorted(self._system.engine.workers.snapshot(), key=lambda view: (view.slot < 0, abs(view.slot))):
            if view.native_id is None and view.handle is None:
                continue  # a slot that has no thread
            kind = "reserve" if view.reserve else "worker" if view.slot >= 0 else "helper"
            shown.append(self._worker(kind, view.slot, view.handle, view.started_ns, now_ns))
        for handle in self._system.coroutines.running()[:MOST_PENDING]:
            shown.append(self._worker("coroutine", None, handle, None, now_ns))
        return shown

    def _worker(self, kind: str, slot: int | None, handle: Any, started_ns: int | None, now_ns: int) -> dict[str, Any]:
        about: dict[str, Any] = {"kind": kind, "slot": slot, "task": None}
        if handle is None:
            return about
        record: TaskRecord | None = None if handle.ext is None else handle.ext.record
        if record is not None and record.started_ns is not None:
            started_ns = record.started_ns
            about["arguments"] = self._arguments(record.name, record.args, record.kwargs)
        about |= {
            "task": handle.name,
            "task_id": handle.task_id,
            "attempt": handle.attempt,
            "for_s": None if started_ns is None else max(0, now_ns - started_ns) / 1e9,
            "cancel_requested": handle.cancel_requested,
        }
        return about

    def _pending(self) -> list[dict[str, Any]]:
        now_ns = monotonic_ns()
        oldest: list[Any] = heapq.nsmallest(
            MOST_PENDING, self._system.engine.queue.pending(), key=lambda handle: handle.ready_ns
        )
        return [
            {
                "task_id": handle.task_id,
                "name": handle.name,
                "lane": handle.priority.name,
                "status": handle.status.name,
                "attempt": handle.attempt,
                "age_s": (now_ns - handle.ready_ns) / 1e9,
            }
            for handle in oldest
        ]

    def _task(self, name: str, figures: NameFigures) -> dict[str, Any]:
        compiled = self._compiled.get(name)
        if isinstance(compiled, Native):
            from catzilla.compiler.explain import explain_native

            as_c, why = compiled.kernel is not None, explain_native(compiled)
        elif compiled is None or isinstance(compiled, str):
            as_c, why = False, compiled or "not known yet"
        else:
            as_c, why = compiled.kernel is not None, compiled.explain()
        return {
            "name": name,
            "lane": figures.lane.name,
            **{outcome.name.lower(): figures.outcomes[outcome] for outcome in OUTCOMES},
            "retries": figures.retries,
            "mean_s": figures.durations.mean_s(),
            "duration": _quantiles(figures.durations),
            "wait": _quantiles(figures.waits),
            "histogram": [
                [BOUNDS_S[min(index, len(BOUNDS_S) - 1)], number]
                for index, number in sorted(figures.durations.counts.items())
            ],
            "compiled": as_c,
            "why": why,
        }

    def _failure(self, failure: Failure) -> dict[str, Any]:
        spec: Spec = failure.plan.owner
        return {
            "key": failure.key,
            "task_id": failure.task_id,
            "name": spec.name,
            "lane": spec.options.priority.name,
            "status": failure.status.name,
            "attempts": failure.attempts,
            "time": failure.at_s,
            "duration_s": failure.duration_s,
            "error": failure.error,
            "traceback": "" if failure.frames is None else _plain("".join(failure.frames.format())),
            "arguments": self._arguments(spec.name, failure.args, failure.kwargs),
        }

    def _arguments(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        if self._show_arguments is False:
            return HIDDEN
        try:
            if self._show_arguments is not True:
                return _plain(str(self._show_arguments(name, args, kwargs)))
            listed = [_short.repr(value) for value in args]
            listed += [f"{key}={_short.repr(value)}" for key, value in kwargs.items()]
            return _plain(", ".join(listed) or NO_ARGUMENTS)  # without brackets, which would look like a tuple's
        except Exception as error:  # the page goes on without; what raised is in the log
            self._system.fault(error)
            return HIDDEN


def _plain(text: str) -> str:
    """Without surrogates, as in the name of a file that is no UTF-8: JSON cannot be made of them."""
    return text.encode(errors="backslashreplace").decode()


_short = reprlib.Repr()
_short.maxstring = _short.maxother = 200


def _quantiles(histogram: Histogram) -> dict[str, Any]:
    return {
        "count": histogram.count,
        "p50_s": histogram.quantile_s(0.50),
        "p95_s": histogram.quantile_s(0.95),
        "p99_s": histogram.quantile_s(0.99),
    }


def _why_python(spec: Spec) -> str:
    if not spec.system.config.enable_c_compilation:
        return "runs as Python: enable_c_compilation=False"
    if spec.options.compile_to_c is False:
        return "runs as Python: compile_to_c=False"
    if spec.is_async:
        return "runs as Python: it is a coroutine"
    if type(spec.fn) is not FunctionType:
        return "runs as Python: only functions written with def are compiled"
    if spec.fn.__closure__ is not None or "<locals>" in spec.fn.__qualname__:
        return "runs as Python: it is defined inside another function"
    return "runs as Python: it does too little by itself to gain from C"


def _schedule(schedule: Any) -> dict[str, Any]:
    next_run, last_run = schedule.next_run, schedule.last_run
    return {
        "name": schedule.name,
        "timetable": schedule.timetable,
        "paused": schedule.paused,
        "next": None if next_run is None else next_run.timestamp(),
        "last": None if last_run is None else last_run.timestamp(),
        "runs": schedule.runs,
        "skipped": schedule.skipped,
        "missed": schedule.missed,
    }
