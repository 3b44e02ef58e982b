"""Which functions may gain from running as C: told by their bytecode, without the compiler and the source."""

from __future__ import annotations

import builtins
import math
from opcode import opmap
from types import CodeType, FunctionType
from typing import Any, Final

LEAST_OPERATIONS: Final = 5  # of a function without a loop: one of fewer takes as long either way
_NUMBERS: Final = frozenset({int, float, bool})
_BUILTINS: Final = frozenset({"abs", "bool", "divmod", "float", "int", "max", "min", "pow", "round"})
_OPERATIONS: Final = frozenset(
    opmap[name] for name in ("BINARY_OP", "COMPARE_OP", "UNARY_NEGATIVE", "UNARY_INVERT", "CALL") if name in opmap
)
_CO_VARARGS_OR_VARKEYWORDS: Final = 0x04 | 0x08


def may_be_short(fn: FunctionType) -> bool:
    """Whether it works out a number from numbers in so many steps that a backend which calls it itself is faster.

    By its annotations and names: what is refused in the end has cost the compiler's time for nothing.
    """
    code = fn.__code__
    if code.co_flags & _CO_VARARGS_OR_VARKEYWORDS or fn.__closure__ is not None:
        return False
    params = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if not params or not all(_is_number(fn.__annotations__.get(name)) for name in params):
        return False
    return all(_is_of_numbers(fn, name) for name in code.co_names) and _operations(code) >= LEAST_OPERATIONS


def _is_number(annotation: Any) -> bool:
    """int, float, bool, or the text of one, which it is with ``from __future__ import annotations``."""
    return any(annotation is type_ or (type(annotation) is str and annotation == type_.__name__) for type_ in _NUMBERS)


def _operations(code: CodeType) -> int:
    return sum(operation in _OPERATIONS for operation in code.co_code[::2])


def _is_of_numbers(fn: FunctionType, name: str) -> bool:
    """Of math, a number, a function written in Python, or a builtin of numbers that nothing hides."""
    if name not in fn.__globals__:
        return (name in _BUILTINS and hasattr(builtins, name)) or hasattr(math, name)
    value: Any = fn.__globals__[name]
    return value is math or type(value) in _NUMBERS or type(value) is FunctionType


def may_loop(fn: FunctionType, depth: int = 3) -> bool:
    """Whether it, or a function that it calls by a global name, has a loop or calls itself."""
    code = fn.__code__
    if fn.__name__ in code.co_names or _has_loop(code):
        return True
    if depth == 0:
        return False
    for name in code.co_names:
        called = fn.__globals__.get(name)
        called = getattr(called, "__wrapped__", called)
        if type(called) is FunctionType and called is not fn and may_loop(called, depth - 1):
            return True
    return False


def _has_loop(code: CodeType) -> bool:
    loops = {opmap[name] for name in ("FOR_ITER", "JUMP_BACKWARD", "POP_JUMP_BACKWARD_IF_TRUE") if name in opmap}
    loops |= {number for name, number in opmap.items() if name.startswith("POP_JUMP_BACKWARD")}
    if not loops.isdisjoint(code.co_code[::2]):
        return True
    return any(isinstance(constant, CodeType) and _has_loop(constant) for constant in code.co_consts)
