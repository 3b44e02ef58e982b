"""``catzilla demo``: the quick start under a real server, called over HTTP, with its statistics."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any

from .command import Command, CommandError
from .output import Output
from .web import require_web

HOST = "127.0.0.1"
BURST = 1_600
SERVICE_S = 0.01
LIVE = ("normal_queue_size", "queue_pressure", "active_workers", "idle_workers", "tasks_per_second", "completed")
PATIENCE_S = 30.0


def run(out: Output) -> int:
    """Serve, call, show, stop. 0 only if every task of it was completed."""
    require_web()
    from .demo_server import DemoServer
    from .quick_start import app

    app.get("/tasks/stats")(lambda: app.get_task_stats().as_dict())
    with DemoServer(app, HOST) as server:
        out.line(f"The quick start is served at http://{HOST}:{server.port}")
        target = "/users/7/notify?message=hello"
        out.heading(f"POST {target}")
        out.line(json.dumps(_call(server.port, "POST", target)))
        _drain(app)

        out.heading(f"{BURST:,} more tasks, each waiting {SERVICE_S * 1000:g} ms; GET /tasks/stats while they run")
        app.add_tasks(ask_a_service, [(number,) for number in range(BURST)])
        if not _halfway.wait(PATIENCE_S):
            raise CommandError(f"half of the tasks did not run within {PATIENCE_S:g} s")
        running = _call(server.port, "GET", "/tasks/stats")
        _show(out, {name: running[name] for name in LIVE})
        _drain(app)

        out.heading("GET /tasks/stats when all is done")
        stats = _call(server.port, "GET", "/tasks/stats")
        _show(out, stats)
    done = stats["completed"]
    if done != BURST + 1:
        raise CommandError(f"{done} of {BURST + 1} tasks were completed")
    out.heading(f"All {done:,} tasks were completed.")
    return 0


_halfway = threading.Event()


def ask_a_service(number: int) -> int:
    """What most background tasks do: wait for somebody else."""
    time.sleep(SERVICE_S)
    if number == BURST // 2:
        _halfway.set()
    return number


def _drain(app: Any) -> None:
    if app.tasks.drain(timeout=PATIENCE_S) is False:
        raise CommandError(f"tasks still ran after {PATIENCE_S:g} s")


def _call(port: int, method: str, target: str) -> Any:
    """No proxy setting is in the way of a request to this very process."""
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE_S)
    try:
        connection.request(method, target)
        response = connection.getresponse()
        body = response.read().decode("utf-8")
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise CommandError(f"{method} {target} answered {response.status}: {body}")
    return json.loads(body)


def _show(out: Output, stats: dict[str, Any]) -> None:
    """Every figure that was measured; None stands for one that this backend does not measure."""
    out.rows([(name, "", _figure(value)) for name, value in stats.items() if value is not None])


def _figure(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


COMMAND = Command("demo", "Serve the quick start, call it over HTTP and show its statistics.", run)
