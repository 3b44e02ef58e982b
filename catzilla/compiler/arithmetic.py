"""Operators. What overflows 64 bits, divides by zero or has no exact counterpart in C goes back to Python."""

from __future__ import annotations

import ast
from typing import Any, Final

from . import containers
from .function import Function, Value
from .types import BOOL, FLOAT, INT, NEVER, NONE, STR, DictT, Dyn, ListT, TupleT, Type, is_number, options_of

NUMBERS: Final = (BOOL, INT, FLOAT)
_ON_INTS: Final[dict[type[ast.operator], tuple[str, str]]] = {
    ast.Add: ("cz_add", "the sum does not fit 64 bits"),
    ast.Sub: ("cz_sub", "the difference does not fit 64 bits"),
    ast.Mult: ("cz_mul", "the product does not fit 64 bits"),
    ast.FloorDiv: ("cz_floordiv", "division by zero, or a result that does not fit 64 bits"),
    ast.Mod: ("cz_mod", "division by zero"),
    ast.Div: ("cz_truediv", "division by zero, or of ints above 2**53"),
    ast.Pow: ("cz_ipow", "a negative exponent, or a power that does not fit 64 bits"),
    ast.LShift: ("cz_shl", "a shift that is negative, or a result that does not fit 64 bits"),
    ast.RShift: ("cz_shr", "a negative shift"),
}
_ON_FLOATS: Final[dict[type[ast.operator], tuple[str, str]]] = {
    ast.FloorDiv: ("cz_ffloordiv", "division by zero"),
    ast.Mod: ("cz_fmodulo", "division by zero"),
    ast.Div: ("cz_fdiv", "division by zero"),
    ast.Pow: ("cz_fpow", "a power that is no finite float"),
}
_PLAIN: Final[dict[type[ast.operator], str]] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}
_BITS: Final[dict[type[ast.operator], str]] = {ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^"}
_CODES: Final[dict[type[ast.operator], str]] = {**_PLAIN, ast.Div: "/", ast.FloorDiv: "f", ast.Mod: "%", ast.Pow: "p"}
_SYMBOLS: Final[dict[type[Any], str]] = {
    **_CODES, **_BITS, ast.FloorDiv: "//", ast.Pow: "**", ast.LShift: "<<", ast.RShift: ">>", ast.MatMult: "@",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip


def as_float(value: Value) -> str:
    """An int becomes the nearest float, as in Python."""
    return value.c if value.type is FLOAT else f"((double){value.c})"


def numeric(f: Function, value: Value, node: ast.AST, what: str) -> Value:
    """A number: of a value of several types the only numeric one, checked; one of several stays as it is."""
    return f.narrow(value, NUMBERS, node, what)


def binary(f: Function, op: ast.operator, left: Value, right: Value, node: ast.AST) -> Value:
    if left.type is NEVER or right.type is NEVER:
        return f.never(node)
    special = _on_containers(f, op, left, right, node)
    if special is not None:
        return special
    left, right = numeric(f, left, node, "the left operand"), numeric(f, right, node, "the right operand")
    for side in (left, right):
        if not any(is_number(option) for option in options_of(side.type)):
            f.deopt(node, f"{left.type!r} {_SYMBOLS[type(op)]} {right.type!r} is an error in Python")
            return Value(NEVER, "0")
    if isinstance(left.type, Dyn) or isinstance(right.type, Dyn):
        return _at_run_time(f, op, left, right, node)
    kind = type(op)
    if kind in _BITS:
        if FLOAT in (left.type, right.type):
            return f.deopt(node, "a bit operator on a float is an error in Python")
        return f.temp(BOOL if left.type is right.type is BOOL else INT, f"{left.c} {_BITS[kind]} {right.c}")
    if left.type is not FLOAT and right.type is not FLOAT:
        return _ints(f, kind, left, right, node)
    if kind in _PLAIN:
        return f.temp(FLOAT, f"{as_float(left)} {_PLAIN[kind]} {as_float(right)}")
    if kind not in _ON_FLOATS:
        f.refuse(node, f"the operator {_SYMBOLS[kind]} on floats is not compiled")
    name, reason = _ON_FLOATS[kind]
    return f.out(FLOAT, f"{name}({as_float(left)}, {as_float(right)}, $)", node, reason)


def _ints(f: Function, kind: type[ast.operator], left: Value, right: Value, node: ast.AST) -> Value:
    if kind not in _ON_INTS:
        f.refuse(node, f"the operator {_SYMBOLS[kind]} is not compiled")
    if kind is ast.Pow and type(right.const) is int and right.const < 0:
        return f.out(FLOAT, f"cz_fpow({as_float(left)}, {as_float(right)}, $)", node, "a power that is no finite float")
    name, reason = _ON_INTS[kind]
    return f.out(FLOAT if kind is ast.Div else INT, f"{name}({left.c}, {right.c}, $)", node, reason)


def _at_run_time(f: Function, op: ast.operator, left: Value, right: Value, node: ast.AST) -> Value:
    kind = type(op)
    if kind not in _CODES:
        f.refuse(node, f"the operator {_SYMBOLS[kind]} on {left.type!r} and {right.type!r} is not compiled")
    sides = [[option for option in options_of(side.type) if is_number(option)] for side in (left, right)]
    floats = [FLOAT in side for side in sides]
    ints = [any(option is not FLOAT for option in side) for side in sides]
    result: Type = Dyn((INT, FLOAT))
    if kind is ast.Div or sides[0] == [FLOAT] or sides[1] == [FLOAT]:
        result = FLOAT
    elif not any(floats):
        result = INT
    assert any(ints) or result is FLOAT
    call = f"cz_arith('{_CODES[kind]}', {f.box(left)}, {f.box(right)}, $)"
    value = f.out(
        Dyn((INT, FLOAT)),
        call,
        node,
        f"{_SYMBOLS[kind]} of values that are not numbers, or a result Python must work out",
    )
    if isinstance(result, Dyn):
        return value
    return f.temp(result, f"{value.c}.u.{'d' if result is FLOAT else 'i'}")


def _on_containers(f: Function, op: ast.operator, left: Value, right: Value, node: ast.AST) -> Value | None:
    """str + str, str * int, list + list, …; None: these are numbers."""
    if not any(o is STR or isinstance(o, ListT | DictT | TupleT) for s in (left, right) for o in options_of(s.type)):
        return None
    if isinstance(op, ast.Add):
        for kind in (STR, ListT):
            if _may(left, kind) and _may(right, kind):
                left = f.narrow_class(left, kind, node, "the left operand")
                right = f.narrow_class(right, kind, node, "the right operand")
                if kind is STR:
                    return _concat(f, left, right, node)
                return containers.add_lists(f, left, right, node)
        if isinstance(left.type, TupleT) and isinstance(right.type, TupleT):
            f.refuse(node, "adding tuples is not compiled")
    if isinstance(op, ast.Mult):
        for one, other in ((left, right), (right, left)):
            if one.type is STR:
                count = numeric(f, other, node, "the count")
                if count.type in (INT, BOOL):
                    return f.made(STR, f"cz_repeat(rt, {one.c}, {count.c})", node)
            if isinstance(one.type, ListT):
                count = numeric(f, other, node, "the count")
                if count.type in (INT, BOOL):
                    return containers.repeat(f, one, count, node)
    for side in (left, right):
        if not any(is_number(option) for option in options_of(side.type)):
            f.refuse(node, f"{left.type!r} {_SYMBOLS[type(op)]} {right.type!r} is not compiled")
    return None


def _may(value: Value, kind: Any) -> bool:
    return any(o is kind or (isinstance(kind, type) and isinstance(o, kind)) for o in options_of(value.type))


def _concat(f: Function, left: Value, right: Value, node: ast.AST) -> Value:
    parts = f.raw("cz_str_t *", None)
    f.lines[-1] = f"cz_str_t *{parts}[] = {{{left.c}, {right.c}}};"
    return f.made(STR, f"cz_concat(rt, 2, {parts}, 0)", node)


def unary(f: Function, op: ast.unaryop, value: Value, node: ast.AST) -> Value:
    if value.type is NEVER:
        return f.never(node)
    value = numeric(f, value, node, "the operand")
    if isinstance(value.type, Dyn) and any(is_number(o) for o in value.type.options):
        if isinstance(op, ast.USub):  # 0 - x would lose the sign of 0.0
            return f.out(Dyn((INT, FLOAT)), f"cz_arith('*', cz_i(CZ_INT, -1), {value.c}, $)", node, "not a number")
        f.refuse(node, f"this operator on {value.type!r} is not compiled")
    if not is_number(value.type):
        return f.deopt(node, f"this operator on {value.type!r} is an error in Python")
    if isinstance(op, ast.UAdd):
        return f.temp(FLOAT if value.type is FLOAT else INT, value.c)
    if isinstance(op, ast.USub):
        if value.type is FLOAT:
            return f.temp(FLOAT, f"-{value.c}")
        return f.out(INT, f"cz_sub(0, {value.c}, $)", node, "the result does not fit 64 bits")
    if value.type is not INT:
        f.refuse(node, "~ of this is not compiled")
    return f.temp(INT, f"~{value.c}")


def compare(f: Function, op: ast.cmpop, left: Value, right: Value, node: ast.AST) -> Value:
    """A bool."""
    if isinstance(op, ast.In | ast.NotIn):
        found = containers.contains(f, left, right, node)
        return found if isinstance(op, ast.In) else f.temp(BOOL, f"!{found.c}", _not(found))
    if isinstance(op, ast.Is | ast.IsNot):
        return _is(f, op, left, right, node)
    if left.type is NEVER or right.type is NEVER:
        f.deopt(node, "a value that does not exist is compared")
        return Value(BOOL, "0")
    symbol = _SYMBOLS[type(op)]
    ordered = symbol not in ("==", "!=")
    if not isinstance(left.type, Dyn) and not isinstance(right.type, Dyn):
        return _compare_known(f, symbol, ordered, left, right, node)
    left, right = f.hold(left), f.hold(right)
    result = f.raw("i64", "0")
    f.emit("{ int done = 0;")
    for one in options_of(left.type):
        for two in options_of(right.type):
            if ordered and not (is_number(one) and is_number(two)) and not (one is two is STR):
                continue
            tests = [
                f"{side.c}.tag == {f.unit.tag(option)}"
                for side, option in ((left, one), (right, two))
                if isinstance(side.type, Dyn)
            ]
            f.emit(f"if (!done && {' && '.join(tests)}) {{ done = 1;")
            value = _compare_known(f, symbol, ordered, _part(left, one), _part(right, two), node)
            f.emit(f"{result} = {value.c}; }}")
    f.emit(f"if (!done) {f.leave(node, f'{symbol} of {left.type!r} and {right.type!r}')} }}")
    return Value(BOOL, result)


def _not(value: Value) -> Any:
    from .function import ABSENT

    return not value.const if type(value.const) is bool else ABSENT


def _part(value: Value, option: Type) -> Value:
    from .expressions import plain_of

    return Value(option, plain_of(value, option)) if isinstance(value.type, Dyn) else value


def _compare_known(f: Function, symbol: str, ordered: bool, left: Value, right: Value, node: ast.AST) -> Value:
    one, two = left.type, right.type
    if is_number(one) and is_number(two):
        if (one is FLOAT) == (two is FLOAT):
            return f.temp(BOOL, f"{left.c} {symbol} {right.c}")
        return _mixed(f, symbol, left, right, node)
    if one is STR and two is STR:
        if not ordered:
            return f.temp(BOOL, f"{'!' if symbol == '!=' else ''}cz_str_eq({left.c}, {right.c})")
        return f.temp(BOOL, f"cz_str_cmp({left.c}, {right.c}) {symbol} 0")
    if ordered:
        if isinstance(one, TupleT | ListT) and type(one) is type(two):
            f.refuse(node, "comparing tuples or lists by order is not compiled")
        f.deopt(node, f"{one!r} {symbol} {two!r} is an error in Python")
        return Value(BOOL, "0")
    if isinstance(one, TupleT) and isinstance(two, TupleT):
        return _tuples(f, symbol, left, right, node)
    if isinstance(one, ListT) and isinstance(two, ListT):
        return containers.equal_lists(f, symbol, left, right, node)
    if isinstance(one, DictT) and isinstance(two, DictT):
        f.refuse(node, "comparing dicts is not compiled")
    same_none = one is NONE and two is NONE
    return Value(BOOL, "1" if same_none == (symbol == "==") else "0")


def _mixed(f: Function, symbol: str, left: Value, right: Value, node: ast.AST) -> Value:
    """int with float: exact, also where the float type cannot hold the int."""
    flipped = left.type is FLOAT
    i, d = (right, left) if flipped else (left, right)
    order = f.raw("int", f"cz_cmp_if({i.c}, {d.c})")
    f.check(f"{order} == 3", node, "an int above 2**53 is compared with a float")
    if symbol == "!=":
        return f.temp(BOOL, f"{order} != 0")
    if flipped:
        symbol = symbol.translate(str.maketrans("<>", "><"))
    return f.temp(BOOL, f"{order} != 2 && {order} {symbol} 0")


def _tuples(f: Function, symbol: str, left: Value, right: Value, node: ast.AST) -> Value:
    assert isinstance(left.type, TupleT)
    assert isinstance(right.type, TupleT)
    if len(left.type.items) != len(right.type.items):
        return Value(BOOL, "1" if symbol == "!=" else "0")
    result = f.raw("i64", "1")
    for index, (one, two) in enumerate(zip(left.type.items, right.type.items, strict=True)):
        f.emit(f"if ({result}) {{")
        a, b = f.unbox(f"{left.c}[{index}]", one), f.unbox(f"{right.c}[{index}]", two)
        for side in (a, b):
            if side.type is FLOAT:  # a NaN equals itself inside of a tuple if it is the same object
                f.check(f"{side.c} != {side.c}", node, "a NaN in a tuple that is compared")
        f.emit(f"{result} = {compare(f, ast.Eq(), a, b, node).c};")
        f.emit("}")
    return f.temp(BOOL, f"{'!' if symbol == '!=' else ''}{result}")


def _is(f: Function, op: ast.cmpop, left: Value, right: Value, node: ast.AST) -> Value:
    positive = isinstance(op, ast.Is)
    if left.type is NONE and right.type is not NONE:
        left, right = right, left
    if right.type is not NONE:
        f.refuse(node, "'is' asks which object it is; only 'is None' is compiled")
    if isinstance(left.type, Dyn):
        if not any(option is NONE for option in left.type.options):
            return Value(BOOL, "0" if positive else "1", not positive)
        return f.temp(BOOL, f"{left.c}.tag {'==' if positive else '!='} CZ_NONE")
    answer = (left.type is NONE) == positive
    return Value(BOOL, "1" if answer else "0", answer)
