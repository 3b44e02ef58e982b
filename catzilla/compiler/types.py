"""The types of the compiler, and how two of them meet in one variable.

Scalars are exact Python types. A list's element type (a dict's value type) is a variable that is
shared by all lists that may be the same object: it grows as the function's body is read, and reading
is repeated until it no longer does. ``Dyn`` is a value whose type, one of several, is known when the
function runs; an operation on it checks, and leaves to Python what does not fit.
"""

from __future__ import annotations

from typing import Final, TypeGuard

from .refusal import Refusal


class Type:
    """A scalar, told apart by identity. ``ctype`` is how C holds it, ``code`` its letter in a type code."""

    def __init__(self, name: str, ctype: str, code: str, tag: int) -> None:
        self.name = name
        self.ctype = ctype
        self.code = code
        self.tag = tag

    def __repr__(self) -> str:
        return self.name


NONE: Final = Type("None", "i64", "n", 0)
BOOL: Final = Type("bool", "i64", "b", 1)
INT: Final = Type("int", "i64", "i", 2)
FLOAT: Final = Type("float", "double", "d", 3)
STR: Final = Type("str", "cz_str_t *", "s", 4)
NEVER: Final = Type("nothing", "i64", "!", -1)  # of the elements of a list that is always empty
SCALARS: Final = (NONE, BOOL, INT, FLOAT, STR)
FIRST_TYPE: Final = 5


class Var:
    """The type of what a container holds. Borrowed: an argument's, which must not change and not be given back."""

    changes = 0  # counts every growth: the front end reads again while it moves

    def __init__(self, type_: Type = NEVER, pinned: bool = False, borrowed: bool = False) -> None:
        self._type = type_
        self._parent: Var | None = None
        self.pinned = pinned
        self.borrowed = borrowed

    def root(self) -> Var:
        var = self
        while var._parent is not None:
            var = var._parent
        return var

    @property
    def type(self) -> Type:
        return self.root()._type

    def is_borrowed(self) -> bool:
        return self.root().borrowed

    def include(self, type_: Type) -> None:
        """Let the container hold this type too."""
        root = self.root()
        if _holds(type_, root):
            raise Refusal("a container that holds itself is not compiled")
        joined = join(root._type, type_)
        root = root.root()
        if same(joined, root._type):
            return
        if root.pinned:
            raise Refusal(f"a list or dict of {root._type!r} from elsewhere would have to hold {type_!r} too")
        root._type = joined
        Var.changes += 1

    def unify(self, other: Var) -> None:
        one, two = self.root(), other.root()
        if one is two:
            return
        if one.borrowed != two.borrowed:
            raise Refusal(
                "an argument and a container made here meet in one variable: the function could change the argument"
            )
        first, second = one._type, two._type
        if one.pinned and two.pinned and not same(first, second):
            raise Refusal(f"containers of {first!r} and of {second!r} meet in one variable")
        if two.pinned:
            one, two = two, one
        two._parent = one
        one.include(first)
        one.include(second)
        Var.changes += 1


class ListT(Type):
    def __init__(self, elem: Var) -> None:
        super().__init__("list", "cz_list_t *", "L", FIRST_TYPE)
        self.elem = elem

    def __repr__(self) -> str:
        return f"list[{self.elem.type!r}]"


class DictT(Type):
    def __init__(self, key: Var, value: Var) -> None:
        super().__init__("dict", "cz_dict_t *", "D", FIRST_TYPE)
        self.key = key
        self.value = value

    def __repr__(self) -> str:
        return f"dict[{self.key.type!r}, {self.value.type!r}]"


class TupleT(Type):
    def __init__(self, items: tuple[Type, ...]) -> None:
        super().__init__("tuple", "cz_value_t *", "T", FIRST_TYPE)
        self.items = items

    def __repr__(self) -> str:
        return f"tuple[{', '.join(map(repr, self.items)) or '()'}]"


class Dyn(Type):
    def __init__(self, options: tuple[Type, ...]) -> None:
        super().__init__("dyn", "cz_value_t", "?", -1)
        self.options = options

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.options))


def same(a: Type, b: Type) -> bool:
    if a is b:
        return True
    if isinstance(a, ListT) and isinstance(b, ListT):
        one, two = a.elem.root(), b.elem.root()
        return one is two or (one.pinned and two.pinned and one.borrowed == two.borrowed and same(one.type, two.type))
    if isinstance(a, DictT) and isinstance(b, DictT):
        return same(ListT(a.key), ListT(b.key)) and same(ListT(a.value), ListT(b.value))
    if isinstance(a, TupleT) and isinstance(b, TupleT):
        return len(a.items) == len(b.items) and all(map(same, a.items, b.items))
    if isinstance(a, Dyn) and isinstance(b, Dyn):
        return len(a.options) == len(b.options) and all(any(same(x, y) for y in b.options) for x in a.options)
    return False


