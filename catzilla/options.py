"""The options of a task: checked once, where the mistake was made."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Final, NoReturn

from .errors import ConfigTypeError, ConfigValueError
from .limits.rate import Rate, rate_of
from .priority import TaskPriority
from .wording import brief, did_you_mean, kind_of, nearest

Backoff = str | Callable[[int], float]
Key = str | Callable[..., Hashable]
LONGEST_MS: Final = 100 * 365 * 86_400_000  # a hundred years: beyond it, clocks in nanoseconds overflow
MOST_COUNT: Final = 1_000_000_000

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
SCHEDULE_NAMES: Final = ("every", "cron", "timezone", "missed", "overlap", "per")  # schedules/options.py


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
                refuse_unknown(name)
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


def refuse_unknown(name: str) -> NoReturn:
    """ConfigTypeError: it is no option of a task, but may be one of something else."""
    from .parameters import PARAMETERS

    if name in SCHEDULE_NAMES:
        raise ConfigTypeError(
            f"{name!r} is an option of a schedule and not of a call: declare the task with it, @app.task({name}=...), "
            f"or use add_schedule(fn, {name}=...)"
        )
    if name in PARAMETERS:
        raise ConfigTypeError(
            f"{name!r} is not a task option but a parameter of the whole system: give it to TaskSystem({name}=...) or "
            f"enable_background_tasks({name}=...)"
        )
    near = did_you_mean(name, (*NAMES, *SCHEDULE_NAMES))
    raise ConfigTypeError(
        f"{name!r} is not a task option: {near}the options are {', '.join(NAMES)}; those of a schedule are "
        f"{', '.join(SCHEDULE_NAMES)}"
    )


def hint_of_options(keywords: Iterable[str], parameters: Iterable[str]) -> str:
    """For a call that does not fit its function: what a keyword that the function does not have was meant to be."""
    parameters = set(parameters)
    for keyword in keywords:
        if keyword in parameters:
            continue
        if keyword in NAME_SET:
            return f"; {keyword} is an option of the task: task.with_options({keyword}=...).submit(...)"
        if keyword in SCHEDULE_NAMES:
            return f"; {keyword} is an option of a schedule: @app.task({keyword}=...) or add_schedule()"
        near = nearest(keyword, (*parameters, *NAMES))
        if near is not None:
            return f"; did you mean {'the argument' if near in parameters else 'the option'} {near!r}?"
    return ""


def priority_of(name: str, value: object) -> TaskPriority:
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return TaskPriority(value)
        except ValueError:
            pass
    allowed = ", ".join(f"TaskPriority.{lane.name} ({lane.value})" for lane in TaskPriority)
    error = ConfigValueError if isinstance(value, int) and not isinstance(value, bool) else ConfigTypeError
    near = nearest(value, TaskPriority.__members__) if isinstance(value, str) else None
    hint = "" if near is None else f"did you mean TaskPriority.{near}? "
    raise error(f"{name}={brief(value)} is not a priority: {hint}allowed are {allowed}")


def _tristate(name: str, value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise ConfigTypeError(f"{name}={brief(value)} must be True, False or None (automatic)")


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigTypeError(f"{name}={brief(value)} must be an int of at least 0, not {kind_of(value)}")
    if not 0 <= value <= MOST_COUNT:
        raise ConfigValueError(f"{name}={brief(value)} must be from 0 to {MOST_COUNT}")
    return value


def _ms(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigTypeError(f"{name}={brief(value)} must be a number of milliseconds, not {kind_of(value)}")
    if not 0 <= value <= LONGEST_MS:  # also refuses nan
        raise ConfigValueError(f"{name}={brief(value)} must be between 0 and {LONGEST_MS} milliseconds (100 years)")
    return value


def _timeout(name: str, value: object) -> float | None:
    if value is None:
        return None
    if _ms(name, value) == 0:
        raise ConfigValueError(f"{name}={brief(value)} must be more than 0 milliseconds; None means no deadline")
    return _ms(name, value)


def _expiry(name: str, value: object) -> float | None:
    return None if value is None else _ms(name, value)


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ConfigTypeError(f"{name}={brief(value)} must be True or False")


def _backoff(name: str, value: object) -> Backoff:
    if isinstance(value, str):
        if value in ("exponential", "fixed"):
            return value
        raise ConfigValueError(f"{name}={brief(value)} must be 'exponential', 'fixed' or a callable")
    if callable(value):
        return value
    raise ConfigTypeError(
        f"{name}={brief(value)} must be 'exponential', 'fixed' or a callable that is given the number of the retry "
        "(1, 2, ...) and returns milliseconds"
    )


def _exceptions(name: str, value: object) -> tuple[type[BaseException], ...]:
    kinds = (value,) if isinstance(value, type) else value
    if isinstance(kinds, Iterable):
        kinds = tuple(kinds)
        if all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            return kinds
    raise ConfigTypeError(f"{name}={brief(value)} must be an exception class or a tuple of them")


def _concurrency(name: str, value: object) -> int | None:
    if value is None:
        return None
    if _count(name, value) == 0:
        raise ConfigValueError(f"{name}={brief(value)} must be at least 1; None means no limit")
    return _count(name, value)


def _limit_key(name: str, value: object) -> Key | None:
    if value is None or (isinstance(value, str) and value) or callable(value):
        return value
    raise ConfigTypeError(
        f"{name}={brief(value)} must be a callable that is given the arguments and returns a key (a limit for each), "
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
    raise error(
        f"{name}={brief(value)} must be False, 'queued' (until it starts), or 'running' or True (until it ends)"
    )


def _key(name: str, value: object) -> Callable[..., Hashable] | None:
    if value is None or callable(value):
        return value
    raise ConfigTypeError(f"{name}={brief(value)} must be a callable that is given the arguments and returns a key")


def _name(name: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise ConfigTypeError(f"{name}={brief(value)} must be a non-empty str, or None")


_CHECKS: Final[dict[str, Callable[[str, object], object]]] = {
    "priority": priority_of,
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
