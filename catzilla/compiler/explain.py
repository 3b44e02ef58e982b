"""What became of a function, in words: compiled for which types, and if not, why and where."""

from __future__ import annotations

import textwrap
from typing import Any

from catzilla.gain import may_be_short

from .kernel import Kernel, is_short
from .queue import expected_types
from .refusal import Refusal
from .toolchain import reason_for_none, toolchains
from .unit import Unit


def explain_native(native: Any) -> str:
    """A task that a system has looked at: what it does now."""
    name = native.spec.name
    state = native.state
    kernel: Kernel | None = native.kernel
    lines = []
    if kernel is not None:
        lines.append(f"{name} runs as C: {signature(kernel.unit)}")
        lines.append(f"  built by {kernel.toolchain.name} ({kernel.toolchain.version})")
    elif state == "building":
        lines.append(f"{name} runs as Python until its C is built")
    elif state == "watching":
        lines.append(
            f"{name} runs as Python: the next call shows for which types to compile it (annotations do not say)"
        )
    elif state == "pinned":
        lines.append(f"{name} runs as Python again: {native.reason}")
    elif state == "refused":
        lines.append(f"{name} runs as Python: {native.reason}")
        lines += _quoted(native.spec.fn, native.reason)
    else:
        lines.append(f"{name} runs as Python")
    if native.runs or native.deopts:
        lines.append(f"  {native.runs} calls ran as C, {native.deopts} went back to Python")
    if native.last_deopt:
        lines.append(f"  the last one because: {native.last_deopt}")
    return "\n".join(lines)


def explain_function(name: str, fn: Any, pays: bool, short_pays: bool = True) -> str:
    """One that no system has looked at yet. ``pays``: also without a loop; ``short_pays``: then, if it is short."""
    try:
        types = expected_types(fn)
        if types is None:
            return f"{name} may run as C: the first call shows for which types (annotations do not say)"
        unit = Unit(fn, types)
        text = unit.text()
    except Refusal as refusal:
        return "\n".join([f"{name} runs as Python: {refusal}", *_quoted(fn, str(refusal))])
    except Exception as error:
        return f"{name} runs as Python: the compiler failed on it ({type(error).__name__}: {error})"
    if not toolchains():
        return f"{name} runs as Python: {reason_for_none()}"
    if not unit.loops and not pays and not (short_pays and may_be_short(fn) and is_short(unit, text)):
        return (
            f"{name} can run as C: {signature(unit)}\n"
            "  it has no loop: a call would cost more than it saves, so that it does only with compile_to_c=True"
        )
    return f"{name} will run as C: {signature(unit)}"


def c_text(unit: Unit) -> str:
    """The function's part of the C text."""
    text = unit.text()
    return text[text.index(unit.entry.signature().split("(")[0]) :]


def signature(unit: Unit) -> str:
    names = unit.entry.source.params
    params = ", ".join(f"{name}: {type_!r}" for name, type_ in zip(names, unit.entry.params, strict=True))
    others = len(unit.functions) - 1
    more = f", with {others} function{'s' * (others > 1)} that it calls" if others else ""
    return f"({params}) -> {unit.entry.result!r}{more}"


def _quoted(fn: Any, reason: str) -> list[str]:
    """The line that a refusal names, as it stands in the file."""
    if not reason.startswith("line "):
        return []
    import linecache

    number = int(reason[5:].partition(",")[0])
    line = linecache.getline(fn.__code__.co_filename, number).rstrip()
    return [textwrap.indent(textwrap.dedent(line), f"  {number} | ")] if line else []
