"""Functions by name: what goes through a broker."""

from __future__ import annotations

import importlib
import os
from functools import cache, partial
from typing import Any

URL_VARIABLE = "CATZILLA_BENCH_REDIS"


def redis_url() -> str:
    return os.environ[URL_VARIABLE]


def by_name(fn: Any) -> tuple[str, list[Any]]:
    """A function of a module, or a partial of one with arguments that JSON can hold."""
    arguments: list[Any] = []
    if isinstance(fn, partial):
        fn, arguments = fn.func, list(fn.args)
    return f"{fn.__module__}:{fn.__qualname__}", arguments


@cache
def _find(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def call(name: str, arguments: list[Any]) -> Any:
    return _find(name)(*arguments)
