"""The options of a schedule, checked where it is declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta, tzinfo
from typing import Any, Final

from catzilla.errors import ConfigTypeError, ConfigValueError
from catzilla.options import LONGEST_MS, SCHEDULE_NAMES
from catzilla.wording import brief, did_you_mean, kind_of

from .timetable import Cron, Every, Timetable, zone_of

MISSED: Final = ("once", "skip", "all")
PER: Final = ("host", "process")
LEAST_S: Final = 0.01


class ScheduleOptions:
    """Immutable by convention: made once, at the declaration."""

    __slots__ = ("missed", "overlap", "per", "timetable")

    def __init__(self, timetable: Timetable, missed: str, overlap: bool, per: str) -> None:
        self.timetable = timetable
        self.missed = missed
        self.overlap = overlap
        self.per = per


def take_schedule(options: dict[str, Any]) -> ScheduleOptions | None:
    """Take the schedule's options out of a task's; None: there are none.

    Raises ConfigTypeError, ConfigValueError, or ImportError when ``cron`` is used without the extra.
    """
    given: dict[str, Any] = {name: options.pop(name) for name in SCHEDULE_NAMES if name in options}
    return checked_schedule(given) if given else None


def checked_schedule(given: Mapping[str, Any]) -> ScheduleOptions:
    for name in given:
        if name not in SCHEDULE_NAMES:
            near = did_you_mean(name, SCHEDULE_NAMES)
            raise ConfigTypeError(
                f"{name!r} is not an option of a schedule: {near}the options are {', '.join(SCHEDULE_NAMES)} (those of "
                "the task go with the task itself: add_schedule(task.with_options(...), ...))"
            )
    every, cron, timezone = given.get("every"), given.get("cron"), given.get("timezone")
    if (every is None) == (cron is None):
        what = "neither is given" if every is None else f"every={every!r} and cron={cron!r} are both given"
        raise ConfigValueError(f"a schedule has either every=<seconds> or cron='<expression>', and {what}")
    if every is not None and timezone is not None:
        raise ConfigValueError(f"timezone={timezone!r} goes with cron; every={every!r} counts seconds in any zone")
    timetable: Timetable = Every(_interval_ns(every)) if every is not None else _cron(cron, timezone)
    return ScheduleOptions(
        timetable,
        _choice("missed", given.get("missed", "once"), MISSED),
        _switch("overlap", given.get("overlap", False)),
        _choice("per", given.get("per", "host"), PER),
    )


def _interval_ns(every: object) -> int:
    seconds = every.total_seconds() if isinstance(every, timedelta) else every
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ConfigTypeError(f"every={brief(every)} must be a number of seconds or a timedelta, not {kind_of(every)}")
    if not LEAST_S <= seconds <= LONGEST_MS / 1_000:  # also refuses nan
        raise ConfigValueError(
            f"every={brief(every)} must be from {LEAST_S} to {LONGEST_MS // 1_000} seconds (100 years)"
        )
    return int(seconds * 1e9)


def _cron(cron: object, timezone: object) -> Cron:
    if not isinstance(cron, str):
        raise ConfigTypeError(f"cron={cron!r} must be a str such as '*/5 * * * *', not {kind_of(cron)}")
    zone = timezone if isinstance(timezone, tzinfo) else zone_of("UTC" if timezone is None else timezone)
    return Cron(cron, zone)


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in allowed:
        return value
    error: Callable[[str], Exception] = ConfigValueError if isinstance(value, str) else ConfigTypeError
    raise error(f"{name}={brief(value)} must be one of {', '.join(map(repr, allowed))}")


def _switch(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ConfigTypeError(f"{name}={brief(value)} must be True or False")
