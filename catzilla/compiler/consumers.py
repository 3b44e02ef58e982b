"""Builtin functions that go over something: sum, any, all, min, max, sorted, list, tuple, dict."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import Any, Final

from . import arithmetic, comprehensions, containers, loops
from .function import Function, Value
from .types import BOOL, FLOAT, INT, NEVER, STR, DictT, Dyn, ListT, TupleT, Type, Var, is_number, join, options_of

COMPENSATED: Final = sys.version_info >= (3, 12)  # sum() of floats carries what rounding loses


def each(f: Function, node: ast.expr, consume: Callable[[Any], None]) -> None:
    """Call ``consume`` with the element, where the loop's body is."""
    from .expressions import lower

    if isinstance(node, ast.GeneratorExp):
        comprehensions.over(f, node, lambda: consume(lower(f, node.elt)))
        return
    f.loops = True
    loop = loops.iterate(f, node)
    f.emit(f"for (; {loop.condition}; {loop.step}) {{")
    loop.enter(f)
    consume(loops.whole(f, loop.load(), node))
    f.emit("if (rt->stop) return 2;")
    f.emit("}")


def _arguments(f: Function, node: ast.Call, name: str, *allowed: str) -> dict[str, ast.expr]:
    found = {}
    for keyword in node.keywords:
        if keyword.arg not in allowed:
            f.refuse(node, f"{name}({keyword.arg}=...) is not compiled")
        found[keyword.arg] = keyword.value
    return found


def sum_of(f: Function, node: ast.Call) -> Value:
    """As CPython: ints exactly, and from the first float on in floating point."""
    from .expressions import lower

    named = _arguments(f, node, "sum", "start")
    start_node = named.get("start", node.args[1] if len(node.args) == 2 else None)
    if not 1 <= len(node.args) <= 2:
        f.refuse(node, "sum() is not called like this")
    start = Value(INT, "0LL") if start_node is None else arithmetic.numeric(f, lower(f, start_node), node, "the start")
    if start.type not in (INT, FLOAT, BOOL):
        f.refuse(node, f"sum() that starts with {start.type!r} is not compiled")
    is_float, ints = f.raw("int", "0"), f.raw("i64", "0")
    total, lost = f.raw("double", "0.0"), f.raw("double", "0.0")
    if start.type is FLOAT:
        f.emit(f"{is_float} = 1; {total} = {start.c};")
    else:
        f.emit(f"{ints} = {start.c};")
    result: list[Type] = [FLOAT if start.type is FLOAT else INT]

    def add_int(c: str) -> None:
        f.emit(f"if ({is_float}) {total} += (double){c};")
        f.check(f"!{is_float} && cz_add({ints}, {c}, &{ints})", node, "the sum does not fit 64 bits")

    def add_float(c: str) -> None:
        f.emit(f"if (!{is_float}) {{ {is_float} = 1; {total} = (double){ints} + {c}; }}")
        if COMPENSATED:
            f.emit(f"else {{ double x = {c}, t = {total} + x;")
            f.emit(f"if (cz_copysign({total}, 1.0) >= cz_copysign(x, 1.0)) {lost} += ({total} - t) + x;")
            f.emit(f"else {lost} += (x - t) + {total};")
            f.emit(f"{total} = t; }}")
        else:
            f.emit(f"else {total} += {c};")

    def consume(item: Value) -> None:
        item = f.hold(arithmetic.numeric(f, item, node, "an element"))
        if item.type is NEVER:
            return
        if not all(is_number(option) for option in options_of(item.type)):
            f.refuse(node, f"sum() of {item.type!r} is not compiled")
        if isinstance(item.type, Dyn):
            f.emit(f"if ({item.c}.tag == CZ_FLOAT) {{")
            add_float(f"{item.c}.u.d")
            f.emit("} else {")
            add_int(f"{item.c}.u.i")
            f.emit("}")
            result[0] = join(result[0], FLOAT)
        elif item.type is FLOAT:
            add_float(item.c)
            result[0] = join(result[0], FLOAT)
        else:
            add_int(item.c)

    each(f, node.args[0], consume)
    if COMPENSATED:
        f.emit(f"if ({lost} != 0.0 && cz_finite({lost})) {total} += {lost};")
    if result[0] is INT:
        return Value(INT, ints)
    if result[0] is FLOAT:
        return Value(FLOAT, total)
    return f.temp(result[0], f"{is_float} ? cz_d(CZ_FLOAT, {total}) : cz_i(CZ_INT, {ints})")


def any_of(f: Function, node: ast.Call) -> Value:
    return _first(f, node, "any")


def all_of(f: Function, node: ast.Call) -> Value:
    return _first(f, node, "all")


