"""One task: the handle that its submitter keeps and the cell that the lanes hold.

Two slots are claims, and deleting one is the atomic step that decides a race (a second ``del`` of
the same slot raises AttributeError, whichever threads they come from):

``args``    deleted by the one who starts the task or cancels it; set again by a retry
``worker``  set by the one who started it or took it out of its lane; deleted by the one who settles it
"""

from __future__ import annotations

from _thread import TIMEOUT_MAX, allocate_lock
from collections import deque
from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, ClassVar

from catzilla.interface import CANCELLED, COMPLETED, DELAYED, FAILED, PENDING, RETRYING, RUNNING, TIMED_OUT, Plan

if TYPE_CHECKING:
    from . import Engine

STATE_COUNTER = {COMPLETED: "completed", FAILED: "failed", CANCELLED: "cancelled", TIMED_OUT: "timed_out"}
_LONGEST_WAIT_NS = int(TIMEOUT_MAX) * 1_000_000_000
WITHDRAWN = -3_000_000  # the "slot" of a task that was taken out of its lane to be cancelled
_WAKING_NS = 50_000_000  # far more than a worker needs from its call to its first look


class Failure:
    """An exception with the traceback that was its own when the task ended.

    Raising appends the raiser's frames to ``__traceback__``; starting again from ``traceback`` keeps
    repeated waits from lengthening it. Freed without having been looked at, it is reported.
    """

    __slots__ = ("error", "plan", "report", "traceback")

    def __init__(
        self,
        error: BaseException,
        plan: Plan,
        report: Callable[[Any, BaseException], None] | None,
        skip_frames: int = 0,
    ) -> None:
        traceback = error.__traceback__
        while skip_frames and traceback is not None:  # the engine's own frames come first
            traceback = traceback.tb_next
            skip_frames -= 1
        error.__traceback__ = traceback  # the engine's frames hold the handle: without them there is no cycle
        self.error = error
        self.traceback = traceback
        self.plan = plan
        self.report = report  # None: retrieved, or nobody has to

    def retrieve(self) -> BaseException:
        self.report = None
        return self.error.with_traceback(self.traceback)

    def __del__(self) -> None:
        report = getattr(self, "report", None)  # none at all: an interrupt ended its making
        if report is not None:
            report(self.plan, self.error.with_traceback(self.traceback))


