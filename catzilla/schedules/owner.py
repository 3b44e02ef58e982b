"""One owner per host: of the processes that declare a schedule, one runs it.

The owner holds a lock on a file (``flock``), which the kernel releases when the process ends, however
it ends. The file also says when the schedule was last due, so that whoever comes next goes on there. A
file beside it says whether the schedule is paused, for all of them. Where it was cleaned away (/tmp often
is), whoever knows it as paused writes it anew: only resume() ends a pause.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from typing import Any, Final

from catzilla.errors import ConfigValueError

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

_PAUSED: Final = b"1"  # what the mark says: one byte, so that nobody reads half of it
_RUNS: Final = b"0"
_WIDTH: Final = 24  # of the number in the file: written and read in one step


class Owner:
    """The claim of one process, for one schedule."""

    def __init__(self, directory: str | None, name: str, file: str) -> None:
        """ConfigValueError: the directory of locks cannot be used."""
        if fcntl is None:
            raise ConfigValueError(
                f"schedule {name}: per='host' needs file locks (POSIX), which this platform lacks; use per='process'"
            )
        self._directory = directory
        try:
            folder = self._folder()
        except OSError as error:
            raise ConfigValueError(
                f"schedule {name}: its lock cannot be kept in {error.filename or directory}: {error.strerror}; name "
                "another directory with lock_dir=, or let every process run it with per='process'"
            ) from error
        digest = hashlib.blake2b(f"{file}\0{name}".encode(), digest_size=8).hexdigest()
        self.path = os.path.join(folder, f"schedule-{re.sub('[^A-Za-z0-9_.-]', '_', name)[-80:]}-{digest}.lock")
        self._pause_path = self.path + ".paused"
        self._was_paused = False  # when it was last looked at
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        return self._fd is not None

    def still_held(self) -> bool:
        """Also whether the file is still there: without it (a cleaner of /tmp) another process makes a new one."""
        if self._fd is None:
            return False
        try:
            if os.path.samestat(os.fstat(self._fd), os.stat(self.path)):
                return True
        except FileNotFoundError:
            pass
        self.release()
        return False

    def acquire(self) -> bool:
        """Become the owner, unless somebody is. OSError: the file cannot be opened."""
        if self._fd is not None:
            return True
        fd = self._open(self.path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return True

    def release(self) -> None:
        """Also in the child of a fork, where closing its copy leaves the parent's lock alone."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def last_ns(self) -> int | None:
        """When it was last due, in wall clock nanoseconds; None: nobody has noted it."""
        try:
            with open(self.path, "rb") as file:
                text = file.read(_WIDTH).strip()
        except FileNotFoundError:
            return None
        return int(text) if text.isdigit() else None

    def note(self, last_ns: int) -> None:
        if self._fd is not None:
            os.pwrite(self._fd, b"%-*d" % (_WIDTH, last_ns), 0)

    def paused(self) -> bool:
        """OSError: the mark was cleaned away, and cannot be written anew."""
        while True:
            try:
                with open(self._pause_path, "rb") as file:
                    self._was_paused = file.read(1) != _RUNS
            except FileNotFoundError:
                if self._was_paused:
                    try:
                        self._mark(_PAUSED, os.O_EXCL)
                    except FileExistsError:
                        continue  # somebody wrote it meanwhile: perhaps it goes on
            return self._was_paused

    def pause(self) -> None:
        self._mark(_PAUSED)
        self._was_paused = True

    def resume(self) -> None:
        self._mark(_RUNS)  # no mark would be one that was cleaned away
        self._was_paused = False

    def _mark(self, mark: bytes, flags: int = 0) -> None:
        fd = self._open(self._pause_path, os.O_WRONLY | os.O_CREAT | flags)
        try:
            os.pwrite(fd, mark, 0)
        finally:
            os.close(fd)

    def _open(self, path: str, flags: int) -> int:
        try:
            return os.open(path, flags | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            self._folder()  # was cleaned away with all that was in it
            return os.open(path, flags | os.O_CLOEXEC, 0o600)

    def _folder(self) -> str:
        return _own_directory() if self._directory is None else _given_directory(self._directory)


def _given_directory(directory: str) -> str:
    os.makedirs(directory, exist_ok=True)
    return directory


def _own_directory() -> str:
    """Of this user and host, and nobody else's to write in."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.path.isdir(runtime) and os.access(runtime, os.W_OK | os.X_OK):
        folder = os.path.join(runtime, "catzilla")
    else:
        folder = os.path.join(tempfile.gettempdir(), f"catzilla-{os.getuid()}")
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        found: Any = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(1, "it belongs to another user, or is no directory", folder) from None
    return folder
