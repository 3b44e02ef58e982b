"""A backend that is required and missing is a failure: here, in the conformance suite, and in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from catzilla import registry

REQUIRED = [name.strip() for name in os.environ.get("CATZILLA_TEST_REQUIRE", "").split(",") if name.strip()]


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_backend_loads(name: str) -> None:
    assert registry.load(name).name == name


@pytest.mark.parametrize("where", ["tests/packaging/test_required_backends.py", "tests/test_conformance.py"])
def test_a_missing_one_fails(root: Path, tmp_path: Path, where: str) -> None:
    # Given an install that lacks a backend (also where this one has it), which is required
    tmp_path.joinpath("without_c.py").write_text("import sys\nsys.modules['catzilla.backends.c'] = None\n", "utf-8")
    environ = {"CATZILLA_TEST_REQUIRE": "c", "CATZILLA_BACKEND": "", "PYTHONPATH": str(tmp_path)}
    options = ("-p", "without_c", "-p", "no:cacheprovider", "--deselect", f"{where}::test_a_missing_one_fails")
    # When the tests run as far as the first failure
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", f"--rootdir={root}", *options, str(root / where)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        env={**os.environ, **environ},
        check=False,
    )
    # Then there is one, and it names the backend
    assert done.returncode == 1, done.stdout
    assert "backend 'c' (from argument) cannot be used here" in done.stdout


def test_make_test_requires_what_the_tree_contains(root: Path, tree: Path) -> None:
    # Given a tree with one more backend
    tree.joinpath("backends/ghost").mkdir()
    tree.joinpath("backends/ghost/__init__.py").touch()
    # When `make test` is asked what it would do
    keep = {name: value for name, value in os.environ.items() if name != "CATZILLA_TEST_REQUIRE"}
    done = subprocess.run(["make", "-n", "test"], cwd=tree, env=keep, capture_output=True, text=True, check=True)
    # Then every backend of the tree is required
    names = sorted(path.parent.name for path in root.glob("backends/*/__init__.py"))
    assert f"CATZILLA_TEST_REQUIRE=${{CATZILLA_TEST_REQUIRE-{','.join(sorted([*names, 'ghost']))}}}" in done.stdout


def test_ci_requires_what_the_tree_contains(root: Path, tree: Path) -> None:
    # Given a tree with one more backend, and CI's commands replaced by saying what it would require
    tree.joinpath("backends/ghost").mkdir()
    tree.joinpath("backends/ghost/__init__.py").touch()
    script = root.joinpath(".ci/run").read_text(encoding="utf-8")
    head, command, _ = script.partition("step make test\n")
    assert command, "CI runs the README's test command"
    tree.joinpath(".ci").mkdir()
    short = tree / ".ci/run"
    short.write_text(head + 'echo "require $CATZILLA_TEST_REQUIRE $CATZILLA_REQUIRE_EXTENSIONS"\n', encoding="utf-8")
    # When it runs
    done = subprocess.run(["bash", str(short)], capture_output=True, text=True, check=True)
    # Then every backend of the tree is required, and natives must build
    names = sorted(path.parent.name for path in root.glob("backends/*/__init__.py"))
    assert done.stdout == f"require {','.join(sorted([*names, 'ghost']))} 1\n"
