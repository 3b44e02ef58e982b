"""Rows of numbers into columns, as the native backends do it in C: for ``add_tasks(fn, rows)`` of what runs as C."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Final

_TYPES: Final[dict[str, Any]] = {"i": int, "d": float, "b": bool}
_ARRAYS: Final = {"i": "q", "d": "d", "b": "b"}

Columns = tuple[Any, ...]


def pack_rows(
    rows: Sequence[Any], type_code: bytes, defaults: tuple[Any, ...], begin: int, end: int
) -> tuple[Columns, list[int]] | None:
    """See catzilla.interface.Queue.pack_rows."""
    codes = type_code.decode().partition(">")[0]
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
        return columns, []
    odd = [index for index, row in enumerate(part) if not _fits(row, codes)]
    zeros = tuple(_TYPES[code](0) for code in codes)
    for index in odd:
        part[index] = zeros
    columns = _columns(part, codes)
    assert columns is not None
    return columns, odd


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
