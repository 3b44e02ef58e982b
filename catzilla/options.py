"""The options of a task: checked once, where the mistake was made."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Final

from .errors import ConfigTypeError, ConfigValueError
from .limits.rate import Rate, rate_of
from .priority import TaskPriority

Backoff = str | Callable[[int], float]
Key = str | Callable[..., Hashable]
LONGEST_MS: Final = 100 * 365 * 86_400_000  # a hundred years: beyond it, clocks in nanoseconds overflow

NAMES: Final = (
    "priority",
    "compile_to_c",
    "max_retries",
    "retry_backoff",
    "retry_base_ms",
    "retry_max_ms",
    "retry_on",
    "timeout_ms",
    "delay_ms",
    "max_concurrency",
    "rate_limit",
    "limit_key",
    "unique",
    "unique_key",
    "cancel_group",
    "expires_ms",
    "bind",
    "name",
)
NAME_SET: Final = frozenset(NAMES)


class TaskOptions:
    """Immutable. ``changed(**options)`` gives a checked copy."""

    __slots__ = NAMES

    priority: TaskPriority
    compile_to_c: bool | None
    max_retries: int
    retry_backoff: Backoff
    retry_base_ms: float
    retry_max_ms: float
    retry_on: tuple[type[BaseException], ...]
    timeout_ms: float | None
    delay_ms: float
    max_concurrency: int | None
    rate_limit: Rate | None
    limit_key: Key | None
    unique: str | None
    unique_key: Callable[..., Hashable] | None
    cancel_group: str | None
    expires_ms: float | None
    bind: bool
    name: str | None

    def __init__(self, values: Mapping[str, Any]) -> None:
        for name in NAMES:
            object.__setattr__(self, name, values[name])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"TaskOptions is immutable; use changed({name}=...)")

    def changed(self, options: Mapping[str, Any]) -> TaskOptions:
        values = {name: getattr(self, name) for name in NAMES}
        for name, value in options.items():
            check = _CHECKS.get(name)
            if check is None:
                raise ConfigTypeError(f"{name!r} is not a task option; the options are {', '.join(NAMES)}")
            values[name] = check(name, value)
        if values["retry_max_ms"] < values["retry_base_ms"]:
            raise ConfigValueError(
                f"retry_max_ms={values['retry_max_ms']!r} is less than retry_base_ms={values['retry_base_ms']!r}; "
                "it must be at least that"
            )
        if values["limit_key"] is not None and values["max_concurrency"] is None and values["rate_limit"] is None:
            raise ConfigValueError("limit_key says what shares a limit: give max_concurrency or rate_limit with it")
        if values["unique_key"] is not None and values["unique"] is None:
            raise ConfigValueError("unique_key says what makes a call the same one: give unique=True with it")
        return TaskOptions(values)

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in NAMES}


def _priority(name: str, value: object) -> TaskPriority:
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return TaskPriority(value)
        except ValueError:
            pass
    allowed = ", ".join(f"TaskPriority.{lane.name} ({lane.value})" for lane in TaskPriority)
    error = ConfigValueError if isinstance(value, int) and not isinstance(value, bool) else ConfigTypeError
    raise error(f"{name}={value!r} is not a priority; allowed are {allowed}")


def _tristate(name: str, value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise ConfigTypeError(f"{name}={value!r} must be True, False or None (automatic)")


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigTypeError(f"{name}={value!r} must be an int of at least 0, not {type(value).__name__}")
    if value < 0:
        raise ConfigValueError(f"{name}={value!r} must be at least 0")
    return value


def _ms(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigTypeError(f"{name}={value!r} must be a number of milliseconds, not {type(value).__name__}")
    if not 0 <= value <= LONGEST_MS:  # also refuses nan
        raise ConfigValueError(f"{name}={value!r} must be between 0 and {LONGEST_MS} milliseconds (100 years)")
    return value


def _timeout(name: str, value: object) -> float | None:
    if value is None:
        return None
    if _ms(name, value) == 0:
        raise ConfigValueError(f"{name}={value!r} must be more than 0 milliseconds; None means no deadline")
    return _ms(name, value)


def _expiry(name: str, value: object) -> float | None:
    return None if value is None else _ms(name, value)


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ConfigTypeError(f"{name}={value!r} must be True or False")


def _backoff(name: str, value: object) -> Backoff:
    if isinstance(value, str):
        if value in ("exponential", "fixed"):
            return value
        raise ConfigValueError(f"{name}={value!r} must be 'exponential', 'fixed' or a callable")
    if callable(value):
        return value
    raise ConfigTypeError(
        f"{name}={value!r} must be 'exponential', 'fixed' or a callable that is given the number of the retry "
        "(1, 2, ...) and returns milliseconds"
    )


def _exceptions(name: str, value: object) -> tuple[type[BaseException], ...]:
    kinds = (value,) if isinstance(value, type) else value
    if isinstance(kinds, Iterable):
        kinds = tuple(kinds)
        if all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            return kinds
    raise ConfigTypeError(f"{name}={value!r} must be an exception class or a tuple of them")


def _concurrency(name: str, value: object) -> int | None:
    if value is None:
        return None
    if _count(name, value) == 0:
        raise ConfigValueError(f"{name}={value!r} must be at least 1; None means no limit")
    return _count(name, value)


def _limit_key(name: str, value: object) -> Key | None:
    if value is None or (isinstance(value, str) and value) or callable(value):
        return value
    raise ConfigTypeError(
        f"{name}={value!r} must be a callable that is given the arguments and returns a key (a limit for each), "
        "or a non-empty str (one limit for all tasks that give the same)"
    )


def _unique(name: str, value: object) -> str | None:
    if value is None or value is False:
        return None
    if value is True or value == "running":
        return "running"
    if value == "queued":
        return "queued"
    error = ConfigValueError if isinstance(value, str) else ConfigTypeError
    raise error(f"{name}={value!r} must be False, 'queued' (until it starts), or 'running' or True (until it ends)")


def _key(name: str, value: object) -> Callable[..., Hashable] | None:
    if value is None or callable(value):
        return value
    raise ConfigTypeError(f"{name}={value!r} must be a callable that is given the arguments and returns a key")


def _name(name: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise ConfigTypeError(f"{name}={value!r} must be a non-empty str, or None")


_CHECKS: Final[dict[str, Callable[[str, object], object]]] = {
    "priority": _priority,
    "compile_to_c": _tristate,
    "max_retries": _count,
    "retry_backoff": _backoff,
    "retry_base_ms": _ms,
    "retry_max_ms": _ms,
    "retry_on": _exceptions,
    "timeout_ms": _timeout,
    "delay_ms": _ms,
    "max_concurrency": _concurrency,
    "rate_limit": rate_of,
    "limit_key": _limit_key,
    "unique": _unique,
    "unique_key": _key,
    "cancel_group": _name,
    "expires_ms": _expiry,
    "bind": _flag,
    "name": _name,
}

DEFAULTS: Final = TaskOptions(
    {
        "priority": TaskPriority.NORMAL,
        "compile_to_c": None,
        "max_retries": 0,
        "retry_backoff": "exponential",
        "retry_base_ms": 100,
        "retry_max_ms": 60_000,
        "retry_on": (Exception,),
        "timeout_ms": None,
        "delay_ms": 0,
        "max_concurrency": None,
        "rate_limit": None,
        "limit_key": None,
        "unique": None,
        "unique_key": None,
        "cancel_group": None,
        "expires_ms": None,
        "bind": False,
        "name": None,
    }
)
