"""Whether jemalloc is in this process, whether there is one to preload, and starting again with it."""

from __future__ import annotations

import ctypes
import glob
import os
import sys

PLACES = (
    "/usr/lib/*/libjemalloc.so.2",
    "/usr/lib/libjemalloc.so.2",
    "/usr/lib64/libjemalloc.so.2",
    "/usr/local/lib/libjemalloc.so.2",
    "/opt/homebrew/lib/libjemalloc.2.dylib",
)


def is_preloaded() -> bool:
    """The process itself has jemalloc's own entry points: it was preloaded or linked into Python."""
    try:
        return hasattr(ctypes.CDLL(None), "mallocx")
    except (OSError, TypeError):  # TypeError: Windows
        return False


def library() -> str | None:
    """One that could be preloaded. It is only looked for, never loaded: loading it late corrupts the heap."""
    return next((path for pattern in PLACES for path in sorted(glob.glob(pattern))), None)


MARK = "_CATZILLA_LD_PRELOAD"  # from the first start to the second: what LD_PRELOAD was before
OFF = ("0", "false", "no", "off")


def preload() -> None:
    """Start this very command again with jemalloc preloaded. Returns where there is none, and the second time.

    Only a process that begins with it can have it. What the command starts is not affected: the second
    start puts LD_PRELOAD back.
    """
    before = os.environ.pop(MARK, None)
    if before is not None:
        os.environ.pop("LD_PRELOAD", None)
        if before:
            os.environ["LD_PRELOAD"] = before
        return
    path = library()
    unwanted = os.environ.get("CATZILLA_USE_JEMALLOC", "").strip().lower() in OFF
    if path is None or unwanted or sys.platform != "linux" or not sys.executable or is_preloaded():
        return
    before = os.environ.get("LD_PRELOAD", "")
    environment = os.environ | {MARK: before, "LD_PRELOAD": f"{path}:{before}" if before else path}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