def _first(f: Function, node: ast.Call, name: str) -> Value:
    from .expressions import truth

    if len(node.args) != 1 or node.keywords:
        f.refuse(node, f"{name}() is not called like this")
    found = name == "any"
    result, after = f.raw("i64", "0" if found else "1"), f.label()

    def consume(item: Value) -> None:
        condition = truth(f, item, node)
        f.emit(f"if ({condition if found else f'!({condition})'}) {{ {result} = {int(found)}; goto {after}; }}")

    each(f, node.args[0], consume)
    f.emit(f"{after}: ;")
    return Value(BOOL, result)


def least(f: Function, node: ast.Call) -> Value:
    return _extreme(f, node, "min", ast.Lt())


def most(f: Function, node: ast.Call) -> Value:
    return _extreme(f, node, "max", ast.Gt())


def _extreme(f: Function, node: ast.Call, name: str, better: ast.cmpop) -> Value:
    from .expressions import choose, lower

    named = _arguments(f, node, name, "default")
    if len(node.args) > 1:
        values = [f.hold(lower(f, argument)) for argument in node.args]
        best = values[0]
        for value in values[1:]:
            if NEVER in (best.type, value.type):
                return f.never(node)
            held, candidate = f.hold(best), value
            test = arithmetic.compare(f, better, candidate, held, node).c
            best = choose(f, [(test, lambda c=candidate: c), ("", lambda h=held: h)], node)  # type: ignore[misc]
        return best
    if not node.args:
        f.refuse(node, f"{name}() is not called like this")
    key = f.container(node, lambda: ListT(Var()), "best")  # remembers the type of the elements
    elem = key.elem.type
    default = f.hold(lower(f, named["default"])) if "default" in named else None
    best_name, seen = f.raw("i64", "0"), f.raw("int", "0")
    f.lines[-2] = f"{elem.ctype} {best_name}{' = {0}' if isinstance(elem, Dyn) else ' = 0'};"
    best = Value(elem, best_name)

    def consume(item: Value) -> None:
        key.elem.include(item.type)
        if elem is NEVER:
            return
        item = f.hold(f.temp(elem, f.coerce(item, elem).c))
        f.emit(f"if (!{seen}) {{ {seen} = 1; {best.c} = {item.c}; }} else {{")
        f.emit(f"if ({arithmetic.compare(f, better, item, best, node).c}) {best.c} = {item.c};")
        f.emit("}")

    each(f, node.args[0], consume)
    if default is None:
        f.check(f"!{seen}", node, f"{name}() of nothing")
        return f.never(node) if elem is NEVER else best
    if elem is NEVER:
        return default
    return choose(f, [(seen, lambda: best), ("", lambda: default)], node)


def sorted_of(f: Function, node: ast.Call) -> Value:
    named = _arguments(f, node, "sorted", "reverse")
    if len(node.args) != 1:
        f.refuse(node, "sorted() is not called like this")
    made = list_of(f, ast.copy_location(ast.Call(node.func, node.args, []), node), key=node)
    sort(f, made, named.get("reverse"), node)
    return made


def sort(f: Function, value: Value, reverse: ast.expr | None, node: ast.AST) -> None:
    from .expressions import lower, truth

    elem = containers.elem_of(value)
    backwards = "0" if reverse is None else truth(f, lower(f, reverse), node)
    if elem is NEVER:
        return
    letter = {INT: "i", BOOL: "i", FLOAT: "d", STR: "s"}.get(elem)
    if letter is None:
        f.refuse(node, f"sorting {elem!r} is not compiled")
    status = f.raw("int", f"cz_sort(rt, {value.c}, '{letter}', {backwards})")
    f.emit(f"if ({status} == 2) return 2;")
    f.check(status, node, "a NaN is sorted, or the run needs more memory than a kernel may use")


def list_of(f: Function, node: ast.Call, key: ast.AST | None = None) -> Value:
    where = node if key is None else key
    if node.keywords or len(node.args) > 1:
        f.refuse(where, "list() is not called like this")
    value = containers.make_list(f, [], where, "list")
    if node.args:
        each(f, node.args[0], lambda item: containers.push(f, value, item, where))
    return value


def tuple_of(f: Function, node: ast.Call) -> Value:
    from .expressions import lower

    if not node.args and not node.keywords:
        return containers.make_tuple(f, [], node)
    if len(node.args) == 1 and not isinstance(node.args[0], ast.GeneratorExp):
        value = lower(f, node.args[0])
        if isinstance(value.type, TupleT):
            return value
    f.refuse(node, "a tuple whose length is not known is not compiled")


def dict_of(f: Function, node: ast.Call) -> Value:
    from .expressions import constant, lower

    value = containers.make_dict(f, node)
    if node.args:
        f.refuse(node, "dict() of something is not compiled")
    for keyword in node.keywords:
        assert keyword.arg is not None
        containers.put(f, value, constant(f, keyword.arg, node), f.hold(lower(f, keyword.value)), node)
    assert isinstance(value.type, DictT)
    return value
