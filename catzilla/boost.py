"""A shorter switch interval while a CRITICAL task waits to start.

On a build with the GIL, a thread that computes in Python keeps the GIL for the switch interval (5 ms)
before another thread's request is honoured. While a CRITICAL task waits, the interval is lowered, so
that the thread that is to run it gets its turn at once. The setting is the process's, so one counter
serves every system in it; it is restored only while the value is still the one that was set here.
"""

from __future__ import annotations

import sys
from typing import Final

BOOST_S: Final = 50e-6  # lower costs the computing thread more than it gives the CRITICAL task


class _Boost:
    def __init__(self) -> None:
        self.waiting = 0
        self.usual_s: float | None = None  # the interval to go back to, while lowered

    def add(self, n: int) -> None:
        # Threads may interleave here; the interval follows the sign of the count, and each change of
        # the count looks at it again, so the last one through leaves it right.
        self.waiting += n
        if self.waiting > 0:
            if self.usual_s is None:
                usual_s = sys.getswitchinterval()
                if usual_s > BOOST_S:
                    self.usual_s = usual_s
                    sys.setswitchinterval(BOOST_S)
        elif self.usual_s is not None:
            self.restore()

    def restore(self) -> None:
        usual_s, self.usual_s = self.usual_s, None
        if usual_s is not None and abs(sys.getswitchinterval() - BOOST_S) < 2e-6:
            sys.setswitchinterval(usual_s)

    def reset(self) -> None:
        """After a fork: no task of the parent waits here."""
        self.waiting = 0
        self.restore()


boost = _Boost()
