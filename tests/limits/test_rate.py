"""rate_limit: how often a task starts, by a clock that the test moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskStatus
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.testing import FrozenClock

OpenSystem = Callable[..., TaskSystem]


@pytest.fixture
def clock(system: TaskSystem) -> Iterator[FrozenClock]:
    with FrozenClock(system) as clock:
        yield clock


def test_no_more_than_so_many_in_a_time(system: TaskSystem, clock: FrozenClock) -> None:
    began_ns = clock.now_ns()
    at: list[float] = []

    def note() -> None:
        at.append((clock.now_ns() - began_ns) / 1e9)

    for _ in range(7):
        system.add_task(note, rate_limit="3/m")
    clock.advance(59)
    assert at == [0, 0, 0]
    assert system.stats().parked == 4
    clock.advance(1)
    assert at == [0, 0, 0, 60, 60, 60]
    clock.advance(3_600)
    assert at == [0, 0, 0, 60, 60, 60, 120]


def test_it_is_any_stretch_of_time_and_not_each_minute_on_the_clock(system: TaskSystem, clock: FrozenClock) -> None:
    began_ns = clock.now_ns()
    at: list[float] = []

    def note() -> None:
        at.append((clock.now_ns() - began_ns) / 1e9)

    for _ in range(2):
        system.add_task(note, rate_limit="2/m")
        clock.advance(50)
    for _ in range(4):
        system.add_task(note, rate_limit="2/m")
    clock.advance(600)
    assert at == [0, 50, 100, 110, 160, 170]


def test_each_key_has_a_rate_of_its_own(system: TaskSystem, clock: FrozenClock) -> None:
    seen: list[str] = []
    for name in "aabb":
        system.add_task(seen.append, name, rate_limit="1/s", limit_key=lambda name: name)
    clock.advance(0)
    assert sorted(seen) == ["a", "b"]
    clock.advance(1)
    assert sorted(seen) == ["a", "a", "b", "b"]


def test_what_was_let_go_and_has_not_started_counts(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    go_on = threading.Event()
    with FrozenClock(system) as clock:
        blocker = system.add_task(go_on.wait, PATIENCE_S)
        results = [system.add_task(int, str(n), rate_limit="2/s") for n in range(6)]
        clock.advance(10, settle=False)
        assert system.stats().parked == 4  # two wait for the worker, and may start at once when it comes
        go_on.set()
        blocker.wait(PATIENCE_S)
        clock.advance(10)
        assert [result.wait(PATIENCE_S) for result in results] == list(range(6))


def test_one_that_is_cancelled_before_it_starts_gives_its_turn_back(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    go_on = threading.Event()
    with FrozenClock(system):
        blocker = system.add_task(go_on.wait, PATIENCE_S)
        first, second = (system.add_task(int, str(n), rate_limit="1/h") for n in range(2))
        assert first.cancel()
        go_on.set()
        assert second.wait(PATIENCE_S) == 1
        blocker.wait(PATIENCE_S)


def test_rate_and_concurrency_together(system: TaskSystem, clock: FrozenClock) -> None:
    go_on = threading.Semaphore(0)
    results = [system.add_task(go_on.acquire, max_concurrency=1, rate_limit="2/h") for _ in range(3)]
    eventually(lambda: results[0].status is TaskStatus.RUNNING, "the first runs")
    assert results[1].status is TaskStatus.DELAYED
    go_on.release(2)
    assert results[1].wait(PATIENCE_S)
    clock.advance(3_599)
    assert results[2].status is TaskStatus.DELAYED
    go_on.release()
    clock.advance(1)
    assert results[2].wait(PATIENCE_S)


def test_it_works_by_the_machines_clock(system: TaskSystem) -> None:
    import time

    began = time.monotonic()
    results = [system.add_task(time.monotonic, rate_limit="5/s") for _ in range(6)]
    assert results[-1].wait(PATIENCE_S) - began >= 0.99


def test_retries_count_and_are_not_held_back(system: TaskSystem, clock: FrozenClock) -> None:
    calls: list[str] = []

    def flaky() -> None:
        calls.append("flaky")
        if len(calls) == 1:
            raise ConnectionError

    options = {"rate_limit": "2/h", "limit_key": "shared"}
    result = system.add_task(flaky, max_retries=1, retry_base_ms=1_000, retry_backoff="fixed", **options)
    clock.advance(1)
    result.wait(PATIENCE_S)
    other = system.add_task(int, **options)
    clock.advance(3_598)
    assert other.status is TaskStatus.DELAYED
    clock.advance(2)
    assert other.wait(PATIENCE_S) == 0


def test_coroutines_too(system: TaskSystem, clock: FrozenClock) -> None:
    @system.task(rate_limit="1/s")
    async def answer() -> int:
        return 42

    first, second = answer.submit(), answer.submit()
    assert first.wait(PATIENCE_S) == 42
    assert second.status is TaskStatus.DELAYED
    clock.advance(1)
    assert second.wait(PATIENCE_S) == 42


def test_parts_of_buffers_too(system: TaskSystem, clock: FrozenClock) -> None:
    from array import array

    def twice(x: float) -> float:
        return x * 2

    values = array("d", range(2_000))
    result = system.add_tasks(twice, buffers=(values,), rate_limit="1/s")
    clock.advance(60)
    assert list(result.wait(PATIENCE_S)) == [2.0 * x for x in range(2_000)]


def test_a_clock_of_a_test_leaves_nothing_behind(system: TaskSystem) -> None:
    for _ in range(2):
        with FrozenClock(system):
            assert system.add_task(int, rate_limit="1/h").wait(PATIENCE_S) == 0
    assert system.add_task(int, rate_limit="1/h").wait(PATIENCE_S) == 0


def test_many_keys_and_many_parked(system: TaskSystem, clock: FrozenClock) -> None:
    results = [system.add_task(int, str(n), rate_limit="2/s", limit_key=lambda n: int(n) % 100) for n in range(1_000)]
    assert results[-1].cancel()
    clock.advance(4)
    assert [result.wait(PATIENCE_S) for result in results[:-1]] == list(range(999))


def test_delays_that_are_cancelled_are_forgotten(system: TaskSystem, clock: FrozenClock) -> None:
    for _ in range(3_000):
        assert system.add_task(int, max_concurrency=1, delay_ms=3_600_000).cancel()
    assert len(system.limits._delayed) < 2_500
    last = system.add_task(int, "7", max_concurrency=1, delay_ms=3_600_000)
    clock.advance(3_600)
    assert last.wait(PATIENCE_S) == 7
    assert system.limits._delayed == []


def test_limits_that_nobody_uses_are_forgotten(system: TaskSystem, clock: FrozenClock) -> None:
    for n in range(3_000):
        system.add_task(str, n, rate_limit="1/s", limit_key=lambda n: n).wait(PATIENCE_S)
        if n % 500 == 499:
            clock.advance(2)
    assert len(system.limits._buckets) < 2_500
