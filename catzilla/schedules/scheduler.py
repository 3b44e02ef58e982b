"""The schedules of one task system. The supervisor looks at them; a system without any has no scheduler."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from catzilla.errors import ConfigValueError
from catzilla.shape import shape_of

from .options import ScheduleOptions
from .schedule import Schedule

if TYPE_CHECKING:
    from catzilla.system import TaskSystem
    from catzilla.task import Task


class Scheduler:
    def __init__(self, system: TaskSystem, running: bool) -> None:
        self._system = system
        self._schedules: dict[str, Schedule] = {}
        self._lock = threading.RLock()  # start and stop against a look
        self.running = running

    def all(self) -> list[Schedule]:
        return list(self._schedules.values())

    def add(self, task: Task[Any, Any], options: ScheduleOptions, args: tuple[Any, ...], name: str | None) -> Schedule:
        name = name or task.name
        check_call(task, args)
        before = self._schedules.get(name)
        if before is not None and not _redefined(before.task.fn, task.fn):
            raise ConfigValueError(
                f"there is a schedule named {name!r} already ({before.timetable}); give this one another name=: it is "
                "how the processes of a host know that they mean the same one"
            )
        schedule = Schedule(self._system, task, options, args, name)
        with self._lock:
            if before is not None:
                before.end()
            self._schedules[name] = schedule
            if self.running:
                schedule.begin()
        self._wake()
        return schedule

    def start(self) -> None:
        with self._lock:
            if not self.running:
                self.running = True
                for schedule in self.all():
                    schedule.begin()
        self._wake()

    def stop(self) -> None:
        """Start no more runs, and let another process have them, once ours that must not overlap have ended."""
        with self._lock:
            self.running = False
            for schedule in self.all():
                schedule.end()

    def restart(self) -> None:
        """The clock was replaced."""
        if self.running:
            self.stop()
            self.start()

    def after_fork(self) -> None:
        """In the child the parent goes on owning what it owns."""
        self._lock = threading.RLock()
        for schedule in self.all():
            schedule.forget_runs()
            schedule.end()
            if self.running:
                schedule.begin()  # its first task starts the child's supervisor: it may never have one

    def leave(self, schedule: Schedule) -> None:
        """Its last run has ended, and it had ended before."""
        with self._lock:
            schedule.leave()

    def _wake(self) -> None:
        if self.running and self._schedules and not self._system.closed:
            self._system.wake()

    def look(self) -> int | None:
        """The supervisor's: start what is due; when to look again."""
        due: list[int] = []
        with self._lock:
            if not self.running or self._system.closed:
                return None
            for schedule in self.all():
                try:
                    due_ns = schedule.look()
                except Exception as error:  # an OSError of its lock, a shutdown in this moment: the others go on
                    self._system.fault(error)
                    due_ns = self._system.now_ns() + 1_000_000_000
                if due_ns is not None:
                    due.append(due_ns)
        return min(due, default=None)


def check_call(task: Task[Any, Any], args: tuple[Any, ...]) -> None:
    """TypeError: a scheduled call does not fit the function."""
    shape = shape_of(task.fn)
    if shape is not None and not shape.accepts(args, {}):
        given = f"with {len(args)} positional arguments" if args else "without arguments"
        raise TypeError(
            f"{task.name} cannot be scheduled: a schedule calls it {given}, which it does not take; give the others "
            "defaults, or use add_schedule(task, *args, ...)"
        )


def _redefined(old: Any, new: Any) -> bool:
    """The same function again: its module was reloaded, its notebook cell run again."""
    return old is not new and (getattr(old, "__module__", None), getattr(old, "__qualname__", old)) == (
        getattr(new, "__module__", None),
        getattr(new, "__qualname__", new),
    )
