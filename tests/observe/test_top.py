"""``catzilla top``."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.cli.main import main
from catzilla.cli.top_sections import duration, sections
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.observe.live import LiveView


def test_the_demo_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--demo", "--once"]) == 0
    shown = capsys.readouterr().out
    assert "fetch_page" in shown
    assert "Lanes, the last minute" in shown


@contextmanager
def served(app: Any) -> Iterator[str]:
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def test_a_served_application(backend_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fastapi", reason="needs the web extra")
    from catzilla import Catzilla

    app = Catzilla(backend=backend_name)
    app.enable_background_tasks(workers=2, enable_auto_scaling=False)
    app.enable_dashboard("/tasks")
    app.get("/stats")(lambda: app.get_task_stats().as_dict())
    app.get("/other")(lambda: {"a": 1})
    with served(app) as url:
        app.add_task(abs, -1, name="one").wait(PATIENCE_S)
        assert app.tasks is not None
        eventually(lambda: app.get_task_stats().active_workers == 0, "the worker is idle")
        assert main(["top", f"{url}/tasks", "--once"]) == 0
        shown = capsys.readouterr().out
        assert f"{backend_name} on " in shown
        assert "0 of 2" in shown
        assert main(["top", f"{url}/stats", "--once"]) == 0
        assert "critical" in capsys.readouterr().out
        assert main(["top", f"{url}/other", "--once"]) == 1
        assert "neither a dashboard" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "--demo"),
        (["ftp://x", "--once"], "http://"),
        (["http://127.0.0.1:1/tasks", "--once"], "does not answer"),
        (["--demo", "--interval-ms", "1"], "too short"),
        (["http://127.0.0.1:1", "--header", "nonsense", "--once"], "Authorization"),
    ],
)
def test_what_cannot_be_shown(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", *arguments]) == 1
    assert text in capsys.readouterr().err


def test_every_section_and_its_screen(system: TaskSystem) -> None:
    view = LiveView(system)
    system.observe(view)

    def fails() -> None:
        raise ValueError("no")

    gate = threading.Event()
    system.add_task(fails, name="fails").exception(PATIENCE_S)
    system.add_schedule(abs, -1, name="by the clock", every=3600)
    running = system.add_task(gate.wait, PATIENCE_S, name="runs")
    eventually(lambda: bool(view.snapshot()["failures"]) and len(system.running()) == 1, "there is something to see")
    shown = {title.partition(",")[0]: rows for title, _, rows in sections(view.snapshot())}
    assert {"Tasks", "Running", "Failures", "Schedules"} <= set(shown)
    assert shown["Failures"][0][1] == "ValueError: no"
    rich = pytest.importorskip("rich.console", reason="needs the cli extra")
    from catzilla.cli.top_screen import picture
    from catzilla.cli.top_watch import Seen

    def shown_at(width: int, height: int) -> str:
        with open("/dev/null", "w") as nowhere:
            console = rich.Console(record=True, width=width, height=height, file=nowhere)
            console.print(picture(Seen(view.snapshot(), 1.0), "here", 1.0, 1.0))
            return str(console.export_text())

    assert "by the clock" in shown_at(140, 60)
    assert "more lines" not in shown_at(140, 60)
    # In a common terminal no figure is cut off, and what is below is announced.
    small = shown_at(80, 24)
    assert len(small.splitlines()) == 24
    assert "more lines in a taller terminal" in small.splitlines()[-1]
    assert " · timed out 0" in small or "\ntimed out 0" in small
    lanes = small[small.index("Lanes") : small.index("Tasks")].splitlines()
    assert [line for line in lanes if "…" in line] == []
    assert lanes[1].split()[-1] == "state"
    gate.set()
    assert running.wait(PATIENCE_S)


def test_durations() -> None:
    texts = [duration(value) for value in (None, 0, 1.5e-6, 0.0123, 0.5, 12.3, 75, 7300)]
    assert texts == ["–", "0 s", "1.50 µs", "12.3 ms", "500 ms", "12.3 s", "1 min 15 s", "2 h 1 min"]  # noqa: RUF001
