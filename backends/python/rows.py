"""Rows of numbers into columns, as the native backends do it in C: for ``add_tasks(fn, rows)`` of what runs as C."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Final

_TYPES: Final[dict[str, Any]] = {"i": int, "d": float, "b": bool}
_SIZES: Final = {"i": 8, "d": 8, "b": 1}
_ARRAYS: Final = {"i": "q", "d": "d", "b": "b"}

Columns = tuple[Any, ...]


def pack_rows(
    rows: Sequence[Any],
    type_code: bytes,
    defaults: tuple[Any, ...],
    begin: int,
    end: int,
    into: Columns,
) -> list[int] | None:
    """See catzilla.interface.Queue.pack_rows."""
    codes = type_code.decode().partition(">")[0]
    if len(codes) != len(into):
        raise ValueError("pack_rows() takes a column for each argument")
    if any(memoryview(column).nbytes // _SIZES[code] < end for column, code in zip(into, codes, strict=True)):
        raise ValueError("pack_rows() takes columns with room for all rows")
    part = list(rows[begin:end])
    if len(part) < end - begin or not all(issubclass(kind, tuple) for kind in set(map(type, part))):
        return None
    width, least = len(codes), len(codes) - len(defaults)
    lengths = set(map(len, part))
    if lengths and not least <= min(lengths) <= max(lengths) <= width:
        return None
    if lengths != {width}:
        part = [row + defaults[len(row) - least :] if len(row) < width else row for row in part]
    columns = _columns(part, codes)
    if columns is not None:
        _copy(columns, into, begin)
        return []
    odd = [index for index, row in enumerate(part) if not _fits(row, codes)]
    zeros = tuple(_TYPES[code](0) for code in codes)
    for index in odd:
        part[index] = zeros
    columns = _columns(part, codes)
    assert columns is not None
    _copy(columns, into, begin)
    return odd


def _copy(columns: Columns, into: Columns, begin: int) -> None:
    for column, target in zip(columns, into, strict=True):
        memoryview(target).cast("B").cast(column.typecode)[begin : begin + len(column)] = memoryview(column)


def unpack_rows(column: Any, letter: str, begin: int, end: int) -> list[Any]:
    """See catzilla.interface.Queue.unpack_rows."""
    view = memoryview(column).cast("B").cast(letter)  # type: ignore[call-overload]
    if not 0 <= begin <= end <= len(view):
        raise ValueError("unpack_rows() takes a column that is not shorter than end")
    values: list[Any] = view[begin:end].tolist()
    return values


def _columns(rows: list[Any], codes: str) -> Columns | None:
    """None: a row does not fit."""
    if set(map(type, rows)) - {tuple}:
        return None
    made = []
    for code, values in zip(codes, zip(*rows, strict=True) if rows else [()] * len(codes), strict=True):
        if set(map(type, values)) - {_TYPES[code]}:
            return None
        try:
            made.append(array(_ARRAYS[code], values))
        except OverflowError:
            return None
    return tuple(made)


def _fits(row: Any, codes: str) -> bool:
    return type(row) is tuple and all(
        type(value) is _TYPES[code] and (code != "i" or -(2**63) <= value < 2**63)
        for code, value in zip(codes, row, strict=True)
    )
