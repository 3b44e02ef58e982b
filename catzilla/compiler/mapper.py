"""A kernel over columns of numbers: the C of its loop, and one pass over a part of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from catzilla.columns import FLOATS, INTEGERS, UNSIGNED
from catzilla.compiling import STOPPED

from .load import types as ffi_types
from .refusal import Refusal
from .types import BOOL, FLOAT, INT, Type

if TYPE_CHECKING:
    from .kernel import Kernel
    from .unit import Unit

_CTYPES: Final = {
    "b": "signed char",
    "h": "short",
    "i": "int",
    "q": "i64",
    "B": "u8",
    "H": "u16",
    "I": "u32",
    "Q": "u64",
    "f": "float",
    "d": "double",
    "?": "u8",
}
MOST_COLUMNS: Final = 16  # as catzilla_rows.h has it
POLL: Final = 4096  # elements between two looks at the stop flag


def type_of_column(letter: str) -> Type:
    return BOOL if letter == "?" else FLOAT if letter in FLOATS else INT


def types_of_columns(formats: str) -> tuple[Type, ...]:
    return tuple(map(type_of_column, formats))


_letters: dict[tuple[Any, str], tuple[str, list[Any]]] = {}  # by code: also what it was read with
MOST_LETTERS: Final = 1_024


def result_letter(fn: Any, formats: str) -> str:
    """The format of what the function gives for these columns. Raises Refusal."""
    from .unit import Unit

    key = (getattr(fn, "__code__", None), formats)
    known = _letters.get(key)
    if known is not None and all(guard.holds() for guard in known[1]):
        return known[0]
    unit = Unit(fn, types_of_columns(formats))
    letter = letter_of(unit)
    if len(_letters) >= MOST_LETTERS:
        _letters.clear()
    _letters[key] = (letter, list(unit.names.guards.values()))
    return letter


def letter_of(unit: Unit) -> str:
    result = unit.entry.result
    letters: dict[Type, str] = {INT: "q", FLOAT: "d", BOOL: "?"}
    if result not in letters:
        raise Refusal(f"it gives {result!r}, which is no number", unit.entry.source.line(unit.entry.source.tree), 0)
    return letters[result]


def columns_of_rows(unit: Unit) -> tuple[str, str] | None:
    """The columns that rows for this function fit in, and that of its results; None: it is not for rows of numbers."""
    letters: dict[Type, str] = {INT: "q", FLOAT: "d", BOOL: "?"}
    params = unit.entry.params
    if not 1 <= len(params) <= MOST_COLUMNS or unit.entry.result not in letters or _prints(unit):
        return None
    if unit.entry.source.fn.__code__.co_kwonlyargcount or any(param not in letters for param in params):
        return None
    return "".join(letters[param] for param in params), letters[unit.entry.result]


def _prints(unit: Unit) -> bool:
    return any("cz_print(" in function.text() for function in unit.functions.values())


def map_text(unit: Unit, formats: str, out: str) -> str:
    """``cz_map``: goes on from element ``*at``; leaves there how far it came. Raises Refusal."""
    entry = unit.entry
    result = entry.result
    line = entry.source.line(entry.source.tree)
    if letter_of(unit) == "d" and out not in FLOATS and out != "?":
        raise Refusal("it gives float, and the buffer for the results holds other numbers", line, 0)
    if _prints(unit):
        raise Refusal("it prints: over buffers Python does that", line, 0)
    leave = f"{{ rt->why = {unit.reason(line, 'the result does not fit the buffer')}; status = CZ_DEOPT; goto end; }}"
    large = f"{{ rt->why = {unit.reason(line, 'called with an int beyond 64 bits')}; status = CZ_DEOPT; goto end; }}"
    arguments = "".join(_argument(index, letter) for index, letter in enumerate(formats))
    lines = [
        f"int cz_map(const void *const *in, {_CTYPES[out]} *to, i64 *at, i64 length, cz_runtime_t *rt) {{",
        "    char here;",
        "    i64 k = *at;",
        "    int status = CZ_OK;",
        "    rt->stack = &here;",
        *(f"    const {_CTYPES[letter]} *in{index} = in[{index}];" for index, letter in enumerate(formats)),
        "    while (k < length) {",
        f"        i64 until = length - k > {POLL} ? k + {POLL} : length;",
        "        if (rt->stop) { status = CZ_STOPPED; break; }",
        "        for (; k < until; k++) {",
        f"            {result.ctype} r;",
        *(
            f"            if (in{index}[k] > 9223372036854775807ULL) {large}"
            for index, letter in enumerate(formats)
            if letter == "Q"
        ),
        f"            status = {entry.name}(rt{arguments}, &r);",
        "            if (status) goto end;",
        *(f"            {check}" for check in _checks(result, out, leave)),
        f"            to[k] = {'r != 0' if out == '?' else f'({_CTYPES[out]})r'};",
        "            if (rt->blocks) { cz_release(rt); rt->next = rt->end = 0; rt->used = 0; }",
        "        }",
        "    }",
        "end:",
        "    *at = k;",
        "    return status;",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _argument(index: int, letter: str) -> str:
    if letter == "?":
        return f", in{index}[k] != 0"
    return f", ({'double' if letter in FLOATS else 'i64'})in{index}[k]"


def _checks(result: Type, out: str, leave: str) -> list[str]:
    """As memoryview does: it raises for an int that does not fit (a float becomes infinite)."""
    if out in UNSIGNED and out != "Q":
        return [f"if (r < 0 || r != (i64)({_CTYPES[out]})r) {leave}"]
    if out == "Q":
        return [f"if (r < 0) {leave}"]
    if out in INTEGERS and out != "q":
        return [f"if (r != (i64)({_CTYPES[out]})r) {leave}"]
    return []


class MapRun:
    """One part's way through its columns; on one thread. ``rt.stop`` may be set from any."""

    def __init__(self, kernel: Kernel, views: list[memoryview], out: memoryview) -> None:
        ffi = ffi_types()
        self.kernel = kernel
        self._kept = [ffi.from_buffer(view) for view in views]
        self._in = ffi.new("void *[]", [ffi.cast("void *", buffer) for buffer in self._kept])
        self._out = ffi.from_buffer(out, require_writable=True)
        self._at = ffi.new("long long *")
        self.rt = kernel.new_run()
        self._depth = self.rt.depth

    def go(self, begin: int, end: int) -> tuple[int, Any]:
        """How far it came, and None (to the end), STOPPED or why the next element is for Python."""
        kernel, rt = self.kernel, self.rt
        if not kernel.holds():
            return begin, "a global name that it uses has changed"
        self._at[0] = begin
        rt.depth = self._depth
        try:
            status = kernel.library.map(self._in, self._out, self._at, end, rt)
        finally:
            kernel.library.release(rt)
            ffi = ffi_types()
            rt.next = rt.end = ffi.NULL
            rt.used = 0
        if status == 0:
            return self._at[0], None
        if status == 2:
            return self._at[0], STOPPED
        line, reason = kernel.unit.reasons[rt.why]
        return self._at[0], f"line {line}: {reason}"
