"""Methods of str, list and dict."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from catzilla.wording import with_article

from . import arithmetic, consumers, containers
from .function import Function, Value
from .types import BOOL, INT, NEVER, NONE, STR, DictT, Dyn, ListT, TupleT, Var, size_of

MEMORY: Final = "the run needs more memory than a kernel may use"


def call(f: Function, func: ast.Attribute, value: Value, node: ast.Call) -> Value:
    name = func.attr
    if value.type is NEVER:
        return f.never(node)
    owner, value = _owner(f, value, name, node)
    handler = (TEXT if owner is STR else LISTS if owner is ListT else DICTS).get(name)
    if handler is None:
        kind = owner.name if not isinstance(owner, type) else owner.__name__[:-1].lower()
        f.refuse(node, f"the method {name}() of {with_article(kind)} is not compiled")
    value = f.hold(value)
    if handler in (_sort, _join, _split):
        return handler(f, value, node)
    if node.keywords:
        f.refuse(node, f"keyword arguments of {name}() are not compiled")
    return handler(f, value, node)


def _owner(f: Function, value: Value, name: str, node: ast.AST) -> tuple[Any, Value]:
    for kind, known in ((STR, TEXT), (ListT, LISTS), (DictT, DICTS)):
        if isinstance(value.type, Dyn):
            options = [
                o for o in value.type.options if (o is kind if not isinstance(kind, type) else isinstance(o, kind))
            ]
            if options and name in known:
                return kind, f.only(value, options[0], node, "the value")
        elif value.type is kind or (isinstance(kind, type) and isinstance(value.type, kind)):
            return kind, value
    f.refuse(node, f"the method {name}() of {value.type!r} is not compiled")


def _args(f: Function, node: ast.Call, least: int, most: int) -> list[Value]:
    from .expressions import lower

    if not least <= len(node.args) <= most:
        f.refuse(node, f"{ast.unparse(node.func)}() with {len(node.args)} arguments is not compiled")
    return [f.hold(lower(f, argument)) for argument in node.args]


def _text(f: Function, value: Value, node: ast.AST) -> str:
    value = f.narrow(value, (STR,), node, "the argument")
    if value.type is not STR:
        f.refuse(node, f"an argument that is {value.type!r} instead of str is not compiled")
    return value.c


# -- str ---------------------------------------------------------------------------------------


def _case(how: str) -> Any:
    def handler(f: Function, value: Value, node: ast.Call) -> Value:
        _args(f, node, 0, 0)
        return f.out(STR, f"cz_case(rt, {value.c}, '{how}', $)", node, "text beyond ASCII")

    return handler


def _is(how: str) -> Any:
    def handler(f: Function, value: Value, node: ast.Call) -> Value:
        _args(f, node, 0, 0)
        return f.out(BOOL, f"cz_is({value.c}, '{how}', $)", node, "text beyond ASCII")

    return handler


def _strip(sides: int) -> Any:
    def handler(f: Function, value: Value, node: ast.Call) -> Value:
        args = _args(f, node, 0, 1)
        chars = "0" if not args or args[0].type is NONE else _text(f, args[0], node)
        return f.out(STR, f"cz_strip(rt, {value.c}, {chars}, {sides}, $)", node, "text beyond ASCII")

    return handler


def _ends(start: bool) -> Any:
    def handler(f: Function, value: Value, node: ast.Call) -> Value:
        (arg,) = _args(f, node, 1, 1)
        if isinstance(arg.type, TupleT) and arg.type.items:
            parts = [f.unbox(f"{arg.c}[{index}]", item) for index, item in enumerate(arg.type.items)]
        else:
            parts = [arg]
        return f.temp(BOOL, " || ".join(f"({_at_end(_text(f, part, node), value.c, start)})" for part in parts))

    return handler


def _at_end(part: str, text: str, start: bool) -> str:
    at = "0" if start else f"{text}->length - {part}->length"
    return f"{part}->length <= {text}->length && cz_equal_at({text}, {at}, {part})"


def _without(start: bool) -> Any:
    def handler(f: Function, value: Value, node: ast.Call) -> Value:
        (arg,) = _args(f, node, 1, 1)
        part = _text(f, arg, node)
        cut = f.raw("i64", f"({_at_end(part, value.c, start)}) ? {part}->length : 0")
        return f.made(STR, f"cz_sub_str(rt, {value.c}, {cut if start else '0'}, {value.c}->length - {cut})", node)

    return handler


def _find(call_: str, must: bool = False) -> Any:
    def handler(f: Function, value: Value, node: ast.Call) -> Value:
        (arg,) = _args(f, node, 1, 1)
        found = f.temp(INT, call_.format(value.c, _text(f, arg, node)))
        if must:
            f.check(f"{found.c} < 0", node, "the text is not found")
        return found

    return handler


def _replace(f: Function, value: Value, node: ast.Call) -> Value:
    old, new = (_text(f, arg, node) for arg in _args(f, node, 2, 2))
    return f.made(STR, f"cz_replace(rt, {value.c}, {old}, {new})", node)


def _split(f: Function, value: Value, node: ast.Call) -> Value:
    from .expressions import lower

    args: list[Value | None] = [*_args(f, node, 0, 2)]
    args += [None] * (2 - len(args))
    for keyword in node.keywords:
        if keyword.arg not in ("sep", "maxsplit") or args[keyword.arg == "maxsplit"] is not None:
            f.refuse(node, "split() is not called like this")
        args[keyword.arg == "maxsplit"] = f.hold(lower(f, keyword.value))
    by = "0" if args[0] is None or args[0].type is NONE else _text(f, args[0], node)
    most = "-1" if args[1] is None else containers.index_of(f, args[1], node)
    type_: ListT = f.container(node, lambda: ListT(Var(STR)), "split")
    return f.out(type_, f"cz_split(rt, {value.c}, {by}, {most}, $)", node, "an empty separator, or text beyond ASCII")


def _splitlines(f: Function, value: Value, node: ast.Call) -> Value:
    _args(f, node, 0, 0)
    type_: ListT = f.container(node, lambda: ListT(Var(STR)), "split")
    return f.out(type_, f"cz_splitlines(rt, {value.c}, $)", node, "text beyond ASCII")


def _join(f: Function, value: Value, node: ast.Call) -> Value:
    if len(node.args) != 1 or node.keywords:
        f.refuse(node, "join() is not called like this")
    argument = node.args[0]
    if isinstance(argument, ast.GeneratorExp):
        fake = ast.copy_location(ast.Call(ast.Name("list", ast.Load()), [argument], []), node)
        parts = consumers.list_of(f, fake, key=node)
    else:
        (parts,) = _args(f, node, 1, 1)
    if parts.type is NEVER:
        return f.never(node)
    parts = f.narrow_class(parts, ListT, node, "the argument")
    if not isinstance(parts.type, ListT):
        f.refuse(node, f"join() of {parts.type!r} is not compiled")
    elem = parts.type.elem.type
    if elem is not STR and elem is not NEVER:
        f.refuse(node, f"join() of {parts.type!r} is not compiled")
    return f.made(STR, f"cz_concat(rt, {parts.c}->length, (cz_str_t **){parts.c}->items, {value.c})", node)


def _pad(align: str) -> Any:
    def handler(f: Function, value: Value, node: ast.Call) -> Value:
        args = _args(f, node, 1, 1 if align == "z" else 2)
        width, fill = containers.index_of(f, args[0], node), "'0'" if align == "z" else "' '"
        if len(args) == 2:
            text = _text(f, args[1], node)
            f.check(f"{text}->length != 1", node, "the fill is not one character")
            fill = f"cz_at({text}, 0)"
        f.check(f"{width} > 100000000", node, MEMORY)
        return f.made(STR, f"cz_field(rt, {value.c}, {width}, {fill}, '{align}')", node)

    return handler


# -- list --------------------------------------------------------------------------------------


def _append(f: Function, value: Value, node: ast.Call) -> Value:
    (item,) = _args(f, node, 1, 1)
    containers.push(f, value, item, node)
    return Value(NONE, "0", None)


def _extend(f: Function, value: Value, node: ast.Call) -> Value:
    containers.own(f, value, node, "changes")
    if len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
        f.refuse(node, "extend() by a generator expression is not compiled")
    (other,) = _args(f, node, 1, 1)
    containers.extend(f, value, other, node)
    return Value(NONE, "0", None)


def _pop(f: Function, value: Value, node: ast.Call) -> Value:
    containers.own(f, value, node, "changes")
    args = _args(f, node, 0, 1)
    at = f.raw("i64", containers.index_of(f, args[0], node) if args else "-1")
    f.check(f"cz_index(&{at}, {value.c}->length)", node, "pop() from an empty list, or an index out of range")
    item = containers.item_at(f, value, at, node)
    if item.type is not NEVER:
        slots = [containers.slot(value, index) for index in (at, f"{at} + 1")]
        f.emit(f"for ({value.c}->length--; {at} < {value.c}->length; {at}++) {slots[0]} = {slots[1]};")
    return item


def _insert(f: Function, value: Value, node: ast.Call) -> Value:
    where, item = _args(f, node, 2, 2)
    at = f.raw("i64", containers.index_of(f, where, node))
    containers.push(f, value, item, node)
    assert isinstance(value.type, ListT)
    if value.type.elem.type is NEVER:
        return Value(NONE, "0", None)
    last = f.raw("i64", f"{value.c}->length - 1")
    f.emit(f"if ({at} < 0) {{ {at} += {last}; if ({at} < 0) {at} = 0; }}")
    new = f.temp(value.type.elem.type, containers.slot(value, last))
    f.emit(f"for (; {last} > {at}; {last}--) {containers.slot(value, last)} = {containers.slot(value, f'{last} - 1')};")
    f.emit(f"{containers.slot(value, last)} = {new.c};")
    return Value(NONE, "0", None)


def _sort(f: Function, value: Value, node: ast.Call) -> Value:
    containers.own(f, value, node, "changes")
    if node.args or any(keyword.arg != "reverse" for keyword in node.keywords):
        f.refuse(node, "sort() with a key is not compiled")
    consumers.sort(f, value, node.keywords[0].value if node.keywords else None, node)
    return Value(NONE, "0", None)


def _reverse(f: Function, value: Value, node: ast.Call) -> Value:
    containers.own(f, value, node, "changes")
    _args(f, node, 0, 0)
    f.emit(f"cz_reverse({value.c}, {size_of(containers.elem_of(value))});")
    return Value(NONE, "0", None)


def _clear(f: Function, value: Value, node: ast.Call) -> Value:
    containers.own(f, value, node, "changes")
    _args(f, node, 0, 0)
    f.emit(f"{value.c}->length = 0;")
    return Value(NONE, "0", None)


def _copy(f: Function, value: Value, node: ast.Call) -> Value:
    _args(f, node, 0, 0)
    return containers.copy_of(f, value, node)


def _count(f: Function, value: Value, node: ast.Call) -> Value:
    return _search(f, value, node, first=False)


def _index(f: Function, value: Value, node: ast.Call) -> Value:
    return _search(f, value, node, first=True)


def _search(f: Function, value: Value, node: ast.Call, first: bool) -> Value:
    (item,) = _args(f, node, 1, 1)
    at, result = f.raw("i64", "0"), f.raw("i64", "-1" if first else "0")
    f.emit(f"for (; {at} < {value.c}->length; {at}++) {{")
    part = containers.item_at(f, value, at, node)
    if NEVER not in (part.type, item.type):
        hit = f"{result} = {at}; break;" if first else f"{result}++;"
        f.emit(f"if ({containers.equal(f, item, part, node)}) {{ {hit} }}")
    f.emit("}")
    if first:
        f.check(f"{result} < 0", node, "the value is not in the list")
    return Value(INT, result)


# -- dict --------------------------------------------------------------------------------------


def _get(f: Function, value: Value, node: ast.Call) -> Value:
    from .expressions import choose

    key, *rest = _args(f, node, 1, 2)
    default = rest[0] if rest else Value(NONE, "0", None)
    assert isinstance(value.type, DictT)
    type_ = value.type
    if type_.value.type is NEVER or key.type is NEVER:
        return default
    at = f.raw("i64", f"cz_lookup(rt, {value.c}, {containers.key_args(f, value, key, node)})")
    found = f"{value.c}->values[{at}]"
    return choose(f, [(f"{at} >= 0", lambda: f.unbox(found, type_.value.type)), ("", lambda: default)], node)


def _setdefault(f: Function, value: Value, node: ast.Call) -> Value:
    key, default = _args(f, node, 2, 2)
    containers.own(f, value, node, "changes")
    absent = containers.contains(f, key, value, node)
    f.emit(f"if (!{absent.c}) {{")
    containers.put(f, value, key, default, node)
    f.emit("}")
    return containers.item_of(f, value, key, node)


TEXT: Final[dict[str, Callable[[Function, Value, Any], Value]]] = {
    "upper": _case("u"), "lower": _case("l"), "title": _case("t"), "capitalize": _case("c"), "swapcase": _case("s"),
    "isdigit": _is("d"), "isalpha": _is("a"), "isalnum": _is("n"), "isspace": _is("s"), "isupper": _is("u"),
    "islower": _is("l"), "strip": _strip(3), "lstrip": _strip(1), "rstrip": _strip(2), "startswith": _ends(True),
    "endswith": _ends(False), "removeprefix": _without(True), "removesuffix": _without(False),
    "find": _find("cz_find({}, {}, 0)"), "rfind": _find("cz_rfind({}, {})"), "index": _find("cz_find({}, {}, 0)", True),
    "count": _find("cz_count({}, {})"), "replace": _replace, "split": _split, "splitlines": _splitlines, "join": _join,
    "ljust": _pad("<"), "rjust": _pad(">"), "zfill": _pad("z"),
}  # fmt: skip
LISTS: Final[dict[str, Callable[[Function, Value, Any], Value]]] = {
    "append": _append, "extend": _extend, "pop": _pop, "insert": _insert, "sort": _sort, "reverse": _reverse,
    "clear": _clear, "copy": _copy, "count": _count, "index": _index,
}  # fmt: skip
DICTS: Final[dict[str, Callable[[Function, Value, Any], Value]]] = {"get": _get, "setdefault": _setdefault}

__all__ = ["arithmetic", "call"]
