"""The project's targets, and whether a run met them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from harness.duel import Result
from harness.report import Table

C, CPP, PYTHON, JEMALLOC = "catzilla c", "catzilla cpp", "catzilla python", "catzilla c on jemalloc"
THREADS, QUEUE = "ThreadPoolExecutor", "SimpleQueue + lock"
ANCHORS = ("Go, goroutine per task", "Rust, std mpsc", "oneTBB task_group", "moodycamel queue")


@dataclass(frozen=True)
class Target:
    what: str
    floor: float
    aim: float | None
    unit: str
    scenario: str
    metric: str
    contender: str = C
    against: str = ""
    """The figure is the ratio to this contender's, within each round."""
    at_least: bool = False
    digits: int = 0


@dataclass(frozen=True)
class Verdict:
    target: Target
    measured: float | None
    """The median of ``values``."""
    why: str = ""
    """Why there is no figure."""
    values: list[float] = field(default_factory=list)
    """Of the rounds."""

    @property
    def text(self) -> str:
        if self.measured is None:
            return f"not measured: {self.why}"
        if self._reaches(self.target.aim):
            return "met, aim too"
        return "met" if self._reaches(self.target.floor) else "missed"

    def _reaches(self, limit: float | None) -> bool:
        if limit is None or self.measured is None:
            return False
        return self.measured >= limit if self.target.at_least else self.measured <= limit


def _ratio(what: str, floor: float, aim: float | None, scenario: str, metric: str, **how: Any) -> Target:
    return Target(what, floor, aim, "x", scenario, metric, at_least=True, digits=2, **how)


def _rate(what: str, floor: float, aim: float | None, scenario: str, metric: str, **how: Any) -> Target:
    return Target(what, floor, aim, "/s", scenario, metric, at_least=True, **how)


TARGETS = (
    _ratio("no-op tasks one by one, against ThreadPoolExecutor", 50, 150, "noop", "per_s", against=THREADS),
    _ratio("no-op tasks one by one, against SimpleQueue + lock", 8, 15, "noop", "per_s", against=QUEUE),
    _ratio("C++ backend, no-op, against SimpleQueue + lock", 8, 15, "noop", "per_s", contender=CPP, against=QUEUE),
    _ratio(
        "Python backend, no-op, against SimpleQueue + lock",
        0.7,
        1.0,
        "noop",
        "per_s",
        contender=PYTHON,
        against=QUEUE,
    ),
    Target("submit call, worker awake", 40, 25, "ns", "submit", "ns"),
    _rate("compiled tasks one by one, results kept", 8e6, 14e6, "kernels", "one_per_s"),
    *(_ratio(f"the same against {name}", 1, None, "kernels", "one_per_s", against=name) for name in ANCHORS),
    _ratio("the same against Go, buffered channel", 1, None, "kernels", "one_per_s", against="Go, buffered channel"),
    _rate("compiled batch, list of results", 40e6, 100e6, "kernels", "list_per_s"),
    _rate("compiled batch, buffer to buffer", 500e6, 1e9, "kernels", "buffer_per_s"),
    Target("to decorate a function", 1, None, "ms", "compiling", "decorate_ms", digits=3),
    Target("to compile one, gcc, not in the cache", 100, None, "ms", "compiling", "cold_ms", digits=1),
    Target("to load a compiled one from the cache", 2, None, "ms", "compiling", "cached_ms", digits=2),
    Target("idle, worker asleep: p50", 20, 12, "us", "latency", "p50_us", digits=1),
    Target("idle, worker asleep: p99", 100, 60, "us", "latency", "p99_us", digits=1),
    Target("idle, within the spin window: p50", 3, 1.3, "us", "latency", "hot_p50_us", digits=1),
    Target("idle, within the spin window: p99", 40, 16, "us", "latency", "hot_p99_us", digits=1),
    Target("CRITICAL beside a computing thread, start: p50", 150, 85, "us", "urgent", "p50_us", digits=1),
    Target("CRITICAL beside a computing thread, start: p99", 500, 180, "us", "urgent", "p99_us", digits=1),
    Target("CRITICAL while saturated: p50", 150, 60, "us", "saturated", "critical_p50_us"),
    Target("CRITICAL while saturated: p99", 500, 200, "us", "saturated", "critical_p99_us"),
    Target("CRITICAL while saturated: p99.9", 1_000, 500, "us", "saturated", "critical_p999_us"),
    Target("HIGH while saturated: p99 (promised: 10 ms)", 10_000, None, "us", "saturated", "high_p99_us"),
    Target("NORMAL while saturated: p99 (promised: 100 ms)", 100_000, None, "us", "saturated", "normal_p99_us"),
    Target("LOW while saturated: p50 (promised: 1 s)", 1_000_000, None, "us", "saturated", "low_p50_us"),
    Target("bytes per pending task", 96, 80, "B", "memory", "bytes"),
    _ratio(
        "bytes per pending task, against ThreadPoolExecutor (promised: 35 % less)",
        1 / 0.65,
        None,
        "memory",
        "bytes",
        against=THREADS,
    ),
    _ratio(
        "bytes per living result, jemalloc against malloc (promised: 35 % less)",
        1 / 0.65,
        None,
        "fragmentation",
        "rss_bytes",
        contender=JEMALLOC,
        against=C,
    ),
    Target("RSS after a drain, above before (malloc)", 5, 1, "%", "after-drain", "percent", digits=1),
    Target("RSS after a drain, above before (jemalloc)", 5, 1, "%", "after-drain", "percent", JEMALLOC, digits=1),
    Target("growth over many tasks (no leak)", 1, 0.1, "B/task", "leak", "bytes", digits=3),
    Target("fragmentation of the arenas (malloc)", 5, None, "%", "fragmentation", "percent", digits=2),
    Target("fragmentation of the arenas (jemalloc)", 5, None, "%", "fragmentation", "percent", JEMALLOC, digits=2),
    _rate("asyncio: submit all, then await each", 500e3, 1.5e6, "asyncio", "bulk_per_s"),
    _rate("asyncio: gather(1000)", 100e3, 155e3, "asyncio", "gather_per_s"),
    Target("longest stall of the main thread", 6, 5.2, "ms", "stall", "longest_ms", digits=2),
    Target("20 us Python tasks, share of the serial rate", 0.90, 0.97, "", "cpu", "of_serial", at_least=True, digits=2),
    _rate("simple tasks, C (promised: 1,000,000/s)", 1e6, None, "noop", "per_s"),
    _rate("simple tasks, Python (promised: 100,000/s)", 1e5, None, "noop", "per_s", contender=PYTHON),
    _rate("CPU tasks, compiled (promised: 50,000/s)", 5e4, None, "cpu-compiled", "w2_per_s"),
    _rate("CPU tasks, Python (promised: 25,000/s)", 2.5e4, None, "cpu", "per_s", contender=PYTHON),
    _ratio("C++ backend, no-op, against C", 1 / 1.5, 1, "noop", "per_s", contender=CPP, against=C),
    _ratio("C++ backend, tasks in a row, against C", 1 / 1.5, 1, "latency", "hot_p50_us", contender=CPP, against=C),
    _ratio(
        "C++ backend, compiled over buffers, against C", 1 / 1.5, 1, "kernels", "buffer_per_s", contender=CPP, against=C
    ),
)


