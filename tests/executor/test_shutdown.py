"""Shutdown, and executors that nobody shuts down."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from typing import Any

import pytest

from catzilla.executor import TaskExecutor
from catzilla.interface import Backend

from .conftest import PATIENCE_S, MakeExecutor
from .test_threads import meet


def assert_gone(threads: set[threading.Thread]) -> None:
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_it_waits_for_every_call_and_every_thread(make_either: MakeExecutor) -> None:
    executor = make_either(3)
    threads = meet(executor, 3)
    ran: list[int] = []
    for n in range(50):
        executor.submit(ran.append, n)
    executor.shutdown()
    assert sorted(ran) == list(range(50))
    assert not any(thread.is_alive() for thread in threads)
    assert threads <= executor._threads


def test_its_own_thread_is_gone_too(make: Callable[..., TaskExecutor]) -> None:
    before = set(threading.enumerate())
    executor = make(3)
    meet(executor, 3)
    executor.shutdown()
    assert_gone(set(threading.enumerate()) - before)


def test_nothing_is_taken_afterwards(make_either: MakeExecutor) -> None:
    for used in (False, True):
        executor = make_either(1)
        if used:
            executor.submit(int).result(PATIENCE_S)
        executor.shutdown(wait=used)
        executor.shutdown()  # again
        with pytest.raises(RuntimeError, match=r"^cannot schedule new futures after shutdown$"):
            executor.submit(int)
        with pytest.raises(RuntimeError, match=r"^cannot schedule new futures after shutdown$"):
            executor.map(int, [1])


def test_as_a_context_manager(make_either: MakeExecutor) -> None:
    with make_either(2) as executor:
        futures = [executor.submit(int, n) for n in range(20)]
    assert [future.result(0) for future in futures] == list(range(20))


def test_without_waiting(make_either: MakeExecutor) -> None:
    """Then what was submitted runs, and the threads go by themselves."""
    executor = make_either(2)
    go = threading.Event()
    futures = [executor.submit(go.wait, PATIENCE_S) for _ in range(6)]
    threads = executor._threads
    executor.shutdown(wait=False)
    assert not any(future.done() for future in futures)
    go.set()
    assert all(future.result(PATIENCE_S) for future in futures)
    assert_gone(threads)


def test_without_waiting_when_the_last_call_is_cancelled(make_either: MakeExecutor) -> None:
    executor = make_either(1)
    go = threading.Event()
    running, pending = executor.submit(go.wait, PATIENCE_S), executor.submit(int)
    threads = executor._threads
    executor.shutdown(wait=False)
    go.set()
    running.result(PATIENCE_S)
    pending.cancel()
    assert_gone(threads)


def test_cancelling_what_has_not_started(make_either: MakeExecutor) -> None:
    executor = make_either(1)
    started, go = threading.Event(), threading.Event()

    def work() -> str:
        started.set()
        assert go.wait(PATIENCE_S)
        return "done"

    running = executor.submit(work)
    assert started.wait(PATIENCE_S)
    order: list[int] = []
    pending: list[Future[int]] = []
    for n in range(20):
        future = executor.submit(int)
        future.add_done_callback(lambda _, n=n: order.append(n))
        pending.append(future)
    executor.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in pending)
    assert order == list(range(20))
    go.set()
    executor.shutdown()
    assert running.result(0) == "done"
    with pytest.raises(CancelledError):
        pending[0].result(0)


def test_it_waits_while_others_wait_for_it_too(make_either: MakeExecutor) -> None:
    executor = make_either(1)
    go = threading.Event()
    executor.submit(go.wait, PATIENCE_S)
    waiters = [threading.Thread(target=executor.shutdown) for _ in range(4)]
    for thread in waiters:
        thread.start()
    assert all(thread.is_alive() for thread in waiters)
    go.set()
    assert_gone(set(waiters))


def test_from_one_of_its_own_threads(make_either: MakeExecutor) -> None:
    """It cannot wait for itself; without waiting it can end the executor."""
    executor = make_either(1)
    with pytest.raises(RuntimeError, match="cannot join current thread"):
        executor.submit(executor.shutdown).result(PATIENCE_S)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(int)
    other = make_either(1)
    other.submit(other.shutdown, wait=False).result(PATIENCE_S)
    assert_gone(other._threads)


def test_submits_that_race_with_it(make_either: MakeExecutor) -> None:
    """Each is refused, or its future ends."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(30):
            executor = make_either(2)
            accepted: list[Future[int]] = []
            go = threading.Barrier(4)

            def submit(executor: Any = executor, accepted: Any = accepted, go: Any = go) -> None:
                go.wait(PATIENCE_S)
                try:
                    for n in range(1000):
                        accepted.append(executor.submit(int, n))
                except RuntimeError:
                    pass

            submitters = [threading.Thread(target=submit) for _ in range(3)]
            for thread in submitters:
                thread.start()
            go.wait(PATIENCE_S)
            executor.shutdown()
            assert_gone(set(submitters))
            assert not wait(accepted, PATIENCE_S).not_done
            assert_gone(executor._threads)
    finally:
        sys.setswitchinterval(before)


# -- freed -------------------------------------------------------------------------------------


def test_one_that_is_freed_lets_its_idle_threads_go(kind: MakeExecutor) -> None:
    executor = kind(3)
    threads = meet(executor, 3)
    freed = weakref.ref(executor)
    del executor
    assert freed() is None  # at once: no cycle refers to it
    assert_gone(threads)


def test_one_that_is_freed_finishes_what_it_was_given(kind: MakeExecutor) -> None:
    executor = kind(2)
    go = threading.Event()
    futures = [executor.submit(go.wait, PATIENCE_S) for _ in range(10)]
    threads = executor._threads
    del executor
    go.set()
    assert all(future.result(PATIENCE_S) for future in futures)
    assert_gone(threads)


def test_one_that_the_collector_frees(kind: MakeExecutor) -> None:
    """Given an executor in a cycle, then the collector may free it on any thread, also on one of its own."""
    executor = kind(2)
    executor.itself = executor
    threads = meet(executor, 2)
    collect: Callable[[], object] = gc.collect
    future = executor.submit(collect)
    del executor
    future.result(PATIENCE_S)
    gc.collect()
    assert_gone(threads)


def test_one_that_was_never_used(kind: MakeExecutor) -> None:
    before = threading.active_count()
    kind(2)
    assert threading.active_count() == before


def test_executors_leave_nothing_behind(backend: Backend) -> None:
    pools = []
    for how in range(30):
        executor = TaskExecutor(2, backend=backend.name)
        executor.submit(int).result(PATIENCE_S)
        pools.append(weakref.ref(executor._pool))
        if how % 2:
            executor.shutdown(wait=how % 3 == 0)
        threads = executor._threads
        del executor
        assert_gone(threads)
    for _ in range(100):
        gc.collect()
        if not any(pool() for pool in pools):
            return
        threading.Event().wait(0.05)  # until the last thread has left the last frame
    pytest.fail(f"{sum(pool() is not None for pool in pools)} of 30 pools are still there")
