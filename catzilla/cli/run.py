"""``catzilla run module:app``: serve an application with uvicorn."""

from __future__ import annotations

import errno
import importlib
import os
import socket
import sys

from .command import Command, CommandError, Parameter
from .output import Output
from .web import require_web


def run(out: Output, *, target: str, host: str, port: int, log_level: str, app_dir: str, reload: bool) -> int:
    """Serves until SIGINT or SIGTERM; the application's own lifespan drains its tasks."""
    module, colon, attribute = target.partition(":")
    if not (module and colon and attribute):
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
        _check_application(module, attribute, folder)
    _check_address(host, port)
    try:
        uvicorn.run(target, host=host, port=port, log_level=log_level, app_dir=folder, reload=reload)
    except KeyboardInterrupt:  # uvicorn has shut down in order and hands the signal on
        return 130
    except SystemExit as stop:  # it has said why
        sys.stdout.flush()
        return stop.code if isinstance(stop.code, int) else 1
    return 0


def _check_application(module: str, attribute: str, folder: str) -> None:
    """Import it as uvicorn will, to say what is wrong. What the module itself raises keeps its traceback."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: object = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # one that the application itself imports
        raise CommandError(
            f"there is no module {error.name!r} in {folder} (--app-dir names another folder) or among what is installed"
        ) from None
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise CommandError(f"module {module!r} has no {attribute!r}{_applications(module)}")
        found = getattr(found, name)
    if not callable(found):
        raise CommandError(f"{module}:{attribute} is a {type(found).__name__}, not an application")


def _applications(module: str) -> str:
    """The names in a module that are applications: what was probably meant."""
    from starlette.applications import Starlette

    names = [name for name, value in vars(sys.modules[module]).items() if isinstance(value, Starlette)]
    return f"; did you mean {' or '.join(f'{module}:{name}' for name in names)}?" if names else ""


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
