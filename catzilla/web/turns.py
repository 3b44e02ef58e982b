"""A shorter switch interval while a server runs: its event loop gets its turn beside tasks that compute.

On a build with the GIL every system call of the loop's thread ends with a wait for the GIL, and each
wait lasts one switch interval (5 ms by default) for every thread that computes in Python. Answering
one request takes several. benchmarks/endpoint_latency.py measures it.
"""

from __future__ import annotations

import sys
import threading
from typing import Final

from catzilla.boost import boost

SERVING_S: Final = 200e-6  # benchmarks/endpoint_latency.py: half of it gave no clear gain
_DEFAULT_S: Final = 0.005  # the interpreter's own; any other value was chosen by somebody and stays
_ROUNDING_S: Final = 2e-6  # the interpreter keeps whole microseconds


def _is(interval_s: float | None, expected_s: float) -> bool:
    return interval_s is not None and abs(interval_s - expected_s) <= _ROUNDING_S


class _Turns:
    """The setting is the process's, so one counter serves every application in it."""

    def __init__(self) -> None:
        self._servers = 0
        self._lock = threading.Lock()

    def serve(self) -> None:
        with self._lock:
            self._servers += 1
            if self._servers == 1:
                self._change(_DEFAULT_S, SERVING_S)

    def leave(self) -> None:
        with self._lock:
            self._servers -= 1
            if not self._servers:
                self._change(SERVING_S, _DEFAULT_S)

    def _change(self, expected_s: float, wanted_s: float) -> None:
        if _is(sys.getswitchinterval(), expected_s):
            sys.setswitchinterval(wanted_s)
        elif _is(boost.usual_s, expected_s):  # a CRITICAL task waits to start, and has lowered it further
            boost.usual_s = wanted_s


turns = _Turns()
