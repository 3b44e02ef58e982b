"""Completions on their way to an event loop: one wake-up of the loop a burst, not one a task."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections import deque
from typing import Any

from .interface import Handle


class Port:
    """Of one event loop. ``arrive`` is called by settling threads, ``_deliver`` runs on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._arrived: deque[asyncio.Future[Any]] = deque()
        self._called = False
        self._pid = os.getpid()

    def future_of(self, handle: Handle) -> asyncio.Future[None]:
        """Done when the handle is; carries no value."""
        loop = self._loop()
        assert loop is not None
        future: asyncio.Future[None] = loop.create_future()

        def arrive(_: Handle) -> None:
            self._arrived.append(future)
            if not self._called:
                self._called = True
                self._call()

        handle.on_done(arrive)
        return future

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
            future = self._arrived.popleft()
            if not future.done():
                future.set_result(None)


_ports: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Port] = weakref.WeakKeyDictionary()


def port_of(loop: asyncio.AbstractEventLoop) -> Port:
    port = _ports.get(loop)
    if port is None:
        port = _ports[loop] = Port(loop)
    return port
