"""Lists, tuples and dicts: literals, items, slices, membership."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, NoReturn

from . import arithmetic
from .function import Function, Value
from .types import BOOL, FLOAT, INT, NEVER, NONE, STR, DictT, Dyn, ListT, TupleT, Type, Var, join, options_of, size_of


def cast(type_: Type) -> str:
    return f"({type_.ctype} *)"


def slot(value: Value, index: str) -> str:
    """The C lvalue of a list's element."""
    assert isinstance(value.type, ListT)
    return f"({cast(value.type.elem.type)}{value.c}->items)[{index}]"


def own(f: Function, value: Value, node: ast.AST, what: str) -> None:
    """Only what was made here may be changed."""
    var = (
        value.type.elem
        if isinstance(value.type, ListT)
        else value.type.value
        if isinstance(value.type, DictT)
        else None
    )
    if var is not None and var.is_borrowed():
        f.refuse(node, f"it {what} a list or dict that it was given")


# -- making ------------------------------------------------------------------------------------


def list_literal(f: Function, node: Any) -> Value:
    from .expressions import lower

    if any(isinstance(item, ast.Starred) for item in node.elts):
        f.refuse(node, "* in a list is not compiled")
    return make_list(f, [f.hold(lower(f, item)) for item in node.elts], node)


def make_list(f: Function, items: list[Value], node: ast.AST, part: str = "") -> Value:
    type_: ListT = f.container(node, lambda: ListT(Var()), part)
    for item in items:
        type_.elem.include(item.type)
    elem = type_.elem.type
    value = f.made(type_, f"cz_new_list(rt, {len(items)}, {size_of(elem)})", node)
    for index, item in enumerate(items):
        f.emit(f"{slot(value, str(index))} = {f.coerce(item, elem).c};")
    f.emit(f"{value.c}->length = {len(items)};")
    return value


def push(f: Function, target: Value, item: Value, node: ast.AST) -> None:
    """append"""
    own(f, target, node, "changes")
    assert isinstance(target.type, ListT)
    target.type.elem.include(item.type)
    elem = target.type.elem.type
    if elem is NEVER:
        return
    f.check(f"cz_grow(rt, {target.c}, {size_of(elem)})", node, "the run needs more memory than a kernel may use")
    f.emit(f"{slot(target, f'{target.c}->length++')} = {f.coerce(item, elem).c};")


def tuple_literal(f: Function, node: Any) -> Value:
    from .expressions import lower

    if any(isinstance(item, ast.Starred) for item in node.elts):
        f.refuse(node, "* in a tuple is not compiled")
    return make_tuple(f, [f.hold(lower(f, item)) for item in node.elts], node)


def make_tuple(f: Function, items: list[Value], node: ast.AST) -> Value:
    value = f.made(TupleT(tuple(item.type for item in items)), f"cz_alloc(rt, {16 * max(1, len(items))})", node)
    for index, item in enumerate(items):
        f.emit(f"{value.c}[{index}] = {f.box(item)};")
    return value


def dict_literal(f: Function, node: Any) -> Value:
    from .expressions import lower

    value = make_dict(f, node)
    for key, item in zip(node.keys, node.values, strict=True):
        if key is None:
            f.refuse(node, "** in a dict is not compiled")
        held = f.hold(lower(f, key))
        put(f, value, held, f.hold(lower(f, item)), node)
    return value


def make_dict(f: Function, node: ast.AST) -> Value:
    type_ = f.container(node, lambda: DictT(Var(), Var()))
    return f.made(type_, "cz_new_dict(rt)", node)


def key_args(f: Function, target: Value, key: Value, node: ast.AST) -> str:
    """``int key, str key`` as the run-time library takes them."""
    assert isinstance(target.type, DictT)
    known = target.type.key.type
    if isinstance(key.type, Dyn):
        key = f.narrow(key, (STR, INT), node, "the key")
        if known in (STR, INT) and isinstance(key.type, Dyn):
            key = f.only(key, known, node, "the key")
    if key.type is STR and known in (STR, NEVER):
        return f"0, {key.c}"
    if key.type is INT and known in (INT, NEVER):
        return f"{key.c}, 0"
    if key.type is NEVER:
        return "0, 0"
    f.refuse(node, f"keys of a dict that are {known!r} and {key.type!r} are not compiled: only all str or all int")


