"""Which threads there are, what they are called, and what they do first."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor
from concurrent.futures.thread import BrokenThreadPool, ThreadPoolExecutor
from typing import Any

import pytest

from catzilla.background_tasks import TaskPriority
from catzilla.errors import UnknownBackend
from catzilla.executor import TaskExecutor
from catzilla.interface import Backend

from .conftest import PATIENCE_S, MakeExecutor


def meet(executor: Any, count: int) -> set[threading.Thread]:
    """The threads of ``count`` calls that are under way at the same time."""
    barrier = threading.Barrier(count)

    def call() -> threading.Thread:
        barrier.wait(PATIENCE_S)
        return threading.current_thread()

    futures = [executor.submit(call) for _ in range(count)]
    return {future.result(PATIENCE_S) for future in futures}


# -- arguments ---------------------------------------------------------------------------------


def test_bad_arguments(make_either: MakeExecutor) -> None:
    for number in (0, -1, -2.5):
        with pytest.raises(ValueError, match=r"^max_workers must be greater than 0$"):
            make_either(number)
    with pytest.raises(TypeError):
        make_either("3")
    with pytest.raises(TypeError, match=r"^initializer must be a callable$"):
        make_either(initializer=3)


def test_bad_arguments_of_its_own(make: Callable[..., TaskExecutor]) -> None:
    with pytest.raises(TypeError):
        make(2.5)
    with pytest.raises(ValueError, match="9"):
        make(priority=9)
    with pytest.raises(UnknownBackend, match="nothing_of_that_name"):
        TaskExecutor(backend="nothing_of_that_name")


def test_positional_arguments_are_those_of_ThreadPoolExecutor(make_either: MakeExecutor) -> None:
    seen: list[int] = []
    executor = make_either(1, "name", seen.append, (5,))
    assert executor.submit(lambda: threading.current_thread().name).result(PATIENCE_S) == "name_0"
    assert seen == [5]


def test_as_many_workers_as_ThreadPoolExecutor_has(make: Callable[..., TaskExecutor]) -> None:
    with ThreadPoolExecutor() as model:
        assert make()._max_workers == model._max_workers


def test_what_it_is(backend: Backend, make: Callable[..., TaskExecutor]) -> None:
    executor = make(priority=TaskPriority.CRITICAL)
    assert isinstance(executor, Executor)
    assert isinstance(executor, ThreadPoolExecutor)
    assert executor.submit(int, "3").result(PATIENCE_S) == 3
    assert executor._pool._system.backend_name == backend.name


# -- how many ----------------------------------------------------------------------------------


def test_no_thread_before_the_first_call(make: Callable[..., TaskExecutor]) -> None:
    before = threading.active_count()
    executor = make(5)
    assert threading.active_count() == before
    assert executor._threads == set()


def test_calls_that_wait_for_each_other_have_a_thread_each(make_either: MakeExecutor) -> None:
    assert len(meet(make_either(8), 8)) == 8


def test_a_thread_is_there_when_submit_returns(make_either: MakeExecutor) -> None:
    executor = make_either(4)
    go = threading.Event()
    for count in (1, 2, 3, 4, 4, 4):
        executor.submit(go.wait, PATIENCE_S)
        assert len(executor._threads) == count
    go.set()


def test_never_more_threads_than_max_workers(make_either: MakeExecutor) -> None:
    executor = make_either(2)
    lock = threading.Lock()
    running, most = 0, 0

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1

    for future in [executor.submit(call) for _ in range(500)]:
        future.result(PATIENCE_S)
    assert most <= 2
    assert len(executor._threads) <= 2


def test_calls_run_in_the_order_of_their_submits(make_either: MakeExecutor) -> None:
    executor = make_either(1)
    ran: list[int] = []
    for n in range(100):
        executor.submit(ran.append, n)
    executor.shutdown()
    assert ran == list(range(100))


# -- names -------------------------------------------------------------------------------------


def test_names_with_a_prefix(make_either: MakeExecutor) -> None:
    assert {thread.name for thread in meet(make_either(3, "Special"), 3)} == {"Special_0", "Special_1", "Special_2"}


def test_names_without_one_say_which_executor(make: Callable[..., TaskExecutor]) -> None:
    one, other = meet(make(2), 2), meet(make(2), 2)
    numbers: set[str] = set()
    for threads in (one, other):
        matches = [re.fullmatch(r"TaskExecutor-(\d+)_[01]", thread.name) for thread in threads]
        numbers.update(match[1] for match in matches if match)
    assert len(numbers) == 2


# -- the initializer ---------------------------------------------------------------------------


def test_it_runs_first_and_once_on_each_thread(make_either: MakeExecutor) -> None:
    local = threading.local()
    threads: list[threading.Thread] = []

    def initialize(*args: Any) -> None:
        threads.append(threading.current_thread())
        local.args = args

    executor = make_either(3, initializer=initialize, initargs=("a", "b"))
    assert meet(executor, 3) == set(threads)
    for _ in range(10):
        assert executor.submit(lambda: local.args).result(PATIENCE_S) == ("a", "b")
    assert len(threads) == 3


@pytest.mark.parametrize("error_type", [ValueError, SystemExit])
def test_one_that_fails_breaks_the_executor(
    make_either: MakeExecutor, caplog: pytest.LogCaptureFixture, error_type: type[BaseException]
) -> None:
    """Given calls before and after the failure, then they fail alike and no thread serves."""
    go = threading.Event()
    ran: list[int] = []

    def initialize() -> None:
        assert go.wait(PATIENCE_S)
        raise error_type("in the initializer")

    executor = make_either(1, initializer=initialize)
    futures = [executor.submit(ran.append, n) for n in range(3)]
    with caplog.at_level(logging.CRITICAL, logger="concurrent.futures"):
        go.set()
        for future in futures:
            assert isinstance(future.exception(PATIENCE_S), BrokenThreadPool)
        for thread in executor._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
    assert "Exception in initializer:" in caplog.text
    assert executor._broken
    with pytest.raises(BrokenExecutor, match="initializer failed"):
        executor.submit(int)
    executor.shutdown()
    with pytest.raises(BrokenThreadPool):  # rather than that it is shut down
        executor.submit(int)
    assert ran == []


def test_one_that_fails_finds_a_call_cancelled(
    make: Callable[..., TaskExecutor], caplog: pytest.LogCaptureFixture
) -> None:
    """ThreadPoolExecutor fails over this one, and those after it never end."""
    go = threading.Event()

    def initialize() -> None:
        assert go.wait(PATIENCE_S)
        raise ValueError

    executor = make(1, initializer=initialize)
    futures = [executor.submit(int) for _ in range(3)]
    assert futures[1].cancel()
    go.set()
    for future in (futures[0], futures[2]):
        assert isinstance(future.exception(PATIENCE_S), BrokenThreadPool)
    assert futures[1].cancelled()


def test_one_that_fails_later_leaves_running_calls_alone(make_either: MakeExecutor) -> None:
    calls = 0
    started, go = threading.Event(), threading.Event()

    def initialize() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ValueError

    def work() -> str:
        started.set()
        assert go.wait(PATIENCE_S)
        return "done"

    executor = make_either(2, initializer=initialize)
    running = executor.submit(work)
    assert started.wait(PATIENCE_S)
    try:
        pending = executor.submit(int)
    except BrokenThreadPool:
        pending = None  # the second thread was quick
    for thread in executor._threads:
        if thread.name.endswith("_1"):
            thread.join(PATIENCE_S)
    with pytest.raises(BrokenThreadPool):
        executor.submit(int)
    go.set()
    assert running.result(PATIENCE_S) == "done"
    if pending is not None:
        assert isinstance(pending.exception(PATIENCE_S), BrokenThreadPool)
