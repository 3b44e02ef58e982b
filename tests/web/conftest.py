"""Ways to run an application in these tests: a real server on loopback, or the test client."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the web extra")

import uvicorn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # which HTTP library the test client is built on is not ours to choose
    from fastapi.testclient import TestClient

ANSWER_WITHIN_S = 20


class Api:
    """What a client of a served application sees."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, path: str, body: object = None, **query: object) -> tuple[int, Any]:
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def get(self, path: str, **query: object) -> tuple[int, Any]:
        return self.call("GET", path, **query)

    def post(self, path: str, body: object = None, **query: object) -> tuple[int, Any]:
        return self.call("POST", path, body, **query)


@contextmanager
def _serve(app: Any) -> Iterator[Api]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Api(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def serve() -> Callable[[Any], AbstractContextManager[Api]]:
    """``with serve(app) as api``: uvicorn on a free port of loopback."""
    return _serve


@pytest.fixture
def client_of() -> Callable[..., TestClient]:
    """``with client_of(app) as client``: the framework's own test client, lifespan included."""
    return TestClient
