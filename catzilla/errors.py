"""Every error that Catzilla raises, in one hierarchy.

Errors about a value derive from the built-in that a Python user would catch for it, so
``except ValueError`` around a configuration and ``except ImportError`` around a backend work.
"""

from __future__ import annotations

from concurrent.futures import CancelledError


class CatzillaError(Exception):
    """Base of every error that Catzilla itself raises."""


class ConfigError(CatzillaError):
    """A configuration value cannot be used. Raised as ConfigValueError or ConfigTypeError."""


class ConfigValueError(ConfigError, ValueError):
    """A value of the right type that is not allowed; names parameter, value and what is allowed."""


class ConfigTypeError(ConfigError, TypeError):
    """A value of the wrong type; names parameter, value and what is allowed."""


class BackendError(CatzillaError):
    """A backend could not be chosen."""


class BackendUnavailable(BackendError, ImportError):
    """The backend that was named cannot be used here; the message says why and what to do."""


class UnknownBackend(BackendError, ValueError):
    """No backend of that name is built in or registered; the message lists the names."""


class QueueFull(CatzillaError, RuntimeError):
    """The lane has no room and its policy is "raise". Nothing was queued."""


class MemoryPoolFull(QueueFull):
    """The memory pool (``memory_pool_mb``) has no room for the task. Nothing was queued."""


class SystemClosed(CatzillaError, RuntimeError):
    """The task system no longer accepts tasks."""


class NotEnabled(CatzillaError, RuntimeError):
    """A task was submitted on an application whose background tasks are not enabled."""


class WaitLimit(CatzillaError, RuntimeError):
    """More tasks wait for each other than the system may start helper threads for."""


class TaskError(CatzillaError):
    """Base of what a task's own fate raises at its waiter."""


class TaskTimeout(TaskError):
    """The task ran out of its own ``timeout_ms``. Not a TimeoutError: that one is the waiter's."""


class TaskCancelled(TaskError, CancelledError):
    """The task was cancelled before it gave a result."""


class TaskDropped(TaskCancelled):
    """The task was the oldest of a full lane whose policy is "drop_oldest"."""


class TaskExpired(TaskCancelled):
    """The task had not started when its ``expires_ms`` was over."""


class MaxRetriesExceeded(TaskError):
    """``Task.retry()`` was called once more than ``max_retries`` allows, without an exception to raise."""


class Retry(TaskError):
    """Raised inside a task by ``Task.retry()``: run me again. Let it pass.

    ``delay_ms``: when; None: after the task's own backoff.
    """

    def __init__(self, delay_ms: float | None = None) -> None:
        super().__init__("the task asked to be run again")
        self.delay_ms = delay_ms


class TaskAbandoned(TaskCancelled):
    """The task still ran when a shutdown's time was over; its thread was left behind."""


class TaskLostInFork(TaskError):
    """The task belongs to the parent of a fork; this process never gets its result."""


class TaskInterrupted(BaseException):
    """Raised inside a task whose deadline has passed, to end it. Not an Exception: do not catch it.

    Its handle is TIMED_OUT already; nothing the task returns or raises is looked at any more.
    """
