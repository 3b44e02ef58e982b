"""OpenTelemetry: from the request to the task and its retries."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
import warnings
from collections.abc import Callable
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
from catzilla.background_tasks import TaskPriority
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.errors import QueueFull, SystemClosed
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


def held(open_system: Callable[..., TaskSystem], spans: Spans, **config: Any) -> tuple[TaskSystem, threading.Event]:
    """A system whose one worker is busy until the event, and whose NORMAL lane is full; it observes what follows."""
    system = open_system(workers=1, queue_size=1, enable_auto_scaling=False, **config)
    gate, begun = threading.Event(), threading.Event()

    def holds() -> None:
        begun.set()
        gate.wait(PATIENCE_S)

    system.add_task(holds, name="holds")
    assert begun.wait(PATIENCE_S)
    system.add_task(abs, -1, name="fills")
    system.observe(TaskTracer(spans.provider))
    return system, gate


def outcome(span: ReadableSpan) -> tuple[StatusCode, Any]:
    return span.status.status_code, (span.attributes or {}).get("error.type")


def test_a_refused_submit_ends_its_span(open_system: Callable[..., TaskSystem], spans: Spans) -> None:
    system, gate = held(open_system, spans, on_full="raise")
    with pytest.raises(QueueFull), spans.tracer.start_as_current_span("request"):
        system.add_task(abs, -2, name="one")
    (sent,), (request,) = spans.named("send one"), spans.named("request")
    assert outcome(sent) == (StatusCode.ERROR, "QueueFull")
    assert "queue_size=1" in (sent.status.description or "")
    assert parent_of(sent) == id_of(request)

    with pytest.raises(QueueFull):
        system.add_tasks(abs, [(1,), (2,), (3,)], name="many")
    assert [outcome(span) for span in spans.named("send many")] == [(StatusCode.ERROR, "QueueFull")] * 3
    gate.set()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_submit_that_a_shutdown_ends(
    open_system: Callable[..., TaskSystem], spans: Spans, asynchronous: bool
) -> None:
    system, gate = held(open_system, spans, on_full="block")
    raised: list[BaseException] = []

    def submits() -> None:
        try:
            if asynchronous:
                asyncio.run(system.add_task_async(abs, -2, name="waits for room"))  # type: ignore[arg-type]
            else:
                system.add_task(abs, -2, name="waits for room")
        except SystemClosed as error:
            raised.append(error)

    thread = threading.Thread(target=submits)
    thread.start()
    eventually(lambda: bool(system.submitting._full._blocked), "the submitter waits")
    system.shutdown(wait=False, cancel_pending=True)
    thread.join(PATIENCE_S)
    gate.set()
    assert len(raised) == 1
    (sent,) = spans.named("send waits for room")
    assert outcome(sent) == (StatusCode.ERROR, "SystemClosed")


def test_a_submit_that_is_taken_back(open_system: Callable[..., TaskSystem], spans: Spans) -> None:
    """Closed while it was submitted: the task is there, and is cancelled before anybody had its result."""
    system, gate = held(open_system, spans, on_full="raise")
    check_open, asked = system.submitting.check_open, []

    def closes_after() -> None:
        asked.append(None)
        if len(asked) > 1:
            check_open()
        else:
            system.shutdown(wait=False)

    system.submitting.check_open = closes_after  # type: ignore[method-assign]
    with pytest.raises(SystemClosed):
        system.add_task(abs, -2, name="late", priority=TaskPriority.HIGH)
    (sent,) = spans.named("send late")
    assert outcome(sent) == (StatusCode.ERROR, "TaskCancelled")
    gate.set()


def test_a_unique_call_that_is_queued_already_is_no_error(open_system: Callable[..., TaskSystem], spans: Spans) -> None:
    system = open_system(workers=1, enable_auto_scaling=False)
    system.observe(TaskTracer(spans.provider))
    gate = threading.Event()
    task = system.task(name="once", unique=True)(lambda: gate.wait(PATIENCE_S))
    first, second = task.submit(), task.submit()
    assert first is second
    gate.set()
    assert first.wait(PATIENCE_S)
    assert [outcome(span) for span in spans.named("send once")] == [(StatusCode.UNSET, None)] * 2


def test_every_send_span_ends_however_quick_the_worker(system: TaskSystem, spans: Spans) -> None:
    system.observe(TaskTracer(spans.provider))
    results = [system.add_task(abs, -number, name="quick") for number in range(500)]
    assert [result.wait(PATIENCE_S) for result in results] == list(range(500))
    assert {(span.attributes or {})["messaging.message.id"] for span in spans.named("send quick")} == {
        result.task_id for result in results
    }
    assert len(spans.named("send quick")) == 500


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
