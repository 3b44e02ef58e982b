"""Short kernels in numbers: a backend may run them beside who submits them. Nothing but speed may tell."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from test_short import ready

from catzilla import TaskSystem
from catzilla.background_tasks import TaskStatus
from catzilla.conformance.rig import PATIENCE_S
from catzilla.errors import QueueFull, TaskCancelled

MANY = 30_000
FACTOR = 3


def price(amount: int, number: int) -> int:
    return amount * number + 1


def ratio(a: float, b: float) -> float:
    return a / b


def scaled(n: int) -> int:
    return n * FACTOR + 1


def nothing() -> int:
    return 7


def five(a: int, b: float, c: bool, d: int, e: float) -> float:
    return a + b * d - e if c else e - d


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.001)


class Held:
    """Every worker is busy until it is let go."""

    def __init__(self, system: TaskSystem, workers: int) -> None:
        self.gate = threading.Event()
        self.tasks = [system.add_task(self.gate.wait, PATIENCE_S) for _ in range(workers)]
        until(lambda: system.stats().active_workers == workers)

    def release(self) -> None:
        self.gate.set()
        for task in self.tasks:
            task.wait(PATIENCE_S)


@pytest.fixture
def system(open_system: Callable[..., TaskSystem]) -> TaskSystem:
    return open_system(queue_size=2 * MANY)


@pytest.fixture
def one(open_system: Callable[..., TaskSystem]) -> TaskSystem:
    return open_system(workers=1)


@pytest.mark.parametrize(
    ("fn", "rows"),
    [
        (price, [(i, 7) for i in range(-3000, 3000)] + [(2**62, 1), (-(2**63), 0), (2**31, 2**30)]),
        (ratio, [(i / 3, 0.7) for i in range(1, 3000)]),
        (nothing, [()] * 2000),
        (five, [(i, i / 7, i % 2 == 0, -i, 1e9) for i in range(2000)]),
    ],
)
def test_each_result_is_its_own(fn: Any, rows: list[tuple[Any, ...]], system: TaskSystem) -> None:
    task, native = ready(system, fn, *rows[0])
    handles = [task.submit(*row) for row in rows]
    assert [handle.wait(PATIENCE_S) for handle in handles] == [fn(*row) for row in rows]
    assert all(handle.wait() is handle.wait() for handle in handles[-50:]), "the same object each time"
    if "kernels" in system.backend_features:  # cffi's callers count without a lock
        assert native.runs == len(rows)
    assert {type(handle.wait()) for handle in handles} == {type(fn(*rows[0]))}


def test_c_needs_no_gil_for_them(system: TaskSystem) -> None:
    if system.backend_name != "c":
        pytest.skip("its workers hold the GIL for short kernels")
    task, _ = ready(system, price, 1, 2)
    for i in range(100):
        task.submit(i, 7).wait(PATIENCE_S)  # the first of them may still tell the backend of the kernel
    time.sleep(0.1)  # the worker falls asleep
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # nobody gets the GIL from a thread that computes
    try:
        handles = [task.submit(i, 7) for i in range(1000)]
        deadline = time.monotonic() + PATIENCE_S
        while not handles[-1].done() and time.monotonic() < deadline:
            pass
        done = [handle.done() for handle in handles]
    finally:
        sys.setswitchinterval(before)
    assert all(done)


def test_they_are_counted_before_they_are_done(system: TaskSystem) -> None:
    task, native = ready(system, price, 1, 2)
    before = system.stats()
    for round_ in range(1, 201):
        task.submit(round_, 2).wait(PATIENCE_S)
        now = system.stats()
        assert now.completed - before.completed == round_
        assert now.native_executions - before.native_executions == round_ == native.runs
        assert now.total_queued == 0


def test_none_is_lost_when_some_are_cancelled(system: TaskSystem) -> None:
    task, _ = ready(system, price, 1, 2)
    before = system.stats()
    handles = []
    won = set()
    for i in range(MANY):
        handles.append(task.submit(i, 7))
        if i % 3 == 0 and handles[i // 2].cancel():
            won.add(i // 2)
    system.drain(PATIENCE_S)
    for i, handle in enumerate(handles):
        if handle.status == TaskStatus.CANCELLED:
            with pytest.raises(TaskCancelled):
                handle.wait()
        else:
            assert handle.wait(PATIENCE_S) == i * 7 + 1
    cancelled = {i for i, handle in enumerate(handles) if handle.status == TaskStatus.CANCELLED}
    assert cancelled == won
    now = system.stats()
    assert now.completed - before.completed == MANY - len(won)
    assert now.cancelled - before.cancelled == len(won)
    assert now.total_queued == 0


def test_what_waits_is_seen_and_cancelled(one: TaskSystem) -> None:
    task, _ = ready(one, price, 1, 2)
    held = Held(one, 1)
    handles = [task.submit(i, 1) for i in range(5000)]
    assert one.stats().total_queued == 5000
    assert {handle.status for handle in handles} == {TaskStatus.PENDING}
    assert all(handle.cancel() for handle in handles[::2])
    assert one.stats().total_queued == 2500
    held.release()
    assert [handle.wait(PATIENCE_S) for handle in handles[1::2]] == [i + 1 for i in range(1, 5000, 2)]
    assert {handle.status for handle in handles[::2]} == {TaskStatus.CANCELLED}


def test_a_paused_system_starts_none(one: TaskSystem) -> None:
    task, _ = ready(one, price, 1, 2)
    one.pause()
    handles = [task.submit(i, 1) for i in range(100)]
    time.sleep(0.05)
    assert one.stats().total_queued == 100
    assert {handle.status for handle in handles} == {TaskStatus.PENDING}
    one.resume()
    assert [handle.wait(PATIENCE_S) for handle in handles] == [i + 1 for i in range(100)]


def test_the_bound_holds_for_both_kinds_together(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(workers=1, queue_size=100, on_full="raise")
    task, _ = ready(system, price, 1, 2)
    held = Held(system, 1)
    kernels, plain = [], []
    for i in range(200):  # kernels first, then in turn
        try:
            if i < 50 or i % 2:
                kernels.append(task.submit(i, 1))
            else:
                plain.append(system.add_task(max, i, 1))
        except QueueFull:
            pass
    assert len(kernels) + len(plain) == 100 == system.stats().total_queued
    held.release()
    for handle in kernels + plain:
        handle.wait(PATIENCE_S)
    for i in range(1000):  # and is kept while they come and go
        until(lambda: system.stats().total_queued < 100)
        task.submit(i, 1)
        assert system.stats().total_queued <= 100
    system.drain(PATIENCE_S)


def test_who_waits_for_room_gets_it(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(workers=1, queue_size=10, on_full="block")
    task, _ = ready(system, price, 1, 2)
    with ThreadPoolExecutor(4) as pool:
        sums = pool.map(lambda k: sum(task.submit(i, k).wait(PATIENCE_S) for i in range(500)), range(4))
        assert list(sums) == [sum(i * k + 1 for i in range(500)) for k in range(4)]
    handles = [task.submit(i, 2) for i in range(2000)]  # far more than there is room for
    assert [handle.wait(PATIENCE_S) for handle in handles] == [i * 2 + 1 for i in range(2000)]


def test_the_oldest_is_dropped(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(workers=1, queue_size=10, on_full="drop_oldest")
    task, _ = ready(system, price, 1, 2)
    held = Held(system, 1)
    handles = [task.submit(i, 1) for i in range(10)]
    handles.append(system.add_task(max, 1, 2))
    handles += [task.submit(i, 1) for i in range(10, 13)]
    assert [handle.status for handle in handles] == [TaskStatus.CANCELLED] * 4 + [TaskStatus.PENDING] * 10
    held.release()


def test_one_that_goes_back_to_python(system: TaskSystem) -> None:
    task, native = ready(system, price, 1, 2)
    rows = [(2**62 if i % 1000 == 500 else i, 7) for i in range(5000)]
    handles = [task.submit(*row) for row in rows]
    assert [handle.wait(PATIENCE_S) for handle in handles] == [a * b + 1 for a, b in rows]
    assert native.deopts == 5


def test_a_name_that_changes_between_two(system: TaskSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    task, _ = ready(system, scaled, 1)
    module = sys.modules[__name__]
    for factor in range(2, 40):
        handles = [task.submit(i) for i in range(50)]
        assert [handle.wait(PATIENCE_S) for handle in handles] == [i * FACTOR + 1 for i in range(50)]
        monkeypatch.setattr(module, "FACTOR", factor)
        assert task.submit(10).wait(PATIENCE_S) == 10 * factor + 1, "a task that came after the change"


def test_callbacks_come_once_and_in_order(system: TaskSystem) -> None:
    task, _ = ready(system, price, 1, 2)
    came: Counter[tuple[int, int]] = Counter()
    order: dict[int, list[int]] = {}
    lock = threading.Lock()

    def note(i: int, which: int) -> None:
        with lock:
            came[i, which] += 1
            order.setdefault(i, []).append(which)

    for i in range(2000):
        handle = task.submit(i, 1)
        for which in range(3):
            handle.add_callback(lambda _, i=i, which=which: note(i, which))
    system.drain(PATIENCE_S)
    until(lambda: len(came) == 6000)
    assert set(came.values()) == {1}
    assert all(whiches == [0, 1, 2] for whiches in order.values())


def test_continuations_and_coroutines(system: TaskSystem) -> None:
    task, _ = ready(system, price, 1, 2)
    assert task.submit(3, 4).then(lambda value: value * 10).wait(PATIENCE_S) == 130

    async def both() -> list[int]:
        one_by_one = [await task.submit(i, 2) for i in range(200)]
        at_once = await asyncio.gather(*[task.submit(i, 2) for i in range(500)])
        return one_by_one + list(at_once)

    assert asyncio.run(both()) == [i * 2 + 1 for i in range(200)] + [i * 2 + 1 for i in range(500)]


def test_other_tasks_behind_a_kernel_run_beside_each_other(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(workers=4)
    task, _ = ready(system, price, 1, 2)
    Held(system, 4).release()  # each has its thread
    for _ in range(20):
        until(lambda: system.stats().active_workers == 0)
        meeting = threading.Barrier(4)
        kernel = task.submit(1, 2)
        tasks = [system.add_task(meeting.wait, PATIENCE_S) for _ in range(4)]
        assert sorted(one.wait(PATIENCE_S) for one in tasks) == [0, 1, 2, 3]
        assert kernel.wait(PATIENCE_S) == 3


@pytest.mark.parametrize("later", [False, True])
def test_a_callback_keeps_none_waiting(later: bool, open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(workers=2)
    task, _ = ready(system, price, 1, 2)
    Held(system, 2).release()
    for _ in range(20):
        until(lambda: system.stats().active_workers == 0)
        began, over, timely = threading.Event(), threading.Event(), []

        def call(_: Any, began: Any = began, over: Any = over, timely: list[bool] = timely) -> None:
            began.set()
            timely.append(over.wait(PATIENCE_S))

        system.pause()
        first = task.submit(1, 2)
        first.add_callback(call)
        system.resume()  # so that a worker makes the call, and not this thread
        if later:
            assert began.wait(PATIENCE_S)
        others = [task.submit(i, 2) for i in range(300)]
        for i, other in enumerate(others):
            assert other.wait(PATIENCE_S) == i * 2 + 1
        over.set()
        until(lambda timely=timely: timely != [])
        assert timely == [True]


def test_a_task_that_waits_for_them(one: TaskSystem) -> None:
    task, _ = ready(one, price, 1, 2)

    def total(n: int) -> int:
        return sum(handle.wait() for handle in [task.submit(i, 2) for i in range(n)])

    assert one.add_task(total, 300).wait(PATIENCE_S) == sum(i * 2 + 1 for i in range(300))


def test_drain_waits_for_all(system: TaskSystem) -> None:
    task, _ = ready(system, price, 1, 2)
    for n in (1, 63, 64, 65, 1021, 1022, 1023, 5000):
        handles = [task.submit(i, 2) for i in range(n)]
        assert system.drain(PATIENCE_S)
        assert {handle.status for handle in handles} == {TaskStatus.COMPLETED}


def test_python_tasks_are_not_kept_waiting(one: TaskSystem) -> None:
    task, _ = ready(one, price, 1, 2)
    stop = threading.Event()

    def stream() -> None:
        while not stop.is_set():
            for handle in [task.submit(i, 2) for i in range(200)]:
                handle.wait(PATIENCE_S)

    threads = [threading.Thread(target=stream) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for i in range(50):
            assert one.add_task(max, i, 3).wait(PATIENCE_S) == max(i, 3)
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)


def test_times_are_sampled(system: TaskSystem) -> None:
    task, _ = ready(system, price, 1, 2)
    for handle in [task.submit(i, 2) for i in range(MANY)]:
        handle.wait(PATIENCE_S)
    stats = system.stats()
    assert stats.p50_execution_time_ms is not None
    assert 0 <= stats.p50_execution_time_ms < 1
    assert stats.p99_queue_wait_ms is not None


def test_shutdown_cancels_what_waits(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(workers=1)
    task, _ = ready(system, price, 1, 2)
    held = Held(system, 1)
    handles = [task.submit(i, 2) for i in range(3000)]
    threading.Timer(0.1, held.gate.set).start()
    system.shutdown(cancel_pending=True)
    assert {handle.status for handle in handles} == {TaskStatus.CANCELLED}


def test_shutdown_runs_what_waits(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(workers=1)
    task, _ = ready(system, price, 1, 2)
    handles = [task.submit(i, 2) for i in range(3000)]
    system.shutdown()
    assert [handle.wait(0) for handle in handles] == [i * 2 + 1 for i in range(3000)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_does_not_wait_for_them(one: TaskSystem) -> None:
    task, _ = ready(one, price, 1, 2)
    for _ in range(20):
        handles = [task.submit(i, 2) for i in range(3000)]
        child = os.fork()
        if child == 0:
            status = 1
            try:
                ended = [handle.exception(5) or handle.wait(0) for handle in handles]
                right = all(end == i * 2 + 1 or isinstance(end, Exception) for i, end in enumerate(ended))
                again = task.submit(20, 2).wait(10) == 41
                status = 0 if right and again else 2
            finally:
                os._exit(status)
        assert [handle.wait(PATIENCE_S) for handle in handles] == [i * 2 + 1 for i in range(3000)]
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_nobody_keeps_the_handle(system: TaskSystem) -> None:
    task, native = ready(system, price, 1, 2)
    before = system.stats().completed
    for i in range(MANY):
        task.submit(i, 2)
    system.drain(PATIENCE_S)
    assert system.stats().completed - before == MANY
    if "kernels" in system.backend_features:  # cffi's callers count without a lock
        assert native.runs == MANY
    gc.collect()


def _in_an_empty_context(test: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        contextvars.Context().run(test, *args, **kwargs)

    return run


# A call with something set in its context is a task like any other, and pytest's own plugins set something.
for _name, _test in list(globals().items()):
    if _name.startswith("test_"):
        globals()[_name] = _in_an_empty_context(_test)
