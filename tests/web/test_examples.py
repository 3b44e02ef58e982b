"""The examples run as their first lines say."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
BASIC = EXAMPLES / "background_tasks" / "main.py"
ADVANCED = EXAMPLES / "advanced_tasks" / "workflow_example.py"


def run(example: Path) -> str:
    done = subprocess.run(
        [sys.executable, example.name], cwd=example.parent, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_background_tasks():
    out = run(BASIC)
    assert "Sending to user 42: Hello" in out
    assert '"favourite": "/cats"' in out
    assert '"status": "COMPLETED"' in out
    assert '"tasks_per_second"' in out
    assert '"allocator"' in out


def test_workflow():
    out = run(ADVANCED)
    assert out.count("To Ada: more about /engines") == 2  # once waited for, once chained
    assert out.count("To Grace: more about /compilers") == 1
    assert out.count('"http_status": 404') == 2
    assert "there is no user 3" in out


@pytest.mark.parametrize(("example", "path"), [(BASIC, "/tasks/stats"), (ADVANCED, "/openapi.json")])
def test_serve_stays_up_until_told_to_stop(example, path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, example.name, "--serve", "--port", str(port)]
    with subprocess.Popen(command, cwd=example.parent, stderr=subprocess.PIPE) as process:
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10).close()
                    break
                except urllib.error.URLError:
                    assert process.poll() is None
                    time.sleep(0.1)
            else:
                pytest.fail("it never answered")
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
        finally:
            process.kill()
