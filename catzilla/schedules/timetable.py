"""When a schedule is due: every so many nanoseconds, or by a cron expression in a time zone."""

from __future__ import annotations

from datetime import datetime, timezone, tzinfo
from typing import Any, Final, Protocol

from catzilla.errors import ConfigTypeError, ConfigValueError
from catzilla.wording import brief, nearest

from .mistakes import ALIASES, words

MOST_COUNTED: Final = 1_000  # due times that passed are counted up to this many
_UTC: Final = timezone.utc  # noqa: UP017  (also the name in 3.10's typeshed)


class Timetable(Protocol):
    """Times are of one kind: nanoseconds of the wall clock for cron, of the monotonic one for an interval."""

    by_wall: bool

    def next_after(self, when_ns: int) -> int | None:
        """The first due time after ``when_ns``; None: never again."""

    def first(self, now_ns: int) -> int | None:
        """The first due time of a schedule that begins now."""

    def passed(self, due_ns: int, now_ns: int) -> tuple[int, int, int | None]:
        """Of the due times from ``due_ns`` to ``now_ns``: how many, the last one; and the next after them."""


class Every:
    by_wall = False

    def __init__(self, interval_ns: int) -> None:
        self.interval_ns = interval_ns

    def next_after(self, when_ns: int) -> int:
        return when_ns + self.interval_ns

    first = next_after

    def passed(self, due_ns: int, now_ns: int) -> tuple[int, int, int | None]:
        count = (now_ns - due_ns) // self.interval_ns + 1
        last_ns = due_ns + (count - 1) * self.interval_ns
        return count, last_ns, last_ns + self.interval_ns

    def __str__(self) -> str:
        return f"every {self.interval_ns / 1e9:g} s"


class Cron:
    """Daylight saving is handled as Debian's cron does (see cronsim): a run at an hour that does not
    exist comes right after it, and a fixed hour that comes twice runs once."""

    by_wall = True

    def __init__(self, expression: str, zone: tzinfo) -> None:
        """ConfigValueError for an expression that is none, or never comes; ImportError without the extra."""
        self.expression = ALIASES.get(expression.strip().lower(), expression)
        self.zone = zone
        self._cronsim: Any = _cronsim()
        try:
            self._cronsim.CronSim(self.expression, datetime(2024, 1, 1, tzinfo=_UTC))
        except self._cronsim.CronSimError as error:
            raise ConfigValueError(words(self._cronsim, expression, error)) from error
        if self.next_after(1_700_000_000_000_000_000) is None:
            raise ConfigValueError(f"cron={expression!r} never comes: no date of the next 50 years fits it")

    def next_after(self, when_ns: int) -> int | None:
        began = datetime.fromtimestamp(when_ns // 1_000_000_000, self.zone)
        for due in self._cronsim.CronSim(self.expression, began):
            due_ns = int(due.timestamp()) * 1_000_000_000
            if due_ns > when_ns:  # in an hour that comes twice, its first may be behind us
                return due_ns
        return None

    first = next_after

    def passed(self, due_ns: int, now_ns: int) -> tuple[int, int, int | None]:
        count, last_ns = 1, due_ns
        next_ns = self.next_after(last_ns)
        while next_ns is not None and next_ns <= now_ns and count < MOST_COUNTED:
            count, last_ns = count + 1, next_ns
            next_ns = self.next_after(last_ns)
        if next_ns is not None and next_ns <= now_ns:  # uncountably many: the last is looked for from this end
            now = datetime.fromtimestamp(now_ns // 1_000_000_000 + 1, self.zone)
            last_ns = int(next(self._cronsim.CronSim(self.expression, now, reverse=True)).timestamp()) * 1_000_000_000
            next_ns = self.next_after(now_ns)
        return count, last_ns, next_ns

    def __str__(self) -> str:
        return f"cron {self.expression!r} ({self.zone})"


def zone_of(name: object) -> tzinfo:
    """The time zone of this name (of the IANA database)."""
    if not isinstance(name, str):
        raise ConfigTypeError(f"timezone={brief(name)} must be a name such as 'Europe/Berlin', or a tzinfo")
    if name == "UTC":
        return _UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigValueError(
            f"timezone={name!r} is not a time zone that this machine knows ({error}): {_near_zone(name)}it must be a "
            "name such as 'Europe/Berlin' (where the system has no time zones: pip install tzdata)"
        ) from error


def _near_zone(name: str) -> str:
    """By its whole name, or its last part: "Berlin", "berlin/europe" and "Europe/Berln" are near "Europe/Berlin"."""
    from zoneinfo import available_timezones

    zones = sorted(available_timezones())
    cities = {zone.rpartition("/")[2]: zone for zone in reversed(zones)}
    near = nearest(name, zones) or cities.get(nearest(name.replace(" ", "_"), cities) or "")
    return "" if near is None else f"did you mean {near!r}? "


def _cronsim() -> Any:
    try:
        import cronsim
    except ImportError as error:
        raise ImportError(
            f"cron= needs cronsim, which could not be imported: {error}. "
            'Install the "schedule" extra from a checkout of the project: pip install -e ".[schedule]". '
            "Without it, every=<seconds> works."
        ) from error
    return cronsim