class Handle:
    """The Python backend's handle; each engine has a subclass of it that knows the engine."""

    __slots__ = ("__weakref__", "_state", "_value", "args", "ext", "plan", "ready_ns", "times", "worker")

    _engine: ClassVar[Engine]

    plan: Plan
    args: tuple[Any, ...]
    ready_ns: int
    ext: Any
    worker: int
    times: tuple[int, int, int]  # started, ended, worker slot; unset when the run was not timed
    _state: int
    _value: Any

    def state(self) -> int:
        state = self._state
        if state in (DELAYED, RETRYING) and self.ready_ns <= monotonic_ns():
            return PENDING
        return state

    def worker_slot(self) -> int | None:
        try:
            return self.worker
        except AttributeError:
            times = getattr(self, "times", None)
            return None if times is None else times[2]

    def times_ns(self) -> tuple[int, int] | None:
        times = getattr(self, "times", None)
        return None if times is None else times[:2]

    # -- ending --------------------------------------------------------------------------------

    def settle(self, state: int, value: object) -> bool:
        try:
            del self.worker
        except AttributeError:
            return False
        # Between these two lines nothing is called, so no signal handler can raise (Ctrl-C).
        try:
            self._publish(state, value)
        except BaseException:  # one raised in there: who took the claim ends the task nevertheless
            if self._state < COMPLETED:
                self._publish(state, value)
            else:
                self._released()
            raise
        return True

    def withdraw(self, error: BaseException) -> bool:
        if self._state >= RUNNING:
            return False
        try:
            if self._engine.queue.take(self, WITHDRAWN) is None:
                return False
            self.settle(CANCELLED, error)
        except BaseException:  # as above: taken out of its lane, it ends; not taken, this does nothing
            if getattr(self, "worker", None) == WITHDRAWN and self.settle(CANCELLED, error):
                self._engine.queue.freed(self.plan.lane)
            raise
        self._engine.queue.freed(self.plan.lane)
        return True

    def _publish(self, state: int, value: object, skip_frames: int = 0, add: bool = True) -> None:
        """Count, then set the state, then release: a waiter that wakes finds itself counted."""
        engine = self._engine
        if state == COMPLETED:
            self._value = value
        else:
            assert isinstance(value, BaseException)
            report = engine.config.unretrieved if state == FAILED else None
            self._value = Failure(value, self.plan, report, skip_frames)
        if add:
            engine.metrics.add(STATE_COUNTER[state])
        self._state = state
        if engine.waiters or self.ext is not None:
            self._released()
        if state in (FAILED, TIMED_OUT) and engine.config.failed is not None:
            try:
                engine.config.failed(self)
            except BaseException as error:
                engine.config.fault(error)

    def _released(self) -> None:
        """Run what waits for this handle. Callers have set the final state before they look here.

        Interrupted (settle), it is called again and goes on where it was.
        """
        engine = self._engine
        waiting = engine.waiters.get(self)
        if waiting is not None:
            self._run_waiting(waiting)
            engine.waiters.pop(self, None)  # whoever adds to it still sees the final state, and runs it
        ext = self.ext
        if ext is not None:
            ext.context = ext.kwargs = None  # as the arguments, they are not kept longer than needed
            on_settled = ext.on_settled
            if on_settled is not None:
                ext.on_settled = None
                try:
                    on_settled(self)
                except BaseException as error:
                    engine.config.fault(error)

    def _run_waiting(self, waiting: deque[Callable[[Any], None]]) -> None:
        # Another thread may drain the same deque: each entry is taken once. The iterator calls popleft, and
        # not this frame, so that no signal handler runs between the taking and the try.
        try:
            for fn in iter(waiting.popleft, None):
                try:
                    fn(self)
                except BaseException as error:
                    self._engine.config.fault(error)
        except IndexError:
            pass  # all taken

    # -- waiting -------------------------------------------------------------------------------

    def on_done(self, fn: Callable[[Any], None]) -> None:
        # The entry is stored before the state is read, and the settler sets the state before it
        # looks for entries: at least one of the two sees the other, and popping decides who calls.
        waiters = self._engine.waiters
        waiting = waiters.setdefault(self, deque())
        waiting.append(fn)
        if self._state >= COMPLETED:
            waiters.pop(self, None)
            self._run_waiting(waiting)

    def wait_ns(self, timeout_ns: int) -> bool:
        if self._state >= COMPLETED:
            return True
        if timeout_ns == 0:
            return False
        lock = allocate_lock()
        lock.acquire()

        def release(_: Any) -> None:
            lock.release()

        self.on_done(release)
        try:
            gate = self._engine.gate
            if gate.waking and (timeout_ns < 0 or timeout_ns > _WAKING_NS):
                # Perhaps we are in a signal handler, and whoever was calling a worker is the frame we interrupted.
                if lock.acquire(timeout=_WAKING_NS / 1e9):
                    return True
                if gate.waking:
                    gate.rescue()
                if timeout_ns > 0:
                    timeout_ns -= _WAKING_NS
            if timeout_ns < 0 or timeout_ns > _LONGEST_WAIT_NS:
                return lock.acquire()
            return lock.acquire(timeout=timeout_ns / 1e9) or self._state >= COMPLETED
        finally:
            if self._state < COMPLETED:
                waiting = self._engine.waiters.get(self)
                if waiting is not None:
                    try:
                        waiting.remove(release)
                    except ValueError:
                        pass  # taken by the settler in this moment: it releases a lock nobody waits for

    def wait(self, timeout: float | None = None) -> Any:
        """The value, at once when there is one; else what TaskResult says (catzilla/handle.py)."""
        if self._state == COMPLETED:
            return self._value
        return self._wait(timeout)

    def _wait(self, timeout: float | None) -> Any:  # replaced by catzilla.handle.attach
        raise NotImplementedError

    def outcome(self) -> object:
        if self._state == COMPLETED:
            return self._value
        assert self._state > COMPLETED, "outcome() of a task that is not done"
        failure = self._value
        try:
            raise failure.retrieve()
        finally:
            del self, failure  # the exception's traceback holds this frame: no cycle through it

    def value_or_none(self) -> object:
        return self._value if self._state == COMPLETED else None

    def error(self) -> BaseException | None:
        if self._state == COMPLETED:
            return None
        assert self._state > COMPLETED, "error() of a task that is not done"
        error: BaseException = self._value.retrieve()
        return error


def make_handle_type(engine: Engine) -> type[Handle]:
    """The engine's own subclass: a handle finds its engine without a slot for it."""
    return type(
        "TaskResult", (Handle,), {"__slots__": (), "_engine": engine, "__module__": "catzilla.background_tasks"}
    )


def new_handle(cls: type[Handle], plan: Plan, args: tuple[Any, ...], ext: Any, ready_ns: int) -> Handle:
    handle = cls()
    handle.plan = plan
    handle.args = args
    handle.ext = ext
    handle.ready_ns = ready_ns
    handle._state = PENDING
    return handle
