"""``Catzilla(FastAPI)``: a web application with background tasks. Needs the ``web`` extra."""

try:
    import fastapi as _fastapi  # noqa: F401  (asked for here, so that one message covers every way it can be missing)
except ImportError as exc:
    raise ImportError(
        f"Catzilla (the web application) needs FastAPI, which could not be imported: {exc}. "
        'Install the "web" extra from a checkout of the project: pip install -e ".[web]". '
        "Without a web application, catzilla.TaskSystem gives the same background tasks."
    ) from exc

from catzilla.web.app import Catzilla

__all__ = ["Catzilla"]
