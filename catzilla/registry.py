"""Which backend runs the tasks.

``auto`` takes the first usable one of BUILT_IN. One that is named is used or refused with the reason:
never silently replaced. Other distributions add theirs under the entry-point group of GROUP.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Final

from .errors import BackendUnavailable, ConfigTypeError, UnknownBackend
from .wording import did_you_mean, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import EntryPoint

    from .interface import Backend

BUILT_IN: Final = ("c", "cpp", "python")  # the order of "auto": fastest first
GROUP: Final = "catzilla.backends"
VARIABLE: Final = "CATZILLA_BACKEND"

USABLE: Final = "usable"
NOT_BUILT: Final = "not built"  # nothing is wrong: this install has no such native module
BROKEN: Final = "broken"  # it is there, and cannot be used

_BUILD: Final = (
    "install from the checkout with a C and C++ compiler and Python's headers at hand; "
    "CATZILLA_REQUIRE_EXTENSIONS=1 pip install . shows why it cannot be built"
)
_REINSTALL: Final = "install Catzilla again with this Python (pip install --force-reinstall --no-deps .)"

_warned: set[str] = set()  # names "auto" has warned of: once for each process


class Attempt:
    """What came of trying to use one backend. ``cause`` and ``remedy`` are empty for a usable one."""

    __slots__ = ("backend", "cause", "error", "name", "remedy", "status")

    def __init__(
        self,
        name: str,
        status: str,
        *,
        backend: Backend | None = None,
        cause: str = "",
        remedy: str = "",
        error: BaseException | None = None,
    ) -> None:
        self.name = name
        self.status = status
        self.backend = backend
        self.cause = cause
        self.remedy = remedy
        self.error = error

    def __str__(self) -> str:
        if self.status == USABLE:
            return f"{self.name}: {USABLE}"
        return f"{self.name}: {self.status}: {self.cause}" + (f" - {self.remedy}" if self.remedy else "")

    def __repr__(self) -> str:
        return f"<Attempt {self}>"


def load(name: str | None = None, origin: str = "argument") -> Backend:
    """The backend of that name; None: what CATZILLA_BACKEND says, else "auto".

    ``origin`` says in an error who asked. Raises UnknownBackend or BackendUnavailable.
    """
    if name is None:
        name, origin = os.environ.get(VARIABLE, "").strip() or "auto", f"environment variable {VARIABLE}"
    if not isinstance(name, str):
        raise ConfigTypeError(f"backend={name!r} (from {origin}) must be the name of a backend, not {kind_of(name)}")
    _refuse_subinterpreter()
    if name == "auto":
        return _load_auto()
    attempt = _try(name)
    if attempt is None:
        near = did_you_mean(name, ["auto", *names()])
        raise UnknownBackend(f"unknown backend {name!r} (from {origin}): {near}the names are auto, {_known()}")
    if attempt.backend is not None:
        return attempt.backend
    raise _unavailable(f"backend {name!r} (from {origin}) cannot be used here", [attempt])


def names() -> list[str]:
    """The built-in names, usable or not, in the order of "auto", then those that other distributions register."""
    return [*BUILT_IN, *sorted(_registered())]


def attempts() -> list[Attempt]:
    """Try every known backend; nothing is raised and nothing is warned of."""
    found = (_try(name) for name in names())
    return [attempt for attempt in found if attempt is not None]


def _load_auto() -> Backend:
    failed: list[Attempt] = []
    for name in BUILT_IN:
        attempt = _try_built_in(name)
        if attempt.backend is not None:
            _warn_of([other for other in failed if other.status == BROKEN])
            return attempt.backend
        failed.append(attempt)
    raise _unavailable("no backend can be used here", failed)


def _warn_of(broken: list[Attempt]) -> None:
    for attempt in broken:
        if attempt.name not in _warned:
            _warned.add(attempt.name)
            text = f"Catzilla goes on without a backend that is installed: {attempt}"
            warnings.warn(text, RuntimeWarning, stacklevel=4)  # at the caller of load()


def _try(name: str) -> Attempt | None:
    """None: nobody knows that name."""
    if name in BUILT_IN:  # first: no other distribution can take a built-in name
        return _try_built_in(name)
    points = _registered().get(name)
    return None if points is None else _try_registered(name, points)


def _try_built_in(name: str) -> Attempt:
    import importlib

    package = f"{__package__}.backends.{name}"
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name not in (package, f"{package}._native"):
            return _broken(name, error)
        return _missing(name, package, error)
    except Exception as error:  # whatever a native module's initialisation raises
        return _broken(name, error)
    if getattr(module, "__file__", None) is None:  # a directory of sources without the package
        return Attempt(name, NOT_BUILT, cause="it is not part of this install")
    return _checked(name, getattr(module, "BACKEND", None), f"{package}.BACKEND", _REINSTALL)


def _missing(name: str, package: str, error: ModuleNotFoundError) -> Attempt:
    """Tell an install without the native module from one whose module this Python does not even look at."""
    for folder in _folders(package):
        others = [file for file in sorted(os.listdir(folder)) if _is_native(file)]
        if others:
            cause = f"{', '.join(others)} in {folder} was not built for this Python"
            return Attempt(name, BROKEN, cause=cause, remedy=_REINSTALL, error=error)
    if name == "python":
        return Attempt(name, BROKEN, cause="the install is incomplete", remedy=_REINSTALL, error=error)
    if error.name == package:
        return Attempt(name, NOT_BUILT, cause="it is not part of this install", error=error)
    for folder in _folders(package):
        if why := _left_out(folder):
            return Attempt(name, NOT_BUILT, cause=f"the build left it out: {why}", remedy=_BUILD, error=error)
    return Attempt(name, NOT_BUILT, cause="this install has no native module for it", remedy=_BUILD, error=error)


def _folders(package: str) -> list[str]:
    """Where a package's modules are looked for, without running it."""
    import importlib.util

    spec = importlib.util.find_spec(package)
    places = (spec.submodule_search_locations if spec is not None else None) or ()
    return [folder for folder in places if os.path.isdir(folder)]


