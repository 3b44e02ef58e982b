"""What has to be logged, collected where nothing may be logged (a dealloc, a worker's loop)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from .log import logger

if TYPE_CHECKING:
    from .system import TaskSystem


class Reports:
    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self._failures: deque[tuple[str, BaseException]] = deque()
        self._faults: deque[BaseException] = deque()
        self._logged = 0

    def unretrieved(self, plan: Any, error: BaseException) -> None:
        """EngineConfig.unretrieved: a failed task's handle was freed and nobody had looked."""
        self._failures.append((plan.owner.name, error))
        if not self._system.supervisor.on_own_thread():
            self._system.supervisor.wake()

    def fault(self, error: BaseException) -> None:
        """EngineConfig.fault: a callback raised."""
        self._faults.append(error)
        if not self._system.supervisor.on_own_thread():
            self._system.supervisor.wake()

    def count(self) -> int:
        return self._logged + len(self._failures)

    def publish(self) -> None:
        """Log what has come together. Never raises."""
        while self._failures:
            name, error = self._failures[0]
            self._logged += 1
            self._failures.popleft()
            logger.error(
                "task %s failed and nobody looked at its result: %s: %s",
                name,
                type(error).__name__,
                error,
                exc_info=(type(error), error, error.__traceback__),
            )
        while self._faults:
            error = self._faults.popleft()
            logger.error(
                "a callback raised %s: %s",
                type(error).__name__,
                error,
                exc_info=(type(error), error, error.__traceback__),
            )
