"""The plain build by hand: ``mkdir build && cd build && cmake ..``, with neither Python nor C++ asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.packaging


@pytest.fixture
def cmake() -> str:
    beside = Path(sys.executable).parent  # as if the environment were activated: the test extra brings a cmake
    found = shutil.which("cmake", path=f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if found is None or shutil.which("cc") is None or shutil.which("make") is None:
        pytest.skip("needs cmake, make and a C compiler")
    return found


def _configure(cmake: str, tree: Path, *options: str) -> subprocess.CompletedProcess[str]:
    build = tree / "build"
    build.mkdir()
    return subprocess.run(
        [cmake, "-G", "Unix Makefiles", *options, ".."],
        cwd=build,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )


def test_programs_land_where_they_are_called(cmake: str, tree: Path) -> None:
    # Given a backend with a test program
    backend = tree / "backends/extra"
    backend.mkdir()
    backend.joinpath("CMakeLists.txt").write_text("add_executable(test_extra test.c)\n", encoding="utf-8")
    backend.joinpath("test.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    # When it is built by hand
    done = _configure(cmake, tree)
    assert done.returncode == 0, done.stdout
    subprocess.run(["make", "test_extra"], cwd=tree / "build", check=True, capture_output=True)
    # Then it is in the build folder itself
    subprocess.run(["./test_extra"], cwd=tree / "build", check=True)


def test_python_and_cxx_are_not_asked_for(cmake: str, root: Path, tmp_path: Path) -> None:
    # Given the top level alone, without any backend
    tree = tmp_path / "alone"
    tree.mkdir()
    shutil.copy(root / "CMakeLists.txt", tree)
    # When it is configured where neither can be found
    done = _configure(cmake, tree, "-DCMAKE_CXX_COMPILER=/no/such", "-DCMAKE_DISABLE_FIND_PACKAGE_Python=ON")
    assert done.returncode == 0, done.stdout


def test_without_cxx_the_backend_in_c_is_still_built(cmake: str, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a machine without a C++ compiler
    monkeypatch.setenv("CXX", "/no/such/compiler")
    # When everything is configured
    done = _configure(cmake, tree)
    # Then the C++ backend is left out, with a warning that says why, and the C backend is not
    assert done.returncode == 0, done.stdout
    assert "backend cpp: left out, no C++ compiler was found" in " ".join(done.stdout.split())
    subprocess.run(["make", "test_background_tasks"], cwd=tree / "build", check=True, capture_output=True)


def test_a_compiler_without_cxx20_is_not_used(
    cmake: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a compiler that knows C++17 and no more
    real = shutil.which("c++")
    if real is None:
        pytest.skip("needs a C++ compiler")
    old = tmp_path / "old-c++"
    old.write_text(f'#!/bin/sh\nfor word; do case $word in *c++2*|*c++20*) exit 1;; esac; done\nexec {real} "$@"\n')
    old.chmod(0o755)
    monkeypatch.setenv("CXX", str(old))
    # When everything is configured, then the C++ backend is left out and the rest is not
    done = _configure(cmake, tree)
    assert done.returncode == 0, done.stdout
    assert "backend cpp: left out" in " ".join(done.stdout.split())
    assert "no C++20" in " ".join(done.stdout.split())
