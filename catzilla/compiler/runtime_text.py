"""The run-time library as text: each kernel gets the functions that it uses, and no more to parse."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Final

_FILES: Final = ("number.c", "text.c", "container.c", "format.c")
_WORD: Final = re.compile(r"[A-Za-z_]\w*")


@functools.cache
def ABI() -> str:
    return (Path(__file__).parent / "runtime" / "catzilla_kernel.h").read_text()


@functools.cache
def _chunks() -> tuple[tuple[str, frozenset[str], str], ...]:
    """(names defined, names used, text) of each top-level definition, in order."""
    chunks: list[tuple[str, frozenset[str], str]] = []
    for file in _FILES:
        lines: list[str] = []
        comment = False
        for line in (Path(__file__).parent / "runtime" / file).read_text().splitlines():
            if line.startswith("/*") or comment:
                comment = "*/" not in line
                continue
            if not line and not lines:
                continue
            lines.append(line)
            whole = line == "}" or (len(lines) == 1 and line.rstrip().endswith((";", "}")))
            if whole or (len(lines) == 1 and line.startswith("#define")):
                text = "\n".join(lines)
                chunks.append((text, frozenset(_WORD.findall(text)), _defined(lines[0])))
                lines = []
    return tuple(chunks)


def _defined(first: str) -> str:
    """Space-separated names; empty: always kept (types)."""
    if first.startswith("typedef"):
        return ""
    if first.startswith("#define"):
        return first.split()[1].partition("(")[0]
    if first.startswith("extern"):
        return " ".join(re.findall(r"(\w+)\(", first))
    head = first.partition("{")[0]
    found = re.findall(r"(\w+)\(", head)
    return found[0] if found else " ".join(re.findall(r"(cz_\w+) =", first))


def runtime_for(text: str) -> str:
    """What ``text`` needs, directly or through what it needs."""
    wanted = set(_WORD.findall(text))
    kept: set[int] = set()
    chunks = _chunks()
    moved = True
    while moved:
        moved = False
        for index, (_, uses, names) in enumerate(chunks):
            if index not in kept and (not names or not wanted.isdisjoint(names.split())):
                kept.add(index)
                wanted |= uses
                moved = True
    return "\n".join(chunks[index][0] for index in sorted(kept))
