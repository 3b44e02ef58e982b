"""The math module. Arguments and results that are not finite are left to Python, and so are errors."""

from __future__ import annotations

import ast
from typing import Final

from . import arithmetic
from .function import Function, Value
from .types import BOOL, FLOAT, INT, NEVER, Dyn

# Those that CPython passes to the C library as they are.
_ONE: Final = (
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "erf", "erfc", "exp", "expm1", "fabs", "log1p",
    "sin", "sinh", "sqrt", "tan", "tanh", "log", "log2", "log10",
)  # fmt: skip
_TWO: Final = ("atan2", "fmod", "copysign", "pow")
_TO_INT: Final = ("floor", "ceil", "trunc")
_TESTS: Final = ("isnan", "isinf", "isfinite")
_INTS: Final = ("gcd", "isqrt")
_OWN: Final = ("radians", "degrees")
NAMES: Final = (*_ONE, *_TWO, *_TO_INT, *_TESTS, *_INTS, *_OWN)


def call(f: Function, name: str, node: ast.Call) -> Value:
    from .expressions import lower

    if node.keywords:
        f.refuse(node, f"keyword arguments of math.{name}() are not compiled")
    values = [f.hold(lower(f, argument)) for argument in node.args]
    if any(value.type is NEVER for value in values):
        return f.never(node)
    if name == "log" and len(values) == 2:
        top, bottom = _log(f, values[0], node), _log(f, values[1], node)
        return _finite(f, f.out(FLOAT, f"cz_fdiv({top.c}, {bottom.c}, $)", node, "division by zero"), node)
    if len(values) != (2 if name in _TWO or name == "gcd" else 1):
        f.refuse(node, f"math.{name}() with {len(values)} arguments is not compiled")
    values = [_number(f, value, node) for value in values]
    if name in _INTS:
        return _on_ints(f, name, values, node)
    if name in _TO_INT and values[0].type is not FLOAT:
        return Value(INT, values[0].c)
    floats = [arithmetic.as_float(value) for value in values]
    if name in _TESTS:
        x = floats[0]
        c = {"isnan": f"{x} != {x}", "isfinite": f"cz_finite({x})", "isinf": f"{x} == {x} && !cz_finite({x})"}[name]
        return f.temp(BOOL, c)
    if name == "copysign":
        f.check(f"{floats[1]} != {floats[1]}", node, "the sign of a NaN is asked for")
        return f.temp(FLOAT, f"cz_copysign({floats[0]}, {floats[1]})")
    f.check(" || ".join(f"!cz_finite({x})" for x in floats), node, f"math.{name}() of a float that is not finite")
    if name in _TO_INT:
        return f.out(INT, f"cz_to_int({name}({floats[0]}), $)", node, "the result does not fit 64 bits")
    if name == "log":
        return _log(f, values[0], node)
    if name in _OWN:
        factor = "(3.141592653589793 / 180.0)" if name == "radians" else "(180.0 / 3.141592653589793)"
        return f.temp(FLOAT, f"{floats[0]} * {factor}")
    if name == "pow":
        return f.out(FLOAT, f"cz_fpow({floats[0]}, {floats[1]}, $)", node, "a power that is no finite float")
    if name == "fmod":
        f.check(f"{floats[1]} == 0.0", node, "math.fmod() by zero")
    if name in ("log2", "log10"):
        f.check(f"!({floats[0]} > 0.0)", node, f"math.{name}() of what is not positive")
    f.unit.extern(name, f"double {name}({'double, double' if name in _TWO else 'double'})")
    return _finite(f, f.temp(FLOAT, f"{name}({', '.join(floats)})"), node)


def _number(f: Function, value: Value, node: ast.AST) -> Value:
    value = arithmetic.numeric(f, value, node, "the argument")
    if isinstance(value.type, Dyn) and set(value.type.options) <= {INT, FLOAT, BOOL}:
        held = f.hold(value)
        return f.temp(FLOAT, f"{held.c}.tag == CZ_FLOAT ? {held.c}.u.d : (double){held.c}.u.i")
    if value.type not in (INT, FLOAT, BOOL):
        f.refuse(node, f"a function of math with {value.type!r} is not compiled")
    return value


def _finite(f: Function, value: Value, node: ast.AST) -> Value:
    f.check(f"!cz_finite({value.c})", node, "the result is no finite float")
    return value


def _log(f: Function, value: Value, node: ast.AST) -> Value:
    x = arithmetic.as_float(_number(f, value, node))
    f.check(f"!({x} > 0.0) || !cz_finite({x})", node, "math.log() of what is not positive and finite")
    f.unit.extern("log", "double log(double)")
    return f.temp(FLOAT, f"log({x})")


def _on_ints(f: Function, name: str, values: list[Value], node: ast.AST) -> Value:
    if any(value.type is FLOAT for value in values):
        return f.deopt(node, f"math.{name}() of a float is an error in Python")
    if name == "isqrt":
        x = values[0].c
        f.check(f"{x} < 0", node, "math.isqrt() of a negative number")
        f.unit.extern("sqrt", "double sqrt(double)")
        root = f.raw("u64", f"(u64)sqrt((double){x})")
        f.emit(f"while ({root} > 3037000499ULL || {root} * {root} > (u64){x}) {root}--;")
        f.emit(f"while ({root} < 3037000499ULL && ({root} + 1) * ({root} + 1) <= (u64){x}) {root}++;")
        return f.temp(INT, f"(i64){root}")
    a, b = (f.raw("u64", f"{v.c} < 0 ? 0 - (u64){v.c} : (u64){v.c}") for v in values)
    f.emit(f"while ({b}) {{ u64 m = {a} % {b}; {a} = {b}; {b} = m; }}")
    f.check(f"{a} > 0x7fffffffffffffffULL", node, "the result does not fit 64 bits")
    return f.temp(INT, f"(i64){a}")
