"""f-strings and format specifications."""

from __future__ import annotations

import ast
import re
from typing import Any, Final

from catzilla.wording import with_article

from .function import Function, Value
from .types import BOOL, FLOAT, INT, NEVER, NONE, STR, Dyn, options_of

_SPEC: Final = re.compile(
    r"(?:(?P<fill>.)?(?P<align>[<>=^]))?(?P<sign>[-+ ])?(?P<zero>0)?(?P<width>\d+)?(?P<comma>[,_])?"
    r"(?:\.(?P<digits>\d+))?(?P<type>[a-zA-Z%])?",
    re.DOTALL,
)


def joined(f: Function, node: Any) -> Value:
    from .expressions import constant

    parts = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            parts.append(constant(f, part.value, part))
        else:
            parts.append(formatted(f, part))
    if any(part.type is NEVER for part in parts):
        return Value(NEVER, "0")
    if not parts:
        return constant(f, "", node)
    return parts[0] if len(parts) == 1 else concat(f, parts, node)


def concat(f: Function, parts: list[Value], node: ast.AST) -> Value:
    name = f.raw("cz_str_t *", "0")
    f.lines[-1] = f"cz_str_t *{name}[] = {{{', '.join(part.c for part in parts)}}};"
    return f.made(STR, f"cz_concat(rt, {len(parts)}, {name}, 0)", node)


def formatted(f: Function, node: Any) -> Value:
    """``{value!r:spec}``"""
    from .expressions import lower

    value = lower(f, node.value)
    if node.conversion == ord("a"):
        f.refuse(node, "!a in an f-string is not compiled")
    if node.conversion == ord("r"):
        value = repr_of(f, value, node)
    elif node.conversion == ord("s"):
        value = text_of(f, value, node)
    spec = ""
    if node.format_spec is not None:
        pieces = node.format_spec.values
        if any(not isinstance(piece, ast.Constant) for piece in pieces):
            f.refuse(node, "a format specification that is worked out at run time is not compiled")
        spec = "".join(piece.value for piece in pieces)
    return format_value(f, value, spec, node)


def text_of(f: Function, value: Value, node: ast.AST) -> Value:
    """str(value)"""
    if value.type is STR or value.type is NEVER:
        return value
    if value.type is INT:
        return f.made(STR, f"cz_int_str(rt, {value.c})", node)
    if value.type is FLOAT:
        return f.out(
            STR, f"cz_float_str(rt, {value.c}, $)", node, "the shortest text of this float is Python's to find"
        )
    if all(option in (STR, INT, FLOAT, BOOL, NONE) for option in options_of(value.type)):
        return f.out(
            STR, f"cz_value_str(rt, {f.box(value)}, $)", node, "the shortest text of this float is Python's to find"
        )
    f.refuse(node, f"the text of {with_article(repr(value.type))} is not compiled")


def repr_of(f: Function, value: Value, node: ast.AST) -> Value:
    if value.type is STR:
        return f.out(STR, f"cz_repr_str(rt, {value.c}, $)", node, "repr() of text with quotes or beyond ASCII")
    if STR in options_of(value.type):
        f.refuse(node, f"repr() of {value.type!r} is not compiled")
    return text_of(f, value, node)


def format_value(f: Function, value: Value, spec: str, node: ast.AST) -> Value:
    if value.type is NEVER or not spec:
        return text_of(f, value, node)
    found = _SPEC.fullmatch(spec)
    if found is None or (found["align"] == "=" and value.type is STR):
        f.refuse(node, f"the format specification {spec!r} is not compiled")
    if isinstance(value.type, Dyn):
        numbers = [option for option in value.type.options if option in (INT, FLOAT)]
        kind = FLOAT if found["type"] in ("f", "F", "e", "%") else None
        if kind is not None and len(numbers) == len(value.type.options):
            held = f.hold(value)
            value = f.temp(FLOAT, f"{held.c}.tag == CZ_INT ? (double){held.c}.u.i : {held.c}.u.d")
        elif len(numbers) == 1:
            value = f.only(value, numbers[0], node, "the value")
        else:
            f.refuse(node, f"formatting {value.type!r} is not compiled")
    width, type_ = int(found["width"] or 0), found["type"]
    if width > 1000 or int(found["digits"] or 0) > 60:
        f.refuse(node, "so wide a format is not compiled")
    fill, align = found["fill"], found["align"]
    if found["zero"] and align is None:
        fill, align = "0", "="
    sign = {"+": "'+'", " ": "' '"}.get(found["sign"] or "", "0")
    comma = f"'{found['comma']}'" if found["comma"] else "0"
    if comma != "0" and found["zero"]:
        f.refuse(node, f"the format specification {spec!r} is not compiled")
    if value.type is STR:
        if found["sign"] or found["comma"] or type_ not in (None, "s") or (found["zero"] and found["align"] is None):
            f.refuse(node, f"the format specification {spec!r} of a str is not compiled")
        if found["digits"] is not None:
            value = f.made(STR, f"cz_slice_str(rt, {value.c}, 0, {found['digits']})", node)
        return _field(f, value, width, fill, align or "<", node)
    if value.type is INT and type_ in (None, "d", "x", "X", "o", "b") and found["digits"] is None:
        if found["comma"] and (type_ not in (None, "d")):
            f.refuse(node, f"the format specification {spec!r} is not compiled")
        text = f.made(STR, f"cz_format_int(rt, {value.c}, '{type_ or 'd'}', {sign}, {comma})", node)
        return _field(f, text, width, fill, align or ">", node)
    if value.type in (INT, FLOAT) and type_ in ("f", "F", "e", "%"):
        if value.type is INT:
            f.check(
                f"{value.c} > CZ_EXACT || {value.c} < -CZ_EXACT", node, "an int above 2**53 is formatted as a float"
            )
            value = f.temp(FLOAT, f"(double){value.c}")
        digits = found["digits"] or "6"
        call = f"cz_format_float(rt, {value.c}, '{type_.lower()}', {digits}, {sign}, {comma}, $)"
        return _field(
            f, f.out(STR, call, node, "a float that is not finite is formatted"), width, fill, align or ">", node
        )
    f.refuse(node, f"the format specification {spec!r} of {with_article(repr(value.type))} is not compiled")


def _field(f: Function, text: Value, width: int, fill: str | None, align: str, node: ast.AST) -> Value:
    if width == 0:
        return text
    return f.made(STR, f"cz_field(rt, {text.c}, {width}, {ord(fill or ' ')}, '{align}')", node)
