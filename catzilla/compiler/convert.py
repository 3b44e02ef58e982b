"""Python values to what a kernel reads, and back, under the GIL.

Arguments are guarded by exact type: what does not fit raises Mismatch before anything has run. What a
kernel reads is a copy, taken from a snapshot of each container, so that a thread that changes the
argument meanwhile is seen or not seen, as in Python, but never half.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

from catzilla.wording import kind_of

from .load import types as ffi_types
from .types import BOOL, FLOAT, INT, NEVER, NONE, STR, DictT, Dyn, ListT, TupleT, Type, options_of

_KINDS = {INT: int, FLOAT: float, STR: str, BOOL: bool}


class Mismatch(Exception):
    """The argument is not what the kernel was compiled for; why."""


class Writer:
    """Arguments of one call; keeps alive what it points to."""

    def __init__(self, tag: Callable[[Type], int]) -> None:
        self._ffi = ffi_types()
        self._tag = tag
        self.kept: list[Any] = []

    def put(self, slot: Any, type_: Type, value: Any) -> None:
        if isinstance(type_, Dyn):
            type_ = self._option(type_, value)
        kind = type(value)
        if type_ is INT and kind is int:
            try:
                slot.u.i = value
            except OverflowError:
                raise Mismatch("an int beyond 64 bits") from None
        elif type_ is FLOAT and kind is float:
            slot.u.d = value
        elif type_ is BOOL and kind is bool:
            slot.u.i = value
        elif type_ is NONE and value is None:
            pass
        else:
            slot.u.p = self.pointer(type_, value)
        slot.tag = self._tag(type_)

    def _option(self, type_: Dyn, value: Any) -> Type:
        for option in type_.options:
            if _fits(option, value):
                return option
        raise Mismatch(f"{kind_of(value)} where {type_!r} was expected")

    def pointer(self, type_: Type, value: Any) -> Any:
        ffi = self._ffi
        if type_ is STR and type(value) is str:
            return self._text(value)
        if isinstance(type_, ListT) and type(value) is list:
            return self._list(type_.elem.type, value[:])
        if isinstance(type_, TupleT) and type(value) is tuple and len(value) == len(type_.items):
            slots = ffi.new("cz_value_t[]", max(1, len(value)))
            self.kept.append(slots)
            for index, item_type in enumerate(type_.items):
                self.put(slots[index], item_type, value[index])
            return slots
        if isinstance(type_, DictT) and type(value) is dict:
            return self._dict(type_, list(value.items()))
        raise Mismatch(f"{kind_of(value)} where {type_!r} was expected")

    def _text(self, value: str) -> Any:
        ffi = self._ffi
        try:
            data, kind = value.encode("latin-1"), 1
        except UnicodeEncodeError:
            data, kind = value.encode("utf-32-le", "surrogatepass"), 4
        buffer = ffi.from_buffer(data)
        text = ffi.new("cz_str_t *", (len(value), kind, buffer))
        self.kept += (buffer, text)
        return text

    def _items(self, elem: Type, values: list[Any]) -> Any:
        ffi = self._ffi
        kind = _KINDS.get(elem)
        if kind is not None and any(found is not kind for found in set(map(type, values))):
            raise Mismatch(f"a list with something else than {elem!r}")
        if elem is INT or elem is BOOL:
            try:
                return ffi.from_buffer("long long[]", array("q", values))
            except OverflowError:
                raise Mismatch("an int beyond 64 bits") from None
        if elem is FLOAT:
            return ffi.from_buffer("double[]", array("d", values))
        if isinstance(elem, Dyn):
            slots = ffi.new("cz_value_t[]", len(values))
            for index, value in enumerate(values):
                self.put(slots[index], elem, value)
            return slots
        if elem is NONE or elem is NEVER:
            if any(value is not None for value in values) or (elem is NEVER and values):
                raise Mismatch(f"a list with something else than {elem!r}")
            return ffi.new("long long[]", len(values))
        return ffi.new("void *[]", [ffi.cast("void *", self.pointer(elem, value)) for value in values])

    def _list(self, elem: Type, values: list[Any]) -> Any:
        ffi = self._ffi
        items = self._items(elem, values) if values else ffi.NULL
        made = ffi.new("cz_list_t *", (len(values), len(values), items))
        self.kept += (items, made)
        return made

    def _dict(self, type_: DictT, pairs: list[tuple[Any, Any]]) -> Any:
        ffi = self._ffi
        if not pairs:
            made = ffi.new("cz_dict_t *")
            self.kept.append(made)
            return made
        keys = self._items(type_.key.type, [key for key, _ in pairs])
        values = ffi.new("cz_value_t[]", len(pairs))
        for index, (_, value) in enumerate(pairs):
            self.put(values[index], type_.value.type, value)
        made = ffi.new("cz_dict_t *", {"length": len(pairs), "capacity": len(pairs), "keys": keys, "values": values})
        self.kept += (keys, values, made)
        return made


def _fits(type_: Type, value: Any) -> bool:
    kind = type(value)
    if isinstance(type_, ListT):
        return kind is list
    if isinstance(type_, DictT):
        return kind is dict
    if isinstance(type_, TupleT):
        return kind is tuple and len(value) == len(type_.items)
    return value is None if type_ is NONE else kind is _KINDS.get(type_)


class Reader:
    """Results. A list or dict that is there twice becomes one object that is there twice."""

    def __init__(self, tags: dict[int, Type]) -> None:
        self._ffi = ffi_types()
        self._tags = tags
        self._made: dict[int, Any] = {}

    def value(self, slot: Any) -> Any:
        tag = slot.tag
        if tag == 2:
            return slot.u.i
        if tag == 4:
            return self.text(self._ffi.cast("cz_str_t *", slot.u.p))
        if tag == 3:
            return slot.u.d
        if tag == 1:
            return bool(slot.u.i)
        if tag == 0:
            return None
        return self.pointer(self._tags[tag], slot.u.p)

    def text(self, text: Any) -> str:
        data = self._ffi.buffer(text.data, text.length * text.kind)
        return str(data, "latin-1") if text.kind == 1 else str(data, "utf-32-le", "surrogatepass")

    def pointer(self, type_: Type, pointer: Any) -> Any:
        ffi = self._ffi
        if type_ is STR:
            return self.text(ffi.cast("cz_str_t *", pointer))
        address = int(ffi.cast("intptr_t", pointer))
        if address in self._made:
            return self._made[address]
        made: Any
        if isinstance(type_, ListT):
            found = ffi.cast("cz_list_t *", pointer)
            made = self._made[address] = []
            made += self._items(type_.elem.type, found.items, found.length)
        elif isinstance(type_, DictT):
            found = ffi.cast("cz_dict_t *", pointer)
            made = self._made[address] = {}
            keys = self._items(type_.key.type, found.keys, found.length)
            for index, key in enumerate(keys):
                made[key] = self.value(found.values[index])
        else:
            assert isinstance(type_, TupleT)
            slots = ffi.cast("cz_value_t *", pointer)
            made = self._made[address] = tuple(self.value(slots[index]) for index in range(len(type_.items)))
        return made

    def _items(self, elem: Type, items: Any, length: int) -> list[Any]:
        ffi = self._ffi
        if not length:
            return []
        if elem is INT:
            return ffi.unpack(ffi.cast("long long *", items), length)  # type: ignore[no-any-return]
        if elem is FLOAT:
            return ffi.unpack(ffi.cast("double *", items), length)  # type: ignore[no-any-return]
        if elem is BOOL:
            return list(map(bool, ffi.unpack(ffi.cast("long long *", items), length)))
        if elem is NONE or elem is NEVER:
            return [None] * length
        if isinstance(elem, Dyn):
            slots = ffi.cast("cz_value_t *", items)
            return [self.value(slots[index]) for index in range(length)]
        pointers = ffi.cast("void **", items)
        return [self.pointer(elem, pointers[index]) for index in range(length)]


def type_of(value: Any, depth: int = 0) -> Type | None:
    """The type to compile for, of an argument that was seen; None: it cannot be told, or is not compiled."""
    from .types import Var, join

    kind = type(value)
    for type_, python in _KINDS.items():
        if kind is python:
            return type_
    if value is None:
        return NONE
    if depth > 4 or kind not in (list, tuple, dict):
        return None
    if kind is tuple:
        items = [type_of(item, depth + 1) for item in value[:64]]
        return None if len(value) > 64 or None in items else TupleT(tuple(item for item in items if item is not None))
    values = list(value.values())[:1000] if kind is dict else value[:1000]
    joined: Type = NEVER
    for item in values:
        found = type_of(item, depth + 1)
        if found is None:
            return None
        joined = join(joined, found)
    if joined is NEVER or len(options_of(joined)) > 6:
        return None
    if kind is list:
        return ListT(Var(joined))
    keys = {type(key) for key in value}
    return DictT(Var(STR if keys == {str} else INT), Var(joined)) if keys in ({str}, {int}) else None


def types_of(values: tuple[Any, ...]) -> tuple[Type, ...] | None:
    """Of every argument; None: one of them is nothing to compile for."""
    try:
        types = [type_of(value) for value in values]
    except RuntimeError:  # a dict that another thread changes meanwhile
        return None
    return None if None in types else tuple(type_ for type_ in types if type_ is not None)
