"""Operators, builtins and methods on the values where languages differ."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
from differential import build_for, check

from catzilla.compiler.toolchain import Toolchain

INTS = [0, 1, -1, 2, -2, 3, 7, -7, 10, 62, 63, 64, 255, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53 - 1, 2**53, 2**53 + 1,
        -(2**53) - 1, 2**62, 2**63 - 1, -(2**63)]  # fmt: skip
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, 0.1, 1e-5, 1e16, 1e22, 1e-300, 5e-324, 2.0**53, 2.0**63,
          1.7976931348623157e308, math.pi, 2.675, 1e15 + 0.3, math.inf, -math.inf, math.nan]  # fmt: skip
BOOLS = [False, True]
TEXTS = ["", "a", "A b", " padded\t\n", "12", "-7", "+3", " 42 ", "1_000", "3.25", "-1e5", "1e400", ".5", "5.", "nan", "0x1f",
         "Hello, World", "aXbXc", "XX", "naïve", "Straße", "日本語", "\U0001f600 smile", "\ud800", "a\u0131", "''", "tab\there",
         "line\r\nbreak\nend", "\x1c\x1d", "ABC", "abc", "éÉ"]  # fmt: skip
KINDS: dict[str, list[Any]] = {"int": INTS, "float": FLOATS, "bool": BOOLS}
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "<", "<=", "==", "!=", ">", ">="]
BITS = ["<<", ">>", "&", "|", "^"]


def chooser(expressions: list[str], params: str) -> str:
    """One kernel for many expressions: ``op`` says which."""
    lines = [f"def f(op: int, {params}):"]
    for index, expression in enumerate(expressions):
        lines.append(f"    if op == {index}:\n        return {expression}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("left", "right"), list(itertools.product(KINDS, KINDS)))
def test_operators(left: str, right: str, toolchain: Toolchain, define: Callable[..., Any]) -> None:
    operators = OPERATORS + (BITS if "float" not in (left, right) else [])
    expressions = [f"a {op} b" for op in operators] + ["min(a, b)", "max(a, b)", "divmod(a, b)", "(a, b) == (b, a)"]
    expressions += ["a and b", "a or b", "a if b else 0", "0 < a < b", "a in (b, 1)", "not a"]
    f = define(chooser(expressions, f"a: {left}, b: {right}"))
    kernel = build_for(f, (0, KINDS[left][1], KINDS[right][1]), toolchain)
    hits = 0
    for index in range(len(expressions)):
        for a, b in itertools.product(KINDS[left], KINDS[right]):
            if expressions[index] == "a ** b" and abs(b) > 10000:
                continue
            if expressions[index] == "a << b" and b > 10000:
                continue
            hits += check(kernel, f, (index, a, b))
    assert hits > len(expressions)


@pytest.mark.parametrize("kind", ["int", "float", "bool"])
def test_one_number(kind: str, toolchain: Toolchain, define: Callable[..., Any]) -> None:
    expressions = [
        "-a",
        "+a",
        "abs(a)",
        "round(a)",
        "int(a)",
        "float(a)",
        "bool(a)",
        "str(a)",
        "repr(a)",
        "f'{a}'",
        "f'{a!r}'",
    ]
    expressions += [f"f'{{a:{spec}}}'" for spec in ((".2f", ".0f", "10.3f", "e", ".3e", "+.1f", ",.2f", "%", ".1%", "012.4f") if kind == "float" else ("d", "5d", "<6d", "^7d", "+d", ",", "x", "X", "o", "b", "08d", "_") if kind == "int" else ())]  # fmt: skip
    expressions += [f"round(a, {n})" for n in (0, 1, 2, 5, 17)] + ["a * a", "a == 1", "a != a", "a is None"]
    expressions += [f"math.{name}(a)" for name in ("sqrt", "floor", "ceil", "trunc", "exp", "log", "log2", "log10", "sin", "cos", "tan", "atan", "sinh", "tanh", "asinh", "expm1", "log1p", "erf", "erfc", "fabs", "radians", "degrees", "isnan", "isinf", "isfinite", "acos", "asin", "atanh", "acosh", "cosh")]  # fmt: skip
    if kind == "int":
        expressions += ["~a", "math.gcd(a, 12)", "math.isqrt(a)", "chr(a)"]
    f = define("import math\n" + chooser(expressions, f"a: {kind}"))
    kernel = build_for(f, (0, KINDS[kind][1]), toolchain)
    for index in range(len(expressions)):
        hits = sum(check(kernel, f, (index, a)) for a in KINDS[kind])
        assert hits, f"{expressions[index]} never ran natively"


def test_floats_read_back(quick: Toolchain, define: Callable[..., Any]) -> None:
    """repr() is the shortest text; two powers of ten around each power of two, and sums that are not round."""
    f = define("def f(a: float):\n    return str(a)\n")
    kernel = build_for(f, (1.0,), quick)
    values = [
        sign * 2.0**power * factor for power in range(-1060, 1020, 7) for factor in (1, 1.1, 1 / 3) for sign in (1, -1)
    ]
    values += (
        [10.0**power for power in range(-300, 300)]
        + [i / 10 for i in range(200)]
        + [123456789012345.6, 9007199254740993.0]
    )
    hits = sum(check(kernel, f, (value,)) for value in values)
    assert hits > 0.6 * len(values)


def test_one_text(toolchain: Toolchain, define: Callable[..., Any]) -> None:
    calls = ["upper", "lower", "title", "capitalize", "swapcase", "strip", "lstrip", "rstrip", "split", "splitlines", "isdigit",
             "isalpha", "isalnum", "isspace", "isupper", "islower"]  # fmt: skip
    expressions = [f"s.{name}()" for name in calls]
    expressions += ["len(s)", "s[0]", "s[-1]", "s[1:]", "s[:-1]", "s[1:3]", "s[-3:-1]", "s[::-1]", "s[5:2]", "s + s", "s * 3",
                    "'-' * 3 + s", "s * -1", "s == 'abc'", "s < 'abc'", "'X' in s", "'' in s", "s.find('X')", "s.rfind('X')",
                    "s.count('X')", "s.count('')", "s.replace('X', '<>')", "s.replace('a', '')", "s.split('X')", "s.split(',', 1)",
                    "s.startswith('a')", "s.endswith(('c', 'd'))", "s.strip('aX ')", "s.removeprefix('a')", "s.removesuffix('c')",
                    "s.zfill(6)", "s.ljust(8)", "s.rjust(8, '*')", "f'{s:>8}|{s:^8}|{s:<8}|{s:.2}'", "f'{s!r}'", "repr(s)",
                    "int(s)", "float(s)", "bool(s)", "[c for c in s]", "list(reversed(s))", "sorted(s)", "ord(s)", "s.index('b')",
                    "','.join(s.split())", "max(s)", "{c: 1 for c in s}", "tuple((s, s))", "s or 'none'", "'é' + s", "f'{s}日'"]  # fmt: skip
    f = define(chooser(expressions, "s: str"))
    kernel = build_for(f, (0, "x"), toolchain)
    for index in range(len(expressions)):
        hits = sum(check(kernel, f, (index, s)) for s in TEXTS)
        assert hits, f"{expressions[index]} never ran natively"


def test_megabyte_of_text(quick: Toolchain, define: Callable[..., Any]) -> None:
    f = define(
        "def f(s: str):\n    return len(s), s[::-1][:9], s.count('ab'), s.replace('b', 'xyz')[-5:], len(s.split('c'))\n"
    )
    kernel = build_for(f, ("",), quick)
    for text in ("abc" * 350_000, "añ日" * 350_000):
        assert check(kernel, f, (text,))


@pytest.mark.parametrize("wrong", [1, 1.5, True, "1", None, [1], (1,), {"a": 1}, 2**63, b"1", object()])
@pytest.mark.parametrize("expected", [1, 1.5, True, "x", [1], [1.5], ["x"], (1, 2.0), {"a": 1}])
def test_wrong_types(wrong: Any, expected: Any, quick: Toolchain, define: Callable[..., Any]) -> None:
    """Of another type than compiled for: the interpreter runs it; the same type, another value: either."""
    f = define("def f(a):\n    return 'given', 1 if a else 0\n")
    check(build_for(f, (expected,), quick), f, (wrong,))


class MyInt(int):
    pass


class MyStr(str):
    pass


@pytest.mark.parametrize(
    ("value", "like"), [(MyInt(3), 3), (MyStr("a"), "a"), ([MyInt(1)], [1]), ({MyStr("a"): 1}, {"a": 1})]
)
def test_subclasses_are_not_their_base(value: Any, like: Any, quick: Toolchain, define: Callable[..., Any]) -> None:
    f = define("def f(a):\n    return 1 if a else 0\n")
    assert not check(build_for(f, (like,), quick), f, (value,))


def test_sums(toolchain: Toolchain, define: Callable[..., Any]) -> None:
    f = define(
        "def f(xs: list[float]):\n    return sum(xs), sum(xs, 0.5), sum(x * x for x in xs), sum(1 for x in xs if x > 0)\n"
    )
    kernel = build_for(f, ([1.0],), toolchain)
    for xs in (
        [],
        [0.1] * 10,
        [1e16, 1.0, -1e16],
        [1e100, 1.0, -1e100],
        [math.inf, 1.0],
        [math.inf, -math.inf],
        [math.nan],
    ):
        assert check(kernel, f, (xs,))
    g = define("def g(xs):\n    return sum(xs)\n")
    mixed = build_for(g, ([1, 2.5],), toolchain)
    for values in ([1, 2], [1, 2.5, 3], [0.1, 1, 0.2, 2**60, 0.3], [2**62, 2**62], [2**62, 2**62, 1.5]):
        check(mixed, g, (values,))
