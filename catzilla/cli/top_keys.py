"""Keys that arrive when they are pressed, and a terminal that is as it was afterwards."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Keys:
    """``fd`` None: this terminal tells no single keys; Ctrl-C is left."""

    def __init__(self, fd: int | None) -> None:
        self.fd = fd

    def wait(self, bell: socket.socket, timeout_s: float) -> str:
        """The keys pressed, "" when the bell rang or the time is over. A terminal that went away presses q."""
        sources = [bell.fileno()] if self.fd is None else [bell.fileno(), self.fd]
        ready, _, _ = select.select(sources, [], [], timeout_s)
        if self.fd is None or self.fd not in ready:
            return ""
        try:
            pressed = os.read(self.fd, 1024)
        except OSError:  # the other side of a pseudo terminal was closed
            pressed = b""
        return pressed.decode("latin-1") or "q"


@contextmanager
def keys() -> Iterator[Keys]:
    """Take single keys from the terminal, without echo; give it back as it was, at SIGTERM too."""
    with _ended_by_sigterm():
        try:
            import termios
            import tty
        except ImportError:  # not a POSIX system
            yield Keys(None)
            return
        if not sys.stdin.isatty():
            yield Keys(None)
            return
        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
        try:
            tty.setcbreak(fd)
            yield Keys(fd)
        finally:
            try:
                termios.tcsetattr(fd, termios.TCSADRAIN, before)
            except termios.error:
                pass  # the terminal is gone: there is nothing to give back


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM unwinds as Ctrl-C does, with the exit code a shell would show."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
