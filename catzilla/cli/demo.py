"""``catzilla demo``: the quick start under a real server, called over HTTP, with its statistics."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from typing import Any

from .command import Command, CommandError
from .demo_stats import LIVE, figures, live_row
from .output import Output
from .web import require_web

HOST = "127.0.0.1"
BURST = 4_000
SAMPLES = 5
SERVICE_S = 0.01
PATIENCE_S = 30.0


def run(out: Output) -> int:
    """Serve, call, show, stop. 0 only if every task of it was completed."""
    require_web()
    app = _quick_start()
    from .demo_server import DemoServer

    with DemoServer(app, HOST) as server:
        out.line(f"The quick start is served at http://{HOST}:{server.port}")
        target = "/users/7/notify?message=hello"
        out.heading(f"POST {target}")
        queued = _call(server.port, "POST", target)
        out.line(f"  {json.dumps(queued)}")
        _drain(app)  # the task has printed its line by now

        target = f"/tasks/{queued['task_id']}"
        out.heading(f"GET {target}")
        out.line(f"  {json.dumps(_call(server.port, 'GET', target))}")

        out.heading(f"{BURST:,} more tasks that wait {SERVICE_S * 1000:g} ms each; GET /tasks/stats while they run")
        app.add_tasks(ask_a_service, [(number,) for number in range(BURST)])
        out.table(LIVE, [live_row(_sample(server.port, moment)) for moment in _moments])
        _drain(app)

        out.heading("GET /tasks/stats when all is done")
        stats = _call(server.port, "GET", "/tasks/stats")
        out.rows(figures(stats))
    done = stats["completed"]
    if done != BURST + 1:
        raise CommandError(f"{done} of {BURST + 1} tasks were completed")
    out.heading(f"All {done:,} tasks were completed.")
    return 0


def _quick_start() -> Any:
    """The application, with an address for the statistics and one for a task's result."""
    os.environ.setdefault("CATZILLA_KEEP_RESULTS", "100")  # finished tasks can be asked for
    from .quick_start import app

    @app.get("/tasks/stats")
    def stats() -> Any:
        return app.get_task_stats().as_dict()

    @app.get("/tasks/{task_id}")
    def task(task_id: str) -> Any:
        result = app.get_task(task_id)
        if result is None:
            raise CommandError(f"task {task_id} is not known")
        return {"status": result.status.name, "result": result.wait(PATIENCE_S)}

    return app


_moments = [threading.Event() for _ in range(SAMPLES)]  # evenly spread over the burst


def ask_a_service(number: int) -> int:
    """What most background tasks do: wait for somebody else."""
    time.sleep(SERVICE_S)
    if number % (BURST // SAMPLES) == BURST // SAMPLES // 2:
        _moments[number * SAMPLES // BURST].set()
    return number


def _sample(port: int, moment: threading.Event) -> dict[str, Any]:
    if not moment.wait(PATIENCE_S):
        raise CommandError(f"the tasks did not run within {PATIENCE_S:g} s")
    stats: dict[str, Any] = _call(port, "GET", "/tasks/stats")
    return stats


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


COMMAND = Command("demo", "Serve the quick start, call it over HTTP and show its statistics.", run)
