"""Limits of what follows another task: then, catch, and the steps of workflows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from catzilla import TaskSystem
from catzilla.background_tasks import TaskCancelled, TaskStatus
from catzilla.canvas import group
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


def test_steps_keep_to_max_concurrency(open_system: OpenSystem) -> None:
    system = open_system(workers=8)
    lock = threading.Lock()
    now, most = 0, 0
    gate = threading.Semaphore(0)

    @system.task(max_concurrency=2)
    def work(value: int) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        assert gate.acquire(timeout=PATIENCE_S)
        with lock:
            now -= 1
        return value + 1

    # Given steps of a group and continuations, all of which have their turn now
    first = system.task(int).s("1")
    workflow = (first | group(work.s() for _ in range(8))).delay()
    follows = [system.add_task(int, "1").then(work) for _ in range(4)]
    eventually(lambda: now == 2, "two run")
    # When they are let go, then never more than the limit run
    for _ in range(12):
        gate.release()
    assert workflow.wait(PATIENCE_S) == [2] * 8
    assert [follow.wait(PATIENCE_S) for follow in follows] == [2] * 4
    assert most == 2


def test_a_parked_step_can_be_cancelled(open_system: OpenSystem) -> None:
    system = open_system(workers=2)
    gate = threading.Event()

    @system.task(max_concurrency=1)
    def work(*_: Any) -> bool:
        return gate.wait(PATIENCE_S)

    first = work.submit()
    workflow = (system.task(int).s("1") | work.s()).delay()
    start, step = workflow.steps()
    assert start.wait(PATIENCE_S) == 1
    assert step.status is TaskStatus.DELAYED
    assert step.cancel() is True
    assert isinstance(workflow.exception(PATIENCE_S), TaskCancelled)
    gate.set()
    assert first.wait(PATIENCE_S) is True
    assert work.submit().wait(PATIENCE_S) is True


def test_a_key_function_that_raises_fails_the_step(open_system: OpenSystem) -> None:
    system = open_system()

    def key(value: int) -> int:
        raise LookupError("on purpose")

    work = system.task(max_concurrency=1, limit_key=key)(lambda value: value)
    assert isinstance(system.add_task(int).then(work).exception(PATIENCE_S), LookupError)
