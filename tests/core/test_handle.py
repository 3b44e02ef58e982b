"""TaskResult: what a user does with a task that was submitted."""

from __future__ import annotations

import asyncio
import concurrent.futures
import pickle
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskCancelled, TaskPriority, TaskResult, TaskStatus
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


def fail() -> None:
    raise LookupError("on purpose")


@pytest.fixture
def gate(system: TaskSystem) -> threading.Event:
    """What a task of the test waits for. Opened in any case, so that no thread is left behind."""
    return threading.Event()


def test_it_is_a_task_result(system: TaskSystem) -> None:
    result = system.add_task(int)
    assert isinstance(result, TaskResult)
    assert result.wait(PATIENCE_S) == 0


def test_wait_and_result_are_the_same(system: TaskSystem) -> None:
    result = system.add_task(int, "3")
    assert result.wait(PATIENCE_S) == result.result(PATIENCE_S) == result.wait() == result.result() == 3


@pytest.mark.parametrize("timeout", [0, 0.0, 0.01, -1])
def test_a_wait_that_runs_out_says_so(system: TaskSystem, gate: threading.Event, timeout: float) -> None:
    # Given a task that runs
    result = system.add_task(gate.wait, PATIENCE_S)
    # When its waiter has no more time
    with pytest.raises(TimeoutError) as caught:
        result.wait(timeout)
    # Then it is the built-in TimeoutError, and the task goes on
    assert type(caught.value) is TimeoutError
    with pytest.raises(TimeoutError):
        result.exception(timeout)
    gate.set()
    assert result.wait(PATIENCE_S) is True


@pytest.mark.parametrize("timeout", ["1", [], True, object()])
def test_a_timeout_of_a_wrong_type_is_an_error(system: TaskSystem, gate: threading.Event, timeout: Any) -> None:
    result = system.add_task(gate.wait, PATIENCE_S)
    try:
        with pytest.raises(TypeError, match="timeout"):
            result.wait(timeout)
    finally:
        gate.set()


def test_exception_gives_it_without_raising(system: TaskSystem) -> None:
    result = system.add_task(fail)
    error = result.exception(PATIENCE_S)
    assert isinstance(error, LookupError)
    assert error is result.exception()
    assert system.add_task(int).exception(PATIENCE_S) is None


def test_repeated_waits_do_not_lengthen_the_traceback(system: TaskSystem) -> None:
    result = system.add_task(fail)
    lengths = set()
    for _ in range(10):
        with pytest.raises(LookupError) as caught:
            result.wait(PATIENCE_S)
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert frames[-1].name == "fail"
        lengths.add(len(frames))
    assert len(lengths) == 1


def test_cancel_at_every_state(system: TaskSystem, gate: threading.Event) -> None:
    pause = TaskPriority.LOW
    system.pause(pause)
    pending = system.add_task(int, priority=pause)
    delayed = system.add_task(int, delay_ms=60_000)
    retrying = system.add_task(fail, max_retries=1, retry_base_ms=60_000, retry_backoff="fixed")
    running = system.add_task(gate.wait, PATIENCE_S)
    done = system.add_task(int)
    failed = system.add_task(fail)
    eventually(lambda: retrying.status is TaskStatus.RETRYING, "the first attempt failed")
    eventually(lambda: running.status is TaskStatus.RUNNING, "it runs")
    assert done.wait(PATIENCE_S) == 0
    assert isinstance(failed.exception(PATIENCE_S), LookupError)
    for result, before in (
        (pending, TaskStatus.PENDING),
        (delayed, TaskStatus.DELAYED),
        (retrying, TaskStatus.RETRYING),
    ):
        assert result.status is before
        assert result.cancel() is True
        assert result.cancel() is False
        assert result.status is TaskStatus.CANCELLED
        with pytest.raises(TaskCancelled):
            result.wait(0)
    ended: Any = (
        (running, TaskStatus.RUNNING),
        (done, TaskStatus.COMPLETED),
        (failed, TaskStatus.FAILED),
    )
    for result, before in ended:
        assert result.cancel() is False
        assert result.status is before
    gate.set()
    assert running.wait(PATIENCE_S) is True
    assert system.stats().cancelled == 3


def test_cancelled_is_the_cancelled_error_of_futures(system: TaskSystem) -> None:
    result = system.add_task(int, delay_ms=60_000)
    result.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        result.wait(0)
    assert not issubclass(TaskCancelled, asyncio.CancelledError)


def test_cancelling_a_running_task_asks_it(system: TaskSystem) -> None:
    from catzilla.background_tasks import current_task

    running = threading.Event()

    def polite() -> str:
        running.set()
        me = current_task()
        assert me is not None
        deadline = time.monotonic() + PATIENCE_S
        while not me.cancel_requested and time.monotonic() < deadline:
            time.sleep(0.001)
        return "stopped early" if me.cancel_requested else "never asked"

    result = system.add_task(polite)
    assert running.wait(PATIENCE_S)
    assert result.cancel_requested is False
    assert result.cancel() is False
    assert result.wait(PATIENCE_S) == "stopped early"
    assert result.status is TaskStatus.COMPLETED


