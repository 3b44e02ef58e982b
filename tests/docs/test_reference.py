"""docs/reference/parameters.md names everything there is, with the defaults and bounds of the code."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

from catzilla import errors
from catzilla.options import DEFAULTS, NAMES
from catzilla.parameters import PARAMETERS
from catzilla.priority import TaskPriority
from catzilla.stats import SystemStats

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "parameters.md"


def rows(title: str) -> list[list[str]]:
    """The cells of the table under this heading, without its head."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def test_parameters() -> None:
    shown = [row[:3] for row in rows("Parameters of a system")]
    assert shown == [[f"`{one.name}`", f"`{one.default!r}`", one.allowed] for one in PARAMETERS.values()]


def test_options() -> None:
    names = {TaskPriority.NORMAL: "TaskPriority.NORMAL", (Exception,): "(Exception,)"}
    defaults = [getattr(DEFAULTS, name) for name in NAMES]
    shown = [row[:2] for row in rows("Options of a task")]
    assert shown == [
        [f"`{name}`", f"`{names.get(value, repr(value))}`"] for name, value in zip(NAMES, defaults, strict=True)
    ]


def test_statistics() -> None:
    shown = [name for row in rows("Statistics") for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(shown) == sorted(field.name for field in fields(SystemStats))


def test_errors() -> None:
    expected = {
        name: ", ".join(f"`{base.__name__}`" for base in cls.__bases__)
        for name, cls in vars(errors).items()
        if inspect.isclass(cls) and cls.__module__ == errors.__name__
    }
    assert {row[0].strip("`"): row[1] for row in rows("Errors")} == expected
