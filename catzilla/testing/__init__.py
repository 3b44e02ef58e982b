"""Testing code that uses Catzilla: a clock that stands still, tasks that run in place, pytest fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clock import FrozenClock as FrozenClock
    from .draining import drain as drain
    from .inline import inline as inline
    from .inline import system_of as system_of

__all__ = ["FrozenClock", "drain", "inline", "system_of"]

_LAZY = {"FrozenClock": ".clock", "drain": ".draining", "inline": ".inline", "system_of": ".inline"}
# Imported when first asked for: pytest loads the plugin everywhere.


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value
