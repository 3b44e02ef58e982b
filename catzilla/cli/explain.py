"""``catzilla explain module:function``: whether a function runs as C, and if not, why."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from .command import Command, CommandError, Parameter
from .output import Output


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
    module, colon, attribute = target.partition(":")
    if not (module and colon and attribute):
        raise CommandError(f"{target!r} does not name a function: write module:function, for example main:send")
    sys.path.insert(0, os.path.abspath(app_dir))
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise CommandError(f"the module {module} cannot be imported: {error}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise CommandError(f"{module} has no {attribute}")
        found = getattr(found, part)
    from catzilla.task import Task

    return (found.fn, found.name) if isinstance(found, Task) else (found, f"{module}.{attribute}")


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