def judge(results: Sequence[Result]) -> list[Verdict]:
    by_name = {(result.scenario.name, result.offer.name): result for result in results}
    return [_verdict(target, by_name) for target in TARGETS]


def _verdict(target: Target, results: dict[tuple[str, str], Result]) -> Verdict:
    for name in filter(None, (target.contender, target.against)):
        result = results.get((target.scenario, name))
        if result is None:
            return Verdict(target, None, f"{name} did not take part in {target.scenario}")
        if result.error:
            return Verdict(target, None, f"{name} {result.error}")
    result = results[target.scenario, target.contender]
    metric = next(metric for metric in result.scenario.metrics if metric.key == target.metric)
    other = results[target.scenario, target.against] if target.against else None
    values = result.values(metric) if other is None else result.ratios(other, metric)
    return Verdict(target, median(values) if values else None, f"{target.contender} has no such form", values)


def rows(verdicts: Sequence[Verdict]) -> Table:
    table = [["target", "contender", "floor", "aim", "measured (least..most)", ""]]
    for verdict in verdicts:
        target = verdict.target
        sign = ">=" if target.at_least else "<="
        table.append(
            [
                target.what,
                target.contender,
                f"{sign} {_shown(target.floor, target)}",
                "" if target.aim is None else _shown(target.aim, target),
                shown_with_spread(verdict),
                verdict.text,
            ]
        )
    return table


def shown_with_spread(verdict: Verdict) -> str:
    if verdict.measured is None:
        return ""
    low, high = (f"{value:,.{verdict.target.digits}f}" for value in (min(verdict.values), max(verdict.values)))
    spread = f" ({low}..{high})" if len(verdict.values) > 1 else ""
    return _shown(verdict.measured, verdict.target) + spread


def _shown(value: float, target: Target) -> str:
    return f"{value:,.{target.digits}f} {target.unit}".strip()


def as_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [
        asdict(verdict.target) | {"measured": verdict.measured, "values": verdict.values, "verdict": verdict.text}
        for verdict in verdicts
    ]
