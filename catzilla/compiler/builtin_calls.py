"""Builtin functions: numbers, text and print. Those that go over something are in consumers.py."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from . import arithmetic, consumers, formats
from .function import ABSENT, Function, Value
from .types import BOOL, FLOAT, INT, NEVER, NONE, STR, DictT, Dyn, ListT, TupleT, is_number, options_of


def call(f: Function, name: str, node: ast.Call) -> Value:
    handler = HANDLERS.get(name)
    if handler is not None:
        return handler(f, node)
    if node.keywords:
        f.refuse(node, f"keyword arguments of {name}() are not compiled")
    simple = SIMPLE.get(name)
    if simple is None:
        f.refuse(node, f"{name}() is not compiled here")
    from .expressions import lower

    values = [f.hold(lower(f, argument)) for argument in node.args]
    if any(value.type is NEVER for value in values):
        return f.never(node)
    return simple(f, values, node)


def _count(f: Function, values: list[Value], node: ast.AST, name: str, *counts: int) -> None:
    if len(values) not in counts:
        f.refuse(node, f"{name}() with {len(values)} arguments is not compiled")


def _abs(f: Function, values: list[Value], node: ast.AST) -> Value:
    _count(f, values, node, "abs", 1)
    value = arithmetic.numeric(f, values[0], node, "the argument")
    if value.type is FLOAT:
        return f.temp(FLOAT, f"cz_copysign({value.c}, 1.0)")
    if value.type in (INT, BOOL):
        f.check(f"{value.c} == CZ_MIN", node, "the result does not fit 64 bits")
        return f.temp(INT, f"{value.c} < 0 ? -{value.c} : {value.c}")
    f.refuse(node, f"abs() of {value.type!r} is not compiled")


def _round(f: Function, values: list[Value], node: ast.AST) -> Value:
    _count(f, values, node, "round", 1, 2)
    value = arithmetic.numeric(f, values[0], node, "the argument")
    if value.type not in (INT, FLOAT, BOOL):
        f.refuse(node, f"round() of {value.type!r} is not compiled")
    if len(values) == 1 or values[1].type is NONE:
        if value.type is FLOAT:
            return f.out(INT, f"cz_round({value.c}, $)", node, "the float is not finite, or does not fit 64 bits")
        return Value(INT, value.c)
    digits = arithmetic.numeric(f, values[1], node, "the number of digits")
    if digits.type not in (INT, BOOL):
        f.refuse(node, f"round() to {digits.type!r} digits is not compiled")
    if value.type is FLOAT:
        return f.out(
            FLOAT, f"cz_round_to({value.c}, {digits.c}, $)", node, "a float that is not finite, or digits below 0"
        )
    f.check(f"{digits.c} < 0", node, "an int is rounded to digits before its point")
    return Value(INT, value.c)


def _divmod(f: Function, values: list[Value], node: ast.AST) -> Value:
    from .containers import make_tuple

    _count(f, values, node, "divmod", 2)
    parts = [f.hold(arithmetic.binary(f, op, values[0], values[1], node)) for op in (ast.FloorDiv(), ast.Mod())]
    return make_tuple(f, parts, node)


def _pow(f: Function, values: list[Value], node: ast.AST) -> Value:
    _count(f, values, node, "pow", 2)
    return arithmetic.binary(f, ast.Pow(), values[0], values[1], node)


def _int(f: Function, values: list[Value], node: ast.AST) -> Value:
    if not values:
        return Value(INT, "0LL", 0)
    _count(f, values, node, "int", 1)
    value = values[0]
    if isinstance(value.type, Dyn):
        value = f.narrow(value, (STR, INT, FLOAT, BOOL), node, "the argument")
        if isinstance(value.type, Dyn) and set(value.type.options) <= {INT, FLOAT, BOOL, NONE}:
            held = f.hold(value)
            f.check(f"{held.c}.tag == CZ_NONE", node, "int() of None")
            from .expressions import choose

            is_float = f"{held.c}.tag == CZ_FLOAT"
            parts = [
                (is_float, lambda: _int(f, [Value(FLOAT, f"{held.c}.u.d")], node)),
                ("", lambda: Value(INT, f"{held.c}.u.i")),
            ]
            return choose(f, parts, node)
    if value.type in (INT, BOOL):
        return Value(INT, value.c)
    if value.type is FLOAT:
        return f.out(INT, f"cz_to_int({value.c}, $)", node, "the float is not finite, or does not fit 64 bits")
    if value.type is STR:
        return f.out(INT, f"cz_parse_int({value.c}, $)", node, "text that is not up to 18 plain digits")
    f.refuse(node, f"int() of {value.type!r} is not compiled")


def _float(f: Function, values: list[Value], node: ast.AST) -> Value:
    if not values:
        return Value(FLOAT, "0.0", 0.0)
    _count(f, values, node, "float", 1)
    value = f.narrow(values[0], (STR, INT, FLOAT, BOOL), node, "the argument")
    if value.type is STR:
        return f.out(FLOAT, f"cz_parse_float({value.c}, $)", node, "text that is not a plain number")
    if isinstance(value.type, Dyn) and set(value.type.options) <= {INT, FLOAT, BOOL}:
        return f.temp(FLOAT, f"{value.c}.tag == CZ_FLOAT ? {value.c}.u.d : (double){value.c}.u.i")
    if not is_number(value.type):
        f.refuse(node, f"float() of {value.type!r} is not compiled")
    return f.temp(FLOAT, arithmetic.as_float(value))


def _str(f: Function, values: list[Value], node: ast.AST) -> Value:
    from .expressions import constant

    if not values:
        return constant(f, "", node)
    _count(f, values, node, "str", 1)
    return formats.text_of(f, values[0], node)


def _repr(f: Function, values: list[Value], node: ast.AST) -> Value:
    _count(f, values, node, "repr", 1)
    return formats.repr_of(f, values[0], node)


def _bool(f: Function, values: list[Value], node: ast.AST) -> Value:
    from .expressions import truth

    if not values:
        return Value(BOOL, "0", False)
    _count(f, values, node, "bool", 1)
    return f.temp(BOOL, truth(f, values[0], node))


def _len(f: Function, values: list[Value], node: ast.AST) -> Value:
    from .containers import single

    _count(f, values, node, "len", 1)
    value = single(f, values[0], node)
    if isinstance(value.type, TupleT):
        return Value(INT, f"{len(value.type.items)}LL", len(value.type.items))
    if value.type is STR or isinstance(value.type, ListT | DictT):
        return f.temp(INT, f"{value.c}->length")
    return f.deopt(node, f"len() of {value.type!r} is an error in Python")


def _ord(f: Function, values: list[Value], node: ast.AST) -> Value:
    _count(f, values, node, "ord", 1)
    value = f.narrow(values[0], (STR,), node, "the argument")
    if value.type is not STR:
        return f.deopt(node, f"ord() of {value.type!r} is an error in Python")
    f.check(f"{value.c}->length != 1", node, "ord() of text that is not one character")
    return f.temp(INT, f"(i64)cz_at({value.c}, 0)")


def _chr(f: Function, values: list[Value], node: ast.AST) -> Value:
    _count(f, values, node, "chr", 1)
    value = arithmetic.numeric(f, values[0], node, "the argument")
    if value.type not in (INT, BOOL):
        return f.deopt(node, f"chr() of {value.type!r} is an error in Python")
    f.check(f"{value.c} < 0 || {value.c} > 0x10ffff", node, "chr() of what is no character")
    return f.made(STR, f"cz_char(rt, (u32){value.c})", node)


def _isinstance(f: Function, node: ast.Call) -> Value:
    """Known from the type, or from the tag: compiled values are never of a subclass."""
    from .calls import builtin_named
    from .expressions import lower

    if len(node.args) != 2 or node.keywords:
        f.refuse(node, "isinstance() is not called like this")
    value = f.hold(lower(f, node.args[0]))
    kinds = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
    names = [builtin_named(f, kind) for kind in kinds]
    if any(name not in ("int", "float", "str", "bool", "list", "dict", "tuple") for name in names):
        f.refuse(node, "isinstance() with this class is not compiled")
    hits = [o for o in options_of(value.type) if o.name in names or (o is BOOL and "int" in names)]
    if len(hits) in (0, len(options_of(value.type))):
        return Value(BOOL, "1" if hits else "0", bool(hits))
    return f.temp(BOOL, " || ".join(f"{value.c}.tag == {f.unit.tag(option)}" for option in hits), ABSENT)


def _print(f: Function, node: ast.Call) -> Value:
    from .expressions import constant, lower

    if f.in_try:
        f.refuse(node, "print inside of try is not compiled: writing may fail, and the handler would have to see it")
    words = {"sep": " ", "end": "\n"}
    texts: dict[str, Value] = {}
    values = [f.hold(lower(f, argument)) for argument in node.args]
    for keyword in node.keywords:
        if keyword.arg not in words:
            f.refuse(node, f"print({keyword.arg}=...) is not compiled")
        value = f.hold(lower(f, keyword.value))
        if value.type is STR:
            texts[keyword.arg or ""] = value
        elif value.type is not NONE:
            f.refuse(node, f"print({keyword.arg}=...) with {value.type!r} is not compiled")
    if any(value.type is NEVER for value in values):
        return f.never(node)
    pieces = [formats.text_of(f, value, node) for value in values]
    name = f.raw("cz_str_t *", "0")
    f.lines[-1] = f"cz_str_t *{name}[] = {{{', '.join([*(piece.c for piece in pieces), '0'])}}};"
    separator, end = (texts.get(word) or constant(f, words[word], node) for word in words)
    call = f"cz_print(rt, {len(pieces)}, {name}, {separator.c}, {end.c})"
    f.check(call, node, "the run needs more memory than a kernel may use")
    return Value(NONE, "0", None)


SIMPLE: Final[dict[str, Callable[[Function, list[Value], Any], Value]]] = {
    "abs": _abs, "round": _round, "divmod": _divmod, "pow": _pow, "int": _int, "float": _float, "str": _str,
    "repr": _repr, "bool": _bool, "len": _len, "ord": _ord, "chr": _chr,
}  # fmt: skip
HANDLERS: Final[dict[str, Callable[[Function, Any], Value]]] = {
    "isinstance": _isinstance, "print": _print, "sum": consumers.sum_of, "any": consumers.any_of,
    "all": consumers.all_of, "min": consumers.least, "max": consumers.most, "sorted": consumers.sorted_of,
    "list": consumers.list_of, "tuple": consumers.tuple_of, "dict": consumers.dict_of,
}  # fmt: skip