def put(f: Function, target: Value, key: Value, item: Value, node: ast.AST) -> None:
    own(f, target, node, "changes")
    assert isinstance(target.type, DictT)
    if item.type is NEVER or key.type is NEVER:
        return
    key = f.narrow(key, (STR, INT), node, "the key")
    if key.type in (STR, INT):
        target.type.key.include(key.type)
    target.type.value.include(item.type)
    wanted = target.type.value.type
    arguments = key_args(f, target, key, node)
    boxed = f.box(item, wanted)
    f.check(f"cz_store(rt, {target.c}, {arguments}, {boxed})", node, "the run needs more memory than a kernel may use")


# -- looking -----------------------------------------------------------------------------------


def subscript(f: Function, node: Any) -> Value:
    from .expressions import lower

    value = lower(f, node.value)
    if value.type is NEVER:
        return f.never(node)
    value = f.hold(single(f, value, node))
    if isinstance(node.slice, ast.Slice):
        return slice_of(f, value, node.slice, node)
    return item_of(f, value, lower(f, node.slice), node)


def single(f: Function, value: Value, node: ast.AST) -> Value:
    """The only option that can be indexed."""
    if not isinstance(value.type, Dyn):
        return value
    fits = [o for o in value.type.options if o is STR or isinstance(o, ListT | DictT | TupleT)]
    return f.only(value, fits[0], node, "the value") if len(fits) == 1 else value


def index_of(f: Function, index: Value, node: ast.AST) -> str:
    index = arithmetic.numeric(f, index, node, "the index")
    if isinstance(index.type, Dyn):
        index = f.only(index, INT, node, "the index") if INT in index.type.options else index
    if index.type not in (INT, BOOL):
        f.deopt(node, f"the index is {index.type!r}")
        return "0"
    return index.c


def item_of(f: Function, value: Value, index: Value, node: ast.AST) -> Value:
    type_ = value.type
    if isinstance(type_, DictT):
        at = f.raw("i64", f"cz_lookup(rt, {value.c}, {key_args(f, value, index, node)})")
        f.check(f"{at} < 0", node, "the key is not in the dict")
        if type_.value.type is NEVER:
            return f.never(node)
        return f.unbox(f"{value.c}->values[{at}]", type_.value.type)
    if isinstance(type_, TupleT):
        return _tuple_item(f, value, index, node)
    if type_ is not STR and not isinstance(type_, ListT):
        f.refuse(node, f"an item of {type_!r} is not compiled")
    at = f.raw("i64", index_of(f, index, node))
    f.check(f"cz_index(&{at}, {value.c}->length)", node, "the index is out of range")
    if type_ is STR:
        return f.made(STR, f"cz_char(rt, cz_at({value.c}, {at}))", node)
    return item_at(f, value, at, node)


def item_at(f: Function, value: Value, at: str, node: ast.AST) -> Value:
    assert isinstance(value.type, ListT)
    elem = value.type.elem.type
    return f.never(node) if elem is NEVER else f.temp(elem, slot(value, at))


def _tuple_item(f: Function, value: Value, index: Value, node: ast.AST) -> Value:
    assert isinstance(value.type, TupleT)
    items = value.type.items
    if type(index.const) is int:
        if not -len(items) <= index.const < len(items):
            return f.deopt(node, "the index is out of range")
        return f.unbox(f"{value.c}[{index.const % len(items)}]", items[index.const])
    at = f.raw("i64", index_of(f, index, node))
    f.check(f"cz_index(&{at}, {len(items)})", node, "the index is out of range")
    joined: Type = NEVER
    for item in items:
        joined = join(joined, item)
    return f.never(node) if joined is NEVER else f.unbox(f"{value.c}[{at}]", joined)


