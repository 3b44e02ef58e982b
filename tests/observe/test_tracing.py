"""OpenTelemetry: from the request to the task and its retries."""

from __future__ import annotations

import io
import json
import logging
import threading
import warnings
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="needs opentelemetry-sdk")
pytest.importorskip("fastapi", reason="needs the web extra")

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from catzilla import Catzilla, TaskSystem
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.observe import JsonFormatter, TaskLogger
from catzilla.observe.tracing import TaskTracer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient


class Spans:
    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("tests")

    def named(self, name: str) -> list[ReadableSpan]:
        spans = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return sorted(spans, key=lambda span: span.start_time or 0)


@pytest.fixture
def spans() -> Spans:
    return Spans()


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def test_request_task_retry(spans: Spans, backend_name: str) -> None:
    app = Catzilla(backend=backend_name)
    app.enable_background_tasks(workers=2, enable_auto_scaling=False)
    app.enable_tracing(spans.provider)
    runs: list[int] = []

    def deliver() -> str:
        with spans.tracer.start_as_current_span("inside"):
            runs.append(1)
        if len(runs) == 1:
            raise ConnectionError("no line")
        return "done"

    @app.post("/deliver")
    def request() -> str:
        with spans.tracer.start_as_current_span("POST /deliver", kind=SpanKind.SERVER):
            result = app.add_task(deliver, name="deliver", max_retries=1, retry_base_ms=0, retry_backoff="fixed")
        return result.task_id

    with TestClient(app) as client:
        task_id = client.post("/deliver").json()
        eventually(
            lambda: len(spans.named("process deliver")) == 2 and bool(spans.named("send deliver")), "observers know"
        )

    (server,), (sent,) = spans.named("POST /deliver"), spans.named("send deliver")
    first, second = spans.named("process deliver")
    assert parent_of(sent) == id_of(server)
    assert parent_of(first) == parent_of(second) == id_of(sent)
    assert len({span.get_span_context().trace_id for span in (server, sent, first, second)}) == 1  # type: ignore[union-attr]
    assert [link.context.span_id for link in second.links] == [id_of(first)]
    assert [parent_of(span) for span in spans.named("inside")] == [id_of(first), id_of(second)]
    assert (sent.kind, first.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert (first.status.status_code, second.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert dict(first.attributes or {}) == {
        "messaging.system": "catzilla",
        "messaging.destination.name": "deliver",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.id": task_id,
        "catzilla.attempt": 1,
        "catzilla.lane": "normal",
        "error.type": "ConnectionError",
    }
    assert [event.name for event in first.events] == ["exception"]


def test_a_coroutine_and_one_that_runs_out_of_time(system: TaskSystem, spans: Spans) -> None:
    system.observe(TaskTracer(spans.provider))

    async def speaks() -> int:
        return trace.get_current_span().get_span_context().span_id

    span_id = system.add_task(speaks, name="speaks").wait(PATIENCE_S)
    gate = threading.Event()
    system.add_task(gate.wait, PATIENCE_S, name="slow", timeout_ms=20).exception(PATIENCE_S)
    gate.set()
    eventually(lambda: bool(spans.named("process speaks")) and bool(spans.named("process slow")), "observers know")
    assert id_of(spans.named("process speaks")[0]) == span_id
    (slow,) = spans.named("process slow")
    assert (slow.attributes or {})["error.type"] == "TaskTimeout"


def test_log_records_have_the_trace(system: TaskSystem, spans: Spans) -> None:
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("tests.tracing")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    system.observe(TaskLogger(logger))
    with spans.tracer.start_as_current_span("request") as span:
        system.add_task(abs, -1).wait(PATIENCE_S)
    logger.removeHandler(handler)
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.getvalue().splitlines()]
    expected = format(span.get_span_context().trace_id, "032x")
    assert {line["trace_id"] for line in lines} == {expected}
