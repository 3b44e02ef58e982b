"""Annotations to the types that are tried first. They are read, never evaluated, and never trusted."""

from __future__ import annotations

import ast
from typing import Final

from .convert import type_of
from .source import Source
from .types import BOOL, FLOAT, INT, NEVER, NONE, STR, DictT, ListT, TupleT, Type, Var, join

_SCALARS: Final[dict[str, Type]] = {"int": INT, "float": FLOAT, "bool": BOOL, "str": STR, "None": NONE}


def types_from_annotations(source: Source) -> tuple[Type | None, ...]:
    """By parameter; None: only a call will tell."""
    fn = source.fn
    positional = source.params[: len(source.params) - len(source.tree.args.kwonlyargs)]
    values = fn.__defaults__ or ()
    defaults = dict(zip(positional[len(positional) - len(values) :], values, strict=False))
    defaults.update(fn.__kwdefaults__ or {})
    found: list[Type | None] = []
    for argument in source.arguments:
        type_ = None if argument.annotation is None else _read(argument.annotation)
        if argument.arg in defaults:
            default = type_of(defaults[argument.arg])
            if type_ is not None and default is not None:
                type_ = join(type_, default)
        found.append(type_)
    return tuple(found)


def _read(node: ast.expr) -> Type | None:
    if isinstance(node, ast.Constant):
        if node.value is None:
            return NONE
        if isinstance(node.value, str):
            try:
                return _read(ast.parse(node.value, mode="eval").body)
            except (SyntaxError, ValueError, RecursionError):
                return None
        return None
    if isinstance(node, ast.Attribute):  # typing.List
        return _SCALARS.get(node.attr)
    if isinstance(node, ast.Name):
        return _SCALARS.get(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = _read(node.left), _read(node.right)
        return None if left is None or right is None else join(left, right)
    if isinstance(node, ast.Subscript):
        return _generic(node)
    return None


def _generic(node: ast.Subscript) -> Type | None:
    name = (
        node.value.id
        if isinstance(node.value, ast.Name)
        else node.value.attr
        if isinstance(node.value, ast.Attribute)
        else ""
    )
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name in ("tuple", "Tuple") and any(isinstance(part, ast.Constant) and part.value is ... for part in parts):
        return None
    types = [_read(part) for part in parts]
    known = [type_ for type_ in types if type_ is not None]
    if len(known) != len(types):
        return None
    if name in ("list", "List", "Sequence", "Iterable") and len(known) == 1:
        return ListT(Var(known[0]))
    if name in ("dict", "Dict", "Mapping") and len(known) == 2 and known[0] in (STR, INT):
        return DictT(Var(known[0]), Var(known[1]))
    if name in ("tuple", "Tuple"):
        return TupleT(tuple(known))
    if name == "Optional" and len(known) == 1:
        return join(known[0], NONE)
    if name == "Union":
        joined: Type = NEVER
        for type_ in known:
            joined = join(joined, type_)
        return joined
    return None
