"""What a name that is not a local variable stands for, and that it still does when a kernel runs."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from .source import Source

MISSING: Final = object()
BUILTINS: Final = frozenset(
    {
        "abs", "all", "any", "bool", "chr", "dict", "divmod", "enumerate", "float", "int", "len", "list", "max", "min",
        "ord", "pow", "print", "range", "repr", "reversed", "round", "sorted", "str", "sum", "tuple", "zip",
        "isinstance",
    }
)  # fmt: skip


class Guard(NamedTuple):
    """``namespace.get(name) is value`` (and a function still has this code and these defaults)."""

    namespace: Mapping[str, Any]
    name: str
    value: Any
    code: Any = None
    defaults: Any = None

    def holds(self) -> bool:
        if self.namespace.get(self.name, MISSING) is not self.value:
            return False
        if self.code is None:
            return True
        fn = self.value if isinstance(self.value, types.FunctionType) else self.value.fn
        return fn.__code__ is self.code and fn.__defaults__ is self.defaults


class CellGuard(NamedTuple):
    cell: Any
    name: str
    value: Any

    def holds(self) -> bool:
        try:
            return self.cell.cell_contents is self.value
        except ValueError:
            return False


class Names:
    """Looks names up as the interpreter would, and remembers what it relied on."""

    def __init__(self) -> None:
        self.guards: dict[Any, Guard | CellGuard] = {}

    def find(self, source: Source, name: str) -> Any:
        """The object, or MISSING."""
        if name in source.code.co_freevars:
            assert source.fn.__closure__ is not None
            cell = source.fn.__closure__[source.code.co_freevars.index(name)]
            try:
                found = cell.cell_contents
            except ValueError:
                return MISSING
            self.guards[id(cell), name] = CellGuard(cell, name, found)
            return found
        space = source.fn.__globals__
        found = space.get(name, MISSING)
        if found is not MISSING:
            self._guard(space, name, found)
            return found
        builtins: Mapping[str, Any] = cast("Any", source.fn).__builtins__
        found = builtins.get(name, MISSING)
        if found is not MISSING:
            self._guard(space, name, MISSING)
            self._guard(builtins, name, found)
        return found

    def _guard(self, space: Mapping[str, Any], name: str, found: Any) -> None:
        fn = function_of(found)
        code, defaults = (None, None) if fn is None else (fn.__code__, fn.__defaults__)
        self.guards[id(space), name] = Guard(space, name, found, code, defaults)

    def math(self, name: str) -> Any:
        found = math.__dict__.get(name, MISSING)
        self._guard(math.__dict__, name, found)
        return found


def function_of(found: Any) -> types.FunctionType | None:
    """Of a Python function, or of a task made of one; else None."""
    if isinstance(found, types.FunctionType):
        return found
    if type(found).__module__ == "catzilla.task" and type(found).__name__ == "Task" and not found.receiver:
        return found.fn if isinstance(found.fn, types.FunctionType) else None
    return None


def is_builtin(found: Any, name: str) -> bool:
    import builtins

    return name in BUILTINS and found is getattr(builtins, name)
