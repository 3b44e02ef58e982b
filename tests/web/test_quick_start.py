"""The first thing everybody tries, word for word."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

QUICK_START = """
from catzilla import Catzilla
from catzilla.background_tasks import TaskPriority

app = Catzilla(use_jemalloc=True, memory_profiling=True)
app.enable_background_tasks(workers=16, enable_auto_scaling=True, memory_pool_mb=1000, enable_c_compilation=True)

@app.task(priority=TaskPriority.HIGH, compile_to_c=True)
def send_notification(user_id: int, message: str) -> dict:
    print(f"Sending to user {user_id}: {message}")
    return {"status": "sent", "user_id": user_id}

@app.task(priority=TaskPriority.NORMAL)
def process_data(data: dict) -> dict: ...

@app.post("/users/{user_id}/notify")
def notify_user(user_id: int, message: str):
    result = app.add_task(send_notification, user_id, message, priority=TaskPriority.HIGH)
    return {"task_id": result.task_id, "status": "queued"}
"""


@pytest.fixture
def quick_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The quick start saved to a file and imported, as a user would."""
    path = tmp_path / "quick_start.py"
    path.write_text(QUICK_START)
    spec = importlib.util.spec_from_file_location("quick_start", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "quick_start", module)
    spec.loader.exec_module(module)
    return module


def test_a_real_server_answers_at_once_and_sends_in_the_background(quick_start, serve, capsys):
    # When a user is notified over HTTP
    with serve(quick_start.app) as api:
        status, answer = api.post("/users/7/notify", message="hello")

    # Then the answer names the task, and the task ran before the server was gone
    assert status == 200
    assert answer["status"] == "queued"
    assert isinstance(answer["task_id"], str)
    assert answer["task_id"]
    assert "Sending to user 7: hello\n" in capsys.readouterr().out


def test_the_test_client_does_the_same(quick_start, client_of, capsys):
    with client_of(quick_start.app) as client:
        answer = client.post("/users/8/notify", params={"message": "hi"})
    assert answer.status_code == 200
    assert answer.json()["status"] == "queued"
    assert "Sending to user 8: hi\n" in capsys.readouterr().out


def test_its_tasks_are_functions_still(quick_start):
    assert quick_start.send_notification(1, "in place") == {"status": "sent", "user_id": 1}


def test_its_statistics_count_what_ran(quick_start, serve):
    # Given ten notifications through the API
    with serve(quick_start.app) as api:
        for user_id in range(10):
            api.post(f"/users/{user_id}/notify", message="hello")
        assert quick_start.app.tasks.drain(timeout=20)

        # Then
        stats = quick_start.app.get_task_stats()
        assert (stats.submitted, stats.completed, stats.failed) == (10, 10, 0)
        assert stats.total_workers == 16
        assert stats.total_queued == 0


def test_validation_and_the_schema_are_fastapis(quick_start, serve):
    with serve(quick_start.app) as api:
        status, _ = api.post("/users/seven/notify", message="hello")
        assert status == 422
        _, schema = api.get("/openapi.json")
    assert list(schema["paths"]) == ["/users/{user_id}/notify"]
