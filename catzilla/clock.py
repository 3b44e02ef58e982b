"""What a task system takes the time from, where time decides what happens: delays, retries, deadlines, schedules."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """In place of the machine's clock (``TaskSystem.set_clock``).

    Its times must lie after ``time.monotonic_ns()``: a backend takes a due time that the machine's
    clock has passed for over.
    """

    def now_ns(self) -> int:
        """Nanoseconds since some moment; never goes back."""

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch."""
