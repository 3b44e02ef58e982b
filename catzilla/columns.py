"""Buffers of numbers, as ``add_tasks(buffers=...)`` takes them: what they hold, and what is refused.

A column is a memoryview with one dimension and one of the formats below. What one element of it is
to a function is what indexing the memoryview gives: an int, a float or a bool of Python's own.
"""

from __future__ import annotations

import sys
from array import array
from typing import Any, Final

from .wording import kind_of

INTEGERS: Final = {"b": "int8", "h": "int16", "i": "int32", "q": "int64"}
UNSIGNED: Final = {"B": "uint8", "H": "uint16", "I": "uint32", "Q": "uint64"}
FLOATS: Final = {"f": "float32", "d": "float64"}
NAMES: Final = {**INTEGERS, **UNSIGNED, **FLOATS, "?": "bool"}
LARGE: Final = 4 << 20  # bytes of a buffer, from which on huge pages are asked for
SIZES: Final = {"b": 1, "h": 2, "i": 4, "q": 8, "B": 1, "H": 2, "I": 4, "Q": 8, "f": 4, "d": 8, "?": 1}

_KINDS: Final = {"bhilqn": INTEGERS, "BHILQN": UNSIGNED, "fd": FLOATS, "?": {"?": "bool"}}
_ORDERS: Final = "@=" + ("<" if sys.byteorder == "little" else ">!")


def column(what: str, value: Any) -> memoryview:
    """The buffer as a column. Raises TypeError or ValueError naming ``what``, the value and what is allowed."""
    try:
        view = memoryview(value)
    except (TypeError, ValueError, BufferError) as error:
        why = "" if isinstance(error, TypeError) else f" ({error})"  # NumPy's dates have no format
        raise TypeError(
            f"{what} is {kind_of(value)}{why}; it must have a buffer of numbers: an array.array, a memoryview, "
            "a NumPy array. For other rows use add_tasks(fn, rows)"
        ) from None
    if view.ndim != 1:
        raise ValueError(f"{what} has {view.ndim} dimensions; it must have one (of a NumPy array: .reshape(-1))")
    if not view.c_contiguous:
        raise ValueError(f"{what} is not contiguous; give a copy of it (of a NumPy array: .copy())")
    letter = _letter(view.format, view.itemsize)
    if letter is None:
        raise TypeError(
            f"{what} ({kind_of(value)}) has elements of format {view.format!r}{_dtype(value)}; they must be numbers in "
            f"the machine's byte order: {', '.join(NAMES.values())} (of a NumPy array: .astype('float64'))"
        )
    if len(view) == 0:  # a view without elements cannot be cast
        return memoryview(b"" if view.readonly else bytearray())
    return view.cast("B").cast(letter)  # type: ignore[call-overload, no-any-return]


def _dtype(value: object) -> str:
    dtype = getattr(value, "dtype", None)
    return "" if dtype is None else f" (dtype {dtype})"


def _letter(text: str, size: int) -> str | None:
    order, kind = (text[0], text[1:]) if text[:1] in "@=<>!" else ("@", text)
    if order not in _ORDERS or len(kind) != 1:
        return None
    for letters, names in _KINDS.items():
        if kind in letters:
            return next((letter for letter in names if SIZES[letter] == size), None)
    return None


def make(letter: str, length: int) -> Any:
    """A new buffer of zeros: an array.array, for bool a memoryview."""
    if letter == "?":
        return memoryview(bytearray(max(1, length))).cast("?")[:length]
    return array(letter, bytes(length * SIZES[letter]))


def room(size: int) -> Any:
    """A new buffer of so many zero bytes. A large one lies on huge pages where the system has some to give: the kernel
    clears and maps 2 MiB in the time of a few pages of 4 KiB, and touching those costs more than packing a row."""
    if size >= LARGE:
        import mmap

        if hasattr(mmap, "MADV_HUGEPAGE"):
            try:
                pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
                pages.madvise(mmap.MADV_HUGEPAGE)
                return pages
            except OSError:  # a kernel without them, or no memory: then the line below says so
                pass
    return bytearray(size)


def check_overlap(out: memoryview, columns: list[memoryview]) -> None:
    """Results may go where an argument came from, element by element, but not over others. Raises ValueError."""
    begin, end = _range(out)
    for index, view in enumerate(columns):
        first, last = _range(view)
        if first < end and begin < last and (first != begin or view.itemsize != out.itemsize):
            raise ValueError(
                f"out lies over buffer {index}, at another place or with elements of another size: results would be "
                "written over arguments that are not read yet; give it memory of its own"
            )


def _range(view: memoryview) -> tuple[int, int]:
    from .compiler.load import types

    ffi = types()
    begin = int(ffi.cast("uintptr_t", ffi.from_buffer(view)))
    return begin, begin + view.nbytes
