"""``SystemConfig``: every parameter of a task system, checked, with where each value came from.

A value is looked for in this order: argument, config object, environment, default. ``resolve`` does
that and computes the defaults that depend on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypedDict

from .errors import ConfigTypeError, ConfigValueError
from .parameters import MOST_WORKERS, PARAMETERS
from .variables import warn_of_unknown
from .wording import did_you_mean, kind_of, nearest

if TYPE_CHECKING:
    from typing import Self, Unpack

DEFAULT: Final = "default"


class SystemOptions(TypedDict, total=False):
    """The keywords of SystemConfig, TaskSystem and enable_background_tasks."""

    workers: int | None
    min_workers: int | None
    max_workers: int | None
    queue_size: int
    on_full: str
    enable_auto_scaling: bool
    memory_pool_mb: float | None
    enable_c_compilation: bool
    enable_profiling: bool | str
    use_jemalloc: bool
    backend: str | None
    shutdown_timeout: float
    keep_results: int
    critical_reserve: int
    max_stuck_workers: int
    memory_profiling: bool
    async_concurrency: int
    lock_dir: str | None


class SystemConfig:
    """Parameters of a task system; immutable. What is not given is looked for further down when it is used.

    Raises ConfigValueError or ConfigTypeError, naming parameter, value, origin and what is allowed.
    """

    __slots__ = ("_origins", *PARAMETERS)

    if TYPE_CHECKING:
        workers: int | None
        min_workers: int | None
        max_workers: int | None
        queue_size: int
        on_full: str
        enable_auto_scaling: bool
        memory_pool_mb: float | None
        enable_c_compilation: bool
        enable_profiling: bool | str
        use_jemalloc: bool
        backend: str | None
        shutdown_timeout: float
        keep_results: int
        critical_reserve: int
        max_stuck_workers: int
        memory_profiling: bool
        async_concurrency: int
        lock_dir: str | None
        _origins: dict[str, str]

    def __init__(self, **options: Unpack[SystemOptions]) -> None:
        _refuse_unknown(options, "argument", ConfigTypeError)
        self._fill(_checked(options, "config object"))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, origin: str = "mapping") -> Self:
        """From a dict, such as a settings module's. None stands for "not given"."""
        if not isinstance(mapping, Mapping):
            raise ConfigTypeError(f"from_mapping takes a mapping of parameters to values, not {kind_of(mapping)}")
        _refuse_unknown(mapping, origin, ConfigValueError)
        return cls._of(_checked(mapping, origin))

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Self:
        """From a TOML file: its table ``[tool.catzilla]`` or ``[catzilla]`` if it has one, else its top level.

        Raises OSError if the file cannot be read, ConfigValueError if it is not TOML.
        """
        import tomllib

        name = os.fspath(path)
        with open(name, "rb") as file:
            try:
                document = tomllib.load(file)
            except ValueError as error:  # TOMLDecodeError or UnicodeDecodeError
                raise ConfigValueError(f"file {name} is not valid TOML: {error}") from error
        return cls.from_mapping(_table(document, name), origin=f"file {name}")

    @classmethod
    def _of(cls, given: Mapping[str, tuple[Any, str]]) -> Self:
        config = cls.__new__(cls)
        config._fill(given)
        return config

    def _fill(self, given: Mapping[str, tuple[Any, str]]) -> None:
        """Values with their origins; the rest are the defaults that need no machine to compute."""
        put = object.__setattr__
        for name, parameter in PARAMETERS.items():
            put(self, name, given[name][0] if name in given else parameter.default)
        put(self, "_origins", {name: origin for name, (_, origin) in given.items()})

    def origin(self, name: str) -> str:
        """Where a value came from, in words for an error: "argument", "environment variable CATZILLA_WORKERS", ..."""
        return self._origins.get(name, DEFAULT)

    def given(self) -> dict[str, tuple[Any, str]]:
        """The values that somebody chose, each with its origin; defaults are not in it."""
        return {name: (getattr(self, name), origin) for name, origin in self._origins.items()}

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PARAMETERS}

    def replace(self, **options: Unpack[SystemOptions]) -> Self:
        """A copy with other values; what was computed or came from elsewhere stays."""
        _refuse_unknown(options, "argument", ConfigTypeError)
        return self._of(self.given() | _checked(options, "config object"))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"SystemConfig is immutable; use .replace({name}=...) for a copy")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("SystemConfig is immutable")

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in PARAMETERS if name in self._origins)
        return f"SystemConfig({shown})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SystemConfig):
            return NotImplemented
        return self.as_dict() == other.as_dict() and self._origins.keys() == other._origins.keys()

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.given(),)


class ResolvedConfig(SystemConfig):
    """What ``resolve`` gives: the same with nothing left open."""

    __slots__ = ()

    if TYPE_CHECKING:
        workers: int
        min_workers: int
        max_workers: int
        backend: str


