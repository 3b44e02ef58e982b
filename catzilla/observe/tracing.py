"""OpenTelemetry spans, from the request that submits to each attempt. Needs the ``metrics`` extra.

Names and attributes follow the semantic conventions for messaging: a ``send`` span (PRODUCER) where
the task is submitted, a child of the span that is current there, and under it a ``process`` span
(CONSUMER) for each attempt; a retry's is linked to the attempt before it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from catzilla.priority import TaskStatus

from .events import Observer, TaskRecord

try:
    from opentelemetry import context as otel_context
    from opentelemetry import trace
    from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
except ImportError as exc:
    raise ImportError(
        f"tracing needs opentelemetry-api, which could not be imported: {exc}. "
        'Install the "metrics" extra from a checkout of the project: pip install -e ".[metrics]".'
    ) from exc

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from catzilla.handle import TaskResult


class _Trace:
    """What one task's record notes."""

    __slots__ = ("attempt", "attributes", "context", "sent", "thread_id", "token", "unsent")

    def __init__(self, sent: Span, attributes: dict[str, Any]) -> None:
        self.sent = sent
        self.unsent = [sent]  # taking it decides who ends it: the submitter, or a worker that is quicker
        self.context = trace.set_span_in_context(sent)
        self.attributes = attributes
        self.attempt: Span | None = None
        self.token: Any = None
        self.thread_id = 0  # where the span was made current


class TaskTracer(Observer):
    """``system.observe(TaskTracer())``; ``tracer_provider`` None: the global one."""

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("catzilla", tracer_provider=tracer_provider)

    def submitting(self, record: TaskRecord) -> None:
        attributes = {
            "messaging.system": "catzilla",
            "messaging.destination.name": record.name,
            "catzilla.lane": record.lane.name.lower(),
        }
        sent = self._tracer.start_span(
            f"send {record.name}",
            kind=SpanKind.PRODUCER,
            attributes={**attributes, "messaging.operation.name": "send", "messaging.operation.type": "send"},
        )
        record.notes[self] = _Trace(sent, attributes)

    def accepted(self, record: TaskRecord, task: TaskResult[Any]) -> None:
        _sent(record.notes.get(self), task.task_id, None)

    def refused(self, record: TaskRecord, error: BaseException | None) -> None:
        _sent(record.notes.pop(self, None), None, error)

    def started(self, record: TaskRecord, task: TaskResult[Any]) -> None:
        traced: _Trace | None = record.notes.get(self)
        if traced is None:
            return
        before = traced.attempt
        span = self._tracer.start_span(
            f"process {record.name}",
            context=traced.context,
            kind=SpanKind.CONSUMER,
            links=[Link(traced.sent.get_span_context())]
            if before is None
            else [Link(before.get_span_context(), {"catzilla.link": "previous attempt"})],
            attributes={
                **traced.attributes,
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.message.id": task.task_id,
                "catzilla.attempt": task.attempt,
            },
        )
        traced.attempt = span
        traced.thread_id = threading.get_ident()
        traced.token = otel_context.attach(trace.set_span_in_context(span))

    def stopped(self, record: TaskRecord, task: TaskResult[Any], error: BaseException | None) -> None:
        traced: _Trace | None = record.notes.get(self)
        if traced is None or traced.attempt is None:
            return
        if traced.thread_id == threading.get_ident():  # else it was taken away, and with its thread the context
            otel_context.detach(traced.token)
        traced.token = None
        _end(traced.attempt, error)

    def finished(self, record: TaskRecord, task: TaskResult[Any], status: TaskStatus) -> None:
        traced: _Trace | None = record.notes.pop(self, None)
        # Its submit has not come back yet. One that a shutdown took back before anybody had its result was not sent.
        if traced is not None and traced.unsent:
            error: BaseException | None = (
                task.error() if status is TaskStatus.CANCELLED and traced.attempt is None else None
            )
            _sent(traced, task.task_id, error)


def _sent(traced: _Trace | None, task_id: str | None, error: BaseException | None) -> None:
    if traced is None:
        return
    try:
        span = traced.unsent.pop()
    except IndexError:
        return
    if task_id is not None:
        span.set_attribute("messaging.message.id", task_id)
    _end(span, error)


def _end(span: Span, error: BaseException | None) -> None:
    if error is not None:
        span.record_exception(error)
        span.set_attribute("error.type", type(error).__qualname__)
        span.set_status(Status(StatusCode.ERROR, str(error)))
    span.end()
