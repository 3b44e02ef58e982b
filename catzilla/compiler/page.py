"""What ``catzilla explain`` shows of a function, as data: verdict, reasons, and the lines that they are about."""

from __future__ import annotations

import linecache
from functools import partial
from typing import Any, NamedTuple

from catzilla.gain import may_be_short

from .explain import signature
from .kernel import is_short
from .queue import expected_types
from .refusal import Refusal
from .toolchain import Toolchain, reason_for_none, toolchains
from .unit import Unit

WITHOUT_LOOP = (
    "it has no loop, and as Python it is over before a call of C that makes text, a list or a dict would be; "
    "compile_to_c=True compiles it nevertheless"
)
LITTLE = "it has no loop and does too little for C to gain anything; compile_to_c=True compiles it nevertheless"
LEFT_ALONE = (
    "nothing has to be done, it works as any task; what it computes by itself can run as C in a function of its own"
)
BY_THE_BACKEND = "the backend is c or cpp: their workers call small functions of numbers by themselves"


class Page(NamedTuple):
    name: str
    verdict: str  # goes on after the name: "will run as C"
    compiled: bool
    rows: list[tuple[str, str]]  # (what, text)
    marked: int | None = None  # the line that the refusal names
    column: int = 0
    lines: tuple[tuple[int, str], ...] = ()  # (number, text) of the source around it
    leaves: tuple[tuple[int, str], ...] = ()  # (line, when) a call goes back to Python
    unit: Unit | None = None


def examine(name: str, fn: Any, compile_to_c: bool | None = None) -> Page:
    """A function that no system has looked at yet."""
    where = _where(fn)
    if compile_to_c is False:
        return Page(name, "runs as Python", False, [("why", "it was decorated with compile_to_c=False"), *where])
    try:
        types = expected_types(fn)
        if types is None:
            return Page(name, "may run as C", True, [("types", _unknown(fn)), *where, *_by(toolchains())])
        unit = Unit(fn, types)
        text = unit.text()
    except Refusal as refusal:
        return _refused(name, fn, refusal)
    except Exception as error:  # a mistake of the compiler's own: the function runs, and this page says so
        why = f"the compiler failed on it ({type(error).__name__}: {error})"
        return Page(name, "runs as Python", False, [("why", why), *where])
    rows = [("types", signature(unit)), *where]
    found = toolchains()
    leaves = _by_line(unit.reasons)
    if not found:
        return Page(name, "runs as Python", False, [("why", reason_for_none()), *rows], leaves=leaves)
    if unit.loops or compile_to_c:
        when = "once the compiler is through with it, after its first submit; until then it runs as Python"
        rows += [*_by(found), ("when", when)]
        return Page(name, "will run as C", True, rows, leaves=leaves, unit=unit)
    if may_be_short(fn) and is_short(unit, text):
        rows += [*_by(found), ("when", BY_THE_BACKEND)]
        return Page(name, "will run as C", True, rows, leaves=leaves, unit=unit)
    why = LITTLE if is_short(unit, text) else WITHOUT_LOOP
    return Page(
        name, "can run as C, and is left as Python", True, [("why", why), *rows, *_by(found)], leaves=leaves, unit=unit
    )


def _refused(name: str, fn: Any, refusal: Refusal) -> Page:
    if refusal.line is None:
        rows = [("why", refusal.reason), *_where(fn)]
        if isinstance(fn, partial):
            inner = getattr(fn.func, "__qualname__", "")
            rows.append(("instead", f"look at the function in it: {getattr(fn.func, '__module__', '')}:{inner}"))
        return Page(name, "runs as Python", False, rows)
    file = fn.__code__.co_filename
    column = refusal.column or 0
    rows = [("why", refusal.reason), ("where", f"{file}, line {refusal.line}, column {column + 1}")]
    first, last = max(fn.__code__.co_firstlineno, refusal.line - 2), refusal.line + 1
    lines = [(number, linecache.getline(file, number).rstrip("\n")) for number in range(first, last + 1)]
    while lines and not lines[-1][1].strip():
        lines.pop()
    if refusal.line > fn.__code__.co_firstlineno:  # else it is about what kind of function it is
        rows.append(("so", LEFT_ALONE))
    return Page(name, "runs as Python", False, rows, refusal.line, column, tuple(lines))


def _by_line(reasons: list[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """All of a line in one."""
    lines: dict[int, list[str]] = {}
    for line, reason in sorted(set(reasons)):
        lines.setdefault(line, []).append(reason)
    return tuple((line, "; ".join(texts)) for line, texts in lines.items())


def _where(fn: Any) -> list[tuple[str, str]]:
    code = getattr(fn, "__code__", None)
    return [] if code is None else [("where", f"{code.co_filename}, line {code.co_firstlineno}")]


def _by(found: list[Toolchain]) -> list[tuple[str, str]]:
    return [("compiler", f"{found[0].name}, {found[0].version}")] if found else []


def _unknown(fn: Any) -> str:
    """Which parameters an annotation would help."""
    from .annotations import types_from_annotations
    from .source import Source

    source = Source(fn)
    types = types_from_annotations(source)
    names = [name for name, type_ in zip(source.params, types, strict=True) if type_ is None]
    told = "the annotation of " + names[0] + " does" if len(names) == 1 else f"the annotations of {_list(names)} do"
    return f"those of the first call: {told} not say them"


def _list(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
