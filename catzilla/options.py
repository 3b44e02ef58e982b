"""The options of a task: checked once, where the mistake was made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .errors import ConfigTypeError, ConfigValueError
from .priority import TaskPriority

Backoff = str | Callable[[int], float]
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


def _name(name: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise ConfigTypeError(f"{name}={value!r} must be a non-empty str, or None for the function's own name")


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
        "name": None,
    }
)
