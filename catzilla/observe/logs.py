"""Structured logs: one record an event, and the task's id on every record that is logged inside a task."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from catzilla.log import logger as task_logger

from .events import Observer, TaskRecord

if TYPE_CHECKING:
    from catzilla.handle import TaskResult
    from catzilla.priority import TaskStatus

FIELDS: Final = (
    "event",
    "task_id",
    "task_name",
    "attempt",
    "trace_id",
    "lane",
    "outcome",
    "duration_ms",
    "retry_in_ms",
)


class TaskLogger(Observer):
    """Logs what happens: ``system.observe(TaskLogger())``.

    Started, finished and retried tasks at ``level`` (DEBUG unless told otherwise), failures and time-outs
    at WARNING, to the logger ``catzilla.tasks`` or the one given. The facts are attributes of the
    record (``FIELDS``): handlers and formatters of any kind can read them.
    """

    def __init__(self, logger: logging.Logger | None = None, level: int = logging.DEBUG) -> None:
        self._logger = task_logger if logger is None else logger
        self._level = level

    def submitting(self, record: TaskRecord) -> None:
        record.notes[self] = current_trace_id()

    def accepted(self, record: TaskRecord, task: TaskResult[Any]) -> None:
        if self._logger.isEnabledFor(self._level):
            self._log(self._level, "accepted", record, task, "task %s accepted", record.name)

    def started(self, record: TaskRecord, task: TaskResult[Any]) -> None:
        if self._logger.isEnabledFor(self._level):
            self._log(self._level, "started", record, task, "task %s started", record.name)

    def retried(self, record: TaskRecord, task: TaskResult[Any], error: BaseException, wait_s: float) -> None:
        if self._logger.isEnabledFor(self._level):
            wait_ms = wait_s * 1e3
            text = "task %s failed with %s and is tried again in %.0f ms"
            self._log(
                self._level, "retried", record, task, text, record.name, _short(error), wait_ms, retry_in_ms=wait_ms
            )

    def stopped(self, record: TaskRecord, task: TaskResult[Any], error: BaseException | None) -> None:
        record.notes[self, "error"] = error

    def finished(self, record: TaskRecord, task: TaskResult[Any], status: TaskStatus) -> None:
        error = record.notes.pop((self, "error"), None)
        bad = status.name in ("FAILED", "TIMED_OUT")
        level = max(self._level, logging.WARNING) if bad else self._level
        if not self._logger.isEnabledFor(level):
            return
        more: dict[str, Any] = {"outcome": status.name.lower()}
        if record.started_ns is not None and record.ended_ns is not None:
            more["duration_ms"] = (record.ended_ns - record.started_ns) / 1e6
        text, about = "task %s is %s", [record.name, status.name]
        if bad and error is not None:
            text, about = "task %s is %s: %s", [*about, _short(error)]
        self._log(level, "finished", record, task, text, *about, **more)

    def _log(
        self, level: int, event: str, record: TaskRecord, task: TaskResult[Any], text: str, *about: object, **more: Any
    ) -> None:
        facts = {
            "event": event,
            "task_id": task.task_id,
            "task_name": record.name,
            "attempt": task.attempt,
            "trace_id": record.notes.get(self),
            "lane": record.lane.name.lower(),
            **more,
        }
        self._logger.log(level, text, *about, extra=facts)


class TaskContextFilter(logging.Filter):
    """Puts task_id, task_name, attempt and trace_id on every record logged inside a task; elsewhere they are None.

    ``handler.addFilter(TaskContextFilter())``. What a record has already stays.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        from catzilla.system import current_task

        if not hasattr(record, "task_id"):
            task = current_task()
            record.task_id = None if task is None else task.task_id
            record.task_name = None if task is None else task.name
            record.attempt = None if task is None else task.attempt
        if not hasattr(record, "trace_id"):
            record.trace_id = current_trace_id()
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC, ISO 8601), level, logger, message, and the facts that the record has."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="microseconds"),  # noqa: UP017
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def current_trace_id() -> str | None:
    """Of OpenTelemetry's current span, 32 hexadecimal digits; None: there is none, or nobody uses OpenTelemetry."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else None


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
