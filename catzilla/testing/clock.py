"""A clock that stands still until a test moves it."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from time import monotonic, monotonic_ns, time_ns
from typing import TYPE_CHECKING, Any, Final

from catzilla.errors import ConfigTypeError, ConfigValueError
from catzilla.interface import PENDING, RUNNING

if TYPE_CHECKING:
    from types import TracebackType

    from catzilla.interface import Handle
    from catzilla.system import TaskSystem

FAR_NS: Final = 10 * 365 * 86_400 * 1_000_000_000  # see Clock: ahead of the machine's clock for any test's life
PATIENCE_S: Final = 30.0  # of what must happen at once, on a loaded machine
SETTLE_S: Final = 30.0  # of tasks that should end
HIDDEN_S: Final = 0.1
_LOOK_S: Final = 0.001


class FrozenClock:
    """The clock of one task system: ``with FrozenClock(system) as clock: clock.advance(60)``.

    It starts at the real time, or at ``at`` (a datetime with a time zone), and moves only by
    ``advance`` and ``move_to``. Delays, retries, deadlines and schedules go by it; timeouts of
    ``wait()`` and what statistics measure do not. Install it before what is to go by it is submitted: a
    delay or a retry that waits by the machine's clock would be over at once.
    """

    def __init__(self, system: TaskSystem, at: datetime | None = None) -> None:
        self._system = system
        self._now_ns = monotonic_ns() + FAR_NS
        self._wall_ns = time_ns() if at is None else _epoch_ns(at)

    def now_ns(self) -> int:
        return self._now_ns

    def wall_ns(self) -> int:
        return self._wall_ns

    def now(self) -> datetime:
        """As a datetime in UTC."""
        from datetime import timezone

        return datetime.fromtimestamp(self._wall_ns / 1e9, timezone.utc)  # noqa: UP017  (mypy's floor is 3.11)

    def __enter__(self) -> FrozenClock:
        self._system.set_clock(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._system.set_clock(None)

    def advance(self, seconds: float | timedelta, *, settle: bool = True) -> None:
        """Move it on, from one due time to the next, and start what is due at each.

        With ``settle``, wait at each due time for the tasks that can end: those that are ready or run,
        but for those with a ``timeout_ms``, which may be waiting for the clock. TimeoutError after
        SETTLE_S: one of them does not end (it waits for the test?); use ``settle=False``.
        """
        self._move(self._now_ns + _ns_of(seconds), settle)

    def move_to(self, when: datetime, *, settle: bool = True) -> None:
        """As ``advance``, to a time of day (a datetime with a time zone, not before now)."""
        ahead_ns = _epoch_ns(when) - self._wall_ns
        if ahead_ns < 0:
            raise ConfigValueError(f"{when!r} is before {self.now()!r}, and a clock does not go back")
        self._move(self._now_ns + ahead_ns, settle)

    def jump(self, seconds: float | timedelta) -> None:
        """Move it on in one step, as for a machine that slept: what was due meanwhile is late."""
        self._check_installed()
        self._set(self._now_ns + _ns_of(seconds))
        self._look(settle=True)

    def run_all(self) -> None:
        """Move it to whatever is due next, until every task has ended, those with a deadline too.

        Schedules, which never end, only run at times that this passes. TimeoutError: a task does not end.
        """
        self._check_installed()
        while True:
            self._look(settle=True, deadlines=True)
            due_ns = self._system.supervisor.next_task_due_ns
            if due_ns is None:
                return
            if due_ns > self._now_ns:
                self._set(due_ns)

    def _check_installed(self) -> None:
        if self._system.clock is not self:
            raise RuntimeError("the clock is not installed: use it in `with FrozenClock(system) as clock:`")

    def _move(self, end_ns: int, settle: bool) -> None:
        self._check_installed()
        while True:
            self._look(settle)
            due_ns = self._system.supervisor.next_due_ns
            if due_ns is None or due_ns > end_ns:
                break
            if due_ns > self._now_ns:
                self._set(due_ns)
            elif not settle:
                break  # a deadline that is over, of a task that nobody has let go on
        if end_ns > self._now_ns:
            self._set(end_ns)
            self._look(settle)

    def _set(self, now_ns: int) -> None:
        self._wall_ns += now_ns - self._now_ns
        self._now_ns = now_ns

    def _look(self, settle: bool, deadlines: bool = False) -> None:
        if not self._system.supervisor.look_now(PATIENCE_S):
            raise TimeoutError(f"the task system did not look at its clock within {PATIENCE_S:g} s")
        if settle:
            settle_tasks(self._system, deadlines)
            self._system.supervisor.look_now(PATIENCE_S)  # a retry is due at some time now


def settle_tasks(system: TaskSystem, deadlines: bool = False) -> None:
    """Wait until nothing is ready and nothing runs but (without ``deadlines``) tasks with a deadline, and the
    caller's own.

    A task that a worker has just taken shows nowhere for a moment, but is counted as unfinished; so is
    a continuation that waits for its turn. What nobody can account for is given HIDDEN_S to show up.
    """
    end = monotonic() + SETTLE_S
    hidden_since, hidden_before = monotonic(), 0
    while True:
        now_ns = system.now_ns()
        me: Any = system.engine.workers.current()
        unfinished = system.unfinished()
        waiting = system.pending()
        running = [handle for handle in system.running() if handle is not me]
        active = [handle for handle in waiting if _is_ready(system, handle, now_ns)]
        active += [handle for handle in running if deadlines or handle.plan.owner.timeout_ns is None]
        hidden = unfinished - len({*waiting, *running}) - (0 if me is None else 1)
        if active or hidden != hidden_before:
            hidden_since, hidden_before = monotonic(), hidden
        if not active and (hidden <= 0 or monotonic() - hidden_since > HIDDEN_S):
            return
        if active and monotonic() > end:
            names = ", ".join(sorted({str(handle.plan.owner.name) for handle in active}))
            raise TimeoutError(
                f"tasks that do not wait for the clock did not end within {SETTLE_S:g} s: {names}; "
                "if one of them waits for the test, use settle=False"
            )
        threading.Event().wait(_LOOK_S)


def _is_ready(system: TaskSystem, handle: Handle, now_ns: int) -> bool:
    state = handle.state()
    if handle.ext is not None and handle.ext.promise:
        return False  # its limit holds it back
    if state >= RUNNING or handle.plan.lane in system.paused_lanes():
        return False
    return state == PENDING or handle.ready_ns <= now_ns


def _ns_of(seconds: float | timedelta) -> int:
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ConfigTypeError(f"advance takes seconds (a number) or a timedelta, not {seconds!r}")
    if not seconds >= 0:
        raise ConfigValueError(f"advance takes at least 0 seconds, not {seconds!r}: a clock does not go back")
    return int(seconds * 1e9)


def _epoch_ns(given: object) -> int:
    when = given if isinstance(given, datetime) else None
    if when is None or when.tzinfo is None:
        raise ConfigTypeError(f"a time must be a datetime with a time zone, and {given!r} is not")
    return int(when.timestamp()) * 1_000_000_000 + when.microsecond * 1_000