def _restore(given: Mapping[str, tuple[Any, str]]) -> SystemConfig:
    return SystemConfig._of(given)


def resolve(
    config: SystemConfig | None = None,
    arguments: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    cpus: int | None = None,
) -> ResolvedConfig:
    """Every parameter decided: argument, config object, environment, default.

    ``arguments`` holds what the caller wrote; None in it stands for "not given" where None is the
    default. Raises ConfigTypeError or ConfigValueError, also for worker counts that contradict each
    other when each of them was chosen by somebody; those that nobody chose adapt.
    """
    if config is not None and not isinstance(config, SystemConfig):
        raise ConfigTypeError(f"config must be a SystemConfig, not {kind_of(config)}")
    written = arguments or {}
    _refuse_unknown(written, "argument", ConfigTypeError)
    given = {} if config is None else config.given()
    given |= _checked(written, "argument")
    variables = os.environ if environ is None else environ
    given |= _from_environment(variables, skip=given)
    warn_of_unknown(variables)

    resolved = ResolvedConfig._of(given)
    put = object.__setattr__
    for name, count in _worker_counts(given, cpus).items():
        put(resolved, name, count)
    if resolved.backend is None:
        put(resolved, "backend", "auto")
    return resolved


def _worker_counts(given: Mapping[str, tuple[Any, str]], cpus: int | None) -> dict[str, int]:
    """workers, min_workers and max_workers: chosen ones as they are, the others fitted around them."""
    for low, high in (("min_workers", "max_workers"), ("min_workers", "workers"), ("workers", "max_workers")):
        if low in given and high in given and given[low][0] > given[high][0]:
            raise ConfigValueError(
                f"{low}={given[low][0]} (from {given[low][1]}) is greater than "
                f"{high}={given[high][0]} (from {given[high][1]}): "
                "min_workers <= workers <= max_workers must hold"
            )
    if cpus is None:
        from .cpus import usable_cpus

        cpus = usable_cpus()
    least = given["min_workers"][0] if "min_workers" in given else 1
    most = given["max_workers"][0] if "max_workers" in given else MOST_WORKERS
    workers = given["workers"][0] if "workers" in given else min(max(2, cpus, least), most)
    return {
        "workers": workers,
        "min_workers": least if "min_workers" in given else min(2, workers),
        "max_workers": most if "max_workers" in given else min(max(32, 4 * cpus, workers), MOST_WORKERS),
    }


def _checked(values: Mapping[str, Any], origin: str) -> dict[str, tuple[Any, str]]:
    """Each value that is given, checked, with its origin."""
    checked = {}
    for name, value in values.items():
        parameter = PARAMETERS[name]
        if value is None and parameter.default is None:
            continue
        checked[name] = (parameter.value(value, origin), origin)
    return checked


def _from_environment(environ: Mapping[str, str], skip: Container[str]) -> dict[str, tuple[Any, str]]:
    """What the environment says of what is not decided yet; an empty variable says nothing."""
    found = {}
    for name, parameter in PARAMETERS.items():
        text = environ.get(parameter.variable, "").strip()
        if text and name not in skip:
            origin = f"environment variable {parameter.variable}"
            found[name] = (parameter.from_text(text, origin), origin)
    return found


def _refuse_unknown(names: Iterable[object], origin: str, kind: type[ConfigTypeError] | type[ConfigValueError]) -> None:
    for name in names:
        if name in PARAMETERS:
            continue
        near = did_you_mean(name, PARAMETERS)
        raise kind(f"unknown parameter {name!r} (from {origin}): {near}allowed are {', '.join(PARAMETERS)}")


def _table(document: dict[str, Any], name: str) -> Mapping[str, Any]:
    for path in (("tool", "catzilla"), ("catzilla",)):
        table: Any = document
        for key in path:
            table = table.get(key) if isinstance(table, dict) else None
        if table is None:
            continue
        if not isinstance(table, dict):
            raise ConfigTypeError(f"{'.'.join(path)} in file {name} must be a table, not {kind_of(table)}")
        return table
    tables = [key for key, value in document.items() if isinstance(value, dict)]
    if tables and not PARAMETERS.keys() & document.keys():  # somebody else's settings, such as a pyproject.toml
        theirs = document.get("tool")
        named = [*tables, *(f"tool.{key}" for key in theirs)] if isinstance(theirs, dict) else tables
        near = nearest("tool.catzilla", named) or nearest("catzilla", named)
        hint = "" if near is None else f" (is [{near}] meant to be one?)"
        raise ConfigValueError(
            f"file {name} has no table [tool.catzilla] or [catzilla]{hint}: "
            "put the parameters in one of them, or at the top of a file of their own"
        )
    return document
