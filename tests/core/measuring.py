"""Measurements on a machine that does other things too."""

from __future__ import annotations

from collections.abc import Callable


def measured(check: Callable[[], None]) -> None:
    """Check one measurement. A thread that was kept from its CPU spoils one; a wrong result spoils every one."""
    for _ in range(9):
        try:
            return check()
        except AssertionError:
            pass
    check()