def test_callbacks_are_called_once_with_the_result(system: TaskSystem, gate: threading.Event) -> None:
    result = system.add_task(gate.wait, PATIENCE_S)
    calls: list[tuple[Any, str]] = []
    result.add_callback(lambda done: calls.append((done, threading.current_thread().name)))
    gate.set()
    assert result.wait(PATIENCE_S) is True
    eventually(lambda: len(calls) == 1, "the callback was called")
    assert calls[0][0] is result
    assert calls[0][1].startswith("catzilla-")
    result.add_callback(lambda done: calls.append((done, "")))
    assert [done for done, _ in calls] == [result, result]


def test_a_callback_must_be_callable(system: TaskSystem) -> None:
    with pytest.raises(TypeError, match="callable"):
        system.add_task(int).add_callback("not callable")  # type: ignore[arg-type]


def test_a_callback_may_submit_and_wait(system: TaskSystem) -> None:
    answers: list[int] = []
    called = threading.Event()

    def follow(done: Any) -> None:
        answers.append(system.add_task(int, "2").wait() + done.wait(0))
        called.set()

    system.add_task(int, "1").add_callback(follow)
    assert called.wait(PATIENCE_S)
    assert answers == [3]


def test_a_future_follows_the_task(system: TaskSystem) -> None:
    good: Any = system.add_task(int, "1").future()
    bad: Any = system.add_task(fail).future()
    assert isinstance(good, concurrent.futures.Future)
    done, pending = concurrent.futures.wait([good, bad], timeout=PATIENCE_S)
    assert (len(done), len(pending)) == (2, 0)
    assert good.result(0) == 1
    assert isinstance(bad.exception(0), LookupError)


def test_cancelling_its_future_cancels_the_task(system: TaskSystem) -> None:
    result = system.add_task(int, delay_ms=60_000)
    future = result.future()
    assert future.cancel() is True
    assert result.status is TaskStatus.CANCELLED
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(0)


def test_a_result_refuses_to_pickle(system: TaskSystem) -> None:
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(system.add_task(int))


def test_its_repr_names_task_and_status(system: TaskSystem) -> None:
    result = system.add_task(fail)
    assert isinstance(result.exception(PATIENCE_S), LookupError)
    assert "fail" in repr(result)
    assert "FAILED" in repr(result)


def test_finished_results_are_found_when_they_are_kept(open_system: OpenSystem) -> None:
    system = open_system(workers=1, keep_results=2)  # one after the other: the last two to end are kept
    results = [system.add_task(int, str(n)) for n in range(3)]
    ids = []
    for result in results:
        ids.append(result.task_id)
        result.wait(PATIENCE_S)
    eventually(lambda: system.get_task(ids[2]) is results[2], "the last is kept")
    assert system.get_task(ids[1]) is results[1]
    assert system.get_task(ids[0]) is None
    assert system.get_task("no such id") is None


def test_by_default_no_finished_result_is_kept(system: TaskSystem) -> None:
    result = system.add_task(int)
    task_id = result.task_id
    result.wait(PATIENCE_S)
    eventually(lambda: system.get_task(task_id) is None, "it is forgotten")


def test_stats_of_one_task(open_system: OpenSystem) -> None:
    # Given a task whose times we measure ourselves
    system = open_system(enable_profiling="full")
    before = time.time()
    result = system.add_task(time.sleep, 0.05)
    result.wait(PATIENCE_S)
    after = time.time()
    stats = result.stats()
    assert stats.started_at is not None
    assert stats.finished_at is not None
    assert before - 0.01 <= stats.created_at <= stats.started_at <= stats.finished_at <= after + 0.01
    assert stats.execution_time_ms is not None
    assert 50 <= stats.execution_time_ms <= 1_000 * (after - before) + 10
    assert stats.retries == 0
    assert stats.worker_id in (0, 1)


def test_stats_before_it_started(system: TaskSystem) -> None:
    result = system.add_task(int, delay_ms=60_000)
    stats = result.stats()
    assert (stats.started_at, stats.finished_at, stats.execution_time_ms) == (None, None, None)
    assert stats.worker_id is None


def test_waiting_on_an_event_loop_warns_once(system: TaskSystem) -> None:
    async def main() -> None:
        with pytest.warns(RuntimeWarning, match="await"):
            assert system.add_task(time.sleep, 0.05).wait(PATIENCE_S) is None
        assert system.add_task(time.sleep, 0.05).wait(PATIENCE_S) is None  # would raise: warnings are errors

    asyncio.run(main())


def test_what_runs_is_listed(system: TaskSystem, gate: threading.Event) -> None:
    results = [system.add_task(gate.wait, PATIENCE_S) for _ in range(2)]
    eventually(lambda: len(system.running()) == 2, "both run")
    assert set(map(id, system.running())) == set(map(id, results))
    gate.set()
    for result in results:
        result.wait(PATIENCE_S)
    eventually(lambda: system.running() == [], "none runs")


def test_a_failure_hook_is_told_of_failures_and_timeouts(system: TaskSystem) -> None:
    told: list[Any] = []

    @system.on_task_failure
    def note(result: Any) -> None:
        told.append(result)

    bad = system.add_task(fail)
    gate = threading.Event()
    late = system.add_task(gate.wait, PATIENCE_S, timeout_ms=20)
    system.add_task(int).wait(PATIENCE_S)
    system.add_task(int, delay_ms=60_000).cancel()
    eventually(lambda: len(told) == 2, "both failures were told")
    assert {id(result) for result in told} == {id(bad), id(late)}
    gate.set()
    bad.exception(0)