def _left_out(folder: str) -> str | None:
    """What the build noted instead of a native module (CMakeLists.txt: catzilla_unavailable)."""
    try:
        with open(os.path.join(folder, "left_out.txt"), encoding="utf-8") as note:
            return note.read().strip()
    except OSError:
        return None


def _is_native(file: str) -> bool:
    return file.startswith("_native.") and file.endswith((".so", ".pyd", ".dylib"))


def _broken(name: str, error: BaseException) -> Attempt:
    return Attempt(name, BROKEN, cause=f"{type(error).__name__}: {error}", remedy=_REINSTALL, error=error)


def _registered() -> dict[str, list[EntryPoint]]:
    """What other distributions offer. A distribution that is found twice on the path counts once."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        same = found.setdefault(point.name, [])
        if point.value not in [other.value for other in same]:
            same.append(point)
    for name in (*BUILT_IN, "auto"):
        found.pop(name, None)
    return found


def _try_registered(name: str, points: list[EntryPoint]) -> Attempt:
    if len(points) > 1:
        owners = ", ".join(sorted(f"{point.dist.name if point.dist else '?'} ({point.value})" for point in points))
        return Attempt(name, BROKEN, cause=f"registered more than once: {owners}", remedy="uninstall all but one")
    (point,) = points
    remedy = f"report it to the authors of {point.dist.name}" if point.dist else ""
    try:
        backend = point.load()
    except Exception as error:
        cause = f"its entry point {point.value} fails to load: {type(error).__name__}: {error}"
        return Attempt(name, BROKEN, cause=cause, remedy=remedy, error=error)
    return _checked(name, backend, point.value, remedy)


def _checked(name: str, backend: object, where: str, remedy: str) -> Attempt:
    """A usable attempt if the object is an interface.Backend of that name."""
    wrong = list(_wrong(name, backend))
    if wrong:
        return Attempt(name, BROKEN, cause=f"{where} is not a backend: {'; '.join(wrong)}", remedy=remedy)
    return Attempt(name, USABLE, backend=backend)  # type: ignore[arg-type]


def _wrong(name: str, backend: object) -> Iterable[str]:
    if backend is None:
        yield "it is missing or None"
        return
    if isinstance(backend, type):
        yield f"it is the class {backend.__name__}, an instance is wanted"
        return
    missing = object()
    for attribute, kind, wanted in (
        ("name", str, "a str"),
        ("features", frozenset, "a frozenset of str"),
        ("handle_type", type, "a class"),
    ):
        value = getattr(backend, attribute, missing)
        if value is missing:
            yield f"it has no attribute {attribute!r}"
        elif not isinstance(value, kind):
            yield f"its {attribute!r} is {kind_of(value)}, {wanted} is wanted"
        elif attribute == "name" and value != name:
            yield f"its name is {value!r}, registered as {name!r}"
    if not callable(getattr(backend, "open", None)):
        yield "it has no method 'open'"


def _unavailable(what: str, failed: list[Attempt]) -> BackendUnavailable:
    lines = [f"{what}:", *(f"  {attempt}" for attempt in failed)]
    lines.append("  (python -m catzilla doctor shows every backend)")
    error = BackendUnavailable("\n".join(lines))
    error.__cause__ = failed[-1].error
    return error


def _refuse_subinterpreter() -> None:
    if not _in_main_interpreter():
        raise BackendUnavailable(
            "Catzilla does not run in a subinterpreter: its threads and its exit belong to the main one. "
            "Use it there (mod_wsgi: WSGIApplicationGroup %{GLOBAL})"
        )


def _in_main_interpreter() -> bool:
    """True also where this Python has no way to tell."""
    import importlib

    for module in ("_interpreters", "_xxsubinterpreters"):  # 3.13; 3.11 and 3.12
        try:
            interpreters = importlib.import_module(module)
        except ImportError:
            continue
        return bool(interpreters.get_current() == interpreters.get_main())
    return True


def _known() -> str:
    return ", ".join(names())
