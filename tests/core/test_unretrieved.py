"""A failure that nobody looks at is logged once; one that somebody looks at is not."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


def fail(word: str) -> None:
    raise LookupError(word)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "catzilla.tasks" and record.levelno == logging.ERROR
    ]


def settle(system: TaskSystem) -> None:
    """Let everything that is to be logged be logged."""
    system.drain(PATIENCE_S)
    system.add_task(int).wait(PATIENCE_S)
    gc.collect()
    time.sleep(0.05)


def test_it_is_logged_once_with_name_error_and_traceback(system: TaskSystem, caplog: pytest.LogCaptureFixture) -> None:
    system.add_task(fail, "lost")
    eventually(lambda: gc.collect() >= 0 and len(logged(caplog)) == 1, "the failure was logged")
    settle(system)
    [message] = logged(caplog)
    assert "fail" in message
    assert "LookupError" in message
    assert "lost" in message
    assert "raise LookupError(word)" in caplog.text
    assert system.stats().unretrieved_failures == 1


def test_while_the_handle_is_held_nothing_is_logged(system: TaskSystem, caplog: pytest.LogCaptureFixture) -> None:
    result = system.add_task(fail, "held")
    settle(system)
    assert logged(caplog) == []
    del result
    eventually(lambda: gc.collect() >= 0 and len(logged(caplog)) == 1, "the failure was logged")


async def awaited(result: Any) -> None:
    with pytest.raises(LookupError):
        await result


def waited(result: Any) -> None:
    with pytest.raises(LookupError):
        result.wait(PATIENCE_S)


LOOKS: dict[str, Callable[[Any], object]] = {
    "wait": waited,
    "exception": lambda result: result.exception(PATIENCE_S),
    "await": lambda result: asyncio.run(awaited(result)),
    "future": lambda result: result.future().exception(PATIENCE_S),
    "catch": lambda result: result.catch(lambda error: None).wait(PATIENCE_S),
    "then": lambda result: result.then(str).exception(PATIENCE_S),
}


@pytest.mark.parametrize("look", LOOKS)
def test_one_that_is_looked_at_is_not_logged(system: TaskSystem, caplog: pytest.LogCaptureFixture, look: str) -> None:
    LOOKS[look](system.add_task(fail, look))
    settle(system)
    assert logged(caplog) == []
    assert system.stats().unretrieved_failures == 0


def test_a_continuation_that_nobody_looks_at_is_logged_itself(
    system: TaskSystem, caplog: pytest.LogCaptureFixture
) -> None:
    system.add_task(int).then(lambda _: fail("in the follower"))
    eventually(lambda: gc.collect() >= 0 and len(logged(caplog)) == 1, "the follower's failure was logged")
    assert "in the follower" in logged(caplog)[0]


def test_only_failures_count(system: TaskSystem, caplog: pytest.LogCaptureFixture) -> None:
    system.add_task(int, delay_ms=60_000).cancel()
    system.add_task(time.sleep, 0.1, timeout_ms=10)
    system.add_task(int, "1")
    time.sleep(0.15)
    settle(system)
    assert logged(caplog) == []
    assert system.stats().unretrieved_failures == 0


def test_a_retried_failure_that_works_in_the_end_is_not_logged(
    system: TaskSystem, caplog: pytest.LogCaptureFixture
) -> None:
    attempts: list[int] = []

    def flaky() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError

    system.add_task(flaky, max_retries=5, retry_base_ms=1)
    settle(system)
    assert logged(caplog) == []


def test_rows_of_a_batch_count_each(system: TaskSystem, caplog: pytest.LogCaptureFixture) -> None:
    system.add_tasks(fail, [("a",), ("b",), ("c",)])
    eventually(lambda: gc.collect() >= 0 and len(logged(caplog)) == 3, "all three were logged")
    assert system.stats().unretrieved_failures == 3


def test_a_shutdown_logs_what_was_not_logged_yet(open_system: OpenSystem, caplog: pytest.LogCaptureFixture) -> None:
    system = open_system()
    system.add_task(fail, "at the end")
    system.shutdown(timeout=PATIENCE_S)
    gc.collect()
    eventually(lambda: len(logged(caplog)) == 1, "the failure was logged")
