"""``module:attribute`` on a command line: found, or an error that says what there is instead."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from catzilla.wording import nearest

from .command import CommandError

MOST_NAMED = 10


def split(target: str, thing: str, stands_for: str) -> tuple[str, str]:
    """The module and the attribute, which is "" when none is named. ``stands_for``: one, in an example."""
    module, _, attribute = target.partition(":")
    if not module:
        raise CommandError(
            f"{target!r} does not name {thing}: write module:{stands_for}, for example main:{stands_for}"
        )
    if module.endswith(".py") or os.sep in module:
        path = os.path.normpath(module.removesuffix(".py"))
        folder, _, name = path.rpartition(os.sep)
        ways = [f"{path.replace(os.sep, '.').lstrip('.')}:{attribute or stands_for}"] if not os.path.isabs(path) else []
        if folder:
            ways.append(f"{name}:{attribute or stands_for} --app-dir {folder}")
        raise CommandError(f"{target!r} is the path of a file: name the module and {thing} in it, {' or '.join(ways)}")
    return module, attribute


def import_module(module: str, app_dir: str) -> Any:
    """Import it from the folder or what is installed. What the module itself raises keeps its traceback."""
    folder = os.path.abspath(app_dir)
    if not os.path.isdir(folder):
        raise CommandError(f"--app-dir {app_dir} is not a folder")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # one that the module itself imports
        raise CommandError(
            f"there is no module {error.name!r} in {folder} (--app-dir names another folder) or among what is installed"
            + _last_as_attribute(module)
        ) from None


def find(found: Any, module: str, attribute: str, thing: str, wanted: Callable[[object], bool]) -> Any:
    """The attribute (with dots), or an error that names those of the module that are ``wanted``."""
    start = found
    parts = attribute.split(".") if attribute else []
    for name in parts:
        if not hasattr(found, name):
            raise CommandError(f"module {module!r} has no {attribute!r}{_others(start, module, attribute, wanted)}")
        found = getattr(found, name)
    if not parts:
        raise CommandError(f"{module!r} names a module and not {thing} in it{_others(start, module, '', wanted)}")
    return found


def _last_as_attribute(module: str) -> str:
    """For main.send, where main is a module: main:send."""
    parent, _, last = module.rpartition(".")
    known = sys.modules.get(parent) if parent else None
    return f"; did you mean {parent}:{last}?" if known is not None and hasattr(known, last) else ""


def _others(found: Any, module: str, attribute: str, wanted: Callable[[object], bool]) -> str:
    names = [name for name, value in vars(found).items() if wanted(value)]
    if not names:
        return ""
    near = nearest(attribute, names)
    if near is not None or len(names) <= 3:
        return f"; did you mean {' or '.join(f'{module}:{name}' for name in ([near] if near else names))}?"
    shown = ", ".join(f"{module}:{name}" for name in names[:MOST_NAMED])
    return f"; it has {shown}{', ...' if len(names) > MOST_NAMED else ''}"
