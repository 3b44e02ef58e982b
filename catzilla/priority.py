"""The two enumerations users meet. Their values are the lanes and states of the waist."""

from __future__ import annotations

from enum import IntEnum

from . import interface


class TaskPriority(IntEnum):
    """Which lane a task waits in. The targets are when a waiting task counts as overdue."""

    CRITICAL = 0  # 1 ms
    HIGH = 1  # 10 ms
    NORMAL = 2  # 100 ms
    LOW = 3  # 1 s


class TaskStatus(IntEnum):
    """Where a task is in its life (docs/state_machine.md)."""

    PENDING = interface.PENDING
    DELAYED = interface.DELAYED
    RETRYING = interface.RETRYING
    RUNNING = interface.RUNNING
    COMPLETED = interface.COMPLETED
    FAILED = interface.FAILED
    CANCELLED = interface.CANCELLED
    TIMED_OUT = interface.TIMED_OUT
