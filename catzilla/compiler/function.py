"""One function on its way to C: its variables and types, the lines of C, and what is known at each point."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

from .refusal import Refusal
from .types import (
    BOOL,
    FLOAT,
    INT,
    NEVER,
    NONE,
    STR,
    DictT,
    Dyn,
    ListT,
    TupleT,
    Type,
    Var,
    freeze,
    join,
    options_of,
    same,
)

if TYPE_CHECKING:
    from .source import Source
    from .unit import Unit

ABSENT: Final = object()
Node = ast.AST


class Value:
    """A typed C expression without effects. ``const`` is the Python value where it is known."""

    __slots__ = ("c", "const", "type")

    def __init__(self, type_: Type, c: str, const: object = ABSENT) -> None:
        self.type = type_
        self.c = c
        self.const = const


class Function:
    def __init__(self, unit: Unit, source: Source, params: tuple[Type, ...], name: str) -> None:
        self.unit = unit
        self.source = source
        self.params = params
        self.name = name
        self.result: Type = NEVER
        self.types: dict[str, Type] = {}
        self.flags: set[str] = set()  # variables that may be read before they are assigned
        self.containers: dict[Any, Type] = {}  # type of each list and dict that is made here, by where
        self.loops = False
        self.calls: set[str] = set()
        self.changed = False
        self.in_try = 0
        self._start()

    def _start(self) -> None:
        self.lines: list[str] = []
        self.assigned: set[str] | None = set()  # surely assigned here; None: not reachable
        self.renamed: dict[str, str] = {}  # variables of the comprehension that is being read
        self.exits: list[tuple[str | None, str | None]] = []  # of the loops around: label after, label of the step
        self._temps = 0

    # -- one reading ---------------------------------------------------------------------------

    def read(self, body: Callable[[Function], None]) -> None:
        self._start()
        growth = Var.changes
        self.changed = False
        assert self.assigned is not None
        for name, type_ in zip(self.source.params, self.params, strict=True):
            self.assigned.add(name)
            self.set_type(name, type_)
            self.emit(f"{self.variable(name)} = {self.coerce(Value(type_, f'a_{name}'), self.types[name]).c};")
            if name in self.flags:
                self.emit(f"h_{self.mangle(name)} = 1;")
        body(self)
        if self.assigned is not None:
            self.give_back(Value(NONE, "0"), self.source.tree)
        self.changed |= Var.changes != growth

    def set_type(self, name: str, type_: Type) -> None:
        old = self.types.get(name, NEVER)
        new = join(old, type_)
        if not same(old, new) or name not in self.types:
            self.types[name] = new
            self.changed = True

    def text(self) -> str:
        head = [f"{self.signature()} {{"]
        for name, type_ in self.types.items():
            head.append(f"    {type_.ctype} {self.variable(name)}{zero(type_)};")
            if name in self.flags:
                head.append(f"    int h_{self.mangle(name)} = 0;")
        return "\n".join([*head, *("    " + line for line in self.lines), "    return 0;", "}"])

    def signature(self) -> str:
        params = "".join(
            f", {type_.ctype} a_{name}" for name, type_ in zip(self.source.params, self.params, strict=True)
        )
        return f"static int {self.name}(cz_runtime_t *rt{params}, {self.result.ctype} *out)"

    # -- lines ---------------------------------------------------------------------------------

    def emit(self, line: str) -> None:
        self.lines.append(line)

    @contextmanager
    def aside(self) -> Iterator[list[str]]:
        """What is emitted inside goes to a list of its own."""
        outer, self.lines = self.lines, []
        try:
            yield self.lines
        finally:
            self.lines = outer

    def label(self) -> str:
        self._temps += 1
        return f"L{self._temps}"

    def temp(self, type_: Type, c: str, const: object = ABSENT) -> Value:
        self._temps += 1
        self.emit(f"{type_.ctype} t{self._temps} = {c};")
        return Value(type_, f"t{self._temps}", const)

    def raw(self, ctype: str, c: str | None = None) -> str:
        """A C variable that holds no Python value (an index, an out parameter)."""
        self._temps += 1
        self.emit(f"{ctype} r{self._temps}{'' if c is None else f' = {c}'};")
        return f"r{self._temps}"

    def out(self, type_: Type, call: str, node: Node, reason: str) -> Value:
        """A call ``f(…, &r)`` that gives 1 when it cannot say (``call`` has ``$`` for ``&r``)."""
        self._temps += 1
        name = f"r{self._temps}"
        self.emit(f"{type_.ctype} {name};")
        self.check(call.replace("$", "&" + name), node, reason)
        return Value(type_, name)

    def made(self, type_: Type, call: str, node: Node) -> Value:
        """A pointer from the arena."""
        value = self.temp(type_, call)
        self.check(f"!{value.c}", node, "the run needs more memory than a kernel may use")
        return value

    def hold(self, value: Value) -> Value:
        """The value as it is now, whatever is assigned later."""
        return self.temp(value.type, value.c, value.const) if value.c.startswith("v_") else value

    def leave(self, node: Node, reason: str) -> str:
        return f"{{ rt->why = {self.unit.reason(self.line(node), reason)}; return 1; }}"

    def check(self, condition: str, node: Node, reason: str) -> None:
        """Leave the call to Python when the condition holds."""
        self.emit(f"if ({condition}) {self.leave(node, reason)}")

    def deopt(self, node: Node, reason: str) -> Value:
        self.emit(self.leave(node, reason))
        return Value(NEVER, "0")

    def never(self, node: Node) -> Value:
        """Of a value that does not exist (an element of what is always empty)."""
        return self.deopt(node, "an element of an empty container is used")

    def line(self, node: Node) -> int:
        return self.source.line(node)

    def refuse(self, node: Node, reason: str) -> NoReturn:
        raise Refusal(reason, self.line(node), getattr(node, "col_offset", 0) + self.source.indent)

    # -- variables -----------------------------------------------------------------------------

    @staticmethod
    def mangle(name: str) -> str:
        """A C identifier; Python's may hold any letter."""
        return "".join(c if c.isascii() and (c.isalnum() or c == "_") else f"_{ord(c):x}_" for c in name)

    def variable(self, name: str) -> str:
        return f"v_{self.mangle(name)}"

    def assign(self, name: str, value: Value) -> None:
        name = self.renamed.get(name, name)
        self.set_type(name, value.type)
        self.emit(f"{self.variable(name)} = {self.coerce(value, self.types[name]).c};")
        if name in self.flags:
            self.emit(f"h_{self.mangle(name)} = 1;")
        if self.assigned is not None:
            self.assigned.add(name)

    def load(self, name: str, node: Node) -> Value:
        name = self.renamed.get(name, name)
        if self.assigned is not None and name not in self.assigned:
            if name not in self.flags:
                self.flags.add(name)
                self.changed = True
            self.check(f"!h_{self.mangle(name)}", node, f"{name.partition('$')[0]} is read before it has a value")
        type_ = self.types.get(name, NEVER)
        if name not in self.types:
            self.types[name] = NEVER
            self.changed = True
        return self.never(node) if type_ is NEVER else Value(type_, self.variable(name))

    # -- types ---------------------------------------------------------------------------------

    def container(self, node: Node, make: Callable[[], Type], part: str = "") -> Any:
        key = (node, part)
        if key not in self.containers:
            self.containers[key] = make()
        return self.containers[key]

    def coerce(self, value: Value, wanted: Type) -> Value:
        """The value as C holds ``wanted``, which includes its type."""
        if isinstance(wanted, Dyn) and not isinstance(value.type, Dyn):
            return Value(wanted, self.box(value, wanted), value.const)
        if value.type is NEVER and wanted is not NEVER:
            return Value(wanted, empty(wanted))
        return Value(wanted, value.c, value.const)

    def box(self, value: Value, wanted: Type | None = None) -> str:
        """As a tagged value."""
        type_ = value.type
        if isinstance(type_, Dyn):
            return value.c
        if type_ is NEVER:
            return "cz_none()"
        if isinstance(wanted, Dyn):
            for option in wanted.options:
                if type(option) is type(type_) and (
                    not isinstance(option, TupleT)
                    or (isinstance(type_, TupleT) and len(option.items) == len(type_.items))
                ):
                    if not isinstance(type_, ListT | DictT | TupleT) and option is not type_:
                        continue
                    type_ = option
                    break
        return f"cz_{box_letter(type_)}({self.unit.tag(type_)}, {value.c})"

    def unbox(self, tagged: str, type_: Type) -> Value:
        """A slot that surely holds this type, such as a tuple's."""
        if isinstance(type_, Dyn):
            return self.temp(type_, tagged)
        return self.temp(type_, plain(tagged, type_))

    def narrow(self, value: Value, wanted: tuple[Type, ...], node: Node, what: str) -> Value:
        """One of the wanted types: a value whose type is known at run time only is checked."""
        if not isinstance(value.type, Dyn):
            return value
        fits = [option for option in value.type.options if any(option is w for w in wanted)]
        if len(fits) != 1:
            return value
        return self.only(value, fits[0], node, what)

    def only(self, value: Value, option: Type, node: Node, what: str) -> Value:
        """Check that a value of several types has this one."""
        held = self.hold(value)
        self.check(f"{held.c}.tag != {self.unit.tag(option)}", node, f"{what} is not {option!r}")
        return self.temp(option, plain(held.c, option))

    def narrow_class(self, value: Value, kind: type[Type] | Type, node: Node, what: str) -> Value:
        """As ``narrow``, for containers: the one option of that class."""
        if not isinstance(value.type, Dyn):
            return value
        fits = [o for o in value.type.options if (isinstance(o, kind) if isinstance(kind, type) else o is kind)]
        return self.only(value, fits[0], node, what) if len(fits) == 1 else value

    def give_back(self, value: Value, node: Node) -> None:
        joined = join(self.result, freeze_if_called(self, value.type))
        if not same(joined, self.result):
            self.result = joined
            self.changed = True
        self.emit(f"*out = {self.coerce(value, self.result).c};")
        self.emit("return 0;")
        self.assigned = None


def freeze_if_called(function: Function, type_: Type) -> Type:
    return type_


def box_letter(type_: Type) -> str:
    return "d" if type_ is FLOAT else "i" if type_ in (INT, BOOL, NONE) or type_ is NEVER else "p"


def plain(tagged: str, type_: Type) -> str:
    """A tagged value of a known type as C holds the type."""
    if type_ is NONE or type_ is NEVER:
        return "0"
    field = {"d": "d", "i": "i", "p": "p"}[box_letter(type_)]
    return f"{tagged}.u.{field}"


def zero(type_: Type) -> str:
    return " = {0}" if isinstance(type_, Dyn) else " = 0"


def empty(type_: Type) -> str:
    return "cz_none()" if isinstance(type_, Dyn) else "0"


__all__ = ["ABSENT", "Function", "Node", "STR", "Value", "freeze", "options_of", "plain"]
