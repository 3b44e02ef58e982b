"""The benchmark as a command: what it prints and writes."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from catzilla.cli import bench
from catzilla.cli import main as cli

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "background_task_benchmarks.py"


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *argv], capture_output=True, text=True, timeout=50, check=False)


def test_one_scenario_with_everything_that_can_be_written(tmp_path: Path) -> None:
    outputs = ["--json", str(tmp_path / "run.json"), "--markdown", str(tmp_path / "run.md"), "--charts", str(tmp_path)]
    chosen = ["--quick", "--scenario", "noop", "--backend", "python", "--rival", "SimpleQueue + lock", "--size", "2000"]
    ended = run(*chosen, "--targets", *outputs)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "catzilla python" in ended.stdout
    assert "not measured: catzilla c did not take part" in ended.stdout

    document = json.loads((tmp_path / "run.json").read_text())
    assert [one["contender"] for one in document["results"]] == ["catzilla python", "SimpleQueue + lock"]
    assert all(one["rounds"][0]["per_s"] > 0 and not one["error"] for one in document["results"])
    assert {"cpu", "python", "catzilla", "load", "command"} <= set(document["about"])
    assert "| catzilla python |" in (tmp_path / "run.md").read_text()
    ElementTree.parse(tmp_path / "noop.svg")

    again = run("--read", str(tmp_path / "run.json"), "--markdown", str(tmp_path / "again.md"), "--targets")
    assert (again.returncode, again.stderr) == (0, "")
    assert (tmp_path / "again.md").read_text() == (tmp_path / "run.md").read_text()


def test_what_compiling_costs(tmp_path: Path) -> None:
    ended = run("--quick", "--scenario", "compiling", "--backend", "python", "--json", str(tmp_path / "run.json"))
    assert (ended.returncode, ended.stderr) == (0, "")
    (found,) = json.loads((tmp_path / "run.json").read_text())["results"]
    figures = found["rounds"][0]
    assert not found["error"]
    assert 0 < figures["decorate_ms"] < figures["submit_ms"]
    if "cold_ms" in figures:  # there is a cc
        assert 0 < figures["cached_ms"] < figures["cold_ms"]


def test_a_size_below_one_is_refused() -> None:
    ended = run("--size", "0")
    assert ended.returncode == 2
    assert "0 is not allowed: from 1" in ended.stderr


def test_the_command_line_runs_the_script_of_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    def call(command: list[str], check: bool) -> subprocess.CompletedProcess[bytes]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(bench.subprocess, "run", call)
    assert cli.main(["bench", "--quick", "--scenario", "noop,cpu", "--rounds", "2"]) == 3
    assert Path(commands[0][1]).samefile(SCRIPT)
    assert commands[0][2:] == ["--quick", "--scenario", "noop", "cpu", "--rounds", "2"]


def test_without_a_checkout_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "__file__", str(tmp_path / "site" / "catzilla" / "cli" / "bench.py"))
    assert cli.main(["bench"]) == 1
    assert "part of a checkout" in "".join(capsys.readouterr())
