"""The examples run as their first lines say."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catzilla.conformance.rig import PATIENCE_S

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


@contextmanager
def served(example: Path, path: str) -> Iterator[subprocess.Popen[bytes]]:
    """It answers at this path. On a port that was free: another program may take it meanwhile, then the next one."""
    for attempt in range(5):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        command = [sys.executable, example.name, "--serve", "--port", str(port)]
        with subprocess.Popen(command, cwd=example.parent, stderr=subprocess.PIPE) as process:
            try:
                deadline = time.monotonic() + 2 * PATIENCE_S
                while process.poll() is None:
                    try:
                        urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S).close()
                    except OSError as error:
                        if time.monotonic() > deadline:
                            pytest.fail(f"it never answered: {error}")
                        time.sleep(0.05)
                    else:
                        yield process
                        return
                assert process.stderr is not None
                said = process.stderr.read().decode()
            finally:
                process.kill()
        assert attempt < 4, said
        assert "address already in use" in said, said


@pytest.mark.parametrize(("example", "path"), [(BASIC, "/tasks/stats"), (ADVANCED, "/openapi.json")])
def test_serve_stays_up_until_told_to_stop(example, path):
    with served(example, path) as process:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=2 * PATIENCE_S)
