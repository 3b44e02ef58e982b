"""The submit call that users make, and the way of a task from there to its waiter."""

from __future__ import annotations

import pytest

from catzilla.background_tasks import TaskPriority

N = 1000


def noop(x: object = None, y: object = None) -> None:
    pass


@pytest.fixture
def paused(system):
    """The setup of a round in which nothing runs: what is measured is the submit call alone."""

    def empty_and_pause():
        system.resume(*TaskPriority)
        system.drain(timeout=20)
        system.pause(*TaskPriority)

    yield empty_and_pause
    system.resume(*TaskPriority)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, 2), {}), ((), {"x": 1}), ((), {"priority": TaskPriority.HIGH})],
    ids=["plain", "arguments", "keyword", "option"],
)
def test_submit(benchmark, system, paused, args, kwargs):
    add_task = system.add_task

    def submit_all():
        for _ in range(N):
            add_task(noop, *args, **kwargs)

    benchmark.extra_info["tasks"] = N
    benchmark.pedantic(submit_all, setup=paused, rounds=50, warmup_rounds=5)


def test_submit_of_a_task(benchmark, system, paused):
    submit = system.task(noop).submit

    def submit_all():
        for _ in range(N):
            submit()

    benchmark.extra_info["tasks"] = N
    benchmark.pedantic(submit_all, setup=paused, rounds=50, warmup_rounds=5)


def test_add_tasks(benchmark, system, paused):
    benchmark.extra_info["tasks"] = N
    benchmark.pedantic(system.add_tasks, args=(noop, [()] * N), setup=paused, rounds=50, warmup_rounds=5)


def test_one_by_one_and_wait_for_all(benchmark, system):
    add_task = system.add_task

    def burst():
        results = [add_task(noop) for _ in range(N)]
        for result in results:
            result.wait()

    benchmark.extra_info["tasks"] = N
    benchmark.pedantic(burst, rounds=50, warmup_rounds=5)


def test_round_trip(benchmark, system):
    add_task = system.add_task
    benchmark.pedantic(lambda: add_task(noop).wait(), rounds=500, warmup_rounds=20)
