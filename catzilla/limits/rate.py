"""``rate_limit="10/s"``: a number of starts in any stretch of time."""

from __future__ import annotations

import re
from typing import Final

from catzilla.errors import ConfigTypeError, ConfigValueError
from catzilla.wording import kind_of

MOST: Final = 100_000  # starts that are remembered for each limit
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_FORM: Final = re.compile(r"(\d{1,9})/(\d{0,9})([smhd])")


class Rate:
    """At most ``count`` starts in any ``period_ns``."""

    __slots__ = ("count", "period_ns")

    def __init__(self, count: int, period_ns: int) -> None:
        self.count = count
        self.period_ns = period_ns

    def __repr__(self) -> str:
        return f"{self.count}/{self.period_ns / 1e9:g}s"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rate) and (self.count, self.period_ns) == (other.count, other.period_ns)

    def __hash__(self) -> int:
        return hash((self.count, self.period_ns))


def rate_of(name: str, value: object) -> Rate | None:
    """From "10/s", "100/m", "1000/h", "5/30s"; None: no limit."""
    if value is None or isinstance(value, Rate):
        return value
    form = "a number of starts and a time, such as '10/s', '100/m', '1000/h' or '5/30s'"
    if not isinstance(value, str):
        raise ConfigTypeError(f"{name}={value!r} must be {form}, not {kind_of(value)}")
    match = _FORM.fullmatch(value.strip())
    if match is None:
        raise ConfigValueError(f"{name}={value!r} must be {form}")
    count, times, unit = int(match[1]), int(match[2] or 1), match[3]
    if not 1 <= count <= MOST or times < 1:
        raise ConfigValueError(f"{name}={value!r} must allow from 1 to {MOST} starts in a time of at least 1 {unit}")
    return Rate(count, times * _SECONDS[unit] * 1_000_000_000)
