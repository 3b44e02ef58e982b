"""What a callable accepts, read from its code object so that a wrong call fails at submit.

``inspect.Signature.bind`` would cost microseconds a call (and importing inspect milliseconds); it is
used only to word the error.
"""

from __future__ import annotations

import functools
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any, Final

_VARARGS: Final = 0x04  # inspect.CO_VARARGS
_VARKEYWORDS: Final = 0x08  # inspect.CO_VARKEYWORDS
MANY: Final = 1 << 30


class Shape:
    """least..most positional arguments; ``names`` can be keywords; ``required`` have no default."""

    __slots__ = ("has_varkw", "keyword_only", "least", "most", "names", "positional_only", "required")

    def __init__(self, fn: FunctionType, skip: int = 0) -> None:
        code: CodeType = fn.__code__
        count = code.co_argcount
        variables = code.co_varnames
        defaults = len(fn.__defaults__ or ())
        keyword_only = variables[count : count + code.co_kwonlyargcount]
        given = fn.__kwdefaults__ or {}
        self.has_varkw = bool(code.co_flags & _VARKEYWORDS)
        self.names = variables[skip:count]
        self.positional_only = max(0, code.co_posonlyargcount - skip)
        self.keyword_only = frozenset(keyword_only)
        self.required = frozenset(name for name in keyword_only if name not in given)
        self.least = max(0, count - defaults - skip)
        self.most = MANY if code.co_flags & _VARARGS else max(0, count - skip)

    @property
    def arity(self) -> tuple[int, int]:
        """For a call without keywords; (1, 0), which nothing fits, when keywords are required."""
        return (1, 0) if self.required else (self.least, self.most)

    def parameters(self) -> frozenset[str]:
        return self.keyword_only.union(self.names[self.positional_only :])

    def accepts(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        count = len(args)
        if count > self.most:
            return False
        positional = self.names[count:]
        for name in kwargs:
            if name in self.keyword_only:
                continue
            fits = name in positional and name not in self.names[: self.positional_only]
            if not fits and (not self.has_varkw or name in self.names[self.positional_only : count]):
                return False
        if any(name not in kwargs for name in self.required):
            return False
        return all(
            name in kwargs and index >= self.positional_only
            for index, name in enumerate(self.names[: self.least])
            if index >= count
        )


def shape_of(fn: Any) -> Shape | None:
    """None: it cannot be known without calling; a wrong call then fails in the worker."""
    if type(fn) is FunctionType:
        return Shape(fn)
    if type(fn) is MethodType:
        return Shape(fn.__func__, skip=1) if type(fn.__func__) is FunctionType else None
    if isinstance(fn, type | BuiltinFunctionType | functools.partial):
        return None
    call = call_of(fn)
    return Shape(call, skip=1) if type(call) is FunctionType else None


def bound_shape(fn: Any) -> Shape | None:
    """Of a function whose first argument is given already."""
    return Shape(fn, skip=1) if type(fn) is FunctionType else None


def call_of(fn: object) -> object:
    """The function behind ``fn()`` of a callable object; None: it has none in Python."""
    return next((cls.__dict__["__call__"] for cls in type(fn).__mro__ if "__call__" in cls.__dict__), None)


def explain_mismatch(fn: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Why these arguments do not fit, in Python's own words."""
    import inspect

    signature = inspect.signature(fn)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        return f"{name}{signature} cannot be called with these arguments: {error}"
    return f"{name}{signature} cannot be called with these arguments"
