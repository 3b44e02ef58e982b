"""What a for loop, or a comprehension, goes over."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from . import arithmetic, containers
from .function import Function, Value
from .types import INT, NEVER, STR, DictT, ListT, TupleT, Type, join

Item = "Value | list[Any]"  # enumerate, zip and items() give several values without making a tuple of them


class Loop:
    """``for (; condition; step) { enter; item = load(); … }``"""

    def __init__(
        self, condition: str, step: str, load: Callable[[], Any], enter: Callable[[], None] | None = None
    ) -> None:
        self.condition = condition
        self.step = step
        self.load = load
        self._enter = enter

    def enter(self, f: Function) -> None:
        if self._enter is not None:
            self._enter()


def iterate(f: Function, node: ast.expr) -> Loop:
    from .expressions import lower

    if isinstance(node, ast.Call):
        found = _call(f, node)
        if found is not None:
            return found
    return over(f, lower(f, node), node)


def _call(f: Function, node: ast.Call) -> Loop | None:
    from .calls import builtin_named

    if isinstance(node.func, ast.Attribute) and node.func.attr in ("items", "keys", "values") and not node.args:
        from .expressions import lower

        value = lower(f, node.func.value)
        value = f.hold(f.narrow_class(value, DictT, node, "the value"))
        if not isinstance(value.type, DictT):
            if value.type is NEVER:
                return over(f, value, node)
            f.refuse(node, f".{node.func.attr}() of {value.type!r} is not compiled")
        return over_dict(f, value, node.func.attr, node)
    name = builtin_named(f, node.func)
    if name not in ("range", "enumerate", "zip", "reversed"):
        return None
    if node.keywords and not (name == "enumerate" and [k.arg for k in node.keywords] == ["start"]):
        f.refuse(node, f"keyword arguments of {name}() are not compiled")
    if any(isinstance(argument, ast.Starred) for argument in node.args):
        f.refuse(node, "* in a call is not compiled")
    return {"range": _range, "enumerate": _enumerate, "zip": _zip, "reversed": _reversed}[name](f, node)


def _range(f: Function, node: ast.Call, backwards: bool = False) -> Loop:
    from .expressions import lower

    if not 1 <= len(node.args) <= 3:
        f.deopt(node, "range() has no such form")
    ends = []
    for argument in node.args[:3]:
        value = lower(f, argument)
        if value.type is not NEVER:
            index = containers.index_of(f, value, argument)
            ends.append(Value(INT, f.raw("i64", index), value.const))
    if len(ends) != len(node.args) or not ends:
        return Loop("0", "", lambda: Value(NEVER, "0"))
    start, stop, step = "0LL", ends[0].c, "1LL"
    if len(ends) > 1:
        start, stop = ends[0].c, ends[1].c
    if len(ends) > 2:
        step = ends[2].c
        f.check(f"{step} == 0 || {step} == CZ_MIN", node, "the step of range() is 0")
    count = f.raw("u64", "0")
    up = f"if ({start} < {stop}) {count} = ((u64){stop} - 1 - (u64){start}) / (u64){step} + 1;"
    if len(ends) > 2:
        down = f"if ({start} > {stop}) {count} = ((u64){start} - 1 - (u64){stop}) / (u64)-{step} + 1;"
        f.emit(f"if ({step} > 0) {{ {up} }} else {{ {down} }}")
    else:
        f.emit(up)
    at = f.raw("u64", "0")
    place = f"({count} - 1 - {at})" if backwards else at

    def load() -> Value:
        return f.temp(INT, f"(i64)((u64){start} + {place} * (u64){step})")

    return Loop(f"{at} < {count}", f"{at}++", load)


def _enumerate(f: Function, node: ast.Call) -> Loop:
    from .expressions import lower

    start_node = node.keywords[0].value if node.keywords else node.args[1] if len(node.args) == 2 else None
    if len(node.args) not in (1, 2) or (node.keywords and len(node.args) != 1):
        f.refuse(node, "enumerate() is not called like this")
    inner = iterate(f, node.args[0])
    start = "0LL" if start_node is None else containers.index_of(f, lower(f, start_node), node)
    number = f.raw("i64", start)

    def load() -> Any:
        value = f.temp(INT, number)
        f.check(f"cz_add({number}, 1, &{number})", node, "the number does not fit 64 bits")
        return [value, inner.load()]

    return Loop(inner.condition, inner.step, load, lambda: inner.enter(f))


def _zip(f: Function, node: ast.Call) -> Loop:
    parts = [iterate(f, argument) for argument in node.args]
    if not parts:
        return Loop("0", "", list)

    def enter() -> None:
        for part in parts:
            part.enter(f)

    return Loop(
        " && ".join(f"({part.condition})" for part in parts),
        ", ".join(part.step for part in parts if part.step),
        lambda: [part.load() for part in parts],
        enter,
    )


def _reversed(f: Function, node: ast.Call) -> Loop:
    from .calls import builtin_named
    from .expressions import lower

    if len(node.args) != 1:
        f.refuse(node, "reversed() is not called like this")
    argument = node.args[0]
    if isinstance(argument, ast.Call) and builtin_named(f, argument.func) == "range" and not argument.keywords:
        return _range(f, argument, backwards=True)
    value = f.hold(containers.single(f, lower(f, argument), node))
    if isinstance(value.type, ListT):
        at = f.raw("i64", f"{value.c}->length - 1")
        # A list that shrinks below the position ends the loop, as in Python.
        return Loop(f"{at} >= 0 && {at} < {value.c}->length", f"{at}--", lambda: containers.item_at(f, value, at, node))
    if value.type is STR:
        at = f.raw("i64", f"{value.c}->length - 1")
        return Loop(f"{at} >= 0", f"{at}--", lambda: f.made(STR, f"cz_char(rt, cz_at({value.c}, {at}))", node))
    f.refuse(node, f"reversed() of {value.type!r} is not compiled")


def over(f: Function, value: Value, node: ast.AST) -> Loop:
    if value.type is NEVER:
        return Loop("0", "", lambda: Value(NEVER, "0"))
    value = containers.single(f, value, node)
    value = f.temp(value.type, value.c)
    at = f.raw("i64", "0")
    if isinstance(value.type, ListT):
        return Loop(f"{at} < {value.c}->length", f"{at}++", lambda: containers.item_at(f, value, at, node))
    if value.type is STR:
        load = lambda: f.made(STR, f"cz_char(rt, cz_at({value.c}, {at}))", node)  # noqa: E731
        return Loop(f"{at} < {value.c}->length", f"{at}++", load)
    if isinstance(value.type, TupleT):
        joined: Type = NEVER
        for item in value.type.items:
            joined = join(joined, item)
        if joined is NEVER:
            return Loop("0", "", lambda: Value(NEVER, "0"))
        return Loop(f"{at} < {len(value.type.items)}", f"{at}++", lambda: f.unbox(f"{value.c}[{at}]", joined))
    if isinstance(value.type, DictT):
        return over_dict(f, value, "keys", node)
    f.refuse(node, f"a loop over {value.type!r} is not compiled")


def over_dict(f: Function, value: Value, what: str, node: ast.AST) -> Loop:
    assert isinstance(value.type, DictT)
    key, item = value.type.key.type, value.type.value.type
    value = f.temp(value.type, value.c)
    at, count = f.raw("i64", "0"), f.raw("i64", f"{value.c}->length")
    if key is NEVER or item is NEVER:
        nothing = Value(NEVER, "0")
        return Loop("0", "", lambda: [nothing, nothing] if what == "items" else nothing)

    def load() -> Any:
        parts: list[Any] = []
        if what != "values":
            parts.append(f.temp(key, f"({containers.cast(key)}{value.c}->keys)[{at}]"))
        if what != "keys":
            parts.append(f.unbox(f"{value.c}->values[{at}]", item))
        return parts if what == "items" else parts[0]

    def enter() -> None:
        f.check(f"{value.c}->length != {count}", node, "a dict changes while a loop goes over it")

    return Loop(f"({at} < {count} || {value.c}->length != {count})", f"{at}++", load, enter)


def bind(f: Function, target: ast.expr, item: Any, assign: Callable[[Function, ast.expr, Value], None]) -> None:
    if not isinstance(item, list):
        assign(f, target, item)
        return
    if isinstance(target, ast.Tuple | ast.List) and len(target.elts) == len(item):
        for part, value in zip(target.elts, item, strict=True):
            bind(f, part, value, assign)
        return
    assign(f, target, whole(f, item, target))


def whole(f: Function, item: Any, node: ast.AST) -> Value:
    """One value: several become a tuple."""
    if isinstance(item, list):
        return containers.make_tuple(f, [whole(f, part, node) for part in item], node)
    assert isinstance(item, Value)
    return item


__all__ = ["Loop", "arithmetic", "bind", "iterate", "over", "whole"]
