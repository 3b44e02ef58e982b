"""Comprehensions, and generator expressions that a call consumes at once."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from . import containers, loops
from .function import Function, Value
from .types import ListT, Var, size_of


def over(f: Function, node: Any, consume: Callable[[], None]) -> None:
    """``consume`` once for each round of the comprehension's loops; it reads the element."""
    f.loops = True
    outer = dict(f.renamed)
    _generator(f, node, 0, consume)
    f.renamed = outer


def _generator(f: Function, node: Any, index: int, consume: Callable[[], None]) -> None:
    from .expressions import lower, truth
    from .statements import assign_to

    if index == len(node.generators):
        consume()
        return
    generator = node.generators[index]
    if generator.is_async:
        f.refuse(node, "it awaits (async for)")
    loop = loops.iterate(f, generator.iter)
    if index == 0:
        _rename(f, node)  # now: the first thing to go over is worked out outside
    assigned = None if f.assigned is None else set(f.assigned)
    f.emit(f"for (; {loop.condition}; {loop.step}) {{")
    loop.enter(f)
    loops.bind(f, generator.target, loop.load(), assign_to)
    for condition in generator.ifs:
        f.emit(f"if ({truth(f, lower(f, condition), condition)}) {{")
    _generator(f, node, index + 1, consume)
    f.emit("}" * len(generator.ifs))
    f.emit("if (rt->stop) return 2;")
    f.emit("}")
    f.assigned = assigned


def _rename(f: Function, node: Any) -> None:
    """A comprehension's variables are its own, new each time."""
    for generator in node.generators:
        for target in ast.walk(generator.target):
            if isinstance(target, ast.Name):
                own = f.renamed[target.id] = f"{target.id}$c{node.lineno}_{node.col_offset}"
                if own in f.flags:
                    f.emit(f"h_{f.mangle(own)} = 0;")


def list_of(f: Function, node: Any, part: str = "") -> Value:
    from .expressions import lower

    type_: ListT = f.container(node, lambda: ListT(Var()), "made" + part)
    size = size_of(type_.elem.type)
    value = f.made(type_, f"cz_new_list(rt, 0, {size})", node)

    def consume() -> None:
        containers.push(f, value, lower(f, node.elt), node)

    over(f, node, consume)
    return value


def dict_of(f: Function, node: Any) -> Value:
    from .expressions import lower

    value = containers.make_dict(f, node)

    def consume() -> None:
        key = f.hold(lower(f, node.key))
        containers.put(f, value, key, f.hold(lower(f, node.value)), node)

    over(f, node, consume)
    return value
