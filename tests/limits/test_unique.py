"""unique: the same call is not queued twice. cancel_group: many are cancelled at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskStatus, current_task
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


class Calls:
    def __init__(self) -> None:
        self.seen: list[object] = []
        self.go_on = threading.Semaphore(0)

    def __call__(self, *args: object, **kwargs: object) -> int:
        self.seen.append((args, kwargs))
        assert self.go_on.acquire(timeout=PATIENCE_S)
        return len(self.seen)


@pytest.mark.parametrize("unique", [True, "running"])
def test_until_it_ends(system: TaskSystem, unique: object) -> None:
    calls = Calls()
    task = system.task(unique=unique)(calls)
    first = task.submit(1, user="a")
    assert task.submit(1, user="a") is first
    eventually(lambda: len(calls.seen) == 1, "it runs")
    assert task.submit(1, user="a") is first
    other = task.submit(2, user="a")
    assert other is not first
    calls.go_on.release(2)
    first.wait(PATIENCE_S)
    other.wait(PATIENCE_S)
    again = task.submit(1, user="a")
    assert again is not first
    calls.go_on.release()
    again.wait(PATIENCE_S)
    stats = system.stats()
    assert (stats.submitted, stats.deduplicated) == (3, 2)


def test_until_it_starts(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    calls = Calls()
    task = system.task(unique="queued")(calls)
    first = task.submit(1)
    eventually(lambda: first.status is TaskStatus.RUNNING, "it runs")
    second = task.submit(1)
    assert second is not first
    assert task.submit(1) is second
    calls.go_on.release(2)
    second.wait(PATIENCE_S)
    first.wait(PATIENCE_S)


def test_a_key_says_what_is_the_same(system: TaskSystem) -> None:
    calls = Calls()
    task = system.task(unique=True, unique_key=lambda user, details: user)(calls)
    first = task.submit("a", {"not": "hashable"})
    assert task.submit("a", {"other": 1}) is first
    calls.go_on.release()
    first.wait(PATIENCE_S)


def test_a_cancelled_one_can_be_queued_again(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    go_on = threading.Event()
    blocker = system.add_task(go_on.wait, PATIENCE_S)
    task = system.task(unique=True)(_same)
    first = task.submit(1)
    assert first.cancel()
    second = task.submit(1)
    assert second is not first
    go_on.set()
    assert second.wait(PATIENCE_S) == 1
    blocker.wait(PATIENCE_S)


def _same(n: int) -> int:
    return n


def test_it_is_unique_among_parked_and_delayed_ones(system: TaskSystem) -> None:
    task = system.task(unique=True, max_concurrency=1)(_same)
    first = task.with_options(delay_ms=3_600_000).submit(1)
    assert task.submit(1) is first
    assert first.cancel()


def test_rows_of_a_batch_too(system: TaskSystem) -> None:
    go_on = threading.Event()

    def wait(n: int) -> int:
        go_on.wait(PATIENCE_S)
        return n

    batch = system.add_tasks(wait, [(1,), (2,), (1,)], unique=True)
    assert batch[0] is batch[2]
    go_on.set()
    assert batch.wait(PATIENCE_S) == [1, 2, 1]


def test_threads_that_submit_the_same_call(system: TaskSystem) -> None:
    calls = Calls()
    task = system.task(unique=True)(calls)
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(task.submit(7))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(set(results)) == 1
    calls.go_on.release()
    assert system.drain(PATIENCE_S)
    assert len(calls.seen) == 1


# -- cancel_group --------------------------------------------------------------------------------------


def test_a_group_is_cancelled(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    stopped, go_on = threading.Event(), threading.Event()

    def running() -> None:
        me = current_task()
        assert me is not None
        while not me.cancel_requested:
            threading.Event().wait(0.001)
        stopped.set()
        assert go_on.wait(PATIENCE_S)  # else its worker might take one that is about to be cancelled

    first = system.add_task(running, cancel_group="import")
    eventually(lambda: first.status is TaskStatus.RUNNING, "it runs")
    queued = [system.add_task(_same, n, cancel_group="import") for n in range(3)]
    delayed = system.add_task(_same, 3, cancel_group="import", delay_ms=3_600_000)
    parked = system.add_tasks(_same, [(n,) for n in range(3)], cancel_group="import", max_concurrency=1)
    other = system.add_task(_same, 7, cancel_group="export")
    assert system.cancel_group("import") == 7
    assert stopped.wait(PATIENCE_S)
    assert {result.status for result in (*queued, delayed, *parked)} == {TaskStatus.CANCELLED}
    go_on.set()
    assert other.wait(PATIENCE_S) == 7
    first.wait(PATIENCE_S)
    assert system.cancel_group("import") == 0


def test_an_unknown_group_is_nobody(system: TaskSystem) -> None:
    assert system.cancel_group("nobody") == 0
    with pytest.raises(TypeError, match="cancel_group takes"):
        system.cancel_group(7)  # type: ignore[arg-type]
