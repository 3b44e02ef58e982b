"""``catzilla top`` as a person has it: in a terminal, beside a server that comes and goes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from catzilla.conformance.rig import PATIENCE_S, eventually

pytest.importorskip("rich", reason="needs the cli extra")
pytest.importorskip("fastapi", reason="needs the web extra")
pytest.importorskip("uvicorn", reason="needs the web extra")
pty = pytest.importorskip("pty", reason="needs pseudo terminals")
termios = pytest.importorskip("termios", reason="needs pseudo terminals")

ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9])")
TOP = (sys.executable, "-m", "catzilla", "top")
SLICE_S = 0.05
ENTER, LEAVE, HOME = "\x1b[?1049h", "\x1b[?1049l", "\x1b[H"


class Terminal:
    """A pseudo terminal with ``catzilla top`` in it."""

    def __init__(self, *arguments: str) -> None:
        self.fd, self.child_fd = pty.openpty()
        termios.tcsetwinsize(self.fd, (50, 160))
        self.before = termios.tcgetattr(self.child_fd)
        self.written = ""
        self._arrived = threading.Condition()
        self.process = subprocess.Popen(
            # Opened by the leader of a new session, it is the terminal whose Ctrl-C reaches it.
            ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(self.child_fd), *TOP, *arguments],
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # closed
                return
            with self._arrived:
                self.written += data.decode(errors="replace")
                self._arrived.notify_all()
            if b"\0end" in data:
                return

    def frames(self, after: int = 0) -> list[str]:
        """One text a picture, of what was written after that many characters; the last may not be whole yet."""
        return [ESCAPE.sub("", part) for part in self.written[after:].split(HOME)[1:-1]]

    def shows(self, *texts: str, after: int = 0) -> str:
        """Wait for a picture with all of them."""

        def found() -> str | None:
            frames = self.frames(after)
            return next((frame for frame in frames if all(text in frame for text in texts)), None)

        with self._arrived:
            slices = int(PATIENCE_S / SLICE_S)  # no deadline: a machine that stood still is no reason to fail
            while slices:
                if (frame := found()) is not None:
                    return frame
                slices -= not self._arrived.wait(SLICE_S)
        pytest.fail(f"no picture shows {texts}; the last:\n{(self.frames() or [self.written])[-1]}")

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def ended(self) -> int:
        """Its exit code; the terminal is as it was: modes, the screen, the cursor."""
        code = self.process.wait(PATIENCE_S)
        assert termios.tcgetattr(self.child_fd) == self.before
        os.write(self.child_fd, b"\0end")
        self._reader.join(PATIENCE_S)
        shown = self.written
        if ENTER in shown:
            assert shown.rindex(LEAVE) > shown.rindex(ENTER)
            assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._reader.is_alive():
            os.write(self.child_fd, b"\0end")
            self._reader.join(PATIENCE_S)
        os.close(self.child_fd)
        os.close(self.fd)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_terminal(*arguments: str) -> Terminal:
        opened.append(Terminal(*arguments))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.close()


@pytest.fixture
def port() -> Iterator[int]:
    """Kept for this test by a socket that does not listen: nobody else gets it while no server has it."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@contextmanager
def served(app: Any, port: int) -> Iterator[None]:
    import uvicorn

    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            # A second start reopens the application's task system, which takes no task before.
            eventually(lambda: server.started, "the server is up")
            yield
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def app(one_backend_name: str) -> Any:
    from catzilla import Catzilla

    app = Catzilla(backend=one_backend_name)
    app.enable_background_tasks(workers=2, enable_auto_scaling=False)
    app.enable_dashboard("/tasks")
    return app


def work(app: Any, port: int, name: str, count: int) -> None:
    """Run them, and wait until the dashboard has counted them, which it may do a moment after their ends."""
    for result in [app.add_task(abs, -1, name=name) for _ in range(count)]:
        result.wait(PATIENCE_S)

    def counted() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/tasks/-/snapshot", timeout=PATIENCE_S) as answer:
            tasks = json.load(answer)["tasks"]
        return any(task["name"] == name and task["completed"] == count for task in tasks)

    eventually(counted, f"{count} of {name} are counted")


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("\x03", 0)], ids=["q", "ctrl-c"])
def test_counts_keys_and_the_end(app: Any, port: int, terminal: Callable[..., Terminal], key: str, code: int) -> None:
    with served(app, port):
        work(app, port, "resize", 7)
        # An interval longer than the test: what is new was asked for by the key.
        top = terminal(f"http://127.0.0.1:{port}/tasks", "--interval-ms", "3600000")
        first = top.shows("resize")
        assert re.search(r"resize +7 +0 +0 ", first)
        assert f"http://127.0.0.1:{port}/tasks at " in first
        assert "q or Ctrl-C ends" in first
        work(app, port, "mail", 3)
        top.press("x ")
        assert re.search(r"mail +3 +0 +0 ", top.shows("mail"))
        top.press(key)
        assert top.ended() == code


def test_sigterm_gives_the_terminal_back(app: Any, port: int, terminal: Callable[..., Terminal]) -> None:
    with served(app, port):
        top = terminal(f"http://127.0.0.1:{port}/tasks")
        top.shows("Lanes, the last minute")
        top.process.send_signal(signal.SIGTERM)
        assert top.ended() == 128 + signal.SIGTERM


def test_a_server_that_comes_goes_and_comes_back(app: Any, port: int, terminal: Callable[..., Terminal]) -> None:
    top = terminal(f"http://127.0.0.1:{port}/tasks", "--interval-ms", "100")
    waiting = top.shows("no figures for", "trying again")
    assert "Connection refused" in waiting
    assert "Lanes" not in waiting
    with served(app, port):
        work(app, port, "resize", 7)
        top.shows("resize", "/tasks at ")
    gone = top.shows("no figures for", "what follows is of", "resize")
    assert re.search(r"resize +7 +0 +0 ", gone)
    assert "Connection refused" in gone
    mark = len(top.written)
    with served(app, port):
        work(app, port, "mail", 3)
        back = top.shows("mail", "/tasks at ", after=mark)
        assert "no figures" not in back
        top.press("q")
        assert top.ended() == 0


def test_what_the_server_refuses_ends_it(port: int, terminal: Callable[..., Terminal]) -> None:
    from fastapi import FastAPI, HTTPException

    app = FastAPI()

    @app.get("/tasks")
    def refuse() -> None:
        raise HTTPException(401)

    with served(app, port):
        top = terminal(f"http://127.0.0.1:{port}/tasks")
        assert top.ended() == 1
        assert "give what it asks for with --header" in ESCAPE.sub("", top.written)


def test_a_server_that_does_not_answer_is_said(terminal: Callable[..., Terminal]) -> None:
    """And q ends at once, not when the answer comes."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        top = terminal(f"http://127.0.0.1:{silent.getsockname()[1]}/tasks")
        top.shows("waiting for http://")
        top.press("q")
        assert top.ended() == 0


def test_no_terminal_no_live_view(capsys: pytest.CaptureFixture[str]) -> None:
    from catzilla.cli.main import main

    assert main(["top", "--demo"]) == 1
    assert "--once" in capsys.readouterr().err
