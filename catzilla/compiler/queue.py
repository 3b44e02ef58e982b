"""The thread that compiles, one function after the other, while the functions run as Python."""

from __future__ import annotations

import os
import queue
import threading
from typing import Any, Final

from catzilla.log import logger

IDLE_S: Final = 2.0  # then the thread ends

_jobs: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
_lock = threading.Lock()
_thread: threading.Thread | None = None


def submit(native: Any, types: Any) -> None:
    """Build a kernel for a compiling.Native or a mapping.Mapping; it is told what came of it."""
    global _thread
    with _lock:
        _jobs.put((native, types))
        if _thread is None:
            _thread = threading.Thread(target=_work, name="catzilla-compiler", daemon=True)
            try:
                _thread.start()
            except RuntimeError:  # the interpreter exits, or no thread can be had: it stays in Python
                _thread = None


def _work() -> None:
    import atexit

    from .toolchain import kill_all

    global _thread
    atexit.register(kill_all)
    try:
        while True:
            try:
                native, types = _jobs.get(timeout=IDLE_S)
            except queue.Empty:
                with _lock:
                    if _jobs.empty():
                        _thread = None
                        return
                continue
            _build(native, types)
            native = types = None
    finally:
        atexit.unregister(kill_all)


def _build(native: Any, types: Any) -> None:
    """Whatever happens here, the function runs: as Python if nothing else."""
    from .kernel import is_short, load
    from .mapper import columns_of_rows
    from .refusal import Refusal
    from .toolchain import BuildFailed
    from .unit import Unit

    spec = native.spec
    try:
        if types is None:
            types = expected_types(spec.fn)
            if types is None:
                native.watch()
                return
        unit = Unit(spec.fn, types, native.columns)
        if not unit.loops and not native.pays and not (native.short_pays and is_short(unit, unit.text())):
            native.refuse("it has no loop: as Python it is over sooner than a call of C is made on this backend")
            return
        if unit.columns is None:
            unit.columns = columns_of_rows(unit)
        native.built(load(unit))
    except Refusal as refusal:
        native.refuse(str(refusal))
    except BuildFailed as failure:
        native.refuse(f"it could not be built: {failure}")
    except Exception as error:
        logger.debug("the compiler failed on %s", spec.name, exc_info=True)
        native.refuse(f"the compiler failed on it ({type(error).__name__}: {error})")


def expected_types(fn: Any) -> Any:
    """Of every parameter by its annotation; None: a call has to show them. Raises Refusal."""
    from .annotations import types_from_annotations
    from .source import Source

    types = types_from_annotations(Source(fn))
    return None if None in types else types


def _after_fork() -> None:
    """In the child: no thread, and nothing to build twice."""
    global _jobs, _lock, _thread
    _jobs, _lock, _thread = queue.SimpleQueue(), threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
