"""Addresses that ``enable_…`` calls add to an application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catzilla.errors import ConfigTypeError, ConfigValueError

if TYPE_CHECKING:
    from fastapi import FastAPI


def checked_path(app: FastAPI, call: str, path: str) -> None:
    """ConfigValueError or ConfigTypeError: nothing can be added there."""
    if not isinstance(path, str):
        raise ConfigTypeError(f"{call}({path!r}): the path must be a str such as '/tasks'")
    if not path.startswith("/") or path.endswith("/") or "{" in path or "//" in path:
        raise ConfigValueError(
            f"{call}({path!r}): the path must begin with a slash, not end with one, and have no parameters, "
            "such as '/tasks'"
        )
    for route in app.routes:
        if getattr(route, "path", None) == path and "GET" in (getattr(route, "methods", None) or ()):
            raise ConfigValueError(f"{call}({path!r}): the application answers GET {path} already; choose another path")
