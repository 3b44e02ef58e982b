"""A server that is told to stop finishes its tasks first, unless the user insists."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TASKS = 30

SERVER = """
import socket, sys, threading, time
import uvicorn
from catzilla import Catzilla

app = Catzilla()
app.enable_background_tasks(workers=1, enable_auto_scaling=False, shutdown_timeout=60)

@app.post("/slow")
def slow() -> None:
    for number in range({tasks}):
        app.add_task(lambda number=number: (time.sleep(0.01), print("ran", number)))

@app.post("/stuck")
def stuck() -> None:
    started = threading.Event()
    app.add_task(lambda: (started.set(), threading.Event().wait()))
    assert started.wait(20)

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="info")).run(sockets=[listener])
"""


@contextmanager
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server in a process of its own, its output buffered as in production, and its address."""
    script = tmp_path / "server.py"
    script.write_text(SERVER.replace("{tasks}", str(TASKS)))
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        assert process.stdout is not None
        yield process, f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.communicate()


def post(url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=20).close()


def test_sigterm_drains_and_nothing_printed_is_lost(tmp_path):
    with server(tmp_path) as (process, url):
        # Given more tasks than are done by the time of the answer
        post(f"{url}/slow")

        # When
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=40)

        # Then all ran, all was printed, and the process ended by the signal it was sent
        ran = [line for line in out.splitlines() if line.startswith("ran ")]
        assert ran == [f"ran {number}" for number in range(TASKS)], err
        assert process.returncode == -signal.SIGTERM


def test_ctrl_c_during_the_drain_ends_it(tmp_path):
    with server(tmp_path) as (process, url):
        # Given a task that never ends, and a server that waits for it
        post(f"{url}/stuck")
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        for line in process.stderr:
            if "Waiting for application shutdown" in line:
                break

        # When Ctrl-C is pressed until it helps (the first may come before anybody listens)
        for _ in range(100):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                continue

        # Then the process is gone long before its 60 s are over
        assert process.returncode is not None
