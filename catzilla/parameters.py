"""What each parameter of a task system is: its default, what is allowed, and how the environment writes it.

No dataclasses, no inspect: ``import catzilla`` may pass through here and has 30 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .errors import ConfigError, ConfigTypeError, ConfigValueError
from .wording import brief

ON_FULL: Final = ("raise", "block", "caller_runs", "drop_oldest")
MOST_WORKERS: Final = 4096
MOST_TASKS: Final = 1_000_000_000  # beyond it a count is a mistake, and no machine has the memory
A_YEAR_S: Final = 366 * 86_400  # a timeout beyond it is a mistake, and some platforms' waits overflow

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


class Parameter:
    """One parameter. ``check`` gives the value to use or raises; ``parse`` turns environment text into a value."""

    __slots__ = ("allowed", "check", "default", "name", "parse")

    def __init__(
        self,
        name: str,
        default: object,
        allowed: str,
        check: Callable[[object], object],
        parse: Callable[[str], object],
    ) -> None:
        self.name = name
        self.default = default
        self.allowed = allowed
        self.check = check
        self.parse = parse

    @property
    def variable(self) -> str:
        """The environment variable that gives it."""
        return "CATZILLA_" + self.name.upper()

    def value(self, given: object, origin: str) -> Any:
        """The value to use for what was given, or one error that says all there is to know."""
        try:
            return self.check(given)
        except (TypeError, ValueError) as refusal:
            raise self.refuse(given, origin, type_error=isinstance(refusal, TypeError)) from None

    def from_text(self, text: str, origin: str) -> Any:
        """The same for text out of the environment: every mistake in it is one of value, not of type."""
        try:
            return self.check(self.parse(text))
        except (TypeError, ValueError):
            raise self.refuse(text, origin, type_error=False) from None

    def refuse(self, given: object, origin: str, *, type_error: bool) -> ConfigError:
        kind = ConfigTypeError if type_error else ConfigValueError
        shown = brief(given)
        if type_error:
            shown += f" of type {type(given).__name__}"
        return kind(f"{self.name}={shown} (from {origin}) is not allowed: it must be {self.allowed}")


def _integer(low: int, high: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if isinstance(value, bool) or not hasattr(type(value), "__index__"):  # numpy's integers are fine
            raise TypeError
        number = int(value.__index__())  # type: ignore[attr-defined]
        if not low <= number <= high:
            raise ValueError
        return number

    return check


def _number(low: float, high: float, *, above: bool = False) -> Callable[[object], float]:
    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError
        if not low <= value <= high or (above and value == low):  # also refuses NaN
            raise ValueError
        return value

    return check


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _one_of(names: tuple[str, ...]) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str):
            raise TypeError
        if value not in names:
            raise ValueError
        return value

    return check


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not value or value != value.strip():
        raise ValueError
    return value


def _profiling(value: object) -> bool | str:
    if isinstance(value, str):
        if value != "full":
            raise ValueError
        return value
    return _boolean(value)


def _or_none(check: Callable[[object], object]) -> Callable[[object], object]:
    return lambda value: None if value is None else check(value)


def _parse_boolean(text: str) -> bool:
    lower = text.lower()
    if lower in _TRUE:
        return True
    if lower in _FALSE:
        return False
    raise ValueError


def _parse_profiling(text: str) -> bool | str:
    return "full" if text.lower() == "full" else _parse_boolean(text)


def _whole(name: str, default: int | None, low: int, high: int) -> Parameter:
    span = f"from {low} to {high}"
    check: Callable[[object], object] = _integer(low, high)
    if default is None:
        return Parameter(name, None, f"an integer {span}, or None", _or_none(check), int)
    return Parameter(name, default, f"an integer {span}", check, int)


def _switch(name: str, default: bool) -> Parameter:
    return Parameter(name, default, "True or False", _boolean, _parse_boolean)


PARAMETERS: Final[dict[str, Parameter]] = {
    parameter.name: parameter
    for parameter in (
        _whole("workers", None, 1, MOST_WORKERS),
        _whole("min_workers", None, 1, MOST_WORKERS),
        _whole("max_workers", None, 1, MOST_WORKERS),
        _whole("queue_size", 10_000, 1, MOST_TASKS),
        Parameter("on_full", "raise", "one of " + ", ".join(map(repr, ON_FULL)), _one_of(ON_FULL), str),
        _switch("enable_auto_scaling", True),
        Parameter(
            "memory_pool_mb",
            None,
            "a number of megabytes greater than 0, or None",
            _or_none(_number(0, 2**40, above=True)),
            float,
        ),
        _switch("enable_c_compilation", True),
        Parameter("enable_profiling", True, "True, False or 'full'", _profiling, _parse_profiling),
        _switch("use_jemalloc", True),
        Parameter(
            "backend", None, "the name of a backend ('auto', 'c', 'cpp', 'python', ...), or None", _or_none(_name), str
        ),
        Parameter("shutdown_timeout", 30.0, f"a number of seconds from 0 to {A_YEAR_S}", _number(0, A_YEAR_S), float),
        _whole("keep_results", 0, 0, MOST_TASKS),
        _whole("critical_reserve", 4, 0, 256),
        _whole("max_stuck_workers", 32, 0, MOST_WORKERS),
        _switch("memory_profiling", False),
        _whole("async_concurrency", 1000, 1, MOST_TASKS),
        Parameter("lock_dir", None, "the path of a directory, or None", _or_none(_name), str),
    )
}
