"""The ``timeout`` of a call that waits, checked before it waits."""

from __future__ import annotations

from .wording import brief, kind_of


def check_timeout(timeout: object) -> None:
    """TypeError, ValueError: it is neither None nor a number of seconds. A negative one is over at once."""
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be seconds (int or float) or None, not {brief(timeout)} ({kind_of(timeout)})")
    if timeout != timeout:
        raise ValueError("timeout must be seconds or None, not nan")