def join(a: Type, b: Type) -> Type:
    """The type of a variable that holds both. Lists (dicts) that meet hold the same from now on."""
    if a is NEVER or same(a, b):
        return b
    if b is NEVER:
        return a
    if isinstance(a, ListT) and isinstance(b, ListT):
        a.elem.unify(b.elem)
        return a
    if isinstance(a, DictT) and isinstance(b, DictT):
        a.key.unify(b.key)
        a.value.unify(b.value)
        return a
    if isinstance(a, TupleT) and isinstance(b, TupleT) and len(a.items) == len(b.items):
        return TupleT(tuple(map(join, a.items, b.items)))
    options: list[Type] = []
    for new in (*options_of(a), *options_of(b)):
        for index, old in enumerate(options):
            if _meet(old, new):
                options[index] = join(old, new)
                break
        else:
            options.append(new)
    options.sort(key=lambda option: (option.tag, option.code, repr(option)))
    return Dyn(tuple(options)) if len(options) > 1 else options[0]


def _meet(a: Type, b: Type) -> bool:
    if isinstance(a, TupleT) and isinstance(b, TupleT):
        return len(a.items) == len(b.items)
    return a is b or (type(a) is type(b) and isinstance(a, ListT | DictT))


def options_of(type_: Type) -> tuple[Type, ...]:
    return type_.options if isinstance(type_, Dyn) else (type_,)


def _holds(type_: Type, var: Var) -> bool:
    inner: tuple[Type, ...] = ()
    if isinstance(type_, ListT):
        if type_.elem.root() is var:
            return True
        inner = (type_.elem.type,)
    elif isinstance(type_, DictT):
        if var in (type_.value.root(), type_.key.root()):
            return True
        inner = (type_.value.type,)
    elif isinstance(type_, TupleT):
        inner = type_.items
    elif isinstance(type_, Dyn):
        inner = type_.options
    return any(_holds(part, var) for part in inner)


def is_number(type_: Type) -> TypeGuard[Type]:
    return type_ is INT or type_ is FLOAT or type_ is BOOL


def has_borrowed(type_: Type) -> bool:
    """Whether the value may be, or hold, a list or dict that the caller gave."""
    if isinstance(type_, ListT):
        return type_.elem.is_borrowed() or has_borrowed(type_.elem.type)
    if isinstance(type_, DictT):
        return type_.value.is_borrowed() or has_borrowed(type_.value.type)
    if isinstance(type_, TupleT):
        return any(map(has_borrowed, type_.items))
    return isinstance(type_, Dyn) and any(map(has_borrowed, type_.options))


def size_of(type_: Type) -> int:
    """Bytes of an element in a list."""
    return 16 if isinstance(type_, Dyn) else 8


def code_of(type_: Type) -> str:
    """The type code: what a host reads to convert arguments and results.

    i d b s n: a scalar. Lx: list of x. Dkv: dict. Tn(...): tuple of n. ?n(...): one of n, by its tag.
    """
    if isinstance(type_, ListT):
        return "L" + code_of(type_.elem.type)
    if isinstance(type_, DictT):
        return "D" + code_of(type_.key.type) + code_of(type_.value.type)
    if isinstance(type_, TupleT):
        return f"T{len(type_.items)}({''.join(map(code_of, type_.items))})"
    if isinstance(type_, Dyn):
        return f"?{len(type_.options)}({''.join(map(code_of, type_.options))})"
    return type_.code


def freeze(type_: Type, borrowed: bool) -> Type:
    """A copy that no longer grows: a parameter's (borrowed) or a called function's result."""
    if isinstance(type_, ListT):
        return ListT(Var(freeze(type_.elem.type, borrowed), True, borrowed))
    if isinstance(type_, DictT):
        return DictT(
            Var(freeze(type_.key.type, borrowed), True, borrowed),
            Var(freeze(type_.value.type, borrowed), True, borrowed),
        )
    if isinstance(type_, TupleT):
        return TupleT(tuple(freeze(item, borrowed) for item in type_.items))
    if isinstance(type_, Dyn):
        return Dyn(tuple(freeze(option, borrowed) for option in type_.options))
    return type_
