"""``catzilla explain module:function``: whether a function runs as C, and if not, why."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any

from catzilla.task import Task
from catzilla.wording import kind_of

from .command import Command, CommandError, Parameter
from .output import Output
from .target import find, import_module, split

if TYPE_CHECKING:
    from catzilla.compiler.page import Page


def run(out: Output, *, target: str, show_c: bool, app_dir: str) -> int:
    """0: it can be compiled. 1: it cannot."""
    fn, name, compile_to_c = _find(target, app_dir)
    from catzilla.compiler.page import examine

    page = examine(name, fn, compile_to_c)
    _show(out, page)
    if not page.compiled:
        return 1
    if show_c:
        if page.unit is None:
            raise CommandError("there is no C to show before a call has shown the types: annotate the parameters")
        from catzilla.compiler.explain import c_text

        out.heading("As C")
        out.code(c_text(page.unit), "c")
    return 0


def _show(out: Output, page: Page) -> None:
    out.verdict(page.name, page.verdict, page.compiled)
    out.line("")
    out.rows([(what, "", text) for what, text in page.rows])
    if page.lines:
        out.line("")
    width = max((len(str(number)) for number, _ in page.lines), default=0)
    for number, line in page.lines:
        marked = number == page.marked
        out.quote(f"{'>' if marked else ' '} {number:>{width}} | {line.expandtabs(4)}", marked)
        if marked:
            out.quote(f"  {'':{width}} | {'':{len(line[: page.column].expandtabs(4))}}^", marked)
    if page.leaves:
        out.heading("What makes a call go back to Python, which gives the result or the exception")
        out.rows([(f"line {line}", "", text) for line, text in page.leaves])


def _find(target: str, app_dir: str) -> tuple[Any, str, bool | None]:
    """The function, its name, and compile_to_c of a task."""
    module, attribute = split(target, "a function", "function")
    imported = import_module(module, app_dir)
    found = find(imported, module, attribute, "a function", lambda value: _is_own(value, module))
    if isinstance(found, Task):
        return found.fn, found.name, found.options.compile_to_c
    if not callable(found):
        raise CommandError(f"{module}:{attribute} is {kind_of(found)}, not a function")
    return found, f"{module}.{attribute}", None


def _is_own(value: object, module: str) -> bool:
    """A task, or a function that the module itself defines."""
    return isinstance(value, Task) or (isinstance(value, FunctionType) and value.__module__ == module)


COMMAND = Command(
    "explain",
    "Say whether a function runs as C, for which types, and if not, why.",
    run,
    (
        Parameter("target", "The function or task, as module:function.", positional=True),
        Parameter("show_c", "Show the C text.", bool),
        Parameter("app_dir", "Where the module is looked for.", default="."),
    ),
)
