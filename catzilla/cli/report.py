"""What ``doctor`` found, as data: the JSON it prints, and what its text is made of."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
import warnings
from typing import Any

from catzilla import config, cpus, registry, variables
from catzilla.errors import CatzillaError, ConfigError

from . import compilers, facts, jemalloc

ALSO = ("cffi", "starlette", "httpx2", "uvloop", "pybind11", "ziglang")  # beside what the extras name


def collect() -> dict[str, Any]:
    """Every section; ``problems`` lists what keeps Catzilla from working as it is set up here."""
    attempts = registry.attempts()
    report: dict[str, Any] = {
        "catzilla": _catzilla(),
        "python": _python(),
        "cpus": {"usable": cpus.usable_cpus(), "affinity": cpus.affine_cpus(), "cgroup_quota": cpus.cgroup_quota()},
        "backends": [_backend(attempt) for attempt in attempts],
        "chosen": _chosen(),
        "environment": _environment(),
        "compilers": [compiler._asdict() for compiler in compilers.compilers()],
        "compiled": _compiled(),
        "extras": [_extra(name) for name in facts.EXTRAS],
        "packages": _packages(),
    }
    report["allocator"] = _allocator(report["chosen"]["backend"])
    report["problems"] = _problems(report)
    return report


def _catzilla() -> dict[str, Any]:
    import catzilla

    return {
        "version": facts.version(),
        "location": os.path.dirname(os.path.abspath(catzilla.__file__)),
        "strangers": [
            {"version": found.version, "summary": found.metadata["Summary"], "location": str(found.locate_file(""))}
            for found in facts.strangers()
        ],
    }


def _python() -> dict[str, Any]:
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "free_threaded": free_threaded,
    }


def _backend(attempt: registry.Attempt) -> dict[str, Any]:
    module = sys.modules.get(f"catzilla.backends.{attempt.name}")
    return {
        "name": attempt.name,
        "status": attempt.status,
        "cause": attempt.cause,
        "remedy": attempt.remedy,
        "location": getattr(module, "__file__", None),
        "features": sorted(attempt.backend.features) if attempt.backend is not None else [],
    }


def _chosen() -> dict[str, Any]:
    """What a TaskSystem without arguments would get here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a broken native module: it is in the list of backends
            backend = registry.load()
    except CatzillaError as error:
        return {"backend": None, "error": str(error)}
    return {"backend": backend.name, "error": None}


def _environment() -> dict[str, Any]:
    """The configuration that environment variables give, and whether it can be used."""
    found = {key: value for key, value in sorted(os.environ.items()) if key.startswith(variables.PREFIX)}
    unknown = variables.unknown(found)
    variables.told(unknown)
    try:
        config.resolve()
    except CatzillaError as error:
        return {"variables": found, "unknown": unknown, "error": str(error)}
    return {"variables": found, "unknown": unknown, "error": None}


def _allocator(backend: str | None) -> dict[str, Any]:
    """The allocator that the engine itself names, and what is known of jemalloc."""
    found: dict[str, Any] = {
        "name": None,
        "error": None,
        "jemalloc_preloaded": jemalloc.is_preloaded(),
        "jemalloc_library": jemalloc.library(),
    }
    if backend is not None:
        try:
            from catzilla.system import TaskSystem

            with TaskSystem(backend=backend) as system:  # no thread starts before the first task
                found["name"] = system.memory_stats()["allocator"]
        except ConfigError:
            pass  # the environment's; it has a line of its own
        except Exception as error:  # whatever is wrong, the rest of the report is wanted all the more
            found["error"] = f"a task system on backend {backend} does not open: {type(error).__name__}: {error}"
    return found


def _compiled() -> dict[str, Any]:
    """What compiles functions here and where they are kept, or why they all run as Python."""
    from catzilla.compiler import cache, toolchain

    found = toolchain.toolchains()
    known = [one for one in found if one.known] or found
    try:
        path: str | None = str(cache.directory())
    except RuntimeError:  # no home directory
        path = None
    return {
        "by": known[0].name if known else None,
        "reason": None if found else toolchain.reason_for_none(),
        "cache": path,
        "cache_problem": cache.problem(),
    }


def _extra(name: str) -> dict[str, Any]:
    absent = facts.absent(name)
    return {
        "name": name,
        "present": not absent,
        "absent": absent,
        "install": facts.pip_command(name) if absent else None,
    }


def _packages() -> dict[str, str | None]:
    names = [distribution for extra in facts.EXTRAS.values() for distribution, _ in extra]
    return {name: facts.package_version(name) for name in sorted({*names, *ALSO})}


def _problems(report: dict[str, Any]) -> list[str]:
    problems = [
        f"the distribution catzilla {found['version']} in {found['location']} is an unrelated project "
        f"({found['summary']}): pip uninstall catzilla, then install this one from its checkout"
        for found in report["catzilla"]["strangers"]
    ]
    problems += [
        f"backend {found['name']} is there and cannot be used: {found['cause']}"
        for found in report["backends"]
        if found["status"] == registry.BROKEN
    ]
    problems += [
        f"environment variable {name} is not read by anything: did you mean {near}?"
        for name, near in report["environment"]["unknown"].items()
        if near is not None
    ]
    sections = (report["chosen"], report["environment"], report["allocator"])
    problems += [section["error"] for section in sections if section["error"]]
    return problems
