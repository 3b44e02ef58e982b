"""on_task_failure: told once of each task that failed for good or ran out of time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskStatus, TaskTimeout
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


def fail(word: str = "on purpose") -> None:
    raise LookupError(word)


async def fail_later() -> None:
    raise LookupError("in a coroutine")


@pytest.fixture
def told(system: TaskSystem) -> list[Any]:
    results: list[Any] = []
    system.on_task_failure(results.append)
    return results


def test_it_is_given_the_result(system: TaskSystem, told: list[Any]) -> None:
    result = system.add_task(fail)
    assert isinstance(result.exception(PATIENCE_S), LookupError)
    eventually(lambda: told == [result], "the hook was told")
    assert (told[0].name.rpartition(".")[2], told[0].status) == ("fail", TaskStatus.FAILED)


def test_it_is_a_decorator(system: TaskSystem) -> None:
    @system.on_task_failure
    def note(result: Any) -> None: ...

    assert callable(note)


@pytest.mark.parametrize("options", [{}, {"timeout_ms": 60_000}, {"max_retries": 2, "retry_base_ms": 1}], ids=str)
def test_plain_or_not_it_is_told_once(system: TaskSystem, told: list[Any], options: dict[str, Any]) -> None:
    results = [system.add_task(fail, **options) for _ in range(20)]
    for result in results:
        assert isinstance(result.exception(PATIENCE_S), LookupError)
    eventually(lambda: len(told) >= 20, "the hook was told of each")
    system.drain(PATIENCE_S)
    assert sorted(map(id, told)) == sorted(map(id, results))


def test_of_deadlines_and_coroutines(system: TaskSystem, told: list[Any]) -> None:
    gate = threading.Event()
    late, coroutine = system.add_task(gate.wait, PATIENCE_S, timeout_ms=20), system.add_task(fail_later)
    assert isinstance(late.exception(PATIENCE_S), TaskTimeout)
    assert isinstance(coroutine.exception(PATIENCE_S), LookupError)
    eventually(lambda: len(told) == 2, "the hook was told of both")
    assert {result.status for result in told} == {TaskStatus.TIMED_OUT, TaskStatus.FAILED}
    gate.set()


def test_of_batches(system: TaskSystem, told: list[Any]) -> None:
    batch = system.add_tasks(fail, [("a",), ("b",)])
    assert [str(error) for error in batch.exceptions()] == ["a", "b"]
    eventually(lambda: len(told) == 2, "the hook was told of both")


def test_not_of_what_worked_was_cancelled_or_worked_in_the_end(system: TaskSystem, told: list[Any]) -> None:
    attempts: list[int] = []

    def flaky() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError

    system.add_task(int).wait(PATIENCE_S)
    system.add_task(int, delay_ms=60_000).cancel()
    system.add_task(flaky, max_retries=3, retry_base_ms=1).wait(PATIENCE_S)
    system.drain(PATIENCE_S)
    assert told == []


def test_hooks_that_raise_are_logged_and_contained(
    system: TaskSystem, told: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    # Given a hook that raises, between two that do not
    @system.on_task_failure
    def bad(result: Any) -> None:
        raise RuntimeError("a hook that fails")

    after: list[Any] = []
    system.on_task_failure(after.append)
    with caplog.at_level(logging.ERROR):
        result = system.add_task(fail)
        assert isinstance(result.exception(PATIENCE_S), LookupError)
        eventually(lambda: "a hook that fails" in caplog.text, "the hook's error was logged")
    eventually(lambda: told == after == [result], "the others were told")
    assert system.add_task(int, "1").wait(PATIENCE_S) == 1


def test_looking_at_it_in_the_hook_retrieves_the_failure(
    system: TaskSystem, told: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[BaseException] = []
    system.on_task_failure(lambda result: errors.append(result.exception(0)))
    system.add_task(fail, "seen by the hook")
    eventually(lambda: len(errors) == 1, "the hook was told")
    told.clear()
    system.drain(PATIENCE_S)
    system.add_task(int).wait(PATIENCE_S)
    assert system.stats().unretrieved_failures == 0
    assert "nobody looked" not in caplog.text


def test_a_hook_may_submit(system: TaskSystem) -> None:
    done = threading.Event()
    system.on_task_failure(lambda _: system.add_task(done.set))
    assert isinstance(system.add_task(fail).exception(PATIENCE_S), LookupError)
    assert done.wait(PATIENCE_S)


def test_what_is_not_callable_is_no_hook(system: TaskSystem) -> None:
    with pytest.raises(TypeError, match="hook"):
        system.on_task_failure("not callable")  # type: ignore[arg-type]
