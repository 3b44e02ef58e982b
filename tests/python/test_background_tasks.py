"""The public API as its guide shows it, readable from top to bottom. One concept after another; the
details and the dark corners are in tests/core/ and conformance/.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import (
    BatchResult,
    QueueFull,
    SystemConfig,
    SystemStats,
    TaskCancelled,
    TaskDropped,
    TaskPriority,
    TaskResult,
    TaskStatus,
    TaskTimeout,
    current_task,
    shield,
)

WAIT_S = 20.0  # never how long something takes, only how long it may


# -- a task and its result ---------------------------------------------------------------------


def test_quick_start(system: TaskSystem, capsys: pytest.CaptureFixture[str]) -> None:
    # Given the tasks of the guide
    @system.task(priority=TaskPriority.HIGH, compile_to_c=False)
    def send_notification(user_id: int, message: str) -> dict[str, Any]:
        print(f"Sending to user {user_id}: {message}")
        return {"status": "sent", "user_id": user_id}

    @system.task(priority=TaskPriority.NORMAL)
    def process_data(data: dict[str, int]) -> dict[str, Any]:
        return {"processed": True, "result": sum(data.values())}

    # When they are queued
    sent = system.add_task(send_notification, 7, "hello", priority=TaskPriority.HIGH)
    processed = system.add_task(process_data, {"a": 1, "b": 2})
    # Then each has an id at once, and its value when it has run
    assert isinstance(sent.task_id, str)
    assert sent.wait(timeout=WAIT_S) == {"status": "sent", "user_id": 7}
    assert processed.wait(timeout=WAIT_S) == {"processed": True, "result": 3}
    assert "Sending to user 7: hello" in capsys.readouterr().out


def test_a_task_is_still_a_function(system: TaskSystem) -> None:
    @system.task
    def double(value: int) -> int:
        return 2 * value

    assert double(4) == 8  # here and now
    assert double.submit(4).wait(WAIT_S) == 8  # in the background


def test_any_callable_can_be_submitted(system: TaskSystem) -> None:
    result = system.add_task(divmod, 17, 5)
    assert isinstance(result, TaskResult)
    assert result.wait(WAIT_S) == (3, 2)


def test_status_goes_from_pending_to_completed(system: TaskSystem) -> None:
    gate = threading.Event()
    system.pause(TaskPriority.NORMAL)
    result = system.add_task(gate.wait, WAIT_S)
    assert result.status is TaskStatus.PENDING
    system.resume(TaskPriority.NORMAL)
    while result.status is TaskStatus.PENDING:
        time.sleep(0.001)
    assert result.status is TaskStatus.RUNNING
    assert not result.is_ready()
    gate.set()
    assert result.wait(WAIT_S) is True
    assert result.status is TaskStatus.COMPLETED
    assert result.is_ready()


def test_an_exception_is_raised_where_it_is_waited_for(system: TaskSystem) -> None:
    result = system.add_task(int, "forty-two")
    with pytest.raises(ValueError, match="forty-two"):
        result.wait(WAIT_S)
    assert result.status is TaskStatus.FAILED
    assert isinstance(result.exception(), ValueError)


def test_a_wait_can_run_out_of_patience(system: TaskSystem) -> None:
    gate = threading.Event()
    result = system.add_task(gate.wait, WAIT_S)
    with pytest.raises(TimeoutError):
        result.wait(timeout=0.01)
    gate.set()  # the task went on
    assert result.wait(WAIT_S) is True


def test_a_workflow_of_three_steps(system: TaskSystem) -> None:
    # Given the steps of the advanced example
    @system.task(priority=TaskPriority.NORMAL)
    def fetch_user_data(user_id: int) -> dict[str, Any]:
        return {"user_id": user_id, "visits": [3, 1, 2]}

    @system.task(priority=TaskPriority.NORMAL)
    def analyze_behavior(user_data: dict[str, Any]) -> dict[str, Any]:
        return {"user_id": user_data["user_id"], "score": sum(user_data["visits"])}

    @system.task(priority=TaskPriority.HIGH)
    def send_recommendations(analysis: dict[str, Any]) -> str:
        return f"user {analysis['user_id']}: {analysis['score']}"

    # One after the other, waiting in between
    user_data = system.add_task(fetch_user_data, 5).wait(timeout=WAIT_S)
    analysis = system.add_task(analyze_behavior, user_data).wait(timeout=WAIT_S)
    assert system.add_task(send_recommendations, analysis).wait(timeout=WAIT_S) == "user 5: 6"
    # And as a chain, without waiting
    chain = fetch_user_data.submit(5).then(analyze_behavior).then(send_recommendations)
    assert chain.wait(timeout=WAIT_S) == "user 5: 6"


def test_a_chain_can_catch_its_failures(system: TaskSystem) -> None:
    result = system.add_task(int, "x").then(lambda value: value + 1).catch(lambda error: f"caught {error!r}")
    assert result.wait(WAIT_S).startswith("caught ValueError")


def test_callbacks(system: TaskSystem) -> None:
    called = threading.Event()
    values: list[int] = []

    def note(result: Any) -> None:
        values.append(result.wait(0))
        called.set()

    system.add_task(int, "42").add_callback(note)
    assert called.wait(WAIT_S)
    assert values == [42]


def test_many_at_once(system: TaskSystem) -> None:
    batch = system.add_tasks(pow, [(n, 2) for n in range(100)])
    assert isinstance(batch, BatchResult)
    assert batch.wait(WAIT_S) == [n * n for n in range(100)]


# -- priorities --------------------------------------------------------------------------------


def test_higher_priorities_start_first(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(workers=1)
    started: list[str] = []
    system.pause()
    results = [
        system.add_task(started.append, priority.name, priority=priority)
        for priority in (TaskPriority.LOW, TaskPriority.NORMAL, TaskPriority.HIGH)
    ]
    system.resume()
    for result in results:
        result.wait(WAIT_S)
    assert started == ["HIGH", "NORMAL", "LOW"]


def test_a_critical_task_does_not_wait_for_busy_workers(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(workers=1)
    gate = threading.Event()
    busy = system.add_task(gate.wait, WAIT_S)
    alert = system.add_task(str, "intruder", priority=TaskPriority.CRITICAL)
    assert alert.wait(WAIT_S) == "intruder"
    assert not busy.done()
    gate.set()


# -- options -----------------------------------------------------------------------------------


def test_every_option_of_the_guide(system: TaskSystem) -> None:
    @system.task(priority=TaskPriority.HIGH, compile_to_c=False, max_retries=3, timeout_ms=30_000, delay_ms=0)
    def my_task(data: str) -> str:
        return data.upper()

    assert my_task.submit("done").wait(WAIT_S) == "DONE"


def test_retries(system: TaskSystem) -> None:
    attempts: list[int] = []

    @system.task(max_retries=3, retry_base_ms=1)
    def flaky() -> str:
        me = current_task()
        assert me is not None
        attempts.append(me.attempt)
        if me.attempt < 3:
            raise ConnectionError("not yet")
        return "connected"

    assert flaky.submit().wait(WAIT_S) == "connected"
    assert attempts == [1, 2, 3]


def test_deadlines(system: TaskSystem) -> None:
    result = system.add_task(time.sleep, 0.5, timeout_ms=20)
    with pytest.raises(TaskTimeout):
        result.wait(WAIT_S)
    assert result.status is TaskStatus.TIMED_OUT


def test_a_shielded_part_is_not_cut_short(system: TaskSystem) -> None:
    written: list[str] = []

    def write() -> None:
        with shield():
            time.sleep(0.1)
            written.append("whole")

    result = system.add_task(write, timeout_ms=20)
    result.exception(WAIT_S)
    assert written == ["whole"]


def test_delays(system: TaskSystem) -> None:
    submitted = time.monotonic()
    result = system.add_task(time.monotonic, delay_ms=50)
    assert result.status is TaskStatus.DELAYED
    assert result.wait(WAIT_S) - submitted >= 0.05


def test_cancelling(system: TaskSystem) -> None:
    result = system.add_task(print, "never printed", delay_ms=60_000)
    assert result.cancel() is True
    with pytest.raises(TaskCancelled):
        result.wait(WAIT_S)


# -- async -------------------------------------------------------------------------------------


def test_async_tasks_and_awaited_results(system: TaskSystem) -> None:
    @system.task
    async def fetch(url: str) -> str:
        await asyncio.sleep(0.001)
        return f"page of {url}"

    async def handler() -> list[Any]:
        return [await fetch.submit(url) for url in ("a", "b")]

    assert asyncio.run(handler()) == ["page of a", "page of b"]


# -- full queues -------------------------------------------------------------------------------


def test_a_full_queue_refuses(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(queue_size=1)
    system.pause()
    system.add_task(int)
    with pytest.raises(QueueFull):
        system.add_task(int)


def test_or_drops_its_oldest_task(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(queue_size=1, on_full="drop_oldest")
    system.pause()
    oldest = system.add_task(int)
    system.add_task(int)
    assert isinstance(oldest.exception(0), TaskDropped)


def test_or_runs_the_task_at_once(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(queue_size=1, on_full="caller_runs")
    system.pause()
    system.add_task(int)
    assert system.add_task(int, "7").wait(0) == 7


def test_or_waits_for_room(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(queue_size=1, on_full="block")
    assert [system.add_task(int, str(n)) for n in range(50)][-1].wait(WAIT_S) == 49


# -- a system and its numbers ------------------------------------------------------------------


def test_every_parameter_of_the_guide(backend: Any) -> None:
    with TaskSystem(
        workers=16,
        min_workers=2,
        max_workers=32,
        queue_size=10_000,
        enable_auto_scaling=True,
        memory_pool_mb=1_000,
        enable_c_compilation=True,
        enable_profiling=True,
        backend=backend.name,
    ) as system:
        assert system.add_task(int, "1").wait(WAIT_S) == 1
        assert system.stats().total_workers == 16


def test_a_system_without_any_parameter(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATZILLA_BACKEND", backend.name)
    with TaskSystem() as system:
        assert system.add_task(int, "1").wait(WAIT_S) == 1
        assert system.stats().backend == backend.name


def test_a_system_from_a_configuration(backend: Any) -> None:
    config = SystemConfig.from_mapping({"workers": 3, "queue_size": 50, "backend": backend.name})
    with TaskSystem(config=config) as system:
        assert system.stats().total_workers == 3


def test_the_statistics_of_the_guide(system: TaskSystem) -> None:
    system.add_tasks(time.sleep, [(0.01,)] * 20).wait(WAIT_S)
    stats = system.stats()
    assert isinstance(stats, SystemStats)
    page: dict[str, dict[str, Any]] = {
        "throughput": {
            "tasks_per_second": stats.tasks_per_second,
            "avg_execution_time_ms": stats.avg_execution_time_ms,
            "p95_execution_time_ms": stats.p95_execution_time_ms,
        },
        "queues": {
            "critical": stats.critical_queue_size,
            "high": stats.high_queue_size,
            "normal": stats.normal_queue_size,
            "low": stats.low_queue_size,
            "pressure": stats.queue_pressure,
        },
        "workers": {
            "active": stats.active_workers,
            "idle": stats.idle_workers,
            "total": stats.total_workers,
            "utilization": stats.avg_worker_utilization,
        },
        "memory": {"usage_mb": stats.memory_usage_mb, "efficiency": stats.memory_efficiency},
    }
    assert page["throughput"]["tasks_per_second"] > 0
    assert page["throughput"]["avg_execution_time_ms"] >= 10
    assert page["queues"] == {"critical": 0, "high": 0, "normal": 0, "low": 0, "pressure": 0}
    assert page["workers"]["total"] == 2
    assert 0 < page["workers"]["utilization"] <= 1
    assert page["memory"]["usage_mb"] > 1


def test_the_memory_statistics_of_the_guide(system: TaskSystem) -> None:
    memory = system.memory_stats()
    assert memory.get("allocator", "malloc") in ("jemalloc", "malloc", "python")
    fragmentation = memory.get("fragmentation_percent", 0)
    assert fragmentation is None or 0 <= fragmentation <= 100  # None: this backend cannot measure it


def test_shutdown_reports_what_became_of_everything(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(workers=1)
    system.add_tasks(int, [("1",)] * 10)
    later = system.add_task(int, delay_ms=3_600_000)
    report = system.shutdown(timeout=WAIT_S)
    assert report.completed <= 10
    assert list(report.cancelled) == [later.task_id]
    assert list(report.abandoned) == []


# -- as a web application ----------------------------------------------------------------------


@pytest.fixture
def app(backend: Any) -> Iterator[Any]:
    """The quick start, as the guide prints it, on this backend."""
    pytest.importorskip("fastapi", reason="needs the web extra")
    from catzilla import Catzilla

    app = Catzilla(use_jemalloc=True, memory_profiling=True, backend=backend.name)
    app.enable_background_tasks(workers=2, enable_auto_scaling=True, memory_pool_mb=1000, enable_c_compilation=True)

    @app.task(priority=TaskPriority.HIGH)
    def send_notification(user_id: int, message: str) -> dict[str, Any]:
        return {"status": "sent", "user_id": user_id, "message": message}

    @app.post("/users/{user_id}/notify")
    def notify_user(user_id: int, message: str) -> dict[str, Any]:
        result = app.add_task(send_notification, user_id, message, priority=TaskPriority.HIGH)
        app.state.last = result
        return {"task_id": result.task_id, "status": "queued"}

    @app.get("/tasks/memory")
    def get_memory_efficiency() -> dict[str, Any]:
        memory_stats = app.get_memory_stats()
        return {
            "jemalloc_enabled": app.has_jemalloc,
            "memory_usage_mb": app.get_task_stats().memory_usage_mb,
            "fragmentation": memory_stats.get("fragmentation_percent", 0),
            "allocator": memory_stats.get("allocator", "malloc"),
        }

    yield app
    assert app.tasks is not None
    app.tasks.shutdown(timeout=5.0, cancel_pending=True)


def test_the_quick_start_over_http(app: Any) -> None:
    from fastapi.testclient import TestClient

    with TestClient(app) as client:
        answer = client.post("/users/7/notify", params={"message": "hello"})
        assert answer.status_code == 200
        assert answer.json() == {"task_id": app.state.last.task_id, "status": "queued"}
        assert app.state.last.wait(WAIT_S) == {"status": "sent", "user_id": 7, "message": "hello"}
        memory = client.get("/tasks/memory").json()
        assert memory["memory_usage_mb"] > 1
        assert app.get_task_stats().completed == 1


def test_a_task_before_enabling_is_explained() -> None:
    pytest.importorskip("fastapi", reason="needs the web extra")
    from catzilla import Catzilla

    app = Catzilla()
    task = app.task(int)  # fine: it is bound later
    submits: list[Callable[[], object]] = [lambda: app.add_task(int), task.submit]
    for submit in submits:
        with pytest.raises(RuntimeError, match="enable_background_tasks"):
            submit()
