"""How long to wait before a retry."""

from __future__ import annotations

from typing import Final

from .errors import ConfigTypeError
from .options import TaskOptions

_MOST_DOUBLINGS: Final = 64  # 2 ** 64 ms is past every retry_max_ms


def backoff_ns(options: TaskOptions, retry: int) -> int:
    """Nanoseconds before the given retry (1 is the first), never more than ``retry_max_ms``.

    "exponential" is "full jitter": uniform between 0 and base * 2 ** (retry - 1), which spreads the
    retries of tasks that failed together best (AWS Architecture Blog, "Exponential Backoff And
    Jitter", 2015). A callable's result is taken as it is, in milliseconds.
    """
    backoff = options.retry_backoff
    if callable(backoff):
        wait_ms = backoff(retry)
        if type(wait_ms) not in (int, float) or not wait_ms >= 0:
            raise ConfigTypeError(f"retry_backoff({retry}) gave {wait_ms!r}; it must give milliseconds of at least 0")
    elif backoff == "fixed":
        wait_ms = options.retry_base_ms
    else:
        import random  # milliseconds to import, and only here needed

        ceiling_ms = options.retry_base_ms * 2 ** min(retry - 1, _MOST_DOUBLINGS)
        wait_ms = random.uniform(0, min(ceiling_ms, options.retry_max_ms))
    return int(min(wait_ms, options.retry_max_ms) * 1e6)
