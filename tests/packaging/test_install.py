"""This very install: whole, cheap to import, and of one piece."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import catzilla
from catzilla import registry

ROUNDS = 21
IMPORT_MS = 30.0


def _python(program: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        env={**os.environ, **environ},
        check=True,
    )


def _cost_ms(program: str) -> float:
    """Of CPU time: what else this machine does must not decide a test."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _python(program)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000


def test_import_costs_less_than_30_ms() -> None:
    # Given bytecode that is written already
    _python("import catzilla")
    # When starting with and without the import is measured in turn
    pairs = [(_cost_ms("pass"), _cost_ms("import catzilla")) for _ in range(ROUNDS)]
    # Then the difference of the medians is small
    empty, full = (statistics.median(side) for side in zip(*pairs, strict=True))
    assert full - empty < IMPORT_MS, f"{full:.1f} ms against {empty:.1f} ms"


def _imported_by(program: str) -> set[str]:
    """Top-level modules that are there after the program and not without it, the standard library's left out."""
    show = "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    found = set(_python(program + show).stdout.split()) - set(_python(show).stdout.split())
    return found - sys.stdlib_module_names - {"_interpreters", "_xxsubinterpreters"}  # CPython's, and not listed


@pytest.mark.parametrize(
    "program",
    [
        "import catzilla",
        "from catzilla import TaskSystem",
        "from catzilla.background_tasks import TaskPriority",
        "import catzilla; catzilla.TaskSystem(backend='python').shutdown()",
    ],
)
def test_no_third_party_package_but_cffi(program: str) -> None:
    assert _imported_by(program) <= {"catzilla", "cffi", "_cffi_backend"}


@pytest.mark.parametrize("module", ["dataclasses", "inspect", "asyncio", "tomllib", "difflib", "importlib.metadata"])
def test_what_costs_time_is_left_for_later(module: str) -> None:
    program = (
        f"import sys; had = {module!r} in sys.modules; import catzilla; print(not had and {module!r} in sys.modules)"
    )
    assert _python(program).stdout.strip() == "False"


USABLE = [attempt.name for attempt in registry.attempts() if attempt.backend is not None]


@pytest.mark.parametrize("name", [name for name in registry.BUILT_IN if name in USABLE])
def test_the_package_and_its_backends_come_from_one_install(name: str) -> None:
    # Given a backend that is built in and can be used
    package = Path(catzilla.__file__).resolve().parent
    module = sys.modules[f"catzilla.backends.{name}"]
    assert module.__file__ is not None
    here = Path(module.__file__).resolve().parent
    # Then it lies inside the installed package; or, in an editable install, beside it in the tree
    assert here in (package / "backends" / name, package.parent / "backends" / name)
    # And a native module lies there too, or in this environment's own site-packages
    native = sys.modules.get(f"catzilla.backends.{name}._native")
    if native is not None:
        assert native.__file__ is not None
        site = Path(sysconfig.get_path("platlib")).resolve() / "catzilla/backends" / name
        assert Path(native.__file__).resolve().parent in (here, site)


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_it_works_in_any_locale(locale: str) -> None:
    # Given a locale that is not UTF-8, and Python's own repair of it switched off
    program = (
        "from catzilla import TaskSystem\n"
        "with TaskSystem(backend='python') as s: print(ascii(s.add_task(str.upper, 'gr\\u00fcn').wait(10)))"
    )
    done = _python(program, LC_ALL=locale, PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    # Then text passes through unharmed
    assert done.stdout.strip() == "'GR\\xdcN'"
