"""The gate: a kernel's value, type, repr, and output are Python's, or it says that Python has to run."""

from __future__ import annotations

import contextlib
import copy
import io
import math
from typing import Any

from catzilla.compiler.convert import types_of
from catzilla.compiler.kernel import Kernel, build
from catzilla.compiler.toolchain import Toolchain
from catzilla.compiling import DEOPT, bind


def outcome(fn: Any, args: tuple[Any, ...]) -> tuple[Any, str]:
    """(value or exception, what was printed) of the interpreter."""
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        try:
            value = fn(*copy.deepcopy(args))
        except Exception as error:
            value = error
    return value, written.getvalue()


def native(kernel: Kernel, fn: Any, args: tuple[Any, ...]) -> tuple[Any, str, str | None]:
    written = io.StringIO()
    before = repr(args)
    with contextlib.redirect_stdout(written):
        value, why = kernel.run(bind(fn, args, {}))
    assert repr(args) == before, "a kernel changed an argument"
    return value, written.getvalue(), why


def alike(a: Any, b: Any) -> bool:
    """Also where == is not enough: 1 and True and 1.0, 0.0 and -0.0, NaN, the order of a dict."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(alike, a, b)) and all(map(alike, a.values(), b.values()))
    return bool(a == b)


def check(kernel: Kernel, fn: Any, args: tuple[Any, ...]) -> bool:
    """Run both; True: natively. Fails when the two can be told apart."""
    wanted, wanted_text = outcome(fn, args)
    value, text, why = native(kernel, fn, args)
    if value is DEOPT:
        assert text == "", "something was printed before the kernel gave up"
        return False
    assert not isinstance(wanted, Exception), f"{fn.__name__}{args!r} gave {value!r} and should raise {wanted!r}"
    assert alike(value, wanted), f"{fn.__name__}{args!r} gave {value!r} instead of {wanted!r}"
    assert text == wanted_text
    assert why is None
    return True


def build_for(fn: Any, args: tuple[Any, ...], toolchain: Toolchain | None = None) -> Kernel:
    """For the types of these arguments. Raises Refusal."""
    values = bind(fn, args, {})
    assert values is not None
    types = types_of(values)
    assert types is not None, f"no types for {args!r}"
    return build(fn, types, toolchain)
