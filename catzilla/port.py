"""Completions on their way to an event loop: one wake-up of the loop a burst, not one a task."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections import deque
from typing import Any

from .interface import Handle


class Port:
    """Of one event loop. ``_arrive`` is called by settling threads, the rest on the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._waiting: dict[Handle, dict[asyncio.Future[None], None]] = {}
        self._arrived: deque[Handle] = deque()
        self._called = False
        self._pid = os.getpid()

    def future_of(self, handle: Handle) -> asyncio.Future[None]:
        """Done when the handle is; carries no value. Forgotten when it is cancelled before that."""
        loop = self._loop()
        assert loop is not None
        future: asyncio.Future[None] = loop.create_future()
        waiting = self._waiting.get(handle)
        if waiting is None:
            waiting = self._waiting[handle] = {}
            waiting[future] = None
            handle.on_done(self._arrive)  # once, however often somebody begins and gives up waiting
        else:
            waiting[future] = None
        future.add_done_callback(lambda done: waiting.pop(done, None))
        return future

    def _arrive(self, handle: Handle) -> None:
        self._arrived.append(handle)
        if not self._called:
            self._called = True
            self._call()

    def _call(self) -> None:
        loop = self._loop()
        if loop is None or self._pid != os.getpid():
            return  # nobody can be waiting: the loop is gone, or is the parent's of a fork
        try:
            loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed: its futures are dead
            self._called = False

    def _deliver(self) -> None:
        self._called = False  # before looking: what arrives now calls again
        while self._arrived:
            for future in self._waiting.pop(self._arrived.popleft(), {}).copy():
                if not future.done():
                    future.set_result(None)


_ports: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()


def port_of(loop: asyncio.AbstractEventLoop) -> Port:
    port: Port | None = _ports.get(loop)
    if port is None:
        port = _ports[loop] = Port(loop)
    return port
