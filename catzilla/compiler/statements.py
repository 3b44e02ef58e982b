"""Statements to C."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from catzilla.wording import with_article

from . import arithmetic, containers, loops
from .expressions import lower, truth
from .function import Function, Value
from .types import NEVER, NONE, DictT, ListT, TupleT, has_borrowed, options_of


def read_body(f: Function) -> None:
    f.renamed = {}
    block(f, f.source.tree.body)


def block(f: Function, statements: list[ast.stmt]) -> None:
    for statement in statements:
        if f.assigned is None:
            return  # never reached; Python would not even look up its names
        handler = STATEMENTS.get(type(statement))
        if handler is None:
            f.refuse(statement, f"{_name_of(statement)} is not compiled")
        handler(f, statement)


def _name_of(node: ast.AST) -> str:
    names = {"With": "with", "Delete": "del", "Match": "match", "TryStar": "try with except*"}
    name = type(node).__name__
    return f"the statement {names.get(name, name.lower())!r}"


def branch(f: Function, statements: list[ast.stmt]) -> set[str] | None:
    """Read one side of a fork; gives what is surely assigned after it."""
    before = None if f.assigned is None else set(f.assigned)
    block(f, statements)
    after, f.assigned = f.assigned, before
    return after


def both(a: set[str] | None, b: set[str] | None) -> set[str] | None:
    return b if a is None else a if b is None else a & b


def _expr(f: Function, node: Any) -> None:
    if isinstance(node.value, ast.Constant):
        return  # a docstring, or ...
    lower(f, node.value)


def _pass(f: Function, node: Any) -> None:
    pass


def _return(f: Function, node: Any) -> None:
    value = Value(NONE, "0") if node.value is None else lower(f, node.value)
    if has_borrowed(value.type):
        f.refuse(
            node, "it gives back a list or dict that it was given: the caller would see that it is not the same object"
        )
    if value.type is NEVER:
        f.deopt(node, "a value that does not exist is returned")
        f.assigned = None
        return
    f.give_back(value, node)


def _raise(f: Function, node: Any) -> None:
    f.deopt(node, "an exception is raised")
    f.assigned = None


def _assert(f: Function, node: Any) -> None:
    if __debug__:
        f.check(f"!({truth(f, lower(f, node.test), node)})", node, "an assertion fails")


def _if(f: Function, node: Any) -> None:
    condition = lower(f, node.test)
    if condition.const is True or condition.const is False:
        block(f, node.body if condition.const else node.orelse)
        return
    f.emit(f"if ({truth(f, condition, node.test)}) {{")
    one = branch(f, node.body)
    f.emit("} else {")
    two = branch(f, node.orelse)
    f.emit("}")
    f.assigned = both(one, two)


def _assign(f: Function, node: Any) -> None:
    value = lower(f, node.value)
    if len(node.targets) > 1:
        value = f.temp(value.type, value.c, value.const)
    for target in node.targets:
        assign_to(f, target, value)


def _annotated(f: Function, node: Any) -> None:
    if node.value is not None:
        assign_to(f, node.target, lower(f, node.value))
    elif not isinstance(node.target, ast.Name):
        f.refuse(node, "an annotation of something that is no variable is not compiled")


def assign_to(f: Function, target: ast.expr, value: Value) -> None:
    if isinstance(target, ast.Name):
        f.assign(target.id, value)
    elif isinstance(target, ast.Tuple | ast.List):
        for part, item in zip(target.elts, unpack(f, target, value), strict=True):
            assign_to(f, part, item)
    elif isinstance(target, ast.Subscript):
        containers.store(f, target, value)
    elif isinstance(target, ast.Attribute):
        f.refuse(target, "it sets an attribute of an object")
    else:
        f.refuse(target, "this form of assignment is not compiled")


def unpack(f: Function, target: Any, value: Value) -> list[Value]:
    count = len(target.elts)
    if any(isinstance(part, ast.Starred) for part in target.elts):
        f.refuse(target, "unpacking with * is not compiled")
    if value.type is NEVER:
        return [Value(NEVER, "0")] * count
    value = f.hold(f.narrow_class(f.narrow_class(value, TupleT, target, "the value"), ListT, target, "the value"))
    if isinstance(value.type, TupleT):
        if len(value.type.items) != count:
            f.deopt(target, "the number of values does not fit")
            return [Value(NEVER, "0")] * count
        return [f.unbox(f"{value.c}[{index}]", item) for index, item in enumerate(value.type.items)]
    if isinstance(value.type, ListT):
        f.check(f"{value.c}->length != {count}", target, "the number of values does not fit")
        return [containers.item_at(f, value, str(index), target) for index in range(count)]
    f.refuse(target, f"{with_article(repr(value.type))} cannot be unpacked in compiled code")


def _augmented(f: Function, node: Any) -> None:
    target = node.target
    if isinstance(target, ast.Name):
        before = lower(f, ast.copy_location(ast.Name(target.id, ast.Load()), target))
        if isinstance(before.type, ListT) and isinstance(node.op, ast.Add):
            containers.extend(f, before, lower(f, node.value), node)
            return
        if any(isinstance(option, ListT | DictT) for option in options_of(before.type)):
            f.refuse(node, f"this operator on {with_article(repr(before.type))} is not compiled")
        before = f.hold(before)
        f.assign(target.id, arithmetic.binary(f, node.op, before, lower(f, node.value), node))
    elif isinstance(target, ast.Subscript):
        containers.augment(f, node, lambda old: arithmetic.binary(f, node.op, old, lower(f, node.value), node))
    else:
        f.refuse(target, "it sets an attribute of an object")


def _try(f: Function, node: Any) -> None:
    """Whatever raises goes back to Python, handlers included: here only the way without exceptions is left."""
    if node.finalbody:
        f.refuse(node, "try with finally is not compiled")
    f.in_try += 1
    block(f, node.body)
    f.in_try -= 1
    after = f.assigned
    if after is not None:
        block(f, node.orelse)


def _while(f: Function, node: Any) -> None:
    f.loops = True
    after, step = f.label(), f.label()
    before = set(f.assigned or ())
    f.emit("for (;;) {")
    condition = lower(f, node.test)
    endless = condition.const is True or (isinstance(node.test, ast.Constant) and bool(node.test.value))
    if not endless:
        f.emit(f"if (!({truth(f, condition, node.test)})) break;")
    loop_body(f, node.body, after, step)
    f.emit("}")
    _after_loop(f, node, before, after, endless)


def _after_loop(f: Function, node: Any, before: set[str], after: str, endless: bool) -> None:
    """What the body assigned is not sure to be: it may not have run."""
    f.assigned = None if endless else set(before)
    if node.orelse and not endless:
        block(f, node.orelse)
    if _breaks(node.body):
        f.assigned = set(before)
    f.emit(f"{after}: ;")


def _for(f: Function, node: Any) -> None:
    if node.type_comment is not None:
        f.refuse(node, "a type comment is not understood")
    f.loops = True
    after, step = f.label(), f.label()
    loop = loops.iterate(f, node.iter)
    before = set(f.assigned or ())
    f.emit(f"for (; {loop.condition}; {loop.step}) {{")
    loop.enter(f)
    loops.bind(f, node.target, loop.load(), assign_to)
    loop_body(f, node.body, after, step)
    f.emit("}")
    _after_loop(f, node, before, after, endless=False)


def loop_body(f: Function, body: list[ast.stmt], after: str, step: str) -> None:
    f.exits.append((after, step))
    block(f, body)
    f.exits.pop()
    f.emit(f"{step}: ;")
    f.emit("if (rt->stop) return 2;")


def _breaks(body: list[ast.stmt]) -> bool:
    """Whether a break leaves the loop that has this body."""
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Break):
            return True
        if isinstance(node, ast.For | ast.While):
            pending += node.orelse
        else:
            pending += ast.iter_child_nodes(node)
    return False


def _break(f: Function, node: Any) -> None:
    f.emit(f"goto {f.exits[-1][0]};")
    f.assigned = None


def _continue(f: Function, node: Any) -> None:
    f.emit(f"goto {f.exits[-1][1]};")
    f.assigned = None


STATEMENTS: Final[dict[type[ast.stmt], Callable[[Function, Any], None]]] = {
    ast.Expr: _expr,
    ast.Pass: _pass,
    ast.Return: _return,
    ast.Raise: _raise,
    ast.Assert: _assert,
    ast.If: _if,
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.Try: _try,
    ast.While: _while,
    ast.For: _for,
    ast.Break: _break,
    ast.Continue: _continue,
}
