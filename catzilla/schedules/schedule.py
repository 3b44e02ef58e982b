"""``Schedule``: one task that starts by the clock."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from catzilla.errors import QueueFull
from catzilla.ext import Ext
from catzilla.full import Full
from catzilla.log import logger

from .options import ScheduleOptions
from .owner import Owner

if TYPE_CHECKING:
    from catzilla.system import TaskSystem
    from catzilla.task import Task

LATE_NS: Final = 60_000_000_000  # missed="skip": what could not start within this time is missed
STANDBY_NS: Final = 1_000_000_000  # how often a process looks whether the owner of a late schedule is gone
_UTC: Final = timezone.utc  # noqa: UP017


class Schedule:
    """A schedule of one task system: look at it, ``pause`` it, ``resume`` it. ``TaskSystem.schedules()`` has them.

    ``runs``: started by this process. ``skipped``: due times passed over because the run before them
    had not ended, or its lane was full. ``missed``: due times at which nobody could run it.
    """

    def __init__(
        self, system: TaskSystem, task: Task[Any, Any], options: ScheduleOptions, args: tuple[Any, ...], name: str
    ) -> None:
        self.name = name
        self.task = task
        self.options = options
        self.args = args
        self.runs = 0
        self.skipped = 0
        self.missed = 0
        self._system = system
        self._owner: Owner | None = None
        if options.per == "host":
            code = getattr(task.fn, "__code__", None)
            self._owner = Owner(system.config.lock_dir, name, "" if code is None else code.co_filename)
        self._paused = False
        self._due_ns: int | None = None  # of the timetable's kind
        self._last_ns: int | None = None  # wall clock
        self._unfinished: dict[object, None] = {}  # a token for each run
        self._behind = 0  # runs that missed="all" still owes
        self._told = False

    # -- looking -------------------------------------------------------------------------------

    @property
    def timetable(self) -> str:
        """In words, such as ``every 30 s`` or ``cron '*/5 * * * *' (Europe/Berlin)``."""
        return str(self.options.timetable)

    @property
    def paused(self) -> bool:
        """With ``per="host"`` this is one for all processes, and outlives them."""
        return self._shared.paused() if self._shared is not None else self._paused

    @property
    def is_owner(self) -> bool:
        """Whether this process runs it. False until it was due once, and while another process does."""
        return self._shared is None or self._shared.held

    @property
    def next_run(self) -> datetime | None:
        """When it is due next, in UTC; None: it has not begun, or never comes again."""
        if self._due_ns is None:
            return None
        return _utc(self._due_ns if self.options.timetable.by_wall else self._due_ns + self._to_wall_ns())

    @property
    def last_run(self) -> datetime | None:
        """When it was last due and this process was to run it, in UTC."""
        return None if self._last_ns is None else _utc(self._last_ns)

    def __repr__(self) -> str:
        return f"<Schedule {self.name}: {self.timetable}{', paused' if self.paused else ''}>"

    # -- doing ---------------------------------------------------------------------------------

    def pause(self) -> None:
        """Start no more runs; due times that pass meanwhile are not made up for. What runs goes on."""
        self._paused = True
        if self._shared is not None:
            self._shared.pause()

    def resume(self) -> None:
        self._paused = False
        if self._shared is not None:
            self._shared.resume()

    @property
    def _shared(self) -> Owner | None:
        """What the processes of this host share; nothing by a test's clock, which is this process's alone."""
        return self._owner if self._system.clock is None else None

    def begin(self) -> None:
        """Wait for the next due time from now, or from the last one that somebody noted."""
        timetable = self.options.timetable
        self._due_ns = timetable.first(self._now_ns())
        self._behind = 0
        noted_ns = self._noted_ns()
        if noted_ns is not None:
            self._due_ns = timetable.next_after(noted_ns)

    def end(self) -> None:
        self._due_ns = None
        self.leave()

    def leave(self) -> None:
        """Let another process have it, unless that could start a run beside ours: then after ours.

        Under the scheduler's lock, as end() is.
        """
        if self._owner is not None and self._due_ns is None and (self.options.overlap or not self._unfinished):
            self._owner.release()

    def look(self) -> int | None:
        """Start what is due. When to look again, by the system's clock; None: not by itself. The supervisor's."""
        if self._due_ns is None:
            return None
        if self._behind and not self._unfinished:
            self._behind -= 1
            self._submit()
        now_ns = self._now_ns()
        if now_ns >= self._due_ns and not self._is_due(now_ns):
            return self._system.now_ns() + STANDBY_NS
        return self._next_look_ns()

    def _next_look_ns(self) -> int | None:
        return None if self._due_ns is None else self._system.now_ns() + max(0, self._due_ns - self._now_ns())

    def _is_due(self, now_ns: int) -> bool:
        """False: somebody else owns it, and is late."""
        assert self._due_ns is not None
        timetable = self.options.timetable
        shared = self._shared
        if shared is not None and not shared.still_held():
            acquired = shared.acquire()
            noted_ns = self._noted_ns()  # where to go on from: we may be the first to run it for a long time
            if noted_ns is not None:
                self._due_ns = timetable.next_after(noted_ns)
            if not acquired:
                return self._due_ns is None or self._due_ns > now_ns
            logger.info("schedule %s is run by this process now", self.name)
            if self._due_ns is None or self._due_ns > now_ns:
                return True
        count, last_ns, self._due_ns = timetable.passed(self._due_ns, now_ns)
        self._last_ns = last_ns if timetable.by_wall else last_ns + self._to_wall_ns()
        if shared is not None:
            shared.note(self._last_ns)  # before the run: when we end in this moment, it does not run twice
        if not self.paused:
            self._run(count, now_ns - last_ns)
        return True

    def _run(self, count: int, late_ns: int) -> None:
        missed = self.options.missed
        wanted = count if missed == "all" else 1
        if missed == "skip" and late_ns > LATE_NS:
            wanted = 0
        self.missed += count - wanted
        if self.options.overlap:
            for _ in range(wanted):
                self._submit()
            return
        if wanted and (self._unfinished or self._behind):
            if missed == "all":
                self._behind += wanted
                return
            self.skipped += 1
            if not self._told:
                self._told = True
                logger.warning(
                    "schedule %s (%s) is due while its last run has not ended: it is passed over (told once)",
                    self.name,
                    self.timetable,
                )
        elif wanted:
            self._submit()
            self._behind += wanted - 1

    def _submit(self) -> None:
        """One run. Never blocks: a lane that is full takes one that cannot overlap, and else it is passed over."""
        submitting = self._system.submitting
        plan = submitting.plan_for(self.task, None)
        ext = Ext(None, None)
        handle = submitting.accept(plan, self.args, ext, force=not self.options.overlap)
        if isinstance(handle, Full):
            self.skipped += 1
            submitting.refused(ext, QueueFull(f"a run of the schedule {self.name} was passed over: its lane is full"))
            logger.warning("schedule %s: a run was passed over, as there is no room for it", self.name)
            return
        self.runs += 1
        token = object()
        self._unfinished[token] = None

        def ended(_handle: Any) -> None:  # it must not hold the handle: a failure is told when that is freed
            self._unfinished.pop(token, None)
            # end() sets _due_ns before it looks at the runs, and here it is the other way round: one of us leaves.
            if self._due_ns is None and self._owner is not None:
                scheduler = self._system.scheduler
                assert scheduler is not None  # it made us
                scheduler.leave(self)
            elif self._behind:
                self._system.wake()

        handle.on_done(ended)

    def forget_runs(self) -> None:
        """In the child of a fork, where they never end."""
        self._unfinished = {}
        self._behind = 0

    # -- time ----------------------------------------------------------------------------------

    def _now_ns(self) -> int:
        return self._system.wall_ns() if self.options.timetable.by_wall else self._system.now_ns()

    def _to_wall_ns(self) -> int:
        return self._system.wall_ns() - self._system.now_ns()

    def _noted_ns(self) -> int | None:
        """The last due time that a process of this host noted; a clock that was set back does not stop us."""
        noted_ns = None if self._shared is None else self._shared.last_ns()
        if noted_ns is None:
            return None
        noted_ns = min(noted_ns, self._system.wall_ns())
        return noted_ns if self.options.timetable.by_wall else noted_ns - self._to_wall_ns()


def _utc(wall_ns: int) -> datetime:
    return datetime.fromtimestamp(wall_ns / 1e9, _UTC)
