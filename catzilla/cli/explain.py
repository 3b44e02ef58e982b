"""``catzilla explain module:function``: whether a function runs as C, and if not, why."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from catzilla.task import Task
from catzilla.wording import kind_of

from .command import Command, CommandError, Parameter
from .output import Output
from .target import find, import_module, split


def run(out: Output, *, target: str, show_c: bool, app_dir: str) -> int:
    """0: it can be compiled. 1: it cannot."""
    fn, name = _find(target, app_dir)
    from catzilla.compiler.explain import c_text, explain_function
    from catzilla.compiler.refusal import Refusal

    text = explain_function(name, fn, pays=False)
    out.raw(text)
    if " runs as Python" in text:
        return 1
    if show_c:
        try:
            out.raw(c_text(fn))
        except Refusal as refusal:
            raise CommandError(f"there is no C to show: {refusal}") from None
    return 0


def _find(target: str, app_dir: str) -> tuple[Any, str]:
    module, attribute = split(target, "a function", "function")
    imported = import_module(module, app_dir)
    found = find(imported, module, attribute, "a function", lambda value: _is_own(value, module))
    if isinstance(found, Task):
        return found.fn, found.name
    if not callable(found):
        raise CommandError(f"{module}:{attribute} is {kind_of(found)}, not a function")
    return found, f"{module}.{attribute}"


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
