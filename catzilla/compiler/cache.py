"""Compiled kernels on disk. A file is loaded into the process, so only one's own are trusted.

The directory is 0700, the user's own, and no symbolic link; a file is one of ours, regular, writable
by nobody else, and ends with the SHA-256 of all before it (ELF and Mach-O ignore what follows). What
does not fit is not used, and built again. A directory that cannot be trusted or written is replaced
by a private temporary one for the life of the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import stat
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

from .toolchain import BuildFailed, Toolchain, run
from .unit import CODEGEN_VERSION

SUFFIX: Final = ".kernel"
DIGEST: Final = 32


class UnsafeCache(Exception):
    """Why the cache directory is not used."""


def directory() -> Path:
    """Where kernels are kept: CATZILLA_CACHE_DIR, else the user's cache directory."""
    chosen = os.environ.get("CATZILLA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base and os.path.isabs(base) else Path.home() / ".cache") / "catzilla"


def key_of(text: str, toolchain: Toolchain) -> str:
    parts = (text, *toolchain.flags, *toolchain.command, toolchain.version, str(CODEGEN_VERSION), platform.platform())
    return hashlib.sha256("\0".join((*parts, sys.version)).encode("utf-8", "surrogatepass")).hexdigest()


def checked(path: Path, make: bool = True) -> Path:
    """The directory, made if it is not there. Raises UnsafeCache or OSError."""
    if make:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        raise UnsafeCache(f"{path} is a symbolic link")
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeCache(f"{path} is no directory")
    if found.st_uid != os.geteuid():
        raise UnsafeCache(f"{path} belongs to somebody else")
    if found.st_mode & 0o022:
        raise UnsafeCache(f"{path} can be written by others")
    if make and found.st_mode & 0o077:
        os.chmod(path, 0o700)
    return path


_lock = threading.Lock()
_private: Path | None = None
_why_private: str | None = None


def usable() -> Path:
    """The cache directory, or the private one of this process."""
    global _why_private
    try:
        path = checked(directory())
        if not _writable(path):
            raise UnsafeCache(f"{path} cannot be written")
        return path
    except (UnsafeCache, OSError, RuntimeError) as error:  # RuntimeError: no home directory
        _why_private = str(error)
        return _private_directory()


def _writable(path: Path) -> bool:
    """For the user whose files these are: access() asks for the real one, who may be another."""
    effective = os.access in os.supports_effective_ids
    return os.access(path, os.W_OK | os.X_OK, effective_ids=effective)


def why_private() -> str | None:
    return _why_private


def problem() -> str | None:
    """Why the directory would not be used as it is now; nothing is made or changed for the answer."""
    try:
        path = checked(directory(), make=False)
    except FileNotFoundError:
        return None  # it is made with the first kernel
    except (UnsafeCache, OSError, RuntimeError) as error:
        return str(error)
    return None if _writable(path) else f"{path} cannot be written"


def _private_directory() -> Path:
    global _private
    with _lock:
        if _private is None or not _private.is_dir():
            import atexit

            _private = Path(tempfile.mkdtemp(prefix="catzilla-"))
            atexit.register(_remove, _private, os.getpid())
        return _private


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(path, ignore_errors=True)


def trusted(path: Path) -> bool:
    """Whether the file is ours and whole."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            return False
        content = file.read()
    return len(content) > DIGEST and hashlib.sha256(content[:-DIGEST]).digest() == content[-DIGEST:]


def build(text: str, toolchain: Toolchain) -> Path:
    """The compiled text, from the cache or made now. Raises BuildFailed."""
    global _why_private
    key = key_of(text, toolchain)
    try:
        folder = usable()
        try:
            return _kept(text, toolchain, folder, key)
        except OSError as error:  # a full disk, a quota, a read-only file system: permissions do not tell
            _why_private = f"{folder} cannot be written: {error.strerror or error}"
            return _kept(text, toolchain, _private_directory(), key)
    except OSError as error:
        raise BuildFailed(f"the kernel cannot be written: {error}") from error


def _kept(text: str, toolchain: Toolchain, folder: Path, key: str) -> Path:
    target = folder / (key + SUFFIX)
    return target if trusted(target) else _compile(text, toolchain, folder, target)


def _compile(text: str, toolchain: Toolchain, folder: Path, target: Path) -> Path:
    work = Path(tempfile.mkdtemp(prefix=".build-", dir=folder))
    try:
        source, made = work / "kernel.c", work / "kernel.so"
        source.write_text(text, encoding="ascii")
        run(toolchain.line(str(source), str(made)))
        if not made.is_file():
            raise BuildFailed(f"{toolchain.command[0]} made no file")
        with open(made, "rb+") as file:
            digest = hashlib.sha256(file.read()).digest()
            file.write(digest)
        os.chmod(made, 0o700)
        os.replace(made, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def clear() -> int:
    """Delete all kernels (and what an interrupted build left). Gives how many; raises UnsafeCache or OSError."""
    path = checked(directory(), make=False)
    removed = 0
    for entry in list(path.iterdir()):
        if entry.name.startswith(".build-") and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name.endswith(SUFFIX):
            with contextlib.suppress(FileNotFoundError):
                entry.unlink()
                removed += 1
    return removed
