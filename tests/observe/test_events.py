"""What observers are told of a task, and when."""

from __future__ import annotations

import asyncio
import os
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskPriority, TaskStatus, TaskTimeout, current_task
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.errors import ConfigTypeError, QueueFull
from catzilla.observe import Observer, TaskMeter, TaskRecord

OpenSystem = Callable[..., TaskSystem]


class Diary(Observer):
    """Notes everything, by task name."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, ...]] = []

    def submitting(self, record: TaskRecord) -> None:
        self.entries.append(("submitting", record.name))

    def accepted(self, record: TaskRecord, task: Any) -> None:
        self.entries.append(("accepted", task.name))

    def refused(self, record: TaskRecord, error: BaseException | None) -> None:
        self.entries.append(("refused", record.name, type(error).__name__))

    def started(self, record: TaskRecord, task: Any) -> None:
        self.entries.append(("started", task.name, task.attempt))

    def stopped(self, record: TaskRecord, task: Any, error: BaseException | None) -> None:
        self.entries.append(("stopped", task.name, type(error).__name__))

    def retried(self, record: TaskRecord, task: Any, error: BaseException, wait_s: float) -> None:
        self.entries.append(("retried", task.name, type(error).__name__, wait_s))

    def finished(self, record: TaskRecord, task: Any, status: TaskStatus) -> None:
        self.entries.append(("finished", task.name, status.name))

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [(kind, *about) for kind, of, *about in self.entries if of == name and kind != "accepted"]

    def ended(self, name: str) -> bool:
        return any(entry[:2] == ("finished", name) for entry in self.entries)


@pytest.fixture
def diary(system: TaskSystem) -> Diary:
    diary = Diary()
    system.observe(diary)
    return diary


def test_a_task_that_works(system: TaskSystem, diary: Diary) -> None:
    assert system.add_task(divmod, 7, 2).wait(PATIENCE_S) == (3, 1)
    eventually(lambda: diary.ended("builtins.divmod"), "observers know")
    assert diary.of("builtins.divmod") == [
        ("submitting",),
        ("started", 1),
        ("stopped", "NoneType"),
        ("finished", "COMPLETED"),
    ]
    assert ("accepted", "builtins.divmod") in diary.entries


def test_a_task_that_fails_is_tried_again(system: TaskSystem, diary: Diary) -> None:
    runs: list[int] = []

    def shaky() -> str:
        runs.append(1)
        if len(runs) < 2:
            raise ConnectionError("no line")
        return "done"

    result = system.add_task(shaky, name="shaky", max_retries=2, retry_backoff="fixed", retry_base_ms=1)
    assert result.wait(PATIENCE_S) == "done"
    eventually(lambda: diary.ended("shaky"), "observers know")
    assert diary.of("shaky") == [
        ("submitting",),
        ("started", 1),
        ("stopped", "ConnectionError"),
        ("retried", "ConnectionError", 0.001),
        ("started", 2),
        ("stopped", "NoneType"),
        ("finished", "COMPLETED"),
    ]


@pytest.mark.parametrize("options", [{}, {"max_retries": 1, "retry_on": (KeyError,)}, {"timeout_ms": 60_000}])
def test_a_failure_keeps_the_traceback_it_has_without_observers(
    open_system: OpenSystem, options: dict[str, Any]
) -> None:
    def broken() -> None:
        raise ValueError("no")

    def frames(system: TaskSystem) -> list[str]:
        error = system.add_task(broken, **options).exception(PATIENCE_S)
        assert error is not None
        return [frame.name for frame in traceback.extract_tb(error.__traceback__)]

    plain, observed = open_system(), open_system()
    observed.observe(Diary())
    assert frames(observed) == frames(plain) == ["broken"]


def test_a_coroutine(system: TaskSystem, diary: Diary) -> None:
    async def quick() -> int:
        await asyncio.sleep(0)
        return 1

    assert system.add_task(quick, name="quick").wait(PATIENCE_S) == 1
    eventually(lambda: diary.ended("quick"), "observers know")
    assert diary.of("quick") == [("submitting",), ("started", 1), ("stopped", "NoneType"), ("finished", "COMPLETED")]


def test_one_that_runs_out_of_time_is_told_as_stopped_once(system: TaskSystem, diary: Diary) -> None:
    gate = threading.Event()
    result = system.add_task(gate.wait, PATIENCE_S, name="slow", timeout_ms=20)
    with pytest.raises(TaskTimeout):
        result.wait(PATIENCE_S)
    gate.set()
    eventually(lambda: diary.ended("slow"), "observers know")
    assert diary.of("slow") == [
        ("submitting",),
        ("started", 1),
        ("stopped", "TaskTimeout"),
        ("finished", "TIMED_OUT"),
    ]


def test_one_that_never_starts(system: TaskSystem, diary: Diary) -> None:
    system.pause(TaskPriority.LOW)
    result = system.add_task(divmod, 1, 1, name="waits", priority=TaskPriority.LOW)
    assert result.cancel()
    assert diary.of("waits") == [("submitting",), ("finished", "CANCELLED")]


def test_batches_continuations_and_delays_are_told_of(system: TaskSystem, diary: Diary) -> None:
    assert system.add_tasks(abs, [(-1,), (-2,)], name="batch").wait(PATIENCE_S) == [1, 2]
    assert system.add_task(abs, -3, name="first").then(str).wait(PATIENCE_S) == "3"
    assert system.add_task(abs, -4, name="later", delay_ms=1).wait(PATIENCE_S) == 4
    eventually(lambda: diary.ended("later") and diary.ended("builtins.str"), "observers know")
    assert len([entry for entry in diary.of("batch") if entry[0] == "finished"]) == 2
    assert [entry[0] for entry in diary.of("builtins.str")] == ["submitting", "started", "stopped", "finished"]


def test_a_refused_task_is_neither_accepted_nor_finished(open_system: OpenSystem) -> None:
    system = open_system(queue_size=1)
    diary = Diary()
    system.observe(diary)
    system.pause()
    system.add_task(abs, 1)
    with pytest.raises(QueueFull):
        system.add_task(abs, 2, name="refused")
    assert diary.of("refused") == [("submitting",), ("refused", "QueueFull")]
    assert ("accepted", "refused") not in diary.entries


def test_an_observer_that_raises_harms_nobody(system: TaskSystem, caplog: pytest.LogCaptureFixture) -> None:
    class Bad(Observer):
        def started(self, record: TaskRecord, task: Any) -> None:
            raise RuntimeError("the observer is broken")

    diary = Diary()
    system.observe(Bad())
    system.observe(diary)
    assert system.add_task(abs, -5).wait(PATIENCE_S) == 5
    eventually(lambda: "the observer is broken" in caplog.text, "observers know")
    assert ("started", 1) in diary.of("builtins.abs")


def test_with_the_last_observer_tasks_are_plain_again(system: TaskSystem) -> None:
    @system.task
    def double(x: int) -> int:
        return 2 * x

    before = double.submit(1)
    assert before.wait(PATIENCE_S) == 2
    diary = Diary()
    system.observe(diary)
    assert double.submit(2).wait(PATIENCE_S) == 4
    eventually(lambda: any(entry[0] == "finished" for entry in diary.entries), "observers know")
    system.stop_observing(diary)
    count = len(diary.entries)
    after: Any = double.submit(3)
    assert after.wait(PATIENCE_S) == 6
    assert len(diary.entries) == count
    assert after.ext is None or after.ext.record is None
    assert after.plan.runner is None or after.plan.owner.native is not None


def test_only_observers_are_taken(system: TaskSystem) -> None:
    with pytest.raises(ConfigTypeError, match=r"catzilla\.observe\.Observer"):
        system.observe(print)  # type: ignore[arg-type]


def test_inside_a_task_it_is_the_current_one(system: TaskSystem, diary: Diary) -> None:
    def who() -> str:
        me = current_task()
        assert me is not None
        return me.task_id

    result = system.add_task(who)
    assert result.wait(PATIENCE_S) == result.task_id


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_counts_for_itself(system: TaskSystem) -> None:
    meter = TaskMeter()
    system.observe(meter)
    system.add_task(abs, -1).wait(PATIENCE_S)

    def counted() -> bool:
        figures = meter.by_name().get("builtins.abs")
        return figures is not None and figures.outcomes[TaskStatus.COMPLETED] == 1

    eventually(counted, "observers know")
    meter.forked()
    assert meter.by_name() == {}
