"""Choose the form: typer and rich where the ``cli`` extra is installed, argparse and plain text elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from . import bench, cache, demo, doctor, explain, jemalloc, run, top
from .facts import version
from .output import Output

COMMANDS = (doctor.COMMAND, demo.COMMAND, bench.COMMAND, run.COMMAND, explain.COMMAND, top.COMMAND, cache.COMMAND)
SERVING = ("demo", "run")  # those that run tasks: on jemalloc where there is one
ABOUT = "Background tasks inside your Python process."


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    if argv is None and arguments[0] in SERVING:
        jemalloc.preload()
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a character is no reason to fail
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    out = _output()
    try:
        if _has("typer") and _has("rich"):
            from .pretty import main as form
        else:
            from .plain import main as form
        return form(arguments, COMMANDS, ABOUT, f"catzilla {version()}", out)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader left (`| head`): nothing is wrong, and nothing more can be said
        sys.stderr.close()
        return 1


def _output() -> Output:
    """Colour and columns are for people: a pipe gets plain lines."""
    if sys.stdout.isatty() and _has("rich"):
        from .rich_output import RichOutput

        return RichOutput()
    return Output()


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
