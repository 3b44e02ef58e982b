"""Whether jemalloc is in this process, and whether there is one to preload."""

from __future__ import annotations

import ctypes
import glob

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
