"""A shorter switch interval while a CRITICAL task waits to start.

On a build with the GIL, a thread that computes in Python keeps the GIL for the switch interval (5 ms)
before another thread's request is honoured. While a CRITICAL task waits, the interval is lowered, so
that the thread that is to run it gets its turn at once. The setting is the process's, so one counter
serves every system in it; it is restored only while the value is still the one that was set here.
"""

from __future__ import annotations

import sys
from itertools import repeat
from operator import length_hint
from typing import Final

BOOST_S: Final = 50e-6  # lower costs the computing thread more than it gives the CRITICAL task
_ROUNDING_S: Final = 2e-6  # the interpreter keeps whole microseconds
_FULL: Final = 1 << 62


class _Boost:
    def __init__(self) -> None:
        self.usual_s: float | None = None  # the interval to go back to, while lowered
        self._zero()

    def _zero(self) -> None:
        # Consumed iterators: next() is one atomic step, whatever threads and signal handlers do it.
        self._came = repeat(None, _FULL)
        self._went = repeat(None, _FULL)

    def waiting(self) -> int:
        return length_hint(self._went) - length_hint(self._came)

    def add(self, n: int) -> None:
        """``n`` more CRITICAL tasks wait to start (negative: fewer)."""
        counter = self._came if n > 0 else self._went
        for _ in range(abs(n)):
            next(counter)
        if n > 0:
            # Whatever the count says: a Ctrl-C in the middle of a submit may have left it one too low.
            usual_s = sys.getswitchinterval()
            if usual_s > BOOST_S + _ROUNDING_S:  # not lowered, or somebody has set another one since
                self.usual_s = usual_s
                sys.setswitchinterval(BOOST_S)
        elif self.usual_s is not None and self.waiting() <= 0:
            self.restore()

    def restore(self) -> None:
        usual_s, self.usual_s = self.usual_s, None
        if usual_s is not None and abs(sys.getswitchinterval() - BOOST_S) <= _ROUNDING_S:
            sys.setswitchinterval(usual_s)

    def reset(self) -> None:
        """After a fork: no task of the parent waits here."""
        self._zero()
        self.restore()


boost = _Boost()
