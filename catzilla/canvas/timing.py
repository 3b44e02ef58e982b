"""``countdown``, ``eta`` and ``expires``, as options of a task. They count from the moment of the submit."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from catzilla.errors import ConfigTypeError, ConfigValueError

if TYPE_CHECKING:
    from catzilla.system import TaskSystem

NAMES: Final = ("countdown", "eta", "expires")


def check_times(options: dict[str, Any]) -> None:
    """Raise ConfigTypeError or ConfigValueError for what ``resolve_times`` could not take."""
    if options.get("countdown") is not None and options.get("eta") is not None:
        raise ConfigValueError("countdown and eta both say when the task may start: give one of them")
    if (options.get("countdown") is not None or options.get("eta") is not None) and "delay_ms" in options:
        raise ConfigValueError("delay_ms and countdown or eta both say when the task may start: give one of them")
    for name in ("countdown", "expires"):
        value = options.get(name)
        if value is None or isinstance(value, timedelta) or (name == "expires" and isinstance(value, datetime)):
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            also = " or a datetime with a time zone" if name == "expires" else ""
            raise ConfigTypeError(f"{name}={value!r} must be a number of seconds{also}")
        if not value >= 0:
            raise ConfigValueError(f"{name}={value!r} must be at least 0 seconds")
    for name in ("eta", "expires"):
        value = options.get(name)
        if name == "eta" and value is not None and not isinstance(value, datetime):
            raise ConfigTypeError(f"eta={value!r} must be a datetime with a time zone; for seconds use countdown=")
        if isinstance(value, datetime) and value.utcoffset() is None:
            raise ConfigValueError(
                f"{name}={value!r} has no time zone: use for instance datetime.now(timezone.utc) + timedelta(...)"
            )


def resolve_times(system: TaskSystem, options: dict[str, Any]) -> dict[str, Any]:
    """The same options in the task's own names: ``delay_ms`` and ``expires_ms``."""
    if not any(name in options for name in NAMES):
        return options
    resolved = {name: value for name, value in options.items() if name not in NAMES}
    start = options.get("countdown")
    start = options.get("eta") if start is None else start
    if start is not None:
        resolved["delay_ms"] = _ms_until(system, start)
    if options.get("expires") is not None:
        resolved["expires_ms"] = _ms_until(system, options["expires"])
    return resolved


def _ms_until(system: TaskSystem, when: float | timedelta | datetime) -> float:
    """Milliseconds from now, never less than 0."""
    if isinstance(when, datetime):
        return max(0.0, when.timestamp() * 1e3 - system.wall_ns() / 1e6)
    seconds = when.total_seconds() if isinstance(when, timedelta) else when
    return max(0.0, seconds * 1e3)
