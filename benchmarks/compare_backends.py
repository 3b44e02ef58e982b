"""Two native designs under one interface: the C backend against the C++ one, in one run.

    python benchmarks/compare_backends.py
    python benchmarks/compare_backends.py --quick --markdown
    python benchmarks/compare_backends.py --backend c cpp python --scenario tree

Each figure is measured in a fresh process, and the backends take turns, so that a machine that drifts drifts for
all of them. A row shows the median of the rounds (least..most) of each backend, and how many times better the
second one is than the first (the median of the ratios within each round; above 1: better).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Any

from catzilla import TaskSystem

WORKERS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Scenario:
    title: str
    unit: str
    higher_is_better: bool
    digits: int
    run: Callable[[str, bool], float]  # backend, quick -> the figure


def nothing() -> None: ...


def open_system(backend: str, workers: int) -> TaskSystem:
    return TaskSystem(backend=backend, workers=workers, queue_size=2_000_000, enable_auto_scaling=False)


def spin(turns: int) -> int:
    total = 0
    for i in range(turns):
        total += i
    return total


def best_of(n: int, once: Callable[[], float]) -> float:
    return min(once() for _ in range(n))


# -- what is measured ----------------------------------------------------------------------------


def noop(workers: int) -> Callable[[str, bool], float]:
    def run(backend: str, quick: bool) -> float:
        n = 50_000 if quick else 300_000
        with open_system(backend, workers) as system:
            add_task = system.add_task

            def once() -> float:
                start = time.perf_counter()
                for result in [add_task(nothing) for _ in range(n)]:
                    result.wait()
                return time.perf_counter() - start

            once()
            return n / best_of(5, once) / 1e6

    return run


def even(backend: str, quick: bool) -> float:
    """Tasks that all compute for about 20 us."""
    turns, n = 700, 5_000 if quick else 30_000
    with open_system(backend, 4) as system:

        def once() -> float:
            start = time.perf_counter()
            for result in [system.add_task(spin, turns) for _ in range(n)]:
                result.wait()
            return time.perf_counter() - start

        return n / best_of(3, once) / 1e3


def skewed(backend: str, quick: bool) -> float:
    """A few tasks that block for long among many short ones, from outside: nothing may wait behind them."""
    n = 2_000 if quick else 10_000
    with open_system(backend, 4) as system:

        def once() -> float:
            start = time.perf_counter()
            results = [
                system.add_task(time.sleep, 0.002) if i % 50 == 0 else system.add_task(spin, 100) for i in range(n)
            ]
            for result in results:
                result.wait()
            return time.perf_counter() - start

        return best_of(3, once) * 1e3


def inside(backend: str, quick: bool) -> float:
    """Bursts from inside: each of 64 tasks submits many, blocks for a moment, and waits for them."""
    each = 200 if quick else 2_000
    with open_system(backend, 4) as system:

        def parent() -> None:
            results = [system.add_task(nothing) for _ in range(each)]
            time.sleep(0.001)
            for result in results:
                result.wait()

        def once() -> float:
            start = time.perf_counter()
            for result in [system.add_task(parent) for _ in range(64)]:
                result.wait()
            return time.perf_counter() - start

        return 64 * each / best_of(3, once) / 1e6


def tree(backend: str, quick: bool) -> float:
    """A fork-join tree of 131,071 nodes (quick: 8,191): each submits two, and waits for them."""
    depth = 12 if quick else 16
    with open_system(backend, 2) as system:

        def node(left: int) -> int:
            if left == 0:
                return 1
            one, other = system.add_task(node, left - 1), system.add_task(node, left - 1)
            return one.wait() + other.wait() + 1

        def once() -> float:
            start = time.perf_counter()
            assert system.add_task(node, depth).wait() == 2 ** (depth + 1) - 1
            return time.perf_counter() - start

        return (2 ** (depth + 1) - 1) / best_of(2, once) / 1e3


def latency(quantile: float, pause_s: float) -> Callable[[str, bool], float]:
    def run(backend: str, quick: bool) -> float:
        times: list[float] = []
        with open_system(backend, 2) as system:
            for _ in range(300 if quick else 2_000):
                if pause_s:
                    time.sleep(pause_s)
                start = time.perf_counter()
                system.add_task(nothing).wait()
                times.append(time.perf_counter() - start)
        return sorted(times)[int(quantile * len(times))] * 1e6

    return run


def memory(backend: str, quick: bool) -> float:
    """Resident bytes of a pending task whose result is kept."""
    n = 50_000 if quick else 500_000

    def resident() -> int:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    with open_system(backend, 2) as system:
        system.add_task(nothing).wait()
        system.pause()
        results: list[Any] = [None] * n
        before = resident()
        for i in range(n):
            results[i] = system.add_task(nothing)
        used = resident() - before
        system.resume()
        results[-1].wait()
    return used / n


def stolen(backend: str, quick: bool) -> float:
    """Of 1,000 tasks that a busy task submitted, how many another worker took from its deque."""
    with open_system(backend, 2) as system:

        def parent() -> None:
            done = threading.Event()
            for _ in range(999):
                system.add_task(nothing)
            system.add_task(done.set)
            done.wait()

        system.add_task(parent).wait()
        return system.engine.metrics.counters()["steals"]


def pool(backend: str, quick: bool) -> float:
    """For scale: concurrent.futures.ThreadPoolExecutor, whatever the backend."""
    n = 5_000 if quick else 20_000
    with ThreadPoolExecutor(2) as executor:

        def once() -> float:
            start = time.perf_counter()
            for future in [executor.submit(nothing) for _ in range(n)]:
                future.result()
            return time.perf_counter() - start

        return n / best_of(3, once) / 1e6


SCENARIOS = {
    **{
        f"noop-{workers}": Scenario(
            f"no-op tasks, {workers} worker{'s' * (workers > 1)}", "M/s", True, 2, noop(workers)
        )
        for workers in WORKERS
    },
    "even": Scenario("20 us tasks, 4 workers", "k/s", True, 1, even),
    "skewed": Scenario("1 in 50 blocks 2 ms, the rest short, 4 workers", "ms in all", False, 1, skewed),
    "inside": Scenario("bursts from inside tasks, 4 workers", "M/s", True, 2, inside),
    "tree": Scenario("fork-join tree, 2 workers", "k nodes/s", True, 1, tree),
    "idle-p50": Scenario("submit to result, worker asleep, p50", "us", False, 1, latency(0.5, 0.001)),
    "idle-p99": Scenario("submit to result, worker asleep, p99", "us", False, 1, latency(0.99, 0.001)),
    "awake-p50": Scenario("submit to result, one after the other, p50", "us", False, 2, latency(0.5, 0)),
    "awake-p99": Scenario("submit to result, one after the other, p99", "us", False, 2, latency(0.99, 0)),
    "memory": Scenario("resident bytes of a pending task", "B", False, 0, memory),
    "steals": Scenario("of 1,000 tasks behind a busy one, stolen", "tasks", True, 0, stolen),
    "pool": Scenario("for scale: ThreadPoolExecutor, no-op, 2 workers", "M/s", True, 3, pool),
}


# -- measuring -----------------------------------------------------------------------------------


def in_a_fresh_process(name: str, backend: str, quick: bool) -> float:
    command = [sys.executable, __file__, "--child", name, backend, *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return float(json.loads(done.stdout))


def row(scenario: Scenario, figures: dict[str, list[float]]) -> list[str]:
    cells = [scenario.title, scenario.unit]
    for values in figures.values():
        middle, least, most = (f"{value:,.{scenario.digits}f}" for value in (median(values), min(values), max(values)))
        cells.append(middle if least == most else f"{middle} ({least}..{most})")
    first, second = (list(figures.values()) * 2)[:2]
    ratios = [(b / a if scenario.higher_is_better else a / b) for a, b in zip(first, second, strict=True) if a and b]
    cells.append(f"{median(ratios):.2f}" if ratios else "-")
    return cells


def show(rows: list[list[str]], markdown: bool) -> None:
    if markdown:
        rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
        print("\n".join("| " + " | ".join(cells) + " |" for cells in rows))
        return
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(rows[0]))]
    for cells in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", nargs="+", default=["c", "cpp"], metavar="NAME")
    parser.add_argument("--scenario", nargs="+", default=list(SCENARIOS), choices=SCENARIOS, metavar="NAME")
    parser.add_argument("--rounds", type=int, help="measurements of each (3 quick, 5 full)")
    parser.add_argument("--quick", action="store_true", help="shorter measurements, fewer rounds")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, backend = arguments.child
        print(json.dumps(SCENARIOS[name].run(backend, arguments.quick)))
        return
    rows = [["", "", *arguments.backend, f"{(arguments.backend * 2)[1]} against {arguments.backend[0]}"]]
    for name in arguments.scenario:
        figures: dict[str, list[float]] = {backend: [] for backend in arguments.backend}
        for _ in range(arguments.rounds or (3 if arguments.quick else 5)):
            for backend, values in figures.items():
                values.append(in_a_fresh_process(name, backend, arguments.quick))
        rows.append(row(SCENARIOS[name], figures))
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    show(rows, arguments.markdown)


if __name__ == "__main__":
    main()
