"""What the project set out to promise, what was measured of it, and where the two differ: in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from harness.duel import Result
from harness.report import Table, spread
from harness.targets import CPP, JEMALLOC, PYTHON, THREADS, C, Verdict, shown_with_spread

GO = "Go, buffered channel"


class Figures:
    """Looks figures up: ``figures("noop", "catzilla c", "per_s")`` is the text of the median."""

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = {(result.scenario.name, result.offer.name): result for result in results}

    def __call__(self, scenario: str, contender: str, metric: str, with_spread: bool = False) -> str:
        result = self._results.get((scenario, contender))
        if result is None or not result.rounds:
            return "not measured"
        one = next(one for one in result.scenario.metrics if one.key == metric)
        values = result.values(one)
        if not values:
            return "not measured"
        return spread(values, one.digits) if with_spread else f"{median(values):,.{one.digits}f}"


@dataclass(frozen=True)
class Promise:
    text: str
    target: str
    """By its name in harness.targets; empty: nothing measures it."""
    scenario: str
    note: Callable[[Figures], str]


PROMISES = (
    Promise(
        "simple tasks, C: 1,000,000/s",
        "simple tasks, C (promised: 1,000,000/s)",
        "noop",
        lambda at: (
            f"one by one, every result kept and waited for (C++: {at('noop', CPP, 'per_s')}/s). ThreadPoolExecutor "
            f"does {at('noop', THREADS, 'per_s')}/s here, not 25,000"
        ),
    ),
    Promise(
        "simple tasks, Python: 100,000/s",
        "simple tasks, Python (promised: 100,000/s)",
        "noop",
        lambda at: f"a pool of 15 lines without any features: {at('noop', 'SimpleQueue + lock', 'per_s')}/s",
    ),
    Promise(
        "CPU tasks, compiled: 50,000/s",
        "CPU tasks, compiled (promised: 50,000/s)",
        "cpu-compiled",
        lambda at: (
            "what takes Python 20 us, compiled: "
            f"{at('cpu-compiled', C, 'vs_python')} times a plain Python loop. Go's pool with the same steps does "
            f"{at('cpu-compiled', GO, 'w2_per_s')}/s: there no lock is taken that all threads share"
        ),
    ),
    Promise(
        "CPU tasks, Python: 25,000/s",
        "CPU tasks, Python (promised: 25,000/s)",
        "cpu",
        lambda at: (
            f"20 us each. The GIL bounds them: {at('cpu', PYTHON, 'of_serial')} of a plain loop's rate (C: "
            f"{at('cpu', C, 'of_serial')}, ThreadPoolExecutor: {at('cpu', THREADS, 'of_serial')}), and no second "
            f"worker adds to it. ProcessPoolExecutor: {at('cpu', 'ProcessPoolExecutor', 'per_s')}/s"
        ),
    ),
    Promise(
        "memory: 35 % less",
        "bytes per pending task, against ThreadPoolExecutor (promised: 35 % less)",
        "memory",
        lambda at: (
            f"a pending task and its handle: {at('memory', C, 'bytes')} bytes against "
            f"{at('memory', THREADS, 'bytes')}. By small handles, not by jemalloc: results that live take "
            f"{at('fragmentation', C, 'rss_bytes')} bytes on malloc and "
            f"{at('fragmentation', JEMALLOC, 'rss_bytes')} on jemalloc"
        ),
    ),
    Promise(
        "memory is given back",
        "RSS after a drain, above before (jemalloc)",
        "after-drain",
        lambda at: (
            f"2 s after a million tasks; on malloc {at('after-drain', C, 'percent')} %, ThreadPoolExecutor "
            f"{at('after-drain', THREADS, 'percent')} %"
        ),
    ),
    Promise(
        "fragmentation: 5 %, with malloc 25 %",
        "fragmentation of the arenas (jemalloc)",
        "fragmentation",
        lambda at: (
            f"malloc: {at('fragmentation', C, 'percent')} %, so jemalloc is not what makes it low. With nine of ten "
            f"results gone it is {at('fragmentation', JEMALLOC, 'sparse_percent')} %, on malloc "
            f"{at('fragmentation', C, 'sparse_percent')} %"
        ),
    ),
    Promise(
        "no leaks",
        "growth over many tasks (no leak)",
        "leak",
        lambda at: f"growth over 200,000 tasks; on jemalloc {at('leak', JEMALLOC, 'bytes')}",
    ),
    Promise(
        "CRITICAL starts within 1 ms",
        "CRITICAL while saturated: p99",
        "saturated",
        lambda at: (
            "p99, while 40 ms of other tasks are always queued; the verdict is by the project's own limit, 500 us. "
            f"p99.9: {at('saturated', C, 'critical_p999_us')} us"
        ),
    ),
    Promise(
        "HIGH within 10 ms",
        "HIGH while saturated: p99 (promised: 10 ms)",
        "saturated",
        lambda at: f"p99 as above; C++: {at('saturated', CPP, 'high_p99_us')} us",
    ),
    Promise(
        "NORMAL within 100 ms",
        "NORMAL while saturated: p99 (promised: 100 ms)",
        "saturated",
        lambda at: f"p99 behind 40 ms of its own kind; p50: {at('saturated', C, 'normal_p50_us')} us",
    ),
    Promise(
        "LOW within 1 s",
        "LOW while saturated: p50 (promised: 1 s)",
        "saturated",
        lambda at: "p50; while other lanes are never empty it has no promise below a second",
    ),
    Promise("cache locality: 40 % better", "", "", lambda at: "nothing here measures it, so nothing is claimed"),
)


def rows(results: Sequence[Result], verdicts: Sequence[Verdict]) -> Table:
    at, by_name = Figures(results), {verdict.target.what: verdict for verdict in verdicts}
    table = [["promised", "measured", "", "`--scenario`", "what that is, and where it differs"]]
    for promise in PROMISES:
        verdict = by_name.get(promise.target)
        measured = shown_with_spread(verdict) if verdict else ""
        met = "not measured" if verdict is None or verdict.measured is None else verdict.text
        scenario = f"`{promise.scenario}`" if promise.scenario else ""
        table.append([promise.text, measured, met, scenario, promise.note(at)])
    return table
