"""What observing tasks costs: one submit of a task that does nothing, to its end, by who observes.

    python benchmarks/bench_observability.py            the table of docs/observability.md
    python benchmarks/bench_observability.py --quick    that it runs

Each figure is the best of the rounds (the one that other work of the machine disturbed least).
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable

from catzilla import TaskSystem, registry
from catzilla.observe import Observer, TaskLogger, TaskMeter
from catzilla.observe.live import LiveView

TASKS = 5_000
ROUNDS = 9


def noop() -> None:
    pass


class Counter(Observer):
    """The least that an observer can do."""

    ended = 0

    def finished(self, *_: object) -> None:
        self.ended += 1


def quiet_logger() -> logging.Logger:
    logger = logging.getLogger("bench.observability")
    logger.propagate = False
    logger.setLevel(logging.INFO)  # the events are logged at DEBUG
    logger.addHandler(logging.NullHandler())
    return logger


def tracer(_: TaskSystem) -> Observer:
    from opentelemetry.sdk.trace import TracerProvider

    from catzilla.observe.tracing import TaskTracer

    return TaskTracer(TracerProvider())  # with the SDK and no exporter: what a span costs, not where it goes


CASES: dict[str, Callable[[TaskSystem], Observer | None]] = {
    "nobody observes": lambda _: None,
    "an observer of `finished`": lambda _: Counter(),
    "metrics (`TaskMeter`)": lambda _: TaskMeter(),
    "the dashboard (`LiveView`)": LiveView,
    "logs (`TaskLogger`), below their level": lambda _: TaskLogger(quiet_logger()),
    "traces (`TaskTracer`, SDK without exporter)": tracer,
}


def round_us(system: TaskSystem, tasks: int) -> float:
    add_task = system.add_task
    began = time.perf_counter()
    for _ in range(tasks):
        add_task(noop)
    system.drain()
    return (time.perf_counter() - began) / tasks * 1e6


def measure(backend: str, make: Callable[[TaskSystem], Observer | None], tasks: int, rounds: int) -> float:
    with TaskSystem(backend=backend, workers=1, enable_auto_scaling=False, queue_size=tasks) as system:
        observer = make(system)
        if observer is not None:
            system.observe(observer)
        return min(round_us(system, tasks) for _ in range(rounds + 1))


def stopped(backend: str, tasks: int, rounds: int) -> float:
    """Observed, and then no more: it must cost what it cost before."""
    with TaskSystem(backend=backend, workers=1, enable_auto_scaling=False, queue_size=tasks) as system:
        observer = Counter()
        system.observe(observer)
        round_us(system, tasks)
        system.stop_observing(observer)
        return min(round_us(system, tasks) for _ in range(rounds + 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few tasks: that it runs, not what it costs")
    quick = parser.parse_args().quick
    tasks, rounds = (200, 1) if quick else (TASKS, ROUNDS)
    backends = [attempt.name for attempt in registry.attempts() if attempt.backend is not None]
    print(f"| µs a task | {' | '.join(backends)} |")
    print(f"| --- |{' ---: |' * len(backends)}")
    for title, make in CASES.items():
        figures = [measure(backend, make, tasks, rounds) for backend in backends]
        print(f"| {title} | {' | '.join(f'{figure:.2f}' for figure in figures)} |")
    figures = [stopped(backend, tasks, rounds) for backend in backends]
    print(f"| nobody any more | {' | '.join(f'{figure:.2f}' for figure in figures)} |")


if __name__ == "__main__":
    main()
