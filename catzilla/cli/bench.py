"""``catzilla bench``: the comparison of a checkout's benchmarks/, with its most used options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .command import Command, CommandError, Parameter
from .output import Output

SCRIPT = Path("benchmarks", "background_task_benchmarks.py")


def run(
    out: Output,
    *,
    quick: bool,
    targets: bool,
    scenario: str | None,
    backend: str | None,
    tasks: str | None,
    rounds: int | None,
    workers: int | None,
    size: int | None,
    json: str | None,
    markdown: str | None,
    charts: str | None,
) -> int:
    """Runs the script in a process of its own, and returns its exit code."""
    script = find()
    command = [sys.executable, str(script)]
    command += ["--quick"] * quick + ["--targets"] * targets
    for flag, names in (("--scenario", scenario), ("--backend", backend)):
        if names:
            command += [flag, *names.replace(",", " ").split()]
    given = {"tasks": tasks, "rounds": rounds, "workers": workers, "size": size, "json": json, "charts": charts}
    for name, value in (given | {"markdown": markdown}).items():
        if value is not None:
            command += [f"--{name}", str(value)]
    return subprocess.run(command, check=False).returncode


def find() -> Path:
    """The script: of the checkout that this is installed from in editable form, or of the current folder."""
    for folder in (Path(__file__).parents[2], Path.cwd()):
        if (folder / SCRIPT).is_file():
            return folder / SCRIPT
    raise CommandError(
        "the benchmarks are part of a checkout, not of the installed package: run `catzilla bench` in the folder of a "
        f"checkout, or there `python {SCRIPT}`"
    )


COMMAND = Command(
    "bench",
    "Compare the backends with other ways to run tasks (in a checkout; its script has more options).",
    run,
    (
        Parameter("quick", "one round of short measurements, under two minutes", bool, False),
        Parameter("targets", "say of each target whether it is met", bool, False),
        Parameter("scenario", "only these, separated by commas"),
        Parameter("backend", "only these backends of ours, separated by commas"),
        Parameter("tasks", "python, compiled or both"),
        Parameter("rounds", "measurements of each contender", int),
        Parameter("workers", "number of workers", int),
        Parameter("size", "most tasks in one burst", int),
        Parameter("json", "write every figure to this file"),
        Parameter("markdown", "write the tables to this file (-: print them) as Markdown"),
        Parameter("charts", "write an SVG chart of each scenario to this folder"),
    ),
)
