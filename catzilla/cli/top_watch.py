"""Looking again and again on a thread of its own: a server that takes its time or is gone leaves the screen alive."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .command import CommandError

Look = Callable[[], dict[str, Any]]


class Unanswered(CommandError):
    """The server gave no figures and may give some later: it is starting, restarting, or out of reach."""


@dataclass(frozen=True)
class Seen:
    """What is known by now. ``at`` and ``lost_at``: of time.time()."""

    snapshot: dict[str, Any] | None = None
    at: float | None = None
    """When the snapshot was taken; None: never."""
    lost: str | None = None
    """Why the look after it failed; None: it did not fail."""
    lost_at: float | None = None
    """Since when looks fail, one after the other."""


class Watch:
    """``look`` each ``interval_s`` seconds, and at once after ``look_now()``. ``bell`` is readable after each.

    Unanswered is noted and looked again; any other exception ends it and is raised by ``seen()``.
    """

    def __init__(self, look: Look, interval_s: float) -> None:
        self._look = look
        self._interval_s = interval_s
        self._seen = Seen()
        self._error: BaseException | None = None
        self._stop = False
        self._wanted = threading.Event()
        self.bell, self._ringer = socket.socketpair()
        for end in (self.bell, self._ringer):
            end.setblocking(False)
        # A daemon: whoever leaves does not wait for a server that takes its time.
        self._thread = threading.Thread(target=self._run, name="catzilla-top", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop = True
        self._wanted.set()
        self.bell.close()

    def seen(self) -> Seen:
        try:
            while self.bell.recv(64):
                pass
        except BlockingIOError:
            pass  # as meant: all that rang is taken
        if self._error is not None:
            raise self._error
        return self._seen

    def look_now(self) -> None:
        self._wanted.set()

    def _run(self) -> None:
        with self._ringer:
            while not self._stop:
                self._wanted.clear()
                try:
                    self._seen = Seen(self._look(), time.time())
                except Unanswered as error:
                    lost_at = self._seen.lost_at or time.time()
                    self._seen = replace(self._seen, lost=str(error), lost_at=lost_at)
                except Exception as error:
                    self._error = error
                try:
                    self._ringer.send(b"!")
                except BlockingIOError:
                    pass  # it rings still: nobody has come to look for a while
                except OSError:
                    return  # nobody is there any more
                if self._error is not None:
                    return
                self._wanted.wait(self._interval_s)
