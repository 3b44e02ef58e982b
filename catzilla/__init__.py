"""Catzilla: background tasks inside your Python process, at native speed.

``TaskSystem`` for scripts and any framework; ``Catzilla`` (extra ``web``) is FastAPI with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .system import TaskSystem as TaskSystem
    from .web import Catzilla as Catzilla

__version__ = "0.1.0"
__all__ = ["Catzilla", "TaskSystem", "__version__"]

_LAZY = {"TaskSystem": ".system", "Catzilla": ".web"}  # imported when first asked for


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
