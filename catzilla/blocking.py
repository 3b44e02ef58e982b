"""Blocking on a handle so that Ctrl-C is never missed.

A signal that arrives after the interpreter last looked for one, and before the thread sleeps, does not
end the sleep: its handler runs only when something else does. So the main thread, the one that runs
signal handlers, sleeps in slices.
"""

from __future__ import annotations

import threading
from time import monotonic_ns
from typing import Final

from .interface import Handle

SLICE_NS: Final = 200_000_000


def wait_ns(handle: Handle, timeout_ns: int) -> bool:
    """``handle.wait_ns``; on the main thread a signal is handled within a slice."""
    if threading.get_ident() != threading.main_thread().ident:
        return handle.wait_ns(timeout_ns)
    end_ns = None if timeout_ns < 0 else monotonic_ns() + timeout_ns
    while True:
        left_ns = SLICE_NS if end_ns is None else min(SLICE_NS, end_ns - monotonic_ns())
        if handle.wait_ns(max(0, left_ns)):
            return True
        if end_ns is not None and monotonic_ns() >= end_ns:
            return False
