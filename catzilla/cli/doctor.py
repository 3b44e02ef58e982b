"""``catzilla doctor``: what works here, what does not, and why."""

from __future__ import annotations

import json
from typing import Any

from catzilla.registry import USABLE

from .command import Command, Parameter
from .compilers import DOES_NOT_RUN
from .facts import EXTRAS
from .output import Output
from .report import ALSO, collect

Rows = list[tuple[str, str, str]]


def run(out: Output, *, json: bool, require: str | None) -> int:
    """0: Catzilla works as it is set up here, and what was required is there. 1: it does not."""
    report = collect()
    report["problems"] += _unmet(report, require)
    if json:
        out.raw(_to_json(report))
    else:
        _show(out, report)
    return 1 if report["problems"] else 0


def _unmet(report: dict[str, Any], require: str | None) -> list[str]:
    usable = {found["name"] for found in report["backends"] if found["status"] == USABLE}
    wanted = [name.strip() for name in (require or "").split(",") if name.strip()]
    return [f"backend {name} is required and not usable" for name in wanted if name not in usable]


def _to_json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2, ensure_ascii=True)


def _show(out: Output, report: dict[str, Any]) -> None:
    python, about, cpus = report["python"], report["catzilla"], report["cpus"]
    quota = "none" if cpus["cgroup_quota"] is None else f"{cpus['cgroup_quota']:g}"
    gil = ", free-threaded" if python["free_threaded"] else ""
    out.line(f"catzilla {about['version']} in {about['location']}")
    out.line(f"{python['implementation']} {python['version']}{gil} ({python['executable']}) on {python['platform']}")
    out.line(f"{cpus['usable']} usable CPUs (affinity {cpus['affinity']}, cgroup quota {quota})")
    for title, rows in (
        ("Backends, in the order of auto", _backends(report)),
        ("Allocator", _allocator(report["allocator"])),
        ("C compilers", _compilers(report["compilers"], report["compiled"])),
        ("Extras", _extras(report)),
        ("Environment", _environment(report["environment"])),
    ):
        out.heading(title)
        out.rows(rows)
    out.heading("Problems" if report["problems"] else "No problems found.")
    for problem in report["problems"]:
        out.line("  " + problem.replace("\n", "\n  "))


def _backends(report: dict[str, Any]) -> Rows:
    rows: Rows = []
    for found in report["backends"]:
        if found["status"] == USABLE:
            chosen = "used when none is named; " if found["name"] == report["chosen"]["backend"] else ""
            rows.append((found["name"], "ok", f"{chosen}{found['location'] or ''}".rstrip("; ")))
        else:
            remedy = f" ({found['remedy']})" if found["remedy"] else ""
            rows.append((found["name"], found["status"], found["cause"] + remedy))
    return rows


def _allocator(found: dict[str, Any]) -> Rows:
    preloaded = "in this process" if found["jemalloc_preloaded"] else "not preloaded"
    library = found["jemalloc_library"] or "no library to preload found (Debian: apt-get install libjemalloc2)"
    return [("engine", found["name"] or "not known", ""), ("jemalloc", preloaded, library)]


def _compilers(found: list[dict[str, Any]], compiled: dict[str, Any]) -> Rows:
    rows: Rows = []
    for compiler in found:
        runs = not compiler["version"].startswith(DOES_NOT_RUN)
        state = "missing" if not compiler["path"] else "ok" if runs else "error"
        rows.append((compiler["name"], state, f"{compiler['path'] or ''} {compiler['version']}".strip()))
    if compiled["by"] is None:
        return [*rows, ("used", "missing", f"every function runs as Python: {compiled['reason']}")]
    kept = compiled["cache"]
    if compiled["cache_problem"]:
        kept = f"a temporary directory of each process, because {compiled['cache_problem']}"
    return [*rows, ("used", "", f"{compiled['by']}; compiled functions are kept in {kept}")]


def _extras(report: dict[str, Any]) -> Rows:
    rows: Rows = []
    for extra in report["extras"]:
        if extra["present"]:
            rows.append((extra["name"], "ok", _versions(report, extra["name"])))
        else:
            rows.append((extra["name"], "missing", f"{', '.join(extra['absent'])}: {extra['install']}"))
    also = {name: found for name, found in report["packages"].items() if name in ALSO and found}
    rows.append(("others", "", ", ".join(f"{name} {found}" for name, found in also.items())))
    return rows


def _versions(report: dict[str, Any], extra: str) -> str:
    return ", ".join(f"{name} {report['packages'][name]}" for name, _ in EXTRAS[extra])


def _environment(found: dict[str, Any]) -> Rows:
    if not found["variables"]:
        return [("no CATZILLA_* variable is set", "", "")]
    return [
        (name, "unknown", f"{value}  (nothing reads it)") if name in found["unknown"] else (name, "", value)
        for name, value in found["variables"].items()
    ]


COMMAND = Command(
    "doctor",
    "Show which backends, compilers and extras there are, and why something is missing.",
    run,
    (
        Parameter("json", "Print everything as JSON.", bool),
        Parameter("require", "Fail if one of these backends (names with commas between) is not usable."),
    ),
)
