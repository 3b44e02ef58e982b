"""A function's syntax tree, and what the names in it stand for."""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
import types
from collections.abc import Iterator
from typing import Any, Final

from catzilla.wording import kind_of

from .refusal import Refusal

MOST_LINES: Final = 2_000
_NOT_PLAIN: Final = {
    ast.Yield: "it is a generator (yield)",
    ast.YieldFrom: "it is a generator (yield from)",
    ast.Await: "it awaits",
    ast.AsyncFor: "it awaits (async for)",
    ast.AsyncWith: "it awaits (async with)",
    ast.Global: "it changes a global variable",
    ast.Nonlocal: "it changes a variable of the function around it",
    ast.ClassDef: "it defines a class",
    ast.AsyncFunctionDef: "it defines a function inside",
    ast.Import: "it imports a module inside",
    ast.ImportFrom: "it imports a module inside",
    ast.NamedExpr: "it assigns inside an expression (:=)",
    ast.Lambda: "it makes a function (lambda)",
}


class Source:
    """Raises Refusal where there is no source, or something that no kernel does."""

    def __init__(self, fn: Any) -> None:
        if type(fn) is not types.FunctionType:
            raise Refusal(f"it is {kind_of(fn)}, not a function written with def")
        self.fn: types.FunctionType = fn
        self.code = fn.__code__
        self.tree, self.indent = _tree(fn)
        self.first_line = self.code.co_firstlineno
        decorators = [decorator.lineno for decorator in self.tree.decorator_list]
        self._tree_first = min([self.tree.lineno, *decorators])
        arguments = self.tree.args
        if arguments.vararg or arguments.kwarg:
            raise self.refusal(self.tree, "it takes any number of arguments (*args or **kwargs)")
        self.arguments = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        self.params = [argument.arg for argument in self.arguments]
        if _is_method(fn, self.params):
            raise self.refusal(
                self.tree, f"it is a method: {self.params[0]} is an object, which no compiled type holds"
            )
        for node in _own_nodes(self.tree):
            for kind, reason in _NOT_PLAIN.items():
                if isinstance(node, kind):
                    raise self.refusal(node, reason)
            if isinstance(node, ast.FunctionDef) and node is not self.tree:
                raise self.refusal(node, "it defines a function inside")
        if list(self.code.co_varnames[: len(self.params)]) != self.params:
            raise Refusal("its source has changed since it was loaded")
        self.locals = set(self.params) | set(_stored(self.tree.body))

    def line(self, node: ast.AST) -> int:
        return getattr(node, "lineno", self._tree_first) - self._tree_first + self.first_line

    def refusal(self, node: ast.AST, reason: str) -> Refusal:
        return Refusal(reason, self.line(node), getattr(node, "col_offset", 0) + self.indent)


def _is_method(fn: types.FunctionType, params: list[str]) -> bool:
    """By its place in a class and the name of its first parameter, which has no type."""
    inside = fn.__qualname__.rpartition(".")[0]
    in_class = inside != "" and not inside.endswith("<locals>")
    return in_class and params[:1] in (["self"], ["cls"]) and params[0] not in fn.__annotations__


def _tree(fn: types.FunctionType) -> tuple[ast.FunctionDef, int]:
    flags = fn.__code__.co_flags
    if flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        raise Refusal("it is a generator (yield)", fn.__code__.co_firstlineno, 0)
    if flags & inspect.CO_COROUTINE:
        raise Refusal("it is a coroutine (async def), which runs on an event loop", fn.__code__.co_firstlineno, 0)
    if fn.__name__ == "<lambda>" or fn.__code__.co_name == "<lambda>":
        raise Refusal("it is a lambda: only functions written with def are compiled", fn.__code__.co_firstlineno, 0)
    try:
        text = inspect.getsource(fn.__code__)
    except (OSError, TypeError, IndexError, SyntaxError, ValueError) as error:
        raise Refusal(f"its source cannot be read ({error})") from error
    if text.count("\n") > MOST_LINES:
        raise Refusal(f"it has more than {MOST_LINES} lines", fn.__code__.co_firstlineno, 0)
    first = text.split("\n", 1)[0]
    indent = len(first) - len(first.lstrip())
    try:
        module = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Refusal(f"its source cannot be parsed on its own ({error})", fn.__code__.co_firstlineno, 0) from error
    if len(module.body) != 1 or not isinstance(module.body[0], ast.FunctionDef):
        raise Refusal("its source is not one def statement", fn.__code__.co_firstlineno, 0)
    tree = module.body[0]
    if tree.name != fn.__code__.co_name or not _is_source_of(tree, fn):
        raise Refusal("its source has changed since it was loaded", fn.__code__.co_firstlineno, 0)
    return tree, indent


def _is_source_of(tree: ast.FunctionDef, fn: types.FunctionType) -> bool:
    """Whether this text compiles to this bytecode: a file may have been edited since it was loaded."""
    called = {
        node.func.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
    }
    # The interpreter's compiler calls x.f() in another way where the module imports x.
    modules = {name for name in called if isinstance(fn.__globals__.get(name), types.ModuleType)}
    tried: list[set[str]] = []
    for imported in (modules, set(), called):
        if imported not in tried:
            tried.append(imported)
            if any(_alike(code, fn.__code__) for code in _compiled(tree, fn, imported)):
                return True
    return False


def _compiled(tree: ast.FunctionDef, fn: types.FunctionType, imported: set[str]) -> Iterator[types.CodeType]:
    """The code of the function and those inside, compiled where these names are imported."""
    bare = copy.copy(tree)
    bare.decorator_list = []
    free = fn.__code__.co_freevars
    lines = [f"import {name}" for name in sorted(imported)]
    if free:  # compiled inside a function that has them, as it was
        lines += ["def _():", "    " + " = ".join(free) + " = None"]
    shell = ast.parse("\n".join(lines))
    outer = shell.body[-1] if free else shell
    assert isinstance(outer, ast.Module | ast.FunctionDef)
    outer.body.append(bare)
    try:
        code = compile(shell, "<source>", "exec", flags=fn.__code__.co_flags & _FUTURES, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for candidate in _codes(code):
        if candidate.co_name == fn.__code__.co_name:
            yield candidate


_FUTURES: Final = 0x1000000 | 0x100000 | 0x80000  # annotations, generator_stop, barry: what changes bytecode


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _codes(constant)


def _alike(a: types.CodeType, b: types.CodeType) -> bool:
    if (a.co_code, a.co_names, a.co_varnames, a.co_freevars) != (b.co_code, b.co_names, b.co_varnames, b.co_freevars):
        return False
    if len(a.co_consts) != len(b.co_consts):
        return False
    for x, y in zip(a.co_consts, b.co_consts, strict=True):
        if isinstance(x, types.CodeType) and isinstance(y, types.CodeType):
            if not _alike(x, y):
                return False
        elif repr(x) != repr(y) and not (isinstance(x, frozenset) and x == y):
            return False
    return True


def _stored(statements: list[ast.stmt]) -> Iterator[str]:
    """Names that the function assigns: its local variables. Those of comprehensions are theirs alone."""
    pending: list[ast.AST] = list(statements)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        pending += ast.iter_child_nodes(node)


def _own_nodes(tree: ast.FunctionDef) -> Iterator[ast.AST]:
    """Every node of the body, but not of annotations and decorators."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, ast.AnnAssign):
            pending += [child for child in (node.target, node.value) if child is not None]
        else:
            pending += ast.iter_child_nodes(node)
