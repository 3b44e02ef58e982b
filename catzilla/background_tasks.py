"""The public names of the task system."""

from __future__ import annotations

from .batch import BatchResult
from .buffers import BufferResult
from .config import SystemConfig
from .errors import (
    BackendUnavailable,
    CatzillaError,
    ConfigError,
    MaxRetriesExceeded,
    MemoryPoolFull,
    NotEnabled,
    QueueFull,
    Retry,
    SystemClosed,
    TaskAbandoned,
    TaskCancelled,
    TaskDropped,
    TaskError,
    TaskExpired,
    TaskInterrupted,
    TaskLostInFork,
    TaskTimeout,
    UnknownBackend,
    WaitLimit,
)
from .handle import TaskResult
from .lifecycle import ShutdownReport
from .priority import TaskPriority, TaskStatus
from .stats import SystemStats, TaskStats
from .system import TaskSystem, current_task, shield
from .task import AsyncTask, Task

__all__ = [
    "AsyncTask",
    "BackendUnavailable",
    "BatchResult",
    "BufferResult",
    "CatzillaError",
    "ConfigError",
    "MaxRetriesExceeded",
    "MemoryPoolFull",
    "NotEnabled",
    "QueueFull",
    "Retry",
    "ShutdownReport",
    "SystemClosed",
    "SystemConfig",
    "SystemStats",
    "Task",
    "TaskAbandoned",
    "TaskCancelled",
    "TaskDropped",
    "TaskError",
    "TaskExpired",
    "TaskInterrupted",
    "TaskLostInFork",
    "TaskPriority",
    "TaskResult",
    "TaskStats",
    "TaskStatus",
    "TaskSystem",
    "TaskTimeout",
    "UnknownBackend",
    "WaitLimit",
    "current_task",
    "shield",
]
