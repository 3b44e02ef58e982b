"""Realistic functions: how many compile, how many of their calls run natively, and that none is wrong."""

from __future__ import annotations

import os
from typing import Any

import pytest
from corpus import arithmetic, data, everyday, outside, tasks, text
from differential import build_for, check

from catzilla.compiler.kernel import Kernel, build
from catzilla.compiler.queue import expected_types
from catzilla.compiler.refusal import Refusal
from catzilla.compiler.toolchain import Toolchain

ALL = [entry for module in (arithmetic, text, data, tasks, everyday, outside) for entry in module.CALLS]


def compiled(fn: Any, cases: list[tuple[Any, ...]], toolchain: Toolchain) -> Kernel | None:
    try:
        types = expected_types(fn)
        if types is not None:
            return build(fn, types, toolchain)
        return build_for(fn, cases[0], toolchain)
    except Refusal as refusal:
        return None if str(refusal).startswith("line ") else pytest.fail(f"{fn.__name__}: {refusal}")
    except AssertionError:
        return None  # called with what has no compiled type


def test_hit_rates(quick: Toolchain) -> None:
    # Given at least 200 functions of the kind that tasks are
    assert len(ALL) >= 200
    # When each is compiled for its annotations and called
    kernels = [(fn, cases, compiled(fn, cases, quick)) for fn, cases in ALL]
    hits = [check(kernel, fn, args) for fn, cases, kernel in kernels if kernel is not None for args in cases]
    # Then 70 % compile, and 95 % of their calls run natively
    share = sum(kernel is not None for _, _, kernel in kernels) / len(kernels)
    print(
        f"{share:.0%} of {len(kernels)} functions compile; {sum(hits) / len(hits):.0%} of {len(hits)} calls run natively"
    )
    assert share >= 0.7
    assert sum(hits) / len(hits) >= 0.95


def test_with_the_system_compiler(toolchain: Toolchain) -> None:
    """Every fourth function (all with CATZILLA_TEST_ALL): it takes 0.1 s and more for each."""
    if toolchain.name != "cc":
        pytest.skip("the other test does all of them")
    step = 1 if os.environ.get("CATZILLA_TEST_ALL") else 4
    for fn, cases in ALL[::step]:
        kernel = compiled(fn, cases, toolchain)
        if kernel is not None:
            assert all(check(kernel, fn, args) for args in cases)


def test_what_cannot_be_compiled_says_why(quick: Toolchain) -> None:
    reasons = {}
    for fn, _ in outside.CALLS:
        try:
            expected_types(fn) and build(fn, expected_types(fn), quick)
        except Refusal as refusal:
            reasons[fn.__name__] = str(refusal)
    assert "logger.debug()" in reasons["log_security_event"]
    assert "given" in reasons["change_argument"]
    assert "is not the same object" in reasons["give_back"]
    assert "yield" in reasons["numbers"] or "function inside" in reasons["numbers"]
    assert all(reason.startswith("line ") for reason in reasons.values())
