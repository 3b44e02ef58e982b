"""Blocking work at a server's shutdown, off the event loop, that Ctrl-C can end.

Servers catch SIGINT themselves while they shut down, so a user who presses Ctrl-C a second time
would otherwise wait until the drain's time is over.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

import anyio

R = TypeVar("R")

_LONGEST_NAP_S = 0.02


async def done_or_interrupted(work: Callable[[], R]) -> Future[R]:
    """Run ``work`` on a thread of its own until it is done or SIGINT comes; then it goes on alone.

    What is returned says which by its ``done()``. Works on every event loop that anyio knows.
    """
    outcome: Future[R] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as exc:
            outcome.set_exception(exc)

    # A daemon: when it was interrupted, it must not keep the interpreter from ending.
    threading.Thread(target=run, name="catzilla-drain", daemon=True).start()
    nap_s = 0.001
    with _sigint_flag() as interrupted:
        # Naps, not a wake-up: a signal handler may run inside the loop's own locks, where the
        # thread-safe wake-ups of asyncio and trio must not be called.
        while not (outcome.done() or interrupted.up):
            await anyio.sleep(nap_s)
            nap_s = min(2 * nap_s, _LONGEST_NAP_S)
    return outcome


class _Flag:
    """Set in a signal handler: a bare attribute, because a second signal may arrive inside the first's handler."""

    up = False


@contextmanager
def _sigint_flag() -> Iterator[_Flag]:
    """Raise the flag when SIGINT arrives, then do what the handler that was there does."""
    interrupted = _Flag()
    previous = signal.getsignal(signal.SIGINT)
    # Only the main thread may set handlers, and None is one that was not set from Python.
    if threading.current_thread() is not threading.main_thread() or previous is None:
        yield interrupted
        return

    def handler(number: int, frame: FrameType | None) -> None:
        interrupted.up = True
        if callable(previous):
            previous(number, frame)

    signal.signal(signal.SIGINT, handler)
    try:
        yield interrupted
    finally:
        # Whoever replaced ours in the meantime knows better.
        if signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, previous)
