"""A compiled function in the process: guards, one run, and what comes out of it."""

from __future__ import annotations

import functools
import sys
import threading
from types import FunctionType
from typing import Any, Final

from catzilla.compiling import DEOPT, STOPPED

from . import cache
from .convert import Mismatch, Reader, Writer
from .load import Library, memory
from .load import types as ffi_types
from .mapper import MapRun
from .names import MISSING, Guard
from .toolchain import BuildFailed, Toolchain, reason_for_none, toolchains
from .types import NONE, DictT, Dyn, ListT, TupleT, Type, is_number
from .unit import Unit

LIMIT_BYTES: Final = 1 << 30  # of memory in one run; what needs more runs in Python
DEPTH_MARGIN: Final = 300  # frames that the interpreter and the worker may have below the task
MOST_SHORT: Final = 16  # arguments of a short kernel
MOST_DEPTH: Final = 4_000  # of nested calls, for the C stack


Layout = tuple[tuple[tuple[str, int, tuple[int, ...]], ...], tuple[int, ...], tuple[int, ...]]


class Kernel:
    """``interface.Kernel``, and how it is called without a backend that does it natively."""

    def __init__(self, unit: Unit, library: Library, toolchain: Toolchain, short: bool = False) -> None:
        self.unit = unit
        self.params: tuple[Type, ...] = unit.entry.params
        self.address = library.address
        self.type_code = unit.type_code().encode()
        self.guards = tuple(unit.names.guards.values())
        self.toolchain = toolchain
        self.library = library
        self._tags = unit.result_types()
        self.columns = unit.columns  # of the rows or buffers that it goes over by itself
        self.loops = unit.loops
        # What a backend reads that calls kernels by itself (interface.Kernel).
        self.guard_rows = guard_rows(self.guards)
        self.short = short and self.guard_rows is not None
        self.recursive = unit.recursive
        self.limit_bytes = LIMIT_BYTES
        self.code = unit.entry.source.code
        self.depth = MOST_DEPTH
        self.stack_bytes = stack_bytes()
        self.runs_address = 0
        self.left: Any = None
        self.returned: Any = None
        self.stopped: Any = None

    @functools.cached_property
    def layout(self) -> Layout:
        """Its types, for who reads and writes values without Python: see layout_of."""
        return layout_of(self.unit)

    def holds(self) -> bool:
        """Whether every global name still is what it was when the function was compiled."""
        source = self.unit.entry.source
        return source.fn.__code__ is source.code and all(guard.holds() for guard in self.guards)

    def new_run(self) -> Any:
        """The run-time structure; ``stop`` may be set from any thread."""
        malloc, free = memory()
        depth = min(sys.getrecursionlimit() - DEPTH_MARGIN, MOST_DEPTH) if self.recursive else MOST_DEPTH
        fields = {"limit": LIMIT_BYTES, "depth": depth, "stack_bytes": stack_bytes(), "malloc": malloc, "free": free}
        return ffi_types().new("cz_runtime_t *", fields)

    def arguments(self, values: tuple[Any, ...]) -> tuple[Any, Writer]:
        """Raises Mismatch."""
        if len(values) != len(self.params):
            raise Mismatch(f"{len(values)} arguments instead of {len(self.params)}")
        writer = Writer(self.unit.tag)
        slots = ffi_types().new("cz_value_t[]", max(1, len(values)))
        for index, type_ in enumerate(self.params):
            writer.put(slots[index], type_, values[index])
        return slots, writer

    def misfit(self, values: tuple[Any, ...]) -> str:
        """Why it cannot be called with these."""
        try:
            self.arguments(values)
        except Mismatch as mismatch:
            return str(mismatch)
        return "what was not expected"

    def start_map(self, views: list[memoryview], out: memoryview) -> MapRun:
        """A pass over columns, of a kernel that was built for them."""
        return MapRun(self, views, out)

    def run(self, values: tuple[Any, ...], rt: Any = None) -> tuple[Any, str | None]:
        """(value or DEOPT or STOPPED, why). What was printed is printed now; that may raise."""
        if not self.holds():
            return DEOPT, "a global name that it uses has changed"
        try:
            slots, writer = self.arguments(values)
        except Mismatch as mismatch:
            return DEOPT, f"called with {mismatch}"
        if rt is None:
            rt = self.new_run()
        result = ffi_types().new("cz_value_t *")
        try:
            status = self.library.kernel(slots, result, rt)
            if status == 2:
                return STOPPED, "stopped"
            if status:
                line, reason = self.unit.reasons[rt.why]
                return DEOPT, f"line {line}: {reason}"
            reader = Reader(self._tags)
            value = reader.value(result)
            printed = [_printed(reader, entry) for entry in _entries(rt.prints)]
        finally:
            self.library.release(rt)
            del writer
        for pieces, separator, end in printed:
            print(*pieces, sep=separator, end=end)
        return value, None


