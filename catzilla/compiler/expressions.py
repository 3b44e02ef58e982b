"""Expressions to C: each gives a typed value, and emits before it what has to happen first."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from catzilla.wording import with_article

from . import arithmetic, calls, comprehensions, containers, formats
from .function import ABSENT, Function, Value, empty
from .names import MISSING
from .types import BOOL, FLOAT, INT, NEVER, NONE, STR, DictT, Dyn, ListT, TupleT, Type, join


def lower(f: Function, node: ast.expr) -> Value:
    handler = EXPRESSIONS.get(type(node))
    if handler is None:
        f.refuse(node, f"{_NAMES.get(type(node), type(node).__name__)} is not compiled")
    return handler(f, node)


_NAMES: Final[dict[type[ast.expr], str]] = {
    ast.Set: "a set",
    ast.SetComp: "a set",
    ast.GeneratorExp: "a generator expression outside of sum, any, all, min, max, list, tuple, sorted and join",
    ast.Starred: "*",
    ast.Slice: "a slice here",
}


def constant(f: Function, value: object, node: ast.AST) -> Value:
    kind = type(value)
    if value is None:
        return Value(NONE, "0", None)
    if kind is bool:
        return Value(BOOL, "1" if value else "0", value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            f.refuse(node, "an int beyond 64 bits is not compiled")
        return Value(INT, "CZ_MIN" if value == -(2**63) else f"{value}LL" if value >= 0 else f"({value}LL)", value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            sign = "-" if value < 0 else ""
            return Value(FLOAT, "(0.0 / 0.0)" if value != value else f"({sign}1.0 / 0.0)", value)
        return Value(FLOAT, f"({value.hex()})", value)
    if isinstance(value, str):
        return Value(STR, f.unit.string(value), value)
    if isinstance(value, tuple):
        return containers.make_tuple(f, [constant(f, item, node) for item in value], node)
    f.refuse(node, f"{with_article(kind.__name__)} is not compiled")


def _constant(f: Function, node: Any) -> Value:
    return constant(f, node.value, node)


def _name(f: Function, node: Any) -> Value:
    if node.id in f.renamed or node.id in f.source.locals:
        return f.load(node.id, node)
    found = f.unit.names.find(f.source, node.id)
    if found is MISSING:
        f.refuse(node, f"the name {node.id} is not defined (yet)")
    if _is_literal(found):
        return constant(f, found, node)
    what = (
        "a function that is used as a value"
        if callable(found)
        else f"a global {type(found).__name__}, which may change"
    )
    f.refuse(node, f"{node.id} is {what}")


def _is_literal(found: object) -> bool:
    """Immutable all through: its identity stands for its value."""
    if type(found) is tuple:
        return all(map(_is_literal, found))
    return found is None or type(found) in (int, float, bool, str)


def _attribute(f: Function, node: Any) -> Value:
    import math

    if isinstance(node.value, ast.Name) and node.value.id not in f.source.locals:
        found = f.unit.names.find(f.source, node.value.id)
        if found is math:
            value = f.unit.names.math(node.attr)
            if type(value) is float:
                return constant(f, value, node)
    f.refuse(node, f"the attribute .{node.attr} of an object is not compiled")


def truth(f: Function, value: Value, node: ast.AST) -> str:
    """A C condition."""
    type_ = value.type
    if type_ is NONE:
        return "0"
    if type_ is BOOL:
        return value.c
    if type_ is INT:
        return f"({value.c} != 0)"
    if type_ is FLOAT:
        return f"({value.c} != 0.0)"
    if type_ is STR or isinstance(type_, ListT | DictT):
        return f"({value.c}->length != 0)"
    if isinstance(type_, TupleT):
        return "1" if type_.items else "0"
    if isinstance(type_, Dyn):
        held = f.hold(value)
        result = f.raw("int", "0")
        for option in type_.options:
            inner = plain_of(held, option)
            f.emit(f"if ({held.c}.tag == {f.unit.tag(option)}) {result} = {truth(f, Value(option, inner), node)};")
        return result
    return "0"


def plain_of(value: Value, option: Type) -> str:
    from .function import plain

    c = plain(value.c, option)
    return f"(({option.ctype}){c})" if c.endswith(".u.p") else c


def _unary(f: Function, node: Any) -> Value:
    value = lower(f, node.operand)
    if isinstance(node.op, ast.Not):
        if type(value.const) is bool:
            return constant(f, not value.const, node)
        return f.temp(BOOL, f"!({truth(f, value, node)})")
    if isinstance(node.op, ast.USub) and type(value.const) in (int, float):
        return constant(f, -value.const, node)  # type: ignore[operator]
    return arithmetic.unary(f, node.op, value, node)


def _binary(f: Function, node: Any) -> Value:
    left = lower(f, node.left)
    if isinstance(node.op, ast.Mod) and left.type is STR:
        f.refuse(node, "%-formatting is not compiled (an f-string is)")
    return arithmetic.binary(f, node.op, left, lower(f, node.right), node)


def choose(f: Function, parts: list[tuple[str, Callable[[], Value]]], node: ast.AST) -> Value:
    """The value of the first part whose condition holds; the last has none. Each is evaluated in its branch only."""
    read = []
    for _, make in parts:
        with f.aside() as lines:
            value = make()
        read.append((lines, value))
    type_: Type = NEVER
    for _, value in read:
        type_ = join(type_, value.type)
    if type_ is NEVER:
        return Value(NEVER, "0")
    result = f.raw(type_.ctype, None)
    f.lines[-1] = f"{type_.ctype} {result} = {_zero(type_)};"
    for index, (lines, value) in enumerate(read):
        condition = parts[index][0]
        f.emit(f"if ({condition}) {{" if index == 0 else f"else if ({condition}) {{" if condition else "else {")
        f.lines += lines
        f.emit(f"{result} = {f.coerce(value, type_).c};")
        f.emit("}")
    return Value(type_, result)


def _zero(type_: Type) -> str:
    return "cz_none()" if isinstance(type_, Dyn) else empty(type_)


def _if_expression(f: Function, node: Any) -> Value:
    condition = lower(f, node.test)
    if type(condition.const) is bool:
        return lower(f, node.body if condition.const else node.orelse)
    test = truth(f, condition, node.test)
    return choose(f, [(test, lambda: lower(f, node.body)), ("", lambda: lower(f, node.orelse))], node)


def _bool(f: Function, node: Any) -> Value:
    """``a and b``: b where a is true, else a itself."""
    result = lower(f, node.values[0])
    for index in range(1, len(node.values)):
        left = result
        if type(left.const) is bool:
            if left.const is isinstance(node.op, ast.Or):
                return left
            result = lower(f, node.values[index])
            continue
        left = f.hold(left)
        test = truth(f, left, node)
        this, other = _itself(left), _evaluated(f, node.values[index])
        one, two = (other, this) if isinstance(node.op, ast.And) else (this, other)
        result = choose(f, [(test, one), ("", two)], node)
    return result


def _itself(value: Value) -> Callable[[], Value]:
    return lambda: value


def _evaluated(f: Function, node: ast.expr) -> Callable[[], Value]:
    return lambda: lower(f, node)


def _compare(f: Function, node: Any) -> Value:
    """a < b < c: each operand once, and no further than the first that does not hold."""
    left = f.hold(lower(f, node.left))
    if len(node.ops) == 1:
        return arithmetic.compare(f, node.ops[0], left, _right(f, node.ops[0], node.comparators[0]), node)
    result = f.raw("i64", "0")
    depth = 0
    for index, (op, right_node) in enumerate(zip(node.ops, node.comparators, strict=True)):
        right = f.hold(_right(f, op, right_node))
        value = arithmetic.compare(f, op, left, right, node)
        if index == len(node.ops) - 1:
            f.emit(f"{result} = {truth(f, value, node)};")
        else:
            f.emit(f"if ({truth(f, value, node)}) {{")
            depth += 1
        left = right
    f.emit("}" * depth)
    return Value(BOOL, result)


def _right(f: Function, op: ast.cmpop, node: ast.expr) -> Value:
    """``x in {…}`` with literals asks the same as ``x in (…)``: a set's order plays no part."""
    if isinstance(op, ast.In | ast.NotIn) and isinstance(node, ast.Set):
        return containers.make_tuple(f, [lower(f, item) for item in node.elts], node)
    return lower(f, node)


EXPRESSIONS: Final[dict[type[ast.expr], Callable[[Function, Any], Value]]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.IfExp: _if_expression,
    ast.BoolOp: _bool,
    ast.Compare: _compare,
    ast.Call: lambda f, node: calls.call(f, node),
    ast.Subscript: lambda f, node: containers.subscript(f, node),
    ast.List: lambda f, node: containers.list_literal(f, node),
    ast.Tuple: lambda f, node: containers.tuple_literal(f, node),
    ast.Dict: lambda f, node: containers.dict_literal(f, node),
    ast.ListComp: lambda f, node: comprehensions.list_of(f, node),
    ast.DictComp: lambda f, node: comprehensions.dict_of(f, node),
    ast.JoinedStr: lambda f, node: formats.joined(f, node),
    ast.FormattedValue: lambda f, node: formats.formatted(f, node),
}

__all__ = ["ABSENT", "constant", "lower", "truth"]
