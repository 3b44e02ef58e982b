"""One task; its engine's lock guards every transition."""

from __future__ import annotations

from collections.abc import Callable
from threading import TIMEOUT_MAX, Lock
from typing import TYPE_CHECKING, Any

from catzilla.interface import CANCELLED, COMPLETED, FAILED, PENDING, RUNNING, TIMED_OUT, Plan

if TYPE_CHECKING:
    from . import ToyEngine

COUNTERS = {COMPLETED: "completed", FAILED: "failed", CANCELLED: "cancelled", TIMED_OUT: "timed_out"}


class ToyHandle:
    def __init__(self, engine: ToyEngine, plan: Plan, args: tuple[Any, ...] | None, ext: Any, ready_ns: int) -> None:
        self.plan = plan
        self.ext = ext
        self.ready_ns = ready_ns
        self.engine = engine
        self.args = args  # None: a promise, started, or cancelled
        self.current_state = PENDING
        self.promised = False
        self.value: Any = None
        self.traceback: Any = None
        self.unseen = False  # a failure nobody has looked at
        self.slot: int | None = None
        self.times: tuple[int, int] | None = None
        self.callbacks: list[Callable[[Any], None]] = []

    def state(self) -> int:
        return self.current_state

    def worker_slot(self) -> int | None:
        return self.slot

    def times_ns(self) -> tuple[int, int] | None:
        return self.times

    def settle(self, state: int, value: object) -> bool:
        with self.engine.lock:
            if self.current_state != RUNNING and not self.promised:
                return False
            self.promised = False
            self.finish(state, value)
        self.tell()
        return True

    def withdraw(self, error: BaseException) -> bool:
        with self.engine.lock:
            if self.engine.queue.claim(self) is None:
                return False
            self.finish(CANCELLED, error)
        self.tell()
        self.engine.queue.freed(self.plan.lane)
        return True

    def finish(self, state: int, value: Any) -> None:
        """Under the lock."""
        self.value = value
        if state != COMPLETED:
            self.traceback = value.__traceback__
            self.unseen = state == FAILED
        self.engine.metrics.add(COUNTERS[state])
        self.current_state = state

    def tell(self) -> None:
        """Outside the lock, once."""
        with self.engine.lock:
            callbacks, self.callbacks = self.callbacks, []
        if self.ext is not None and self.ext.on_settled is not None:
            callbacks.append(self.ext.on_settled)
        if self.current_state in (FAILED, TIMED_OUT) and self.engine.config.failed is not None:
            callbacks.append(self.engine.config.failed)
        for callback in callbacks:
            try:
                callback(self)
            except BaseException as error:
                self.engine.config.fault(error)

    def on_done(self, fn: Callable[[Any], None]) -> None:
        with self.engine.lock:
            if self.current_state < COMPLETED:
                self.callbacks.append(fn)
                return
        try:
            fn(self)
        except BaseException as error:
            self.engine.config.fault(error)

    def wait_ns(self, timeout_ns: int) -> bool:
        if self.current_state >= COMPLETED or timeout_ns == 0:
            return self.current_state >= COMPLETED
        done = Lock()
        done.acquire()

        def release(_: Any) -> None:
            done.release()

        self.on_done(release)
        try:
            done.acquire(timeout=-1 if timeout_ns < 0 else min(timeout_ns / 1e9, TIMEOUT_MAX))
        finally:
            with self.engine.lock:
                if release in self.callbacks:
                    self.callbacks.remove(release)
        return self.current_state >= COMPLETED

    def outcome(self) -> object:
        if self.current_state == COMPLETED:
            return self.value
        try:
            raise self.error()  # type: ignore[misc]
        finally:
            del self  # the traceback keeps this frame

    def value_or_none(self) -> object:
        return self.value if self.current_state == COMPLETED else None

    def error(self) -> BaseException | None:
        if self.current_state == COMPLETED:
            return None
        self.unseen = False
        error: BaseException = self.value.with_traceback(self.traceback)
        return error

    def __del__(self) -> None:
        if self.unseen:
            self.engine.config.unretrieved(self.plan, self.value)