def layout_of(unit: Unit) -> Layout:
    """(types, numbers of the parameters' types, numbers of the types with tags of their own, in order).

    A type is (letter of its code, tag, numbers of what it holds), and stands before what it is held by.
    """
    types: list[tuple[str, int, tuple[int, ...]]] = []

    def number(type_: Type) -> int:
        held: tuple[Type, ...] = ()
        if isinstance(type_, ListT):
            held = (type_.elem.type,)
        elif isinstance(type_, DictT):
            held = (type_.key.type, type_.value.type)
        elif isinstance(type_, TupleT):
            held = type_.items
        elif isinstance(type_, Dyn):
            held = type_.options
        numbers = tuple(map(number, held))
        letter = "?" if isinstance(type_, Dyn) else type_.code
        types.append((letter, unit.tag(type_), numbers))
        return len(types) - 1

    params = tuple(map(number, unit.entry.params))
    tags: list[int] = []
    while len(tags) < len(unit.tags):  # a type may have a part that had no tag yet
        tags.append(number(unit.tags[len(tags)]))
    return tuple(types), params, tuple(tags)


def guard_rows(guards: tuple[Any, ...]) -> tuple[tuple[Any, ...], ...] | None:
    """(namespace, name, value, code, defaults, absent) of each; None: one of them is more than C looks at."""
    rows = []
    for guard in guards:
        plain = type(guard) is Guard and type(guard.namespace) is dict
        if not plain or (guard.code is not None and type(guard.value) is not FunctionType):
            return None
        rows.append((*guard, guard.value is MISSING))
    return tuple(rows)


def is_short(unit: Unit, text: str) -> bool:
    """Numbers in, a number out, and over in nanoseconds: no loop, and no memory, which may be much."""
    plain = all(map(is_number, unit.entry.params)) and (is_number(unit.entry.result) or unit.entry.result is NONE)
    return plain and len(unit.entry.params) <= MOST_SHORT and not unit.loops and "cz_alloc(" not in text


def stack_bytes() -> int:
    """How much of a thread's C stack nested calls may use: a part of what the thread surely has."""
    return threading.stack_size() // 4 or 256 * 1024


def _entries(entry: Any) -> Any:
    while entry:
        yield entry
        entry = entry.next


def _printed(reader: Reader, entry: Any) -> tuple[list[str], str, str]:
    pieces = [reader.text(entry.pieces[index]) for index in range(entry.count)]
    return pieces, reader.text(entry.separator), reader.text(entry.end)


def build(fn: Any, params: tuple[Type, ...], toolchain: Toolchain | None = None) -> Kernel:
    """Compile a function for these types. Raises Refusal or BuildFailed."""
    unit = Unit(fn, params)
    return load(unit, toolchain)


def load(unit: Unit, toolchain: Toolchain | None = None) -> Kernel:
    """With the first toolchain that works. Raises Refusal or BuildFailed."""
    text = unit.text()
    failures = []
    for candidate in [toolchain] if toolchain is not None else toolchains():
        try:
            library = Library(cache.build(text, candidate), maps=unit.columns is not None)
            return Kernel(unit, library, candidate, is_short(unit, text))
        except BuildFailed as error:
            failures.append(f"{candidate.name}: {error}")
        except (OSError, AttributeError) as error:  # no library, or one without the functions of a kernel
            failures.append(f"{candidate.name}: what it made cannot be loaded: {error}")
    raise BuildFailed("; ".join(failures) or reason_for_none())
