"""``catzilla run module:app``: serve an application with uvicorn."""

from __future__ import annotations

import errno
import os
import socket
import sys

from catzilla.wording import kind_of

from .command import Command, CommandError, Parameter
from .output import Output
from .target import find, import_module, split
from .web import require_web


def run(out: Output, *, target: str, host: str, port: int, log_level: str, app_dir: str, reload: bool) -> int:
    """Serves until SIGINT or SIGTERM; the application's own lifespan drains its tasks."""
    module, attribute = split(target, "an application", "app")
    if not attribute:
        raise CommandError(f"{target!r} does not name an application: write module:attribute, for example main:app")
    if not 0 <= port <= 65_535:
        raise CommandError(f"port {port} is not allowed: from 0 (any free one) to 65535")
    require_web()
    import uvicorn

    folder = os.path.abspath(app_dir)
    if not os.path.isdir(folder):
        raise CommandError(f"--app-dir {app_dir} is not a folder")
    if log_level not in uvicorn.config.LOG_LEVELS:
        raise CommandError(f"log level {log_level!r} is not one of {', '.join(uvicorn.config.LOG_LEVELS)}")
    if not reload:  # with it the application belongs to another process, and a mistake may be gone a moment later
        _check_application(module, attribute, app_dir)
    _check_address(host, port)
    try:
        uvicorn.run(target, host=host, port=port, log_level=log_level, app_dir=folder, reload=reload)
    except KeyboardInterrupt:  # uvicorn has shut down in order and hands the signal on
        return 130
    except SystemExit as stop:  # it has said why
        sys.stdout.flush()
        return stop.code if isinstance(stop.code, int) else 1
    return 0


def _check_application(module: str, attribute: str, app_dir: str) -> None:
    """Import it as uvicorn will, to say what is wrong."""
    from starlette.applications import Starlette

    imported = import_module(module, app_dir)
    found = find(imported, module, attribute, "an application", lambda value: isinstance(value, Starlette))
    if not callable(found):
        raise CommandError(f"{module}:{attribute} is {kind_of(found)}, not an application")


def _check_address(host: str, port: int) -> None:
    """Whether uvicorn will be able to listen there: said before the application starts."""
    try:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(
                f"port {port} of {host} is in use by another program: name another with --port (0: any free one)"
            ) from None
        raise CommandError(f"cannot listen on port {port} of {host}: {error.strerror or error}") from None


COMMAND = Command(
    "run",
    "Serve an application with uvicorn.",
    run,
    (
        Parameter("target", "The application, as module:attribute.", positional=True),
        Parameter("host", "The address to listen on.", default="127.0.0.1"),
        Parameter("port", "The port to listen on; 0: any free one.", int, default=8000),
        Parameter("log_level", "uvicorn's log level.", default="info"),
        Parameter("app_dir", "Where the module is looked for.", default="."),
        Parameter("reload", "Serve anew when a file changes, for development.", bool),
    ),
)
