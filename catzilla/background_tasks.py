"""The public names of the task system."""

from __future__ import annotations

from .batch import BatchResult
from .buffers import BufferResult
from .config import SystemConfig
from .errors import (
    BackendUnavailable,
    CatzillaError,
    ConfigError,
    MemoryPoolFull,
    NotEnabled,
    QueueFull,
    SystemClosed,
    TaskAbandoned,
    TaskCancelled,
    TaskDropped,
    TaskError,
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
from .task import Task

__all__ = [
    "BackendUnavailable",
    "BatchResult",
    "BufferResult",
    "CatzillaError",
    "ConfigError",
    "MemoryPoolFull",
    "NotEnabled",
    "QueueFull",
    "ShutdownReport",
    "SystemClosed",
    "SystemConfig",
    "SystemStats",
    "Task",
    "TaskAbandoned",
    "TaskCancelled",
    "TaskDropped",
    "TaskError",
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
