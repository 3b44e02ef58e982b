"""A kernel: the functions it consists of, its constants, types and reasons, and its C text."""

from __future__ import annotations

from typing import Any, Final

from .function import Function
from .names import Names
from .refusal import Refusal
from .runtime_text import ABI, runtime_for
from .source import Source
from .types import NEVER, DictT, Dyn, ListT, TupleT, Type, code_of, freeze, same

CODEGEN_VERSION: Final = 1
MOST_READINGS: Final = 40
MOST_FUNCTIONS: Final = 40
MOST_TEXT: Final = 400_000


class Unit:
    """Read a function for arguments of these types. Raises Refusal.

    ``columns``: it will also go over buffers, of these formats and with results of this one.
    """

    def __init__(self, fn: Any, params: tuple[Type, ...], columns: tuple[str, str] | None = None) -> None:
        self.columns = columns
        self.names = Names()
        self.functions: dict[Any, Function] = {}
        self.sources: dict[Any, Source] = {}
        self.reasons: list[tuple[int, str]] = []
        self.tags: list[Type] = []
        self.externs: dict[str, str] = {}
        self._strings: dict[str, str] = {}
        self._string_lines: list[str] = []
        self.entry = self.function(fn, params, None)
        self._read_all()
        if any(type_ is NEVER for type_ in (self.entry.result,)):
            raise Refusal("it never returns: it always raises", self.entry.source.line(self.entry.source.tree), 0)

    # -- for the functions ---------------------------------------------------------------------

    def function(self, fn: Any, params: tuple[Type, ...], caller: Function | None) -> Function:
        source = self.sources.get(fn)
        if source is None:
            source = self.sources[fn] = Source(fn)
        if len(params) != len(source.params):
            raise Refusal(f"it has {len(source.params)} parameters, and {len(params)} arguments are given")
        frozen = tuple(freeze(param, borrowed=True) for param in params)
        key = (fn, "".join(map(code_of, frozen)))
        found = self.functions.get(key)
        if found is None:
            if len(self.functions) >= MOST_FUNCTIONS:
                raise Refusal(f"it needs more than {MOST_FUNCTIONS} functions and types of arguments")
            name = f"f{len(self.functions)}_{Function.mangle(source.tree.name)}"
            found = self.functions[key] = Function(self, source, frozen, name)
        if caller is not None:
            caller.calls.add(found.name)
        return found

    def reason(self, line: int, text: str) -> int:
        entry = (line, text)
        if entry not in self.reasons:
            self.reasons.append(entry)
        return self.reasons.index(entry)

    def tag(self, type_: Type) -> int:
        if not isinstance(type_, ListT | DictT | TupleT):
            return type_.tag
        for index, known in enumerate(self.tags):
            if same(known, type_):
                return 5 + index
        self.tags.append(type_)
        return 4 + len(self.tags)

    def extern(self, name: str, prototype: str) -> None:
        self.externs[name] = prototype

    def string(self, text: str) -> str:
        """A constant, as C."""
        name = self._strings.get(text)
        if name is None:
            name = self._strings[text] = f"s{len(self._strings)}"
            wide = any(ord(c) > 255 for c in text)
            numbers = ",".join(str(ord(c)) for c in text) or "0"
            self._string_lines.append(f"static const {'u32' if wide else 'u8'} {name}_[] = {{{numbers}}};")
            self._string_lines.append(f"static const cz_str_t {name} = {{{len(text)}, {4 if wide else 1}, {name}_}};")
        return f"((cz_str_t *)&{name})"

    # -- reading and writing -------------------------------------------------------------------

    def _read_all(self) -> None:
        from .statements import read_body

        for _ in range(MOST_READINGS):
            count = len(self.functions)
            self.reasons.clear()
            self.tags.clear()
            changed = False
            for function in list(self.functions.values()):
                function.read(read_body)
                changed |= function.changed
            if not changed and len(self.functions) == count:
                return
        raise Refusal("the types of its variables cannot be told")

    @property
    def loops(self) -> bool:
        return any(function.loops for function in self.functions.values()) or self.recursive

    @property
    def recursive(self) -> bool:
        graph = {function.name: function.calls for function in self.functions.values()}

        for start in graph:
            reached: set[str] = set()
            pending = [start]
            while pending:
                new = graph[pending.pop()] - reached
                reached |= new
                pending += new
            if start in reached:
                return True
        return False

    def result_types(self) -> dict[int, Type]:
        """By tag, what a result may be or hold."""
        return {5 + index: type_ for index, type_ in enumerate(self.tags)}

    def type_code(self) -> str:
        params = "".join(map(code_of, self.entry.params))
        table = ",".join(code_of(type_) for type_ in self.tags)
        return f"{params}>{code_of(self.entry.result)};{table}"

    def text(self) -> str:
        entry = self.entry
        result = entry.result
        arguments = "".join(
            f", args[{index}]" if isinstance(type_, Dyn) else f", args[{index}].u.{_field(type_)}"
            for index, type_ in enumerate(entry.params)
        )
        body = [function.text() for function in self.functions.values()]
        boxed = entry.box(_value(result, "out"), result)
        parts = [
            *(f"extern {prototype};" for prototype in self.externs.values()),
            *self._string_lines,
            *(function.signature() + ";" for function in self.functions.values()),
            *body,
            "int cz_kernel(const cz_value_t *args, cz_value_t *result, cz_runtime_t *rt) {\n"
            f"    {result.ctype} out;\n"
            "    char here;\n"
            "    rt->stack = &here;\n"
            f"    int status = {entry.name}(rt{arguments}, &out);\n"
            "    if (status) return status;\n"
            f"    *result = {boxed};\n"
            "    return CZ_OK;\n}\n",
            "void cz_release(cz_runtime_t *rt) {\n"
            "    void *block = rt->blocks;\n"
            "    while (block) { void *next = *(void **)block; rt->free(block); block = next; }\n"
            "    rt->blocks = 0;\n}\n",
        ]
        if self.columns is not None:
            from .mapper import map_text

            parts.append(map_text(self, *self.columns))
        own = "\n".join(parts)
        text = f"{ABI()}\n{runtime_for(own)}\n{own}"
        if len(text) > MOST_TEXT:
            raise Refusal("it is too long")
        return text


def _value(type_: Type, c: str) -> Any:
    from .function import Value

    return Value(type_, c)


def _field(type_: Type) -> str:
    return "d" if type_.ctype == "double" else "i" if type_.ctype == "i64" else "p"
