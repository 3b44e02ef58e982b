"""Metrics for Prometheus: one snapshot of a task system a scrape. Needs the ``metrics`` extra."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic_ns
from typing import TYPE_CHECKING

from catzilla.memory import resident_bytes
from catzilla.priority import TaskPriority

from .meter import TaskMeter

try:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        InfoMetricFamily,
        Metric,
    )
    from prometheus_client.exposition import CONTENT_TYPE_LATEST
    from prometheus_client.registry import Collector
except ImportError as exc:
    raise ImportError(
        f"metrics need prometheus-client, which could not be imported: {exc}. "
        'Install the "metrics" extra from a checkout of the project: pip install -e ".[metrics]".'
    ) from exc

if TYPE_CHECKING:
    from catzilla.system import TaskSystem

_ALLOCATOR_KINDS = ("allocated", "active", "charged")  # as <kind>_bytes of Allocator.stats()


class CatzillaCollector(Collector):
    """Register it with any ``CollectorRegistry``: ``registry.register(CatzillaCollector(system))``.

    It observes the system from then on, for what it tells by task.
    """

    def __init__(self, system: TaskSystem, meter: TaskMeter | None = None) -> None:
        self._system = system
        self._meter = TaskMeter() if meter is None else meter
        system.observe(self._meter)

    def describe(self) -> list[Metric]:
        """None: registering it needs no snapshot."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._by_task()
        yield from self._counters()
        yield from self._queues()
        yield from self._workers()
        yield from self._memory()

    def _by_task(self) -> Iterator[Metric]:
        finished = CounterMetricFamily(
            "catzilla_tasks_finished", "Tasks that ended, by how they ended.", labels=["task", "outcome"]
        )
        retries = CounterMetricFamily("catzilla_task_retries", "Attempts after the first one.", labels=["task"])
        durations = HistogramMetricFamily(
            "catzilla_task_duration_seconds", "How long each attempt ran.", labels=["task"]
        )
        waits = HistogramMetricFamily(
            "catzilla_task_wait_seconds",
            "From being ready (accepted, or due) to an attempt's start.",
            labels=["task"],
        )
        for name, figures in self._meter.by_name().items():
            for outcome, count in figures.outcomes.items():
                finished.add_metric([name, outcome.name.lower()], count)
            retries.add_metric([name], figures.retries)
            durations.add_metric([name], figures.durations.cumulative(), figures.durations.sum_ns / 1e9)
            waits.add_metric([name], figures.waits.cumulative(), figures.waits.sum_ns / 1e9)
        yield from (finished, retries, durations, waits)

    def _counters(self) -> Iterator[Metric]:
        counters = self._system.counters()
        for name, text in (
            ("submitted", "Tasks accepted."),
            ("dropped", "Pending tasks that made room for others (on_full='drop_oldest')."),
            ("rejected", "Tasks refused because there was no room."),
            ("native_executions", "Runs as compiled C."),
            ("deopts", "Runs begun as C and finished by the interpreter."),
        ):
            yield CounterMetricFamily(f"catzilla_{_noun(name)}", text, value=counters[name])
        yield CounterMetricFamily(
            "catzilla_unretrieved_failures",
            "Failed tasks whose result nobody looked at.",
            value=self._system.reports.count(),
        )

    def _queues(self) -> Iterator[Metric]:
        queue = self._system.engine.queue
        depth = GaugeMetricFamily("catzilla_queue_depth", "Tasks accepted and not started.", labels=["lane"])
        age = GaugeMetricFamily(
            "catzilla_queue_oldest_age_seconds",
            "How long its head has been ready; 0: it is empty.",
            labels=["lane"],
        )
        now_ns = monotonic_ns()
        for lane, size, since_ns in zip(TaskPriority, queue.sizes(), queue.oldest_ready_ns(), strict=True):
            depth.add_metric([lane.name.lower()], size)
            age.add_metric([lane.name.lower()], 0 if since_ns is None else max(0, now_ns - since_ns) / 1e9)
        yield from (depth, age)
        yield GaugeMetricFamily("catzilla_queue_capacity", "Places in each lane.", value=self._system.config.queue_size)

    def _workers(self) -> Iterator[Metric]:
        stats = self._system.stats()
        workers = GaugeMetricFamily("catzilla_workers", "Worker slots by state.", labels=["state"])
        workers.add_metric(["active"], stats.active_workers)
        workers.add_metric(["idle"], stats.idle_workers)
        workers.add_metric(["reserve"], stats.reserve_workers)
        workers.add_metric(["stuck"], stats.stuck_workers)
        yield workers

    def _memory(self) -> Iterator[Metric]:
        memory = self._system.engine.allocator.stats()
        kinds = GaugeMetricFamily("catzilla_allocator_bytes", "Memory of the engine and process.", labels=["kind"])
        for kind in _ALLOCATOR_KINDS:
            if memory.get(f"{kind}_bytes") is not None:
                kinds.add_metric([kind], memory[f"{kind}_bytes"])
        resident = resident_bytes()
        if resident is not None:
            kinds.add_metric(["resident"], resident)
        yield kinds
        yield InfoMetricFamily(
            "catzilla_backend",
            "What runs the tasks.",
            value={"backend": self._system.backend_name, "allocator": self._system.allocator_name},
        )


def _noun(counter: str) -> str:
    return counter if counter in ("native_executions", "deopts") else f"tasks_{counter}"


def exposition(system: TaskSystem, meter: TaskMeter | None = None) -> tuple[CollectorRegistry, str]:
    """A registry with this system's metrics and nothing else, and the content type of its text."""
    registry = CollectorRegistry()
    registry.register(CatzillaCollector(system, meter))
    return registry, CONTENT_TYPE_LATEST


__all__ = ["CatzillaCollector", "exposition", "generate_latest"]
