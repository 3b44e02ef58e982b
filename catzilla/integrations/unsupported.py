"""What another task queue has and an in-process one has not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from catzilla.errors import CatzillaError


class Unsupported(CatzillaError, NotImplementedError):
    """A call or setting without a counterpart here; the message names the alternative."""


def refuse(names: Iterable[str], alternatives: Mapping[str, str], where: str) -> None:
    """Raise Unsupported for the first of the names that is in ``alternatives``."""
    for name in names:
        if name in alternatives:
            raise Unsupported(f"{where} takes no {name}: {alternatives[name]}")
