"""Tasks that follow other tasks, and tasks with more around their call than the plain ones."""

from __future__ import annotations

N = 1000


def noop(*_: object) -> None:
    pass


def wait_for(results):
    for result in results:
        result.wait()


def test_then(benchmark, system):
    benchmark.extra_info["tasks"] = 2 * N
    benchmark.pedantic(
        lambda: wait_for([system.add_task(noop).then(noop) for _ in range(N)]), rounds=30, warmup_rounds=3
    )


def test_with_a_deadline_and_retries(benchmark, system):
    submit = system.task(noop, max_retries=2, timeout_ms=10_000).submit
    benchmark.extra_info["tasks"] = N
    benchmark.pedantic(lambda: wait_for([submit() for _ in range(N)]), rounds=30, warmup_rounds=3)


def test_a_task_that_waits_for_another(benchmark, system):
    add_task = system.add_task

    def outer():
        return add_task(noop).wait()

    benchmark.extra_info["tasks"] = 2 * N
    benchmark.pedantic(lambda: wait_for([add_task(outer) for _ in range(N)]), rounds=30, warmup_rounds=3)
