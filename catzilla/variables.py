"""The environment variables ``CATZILLA_*``: which there are, and which were probably misspelt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from .parameters import PARAMETERS
from .wording import nearest

PREFIX: Final = "CATZILLA_"

# Beside one for each parameter of a system. The last two are read by the build.
OTHERS: Final = ("CATZILLA_CACHE_DIR", "CATZILLA_PURE", "CATZILLA_REQUIRE_EXTENSIONS")
_FAMILIES: Final = ("CATZILLA_TEST_", "CATZILLA_BENCH_")  # of this project's own tests and benchmarks

_warned: set[str] = set()  # once for each process


def known() -> list[str]:
    """Every variable that is read, but for those of tests and benchmarks."""
    return [*(parameter.variable for parameter in PARAMETERS.values()), *OTHERS]


def unknown(names: Iterable[str]) -> dict[str, str | None]:
    """Those ``CATZILLA_*`` among ``names`` that nobody reads -> the one that was probably meant, or None."""
    variables = known()
    endings = {variable.removeprefix(PREFIX): variable for variable in variables}
    return {
        name: endings.get(nearest(name.removeprefix(PREFIX), endings) or "")
        for name in sorted(names)
        if name.startswith(PREFIX) and name not in variables and not name.startswith(_FAMILIES)
    }


def told(names: Iterable[str]) -> None:
    """They have been said by somebody else."""
    _warned.update(names)


def warn_of_unknown(environ: Mapping[str, str]) -> None:
    """Once for each that looks like a misspelt one. No error: Kubernetes makes variables of a service's name.

    ``catzilla doctor`` lists the others too.
    """
    names = [name for name in environ if name.startswith(PREFIX) and name not in _warned]
    if not names:
        return
    for name, near in unknown(names).items():
        _warned.add(name)
        if near is not None:
            from .log import logger

            logger.warning("environment variable %s is not read: did you mean %s?", name, near)