def slice_of(f: Function, value: Value, part: Any, node: ast.AST) -> Value:
    from .expressions import lower

    if value.type is not STR and not isinstance(value.type, ListT):
        f.refuse(node, f"a slice of {value.type!r} is not compiled")
    ends = []
    for end in (part.lower, part.upper):
        limit = None if end is None else lower(f, end)
        ends.append(None if limit is None or limit.type is NONE else index_of(f, limit, node))
    start, stop = ends[0] or "0", ends[1] or f"{value.c}->length"
    step = None if part.step is None else lower(f, part.step)
    if step is not None and step.const not in (1, None):
        if step.const != -1 or ends != [None, None]:
            f.refuse(node, "a slice with a step is not compiled (but [::-1])")
        if value.type is STR:
            return f.made(STR, f"cz_reverse_str(rt, {value.c})", node)
        made = copy_of(f, value, node)
        f.emit(f"cz_reverse({made.c}, {size_of(elem_of(value))});")
        return made
    if step is not None and step.const is not None and step.const != 1:
        f.refuse(node, "a slice with a step is not compiled (but [::-1])")
    if value.type is STR:
        return f.made(STR, f"cz_slice_str(rt, {value.c}, {start}, {stop})", node)
    type_ = copied_type(f, value, node)
    return f.made(type_, f"cz_slice_list(rt, {value.c}, {start}, {stop}, {size_of(elem_of(value))})", node)


def elem_of(value: Value) -> Type:
    assert isinstance(value.type, ListT)
    return value.type.elem.type


def copied_type(f: Function, value: Value, node: ast.AST, part: str = "copy") -> Type:
    """A new list with the same elements."""
    assert isinstance(value.type, ListT)
    if not value.type.elem.is_borrowed():
        return value.type  # of two lists with one element type each may grow, and the other knows it
    return f.container(node, lambda: ListT(Var(elem_of(value), pinned=True)), part)  # type: ignore[no-any-return]


def copy_of(f: Function, value: Value, node: ast.AST) -> Value:
    type_ = copied_type(f, value, node)
    return f.made(type_, f"cz_slice_list(rt, {value.c}, 0, {value.c}->length, {size_of(elem_of(value))})", node)


def contains(f: Function, item: Value, value: Value, node: ast.AST) -> Value:
    if value.type is NEVER or item.type is NEVER:
        f.deopt(node, "a value that does not exist is compared")
        return Value(BOOL, "0")
    value, item = f.hold(single(f, value, node)), f.hold(item)
    if value.type is STR:
        item = f.narrow(item, (STR,), node, "the left operand")
        if item.type is not STR:
            f.deopt(node, f"{item.type!r} in str is an error in Python")
            return Value(BOOL, "0")
        return f.temp(BOOL, f"cz_find({value.c}, {item.c}, 0) >= 0")
    if isinstance(value.type, DictT):
        if value.type.key.type is not NEVER and value.type.key.type not in options_of(item.type):
            f.refuse(node, f"looking for {item.type!r} among keys that are {value.type.key.type!r} is not compiled")
        return f.temp(BOOL, f"cz_lookup(rt, {value.c}, {key_args(f, value, item, node)}) >= 0")
    result = f.raw("i64", "0")
    if isinstance(value.type, TupleT):
        for index, type_ in enumerate(value.type.items):
            f.emit(f"if (!{result}) {{")
            part = f.unbox(f"{value.c}[{index}]", type_)
            f.emit(f"{result} = {equal(f, item, part, node)};")
            f.emit("}")
        return Value(BOOL, result)
    if not isinstance(value.type, ListT):
        f.refuse(node, f"'in' {value.type!r} is not compiled")
    at = f.raw("i64", "0")
    f.emit(f"for (; !{result} && {at} < {value.c}->length; {at}++) {{")
    part = item_at(f, value, at, node)
    if part.type is not NEVER:
        f.emit(f"{result} = {equal(f, item, part, node)};")
    f.emit("}")
    return Value(BOOL, result)


def equal(f: Function, one: Value, two: Value, node: ast.AST) -> str:
    """As a container compares: the same object first, so that a NaN may equal itself. C cannot know that."""
    for side in (one, two):
        if side.type is FLOAT:
            f.check(f"{side.c} != {side.c}", node, "a NaN is looked for in a container")
        elif isinstance(side.type, Dyn) and FLOAT in side.type.options:
            f.check(
                f"{side.c}.tag == CZ_FLOAT && {side.c}.u.d != {side.c}.u.d", node, "a NaN is looked for in a container"
            )
        elif isinstance(side.type, ListT | DictT):
            f.refuse(node, "comparing lists or dicts inside of a container is not compiled")
    return arithmetic.compare(f, ast.Eq(), one, two, node).c


