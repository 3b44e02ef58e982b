"""What the page asks for, and who may ask."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the web extra")

from catzilla import Catzilla
from catzilla.background_tasks import TaskPriority, TaskStatus
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.errors import ConfigError, ConfigValueError, NotEnabled

from .conftest import authorized

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

AUTH = {"Authorization": "Bearer secret"}
ACT = {**AUTH, "X-Catzilla": "1"}


def act(client: Any, action: str, target: str, headers: dict[str, str] = ACT) -> Any:
    return client.post("/tasks/-/actions", json={"action": action, "target": target}, headers=headers)


def test_a_snapshot_has_everything(busy: Callable[..., Any], backend_name: str) -> None:
    one = busy(auth=authorized)
    client = TestClient(one.app)

    def told() -> bool:
        now = client.get("/tasks/-/snapshot", headers=AUTH).json()
        counted = {task["name"]: task["completed"] for task in now["tasks"]}
        return len(now["failures"]) == 2 and counted.get("weigh") == 200

    eventually(told, "what ended is told")
    now = client.get("/tasks/-/snapshot", headers=AUTH).json()
    assert (now["title"], now["actions"], now["stats"]["backend"]) == ("Parcels", True, backend_name)
    lanes = {lane["name"]: lane for lane in now["lanes"]}
    assert (lanes["LOW"]["queued"], lanes["LOW"]["paused"], lanes["NORMAL"]["paused"]) == (3, True, False)
    assert lanes["NORMAL"]["duration"]["count"] >= 200
    assert lanes["NORMAL"]["wait"]["p50_s"] > 0
    running = [worker for worker in now["workers"] if worker["task"]]
    assert sorted(worker["arguments"] for worker in running) == ["0", "1"]
    assert {worker["task"] for worker in running} == {"load the van"}
    assert all(worker["for_s"] >= 0 for worker in running)
    tasks = {task["name"]: task for task in now["tasks"]}
    assert (tasks["weigh"]["completed"], tasks["deliver"]["failed"], tasks["deliver"]["retries"]) == (200, 2, 2)
    assert sum(number for _, number in tasks["weigh"]["histogram"]) == 200
    assert "Python" in tasks["weigh"]["why"]
    failure = now["failures"][0]
    assert failure["error"] == "ConnectionError: nobody is at <b>street</b> 1"
    assert failure["arguments"] == "'<b>street</b> 1', secret='1234'"
    assert (failure["attempts"], failure["status"]) == (2, "FAILED")
    assert failure["traceback"].splitlines()[-1] == failure["error"]
    assert "in deliver" in failure["traceback"]
    assert [row["name"] for row in now["pending"]] == ["invoice"] * 3
    assert now["memory"]["resident_bytes"] is None or now["memory"]["resident_bytes"] > 0


def test_nobody_looks_or_acts_without_authorization(busy: Callable[..., Any]) -> None:
    client = TestClient(busy(auth=authorized, failures=0).app)
    for path in ("/tasks", "/tasks/-/snapshot", "/tasks/-/dashboard.js"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=AUTH).status_code == 200
    assert act(client, "pause", "HIGH", {"X-Catzilla": "1"}).status_code == 401
    assert act(client, "pause", "HIGH", AUTH).status_code == 403  # what another origin's form could send


def test_without_authorization_it_is_read_only_and_hides_arguments(busy: Callable[..., Any]) -> None:
    one = busy()
    client = TestClient(one.app)
    eventually(lambda: bool(client.get("/tasks/-/snapshot").json()["failures"]), "failures are told")
    now = client.get("/tasks/-/snapshot").json()
    assert now["actions"] is False
    assert {failure["arguments"] for failure in now["failures"]} == {"(hidden)"}
    refused = act(client, "pause", "HIGH")
    assert refused.status_code == 403
    assert "read-only" in refused.json()["detail"]
    assert one.system.paused_lanes() == {int(TaskPriority.LOW)}


def test_arguments_can_be_redacted(busy: Callable[..., Any]) -> None:
    def without_secret(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        if name == "load the van":
            raise RuntimeError("it cannot be shown")
        return f"{name}{args} {sorted(kwargs)}"

    client = TestClient(busy(show_arguments=without_secret).app)
    eventually(lambda: bool(client.get("/tasks/-/snapshot").json()["failures"]), "failures are told")
    now = client.get("/tasks/-/snapshot").json()
    assert now["failures"][0]["arguments"] == "deliver('<b>street</b> 1',) ['secret']"
    assert {worker.get("arguments", "(hidden)") for worker in now["workers"]} == {"(hidden)"}


def test_pause_resume_cancel_retry(busy: Callable[..., Any]) -> None:
    one = busy(auth=authorized)
    client = TestClient(one.app)
    assert act(client, "pause", "HIGH").json() == {"done": "Lane HIGH is paused"}
    assert one.system.paused_lanes() == {int(TaskPriority.HIGH), int(TaskPriority.LOW)}
    assert act(client, "resume", "HIGH").status_code == 200
    assert one.system.paused_lanes() == {int(TaskPriority.LOW)}

    task_id = client.get("/tasks/-/snapshot", headers=AUTH).json()["pending"][0]["task_id"]
    assert act(client, "cancel", task_id).json() == {"done": f"Task {task_id} was cancelled"}
    assert [task.status for task in one.waiting].count(TaskStatus.CANCELLED) == 1
    assert act(client, "cancel", task_id).status_code == 404
    running = one.running[0]
    assert act(client, "cancel", running.task_id).json() == {"done": f"Task {running.task_id} was asked to end"}
    assert running.cancel_requested

    eventually(lambda: bool(client.get("/tasks/-/snapshot", headers=AUTH).json()["failures"]), "failures are told")
    key = client.get("/tasks/-/snapshot", headers=AUTH).json()["failures"][0]["key"]
    one.failing.clear()
    before = one.system.stats().completed
    assert act(client, "retry", key).json()["done"].startswith("Submitted again as ")
    eventually(lambda: one.system.stats().completed == before + 1, "it ran again and worked")
    for action, target in (("retry", "f999"), ("pause", "FAST"), ("resume_schedule", "none")):
        assert act(client, action, target).status_code in (404, 409)
    assert act(client, "explode", "now").status_code == 422


def test_schedules_are_listed_and_paused(busy: Callable[..., Any]) -> None:
    one = busy(auth=authorized, failures=0)
    schedule = one.system.add_schedule(abs, -1, name="count the vans", every=3600)
    client = TestClient(one.app)
    (shown,) = client.get("/tasks/-/snapshot", headers=AUTH).json()["schedules"]
    assert (shown["name"], shown["timetable"], shown["paused"]) == ("count the vans", "every 3600 s", False)
    assert act(client, "pause_schedule", "count the vans").status_code == 200
    assert schedule.paused
    assert act(client, "resume_schedule", "count the vans").status_code == 200
    assert not schedule.paused


def test_the_applications_own_addresses_stay(busy: Callable[..., Any]) -> None:
    client = TestClient(busy(failures=0).app)
    assert client.get("/tasks/stats").json()["total_workers"] == 3
    assert client.get("/tasks/memory").json() == "the application's own memory"
    assert client.get("/tasks/snapshot").json() == "the application's own snapshot"


def test_the_page_names_nobody_elses_address(busy: Callable[..., Any]) -> None:
    client = TestClient(busy(failures=0).app)
    page = client.get("/tasks")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for path in re.findall(r'(?:href|src)="(tasks/[^"]+)"', page.text):
        assert client.get("/" + path).status_code == 200
    assert client.get("/tasks/-/%2e%2e%2fapp.py").status_code == 404
    assert client.get("/tasks/-/nothing.js").status_code == 404
    static = Path(str(__import__("catzilla.web", fromlist=["web"]).__file__)).parent / "static"
    for file in static.iterdir():
        addresses = set(re.findall(r"https?://[^\s\"'`]+", file.read_text(encoding="utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}


def test_where_it_cannot_be() -> None:
    app = Catzilla()
    with pytest.raises(NotEnabled, match=r"enable_background_tasks\(\)"):
        app.enable_dashboard()
    app.enable_background_tasks()
    wrong: list[dict[str, Any]] = [
        {"path": "tasks"},
        {"path": "/"},
        {"auth": "secret"},
        {"show_arguments": "no"},
        {"keep_failures": -1},
    ]
    for options in wrong:
        with pytest.raises(ConfigError, match=next(iter(options))):
            app.enable_dashboard(**options)
    app.enable_dashboard()
    with pytest.raises(ConfigValueError, match="already"):
        app.enable_dashboard()
    assert app.tasks is not None
    assert app.tasks.add_task(abs, -1).wait(PATIENCE_S) == 1
    app.tasks.shutdown(timeout=10)


def test_what_cannot_be_shown_harms_nobody(busy: Callable[..., Any]) -> None:
    # Given an argument that repr refuses, and a text that is no valid Unicode
    def fails(value: object) -> None:
        raise ValueError("\udcff")

    one = busy(auth=authorized, failures=0)
    for value in (10**5000, "\udcff"):
        assert isinstance(one.app.add_task(fails, value, name="odd").exception(PATIENCE_S), ValueError)
    client = TestClient(one.app)
    eventually(lambda: len(client.get("/tasks/-/snapshot", headers=AUTH).json()["failures"]) == 2, "failures are told")
    assert client.get("/tasks/-/snapshot", headers=AUTH).json()["failures"][0]["error"] == "ValueError: \\udcff"
