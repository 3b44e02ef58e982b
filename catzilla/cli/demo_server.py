"""A uvicorn server on a thread of its own, on a free port of this machine. Needs the ``web`` extra."""

from __future__ import annotations

import socket
import threading
from typing import Any, Self

import uvicorn

from .command import CommandError


class DemoServer:
    """``with DemoServer(app, host) as server`` serves inside the block, on ``server.port``."""

    def __init__(self, app: Any, host: str) -> None:
        self._socket = socket.socket()
        self._socket.bind((host, 0))
        self.port: int = self._socket.getsockname()[1]
        self._up = threading.Event()
        self._server = _Server(uvicorn.Config(app, log_level="warning"), self._up)
        self._thread = threading.Thread(target=self._serve, name="demo-server", daemon=True)

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._up.set()  # also where it could not start

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.wait()
        if not self._server.started:
            raise CommandError("the server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


class _Server(uvicorn.Server):
    """Says when it is up, so that nobody has to ask again and again."""

    def __init__(self, config: uvicorn.Config, up: threading.Event) -> None:
        super().__init__(config)
        self._up = up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._up.set()
