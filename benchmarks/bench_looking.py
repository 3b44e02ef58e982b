"""What looking at a system costs."""

from __future__ import annotations


def noop() -> None:
    pass


def test_stats(benchmark, system):
    system.add_tasks(noop, [()] * 1000).wait()
    benchmark(system.stats)


def test_memory_stats(benchmark, system):
    system.add_task(noop).wait()
    benchmark(system.memory_stats)
