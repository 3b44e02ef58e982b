"""What holds for every file of the tree."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

BINARY = (".png", ".jpg", ".gif", ".ico")


@pytest.fixture(scope="module")
def files(root: Path) -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git and a checkout")
    paths = [root / name for name in listed.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix not in BINARY]


def test_text_is_utf_8_with_unix_lines(files: list[Path]) -> None:
    for path in files:
        content = path.read_bytes()
        content.decode("utf-8")  # raises, and shows where
        assert b"\r" not in content, path
        assert not content or content.endswith(b"\n"), path


def test_scripts_can_be_run(files: list[Path]) -> None:
    scripts = [path for path in files if path.read_bytes().startswith(b"#!")]
    assert scripts
    assert [path for path in scripts if not path.stat().st_mode & 0o100] == []


def test_files_can_be_read_in_one_sitting(files: list[Path]) -> None:
    long = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in files if path.suffix == ".py"}
    assert {name: lines for name, lines in long.items() if lines >= 1000} == {}
