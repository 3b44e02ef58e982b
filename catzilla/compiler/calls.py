"""Calls: of builtins, of math, of methods, of other functions."""

from __future__ import annotations

import ast
import math
from typing import Any, Final

from catzilla.wording import with_article

from . import builtin_calls, math_calls, methods
from .function import ABSENT, Function, Value
from .names import MISSING, function_of, is_builtin
from .types import NEVER, Type, freeze, has_borrowed


def builtin_named(f: Function, node: ast.expr) -> str | None:
    """The name of the builtin function that this expression stands for."""
    if not isinstance(node, ast.Name) or node.id in f.source.locals or node.id in f.renamed:
        return None
    return node.id if is_builtin(f.unit.names.find(f.source, node.id), node.id) else None


def call(f: Function, node: ast.Call) -> Value:
    if any(isinstance(argument, ast.Starred) for argument in node.args) or any(k.arg is None for k in node.keywords):
        f.refuse(node, "* or ** in a call is not compiled")
    func = node.func
    if isinstance(func, ast.Attribute):
        return _attribute(f, node, func)
    if not isinstance(func, ast.Name):
        f.refuse(node, "calling the result of an expression is not compiled")
    if func.id in f.source.locals or func.id in f.renamed:
        f.refuse(node, f"calling {func.id}, a variable, is not compiled")
    found = f.unit.names.find(f.source, func.id)
    if found is MISSING:
        f.refuse(node, f"the name {func.id} is not defined (yet)")
    if is_builtin(found, func.id):
        return builtin_calls.call(f, func.id, node)
    if found in _MATH:
        return math_calls.call(f, _MATH[found], node)
    function = function_of(found)
    if function is None:
        kind = "class" if isinstance(found, type) else type(found).__name__
        f.refuse(
            node, f"calling {func.id} ({with_article(kind)}) is not compiled: only functions written in Python are"
        )
    return _function(f, node, function, func.id)


_MATH: Final[dict[Any, str]] = {getattr(math, name): name for name in math_calls.NAMES if hasattr(math, name)}


def _attribute(f: Function, node: ast.Call, func: ast.Attribute) -> Value:
    from .expressions import lower

    if isinstance(func.value, ast.Name) and func.value.id not in f.source.locals and func.value.id not in f.renamed:
        found = f.unit.names.find(f.source, func.value.id)
        if found is math:
            target = f.unit.names.math(func.attr)
            if target in _MATH and _MATH[target] == func.attr:
                return math_calls.call(f, func.attr, node)
            f.refuse(node, f"math.{func.attr} is not compiled")
        if found is MISSING:
            f.refuse(node, f"the name {func.value.id} is not defined (yet)")
        if not isinstance(found, str | int | float | tuple):
            f.refuse(node, f"it calls {ast.unparse(func)}(), which is not code that can be compiled")
    if isinstance(func.value, ast.Call | ast.Attribute) and not _is_text_chain(func.value):
        value_text = ast.unparse(func.value)
        if isinstance(func.value, ast.Attribute):
            f.refuse(node, f"it calls {value_text}.{func.attr}(), which is not code that can be compiled")
    return methods.call(f, func, lower(f, func.value), node)


def _is_text_chain(node: ast.expr) -> bool:
    return isinstance(node, ast.Call)


def _function(f: Function, node: ast.Call, function: Any, name: str) -> Value:
    """Another function: compiled for these types, with its own defaults."""
    from .expressions import constant, lower

    if f.in_try and function is f.source.fn:
        f.refuse(node, "a function that calls itself inside of try is not compiled")
    given = [f.hold(lower(f, argument)) for argument in node.args]
    by_name = {k.arg: f.hold(lower(f, k.value)) for k in node.keywords if k.arg is not None}
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    positional = code.co_argcount
    if len(given) > positional or code.co_flags & 0x0C:
        f.refuse(node, f"calling {name}() with these arguments is not compiled")
    values: list[Value] = []
    defaults = function.__defaults__ or ()
    for index, param in enumerate(names):
        if index < len(given):
            values.append(given[index])
        elif param in by_name and index >= code.co_posonlyargcount:
            values.append(by_name.pop(param))
        else:
            default = MISSING
            if index < positional:
                at = index - (positional - len(defaults))
                default = defaults[at] if at >= 0 else MISSING
            if default is MISSING or not _is_immutable(default):
                f.refuse(node, f"calling {name}() with these arguments is not compiled")
            values.append(constant(f, default, node))
    if by_name:
        f.refuse(node, f"calling {name}() with these arguments is not compiled")
    if any(value.type is NEVER for value in values):
        return f.never(node)
    params = tuple(freeze(value.type, borrowed=True) for value in values)
    callee = f.unit.function(function, params, f)
    result = freeze(callee.result, borrowed=False)
    f.check("cz_deep(rt)", node, "calls are nested deeper than Python may allow")
    out = f.raw(_ctype(result), None)
    arguments = "".join(f", {f.coerce(value, param).c}" for value, param in zip(values, callee.params, strict=True))
    status = f.raw("int", "0")
    f.emit(f"rt->depth--; {status} = {callee.name}(rt{arguments}, &{out}); rt->depth++;")
    f.emit(f"if ({status}) return {status};")
    if has_borrowed(result):
        f.refuse(node, f"{name}() gives back a list or dict that it was given")
    return Value(result, out, ABSENT) if result is not NEVER else f.never(node)


def _ctype(type_: Type) -> str:
    return type_.ctype


def _is_immutable(value: object) -> bool:
    if type(value) is tuple:
        return all(map(_is_immutable, value))
    return value is None or type(value) in (int, float, bool, str)
