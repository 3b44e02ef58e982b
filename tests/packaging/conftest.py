"""What the packaging tests look at: the tree, and a distribution that is built from it once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.so")

Build = Callable[..., "subprocess.CompletedProcess[str]"]


def _build(source: Path, into: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Build with what is installed here, so that no index is needed."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith("CATZILLA_")}
    return subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(into), *options, str(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        env={**keep, **environ},
        check=False,
    )


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the source tree."""
    if not ROOT.joinpath("pyproject.toml").is_file():
        pytest.skip("needs the source tree")
    return ROOT


@pytest.fixture(scope="session")
def build(root: Path) -> Build:
    return _build


@pytest.fixture
def tree(root: Path, tmp_path: Path) -> Path:
    """A copy of the tree, to change."""
    copy = tmp_path / "tree"
    shutil.copytree(root, copy, ignore=NOT_COPIED)
    return copy


@pytest.fixture(scope="session")
def distribution(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an sdist, and the wheel that is built from it: what the one lacks, the other lacks too."""
    folder = tmp_path_factory.mktemp("dist")
    done = _build(root, folder)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="session")
def wheel(distribution: Path) -> Mapping[str, bytes]:
    """The files in the wheel."""
    (path,) = distribution.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="session")
def sdist(distribution: Path) -> set[str]:
    """The paths in the sdist, below its own folder."""
    (path,) = distribution.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}