def equal_lists(f: Function, symbol: str, left: Value, right: Value, node: ast.AST) -> Value:
    left, right = f.hold(left), f.hold(right)
    result = f.raw("i64", f"{left.c}->length == {right.c}->length")
    if NEVER not in (elem_of(left), elem_of(right)):
        at = f.raw("i64", "0")
        f.emit(f"for (; {result} && {at} < {left.c}->length; {at}++) {{")
        f.emit(f"{result} = {equal(f, item_at(f, left, at, node), item_at(f, right, at, node), node)};")
        f.emit("}")
    return f.temp(BOOL, f"{'!' if symbol == '!=' else ''}{result}")


# -- changing ----------------------------------------------------------------------------------


def store(f: Function, target: Any, item: Value) -> None:
    """``value[index] = item``"""
    from .expressions import lower

    value = f.hold(single(f, lower(f, target.value), target))
    if isinstance(target.slice, ast.Slice):
        f.refuse(target, "assigning to a slice is not compiled")
    if value.type is NEVER:
        f.never(target)
        return
    store_at(f, value, lower(f, target.slice), item, target)


def store_at(f: Function, value: Value, index: Value, item: Value, node: ast.AST) -> None:
    if isinstance(value.type, DictT):
        put(f, value, index, item, node)
        return
    if not isinstance(value.type, ListT):
        _cannot_store(f, value, node)
    own(f, value, node, "changes")
    value.type.elem.include(item.type)
    at = f.raw("i64", index_of(f, index, node))
    f.check(f"cz_index(&{at}, {value.c}->length)", node, "the index is out of range")
    if value.type.elem.type is not NEVER:
        f.emit(f"{slot(value, at)} = {f.coerce(item, value.type.elem.type).c};")


def _cannot_store(f: Function, value: Value, node: ast.AST) -> NoReturn:
    f.refuse(node, f"assigning to an item of {value.type!r} is not compiled")


def augment(f: Function, node: Any, change: Callable[[Value], Value]) -> None:
    """``value[index] += …``: value and index are worked out once."""
    from .expressions import lower

    target = node.target
    value = f.hold(single(f, lower(f, target.value), target))
    if isinstance(target.slice, ast.Slice) or value.type is NEVER:
        f.refuse(target, "changing a slice is not compiled")
    index = f.hold(lower(f, target.slice))
    old = f.hold(item_of(f, value, index, target))
    if any(isinstance(option, ListT | DictT) for option in options_of(old.type)):
        f.refuse(node, "changing a container inside of a container by an operator is not compiled")
    store_at(f, value, index, change(old), target)


def extend(f: Function, target: Value, other: Value, node: ast.AST) -> None:
    own(f, target, node, "changes")
    assert isinstance(target.type, ListT)
    other = f.narrow_class(other, ListT, node, "what is added")
    if not isinstance(other.type, ListT):
        f.refuse(node, f"extending a list by {other.type!r} is not compiled")
    target, other = f.hold(target), f.hold(other)
    assert isinstance(target.type, ListT)
    more = elem_of(other)
    if more is NEVER:
        return
    target.type.elem.include(more)
    count, at = f.raw("i64", f"{other.c}->length"), f.raw("i64", "0")
    f.emit(f"for (; {at} < {count}; {at}++) {{")
    push(f, target, item_at(f, other, at, node), node)
    f.emit("if (rt->stop) return 2;")
    f.emit("}")


def add_lists(f: Function, left: Value, right: Value, node: ast.AST) -> Value:
    left, right = f.hold(left), f.hold(right)
    made = make_list(f, [], node, "sum")
    for side in (left, right):
        if elem_of(side) is not NEVER:
            extend(f, made, side, node)
    return made


def repeat(f: Function, value: Value, count: Value, node: ast.AST) -> Value:
    elem = elem_of(value)
    type_ = copied_type(f, value, node)
    return f.made(type_, f"cz_repeat_list(rt, {value.c}, {count.c}, {size_of(elem)})", node)
