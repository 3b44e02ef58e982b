"""The memory pool: what tasks are charged with, and the process's own memory.

Charged are the cell, and the direct size of str, bytes, bytearray and buffer arguments and results;
other objects are not counted (their size cannot be known without walking them).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .interface import Allocator

CELL_BYTES: Final = 256  # handle, argument tuple and policy's data of one task of the Python backend


def direct_bytes(value: object) -> int:
    """The size of a str, bytes, bytearray or buffer; 0 for anything else."""
    if isinstance(value, str | bytes | bytearray):
        return sys.getsizeof(value)
    if isinstance(value, memoryview):
        return value.nbytes
    if isinstance(value, int | float | bool | list | dict | tuple | type(None)):
        return 0
    try:
        with memoryview(value) as view:  # type: ignore[arg-type]
            return view.nbytes
    except TypeError:
        return 0


def call_bytes(args: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> int:
    total = sum(map(direct_bytes, args))
    return total + sum(map(direct_bytes, kwargs.values())) if kwargs else total


class Charge:
    """What one task holds of the pool; given back when the handle is freed."""

    __slots__ = ("_allocator", "_arguments", "_bytes", "_freed", "_names", "name")

    def __init__(
        self, allocator: Allocator, names: dict[str, int] | None, name: str, arguments: int, freed: Callable[[], None]
    ) -> None:
        self._allocator = allocator
        self._names = names
        self._freed = freed
        self.name = name
        self._arguments = arguments
        self._bytes = CELL_BYTES + arguments
        self._count(self._bytes)

    def settled(self, result: object) -> None:
        """The arguments are dropped, the result is held (and never refused)."""
        change = direct_bytes(result) - self._arguments
        self._arguments = 0
        if change:
            self._allocator.force(change)
            self._bytes += change
            self._count(change)
            self._freed()

    def _count(self, change: int) -> None:
        if self._names is not None:
            self._names[self.name] = self._names.get(self.name, 0) + change

    def __del__(self) -> None:
        self._allocator.force(-self._bytes)
        self._count(-self._bytes)
        self._freed()


def resident_bytes() -> int | None:
    """Resident set size of this process; None where the system does not tell (no /proc)."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return None


def peak_resident_bytes() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # The system updates it now and then: what is resident now may be more.
    return max(peak if sys.platform == "darwin" else peak * 1024, resident_bytes() or 0)
