"""The sdist and the wheel: everything that is imported, nothing that is not, and never less than was asked for."""

from __future__ import annotations

import sys
import venv
from collections.abc import Mapping
from email.parser import BytesParser
from pathlib import Path
from subprocess import run

import pytest

from .conftest import Build

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(300)]

MAPPED = {"catzilla": "catzilla", "backends": "catzilla/backends", "conformance": "catzilla/conformance"}


def _modules(root: Path) -> set[str]:
    """Every Python file of the tree's packages, where an install puts it."""
    found = {
        (target, path.relative_to(root / source))
        for source, target in MAPPED.items()
        for path in (root / source).rglob("*.py*")
    }
    return {
        f"{target}/{path.as_posix()}"
        for target, path in found
        if path.suffix in (".py", ".pyi") and not {"src", "include", "test", "__pycache__"} & set(path.parts)
    }


def test_the_wheel_has_every_module_and_the_type_marker(root: Path, wheel: Mapping[str, bytes]) -> None:
    assert _modules(root) - set(wheel) == set()
    assert "catzilla/py.typed" in wheel


def test_the_wheel_has_nothing_else(root: Path, wheel: Mapping[str, bytes]) -> None:
    # Given what is installed beside the modules: metadata, the marker, natives, what the compiler emits, the dashboard
    others = {name for name in set(wheel) - _modules(root) if ".dist-info/" not in name}
    others = {name for name in others if not name.startswith(("catzilla/compiler/runtime/", "catzilla/web/static/"))}
    # Then no test, source, build file or cache is among it
    assert {name for name in others if not name.endswith((".so", ".pyd", "/py.typed"))} == set()
    assert all(name.startswith("catzilla/") for name in others)


def test_the_wheel_has_the_whole_dashboard(root: Path, wheel: Mapping[str, bytes]) -> None:
    static = [path.name for path in (root / "catzilla/web/static").iterdir()]
    assert {path.partition(".")[2] for path in static} == {"html", "css", "js"}
    assert {f"catzilla/web/static/{name}" for name in static} <= set(wheel)


def test_one_distribution_with_one_dependency(wheel: Mapping[str, bytes]) -> None:
    (name,) = (name for name in wheel if name.endswith(".dist-info/METADATA"))
    metadata = BytesParser().parsebytes(wheel[name])
    # Then only cffi comes with it, and everything else is an extra
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert [line.partition(">")[0].strip() for line in required] == ["cffi"]
    assert metadata["Name"] == "catzilla"
    assert metadata["Requires-Python"] == ">=3.11"
    assert {"web", "cli", "metrics", "schedule", "compiler", "all"} <= set(metadata.get_all("Provides-Extra", []))
    assert any(name.endswith("/licenses/LICENSE") for name in wheel)


def test_the_console_script(wheel: Mapping[str, bytes]) -> None:
    (name,) = (name for name in wheel if name.endswith(".dist-info/entry_points.txt"))
    assert b"catzilla = catzilla.__main__:main" in wheel[name].replace(b"catzilla=", b"catzilla = ")


def test_the_sdist_has_what_a_build_and_a_test_run_need(root: Path, sdist: set[str]) -> None:
    assert {"pyproject.toml", "CMakeLists.txt", "README.md", "LICENSE", "Makefile", "tox.ini", "PKG-INFO"} <= sdist
    for folder in ("catzilla", "backends", "conformance", "tests"):
        here = {path.relative_to(root).as_posix() for path in (root / folder).rglob("*.py")}
        assert here - sdist == set()


def test_the_wheel_works_alone(distribution: Path, tmp_path: Path) -> None:
    """In an environment with nothing but pip's install of it (and cffi, seen through a path)."""
    # Given an empty environment with the wheel in it
    (path,) = distribution.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv/bin/python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
    done = run([*install, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # When a task runs on each of its backends that is pure Python, and the web application is asked for
    program = """if True:
        import catzilla
        from catzilla import TaskSystem
        with TaskSystem(backend="python", workers=2) as system:
            assert system.add_task(divmod, 7, 2).wait(10) == (3, 1)
        try:
            catzilla.Catzilla
        except ImportError as error:
            assert "[web]" in str(error), error
        else:
            raise AssertionError("where does FastAPI come from?")
    """
    done = run([python, "-I", "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    # Then it works, and the absent extra is named
    assert done.returncode == 0, done.stderr
    # And so does the command line without its extra
    done = run([python.parent / "catzilla", "doctor"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pip install -e '.[web]'" in done.stdout


@pytest.fixture
def broken(tree: Path) -> Path:
    """A tree with a native backend that cannot be built."""
    tree.joinpath("backends/broken").mkdir()
    tree.joinpath("backends/broken/CMakeLists.txt").write_text(
        'message(FATAL_ERROR "this one does not build")\n', encoding="utf-8"
    )
    return tree


def test_where_nothing_can_be_compiled_the_wheel_is_pure(build: Build, broken: Path, tmp_path: Path) -> None:
    done = build(broken, tmp_path / "dist", "--wheel")
    assert done.returncode == 0, done.stdout
    assert [path.name for path in (tmp_path / "dist").iterdir()] == ["catzilla-0.1.0-py3-none-any.whl"]


def test_required_extensions_turn_that_into_an_error(build: Build, broken: Path, tmp_path: Path) -> None:
    done = build(broken, tmp_path / "dist", "--wheel", CATZILLA_REQUIRE_EXTENSIONS="1")
    assert done.returncode != 0
    assert "this one does not build" in done.stdout
    assert list(tmp_path.joinpath("dist").glob("*.whl")) == []


def test_a_backend_that_leaves_itself_out(build: Build, tree: Path, tmp_path: Path) -> None:
    # Given a native backend that misses something, and no other that would have to be compiled
    for native in tree.glob("backends/*/CMakeLists.txt"):
        native.unlink()
    tree.joinpath("backends/picky").mkdir()
    tree.joinpath("backends/picky/CMakeLists.txt").write_text(
        'catzilla_unavailable(picky "it wants the moon")\n', encoding="utf-8"
    )
    # Then a build goes on without it (a second try would have no native code at all), unless it is required
    done = build(tree, tmp_path / "dist", "--wheel")
    assert done.returncode == 0, done.stdout
    assert "backend picky: left out" in done.stdout
    (wheel,) = (tmp_path / "dist").iterdir()
    assert not wheel.name.endswith("-none-any.whl")
    done = build(tree, tmp_path / "required", "--wheel", CATZILLA_REQUIRE_EXTENSIONS="1")
    assert done.returncode != 0
    assert "backend picky cannot be built: it wants the moon" in done.stdout


def test_nobody_looks_for_a_compiler_where_none_is_wanted(build: Build, broken: Path, tmp_path: Path) -> None:
    done = build(broken, tmp_path / "dist", "--wheel", CATZILLA_PURE="1", CATZILLA_REQUIRE_EXTENSIONS="1")
    assert done.returncode == 0, done.stdout
    assert "CMake" not in done.stdout.replace("CMakeLists.txt", "")
