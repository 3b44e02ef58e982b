"""chain and |: one task after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from catzilla.background_tasks import QueueFull, SystemClosed, TaskCancelled, TaskPriority, TaskStatus
from catzilla.canvas import WorkflowResult, chain, group
from catzilla.conformance.rig import PATIENCE_S


def test_each_step_gets_the_value_of_the_one_before(tasks: Any) -> None:
    result = (tasks.add.s(1, 2) | tasks.add.s(10) | tasks.double.s()).apply_async()
    assert isinstance(result, WorkflowResult)
    assert result.wait(PATIENCE_S) == 26
    assert result.successful()
    assert not result.failed()


def test_all_ways_to_write_it_are_the_same(tasks: Any) -> None:
    steps = [tasks.add.s(1), tasks.add.s(2), tasks.add.s(3)]
    for written in (chain(*steps), chain(steps), chain(iter(steps)), steps[0] | steps[1] | steps[2]):
        assert written.delay().wait(PATIENCE_S) == 6
        assert len(written.steps) == 3
    assert (steps[0] | (steps[1] | steps[2])).delay().wait(PATIENCE_S) == 6
    assert chain(*steps)().wait(PATIENCE_S) == 6


def test_an_immutable_step_takes_no_value(tasks: Any) -> None:
    assert (tasks.add.s(1) | tasks.add.si(5, 5)).delay().wait(PATIENCE_S) == 10
    step = tasks.add.signature((7,), {"y": 1}, immutable=True)
    assert (tasks.add.s(1) | step).delay().wait(PATIENCE_S) == 8


def test_partial_arguments_come_first(tasks: Any) -> None:
    def order(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    task = tasks.system.task(order)
    assert task.s(3, k=1).apply_async((1, 2), {"j": 2}).wait(PATIENCE_S) == ((1, 2, 3), {"k": 1, "j": 2})
    assert (task.s(2) | task.s(9)).delay(1).wait(PATIENCE_S) == ((((1, 2), {}), 9), {})
    assert task.si(3).apply_async((1,), {"j": 2}).wait(PATIENCE_S) == ((3,), {})


def test_the_parts_have_results_of_their_own(tasks: Any) -> None:
    result = (tasks.add.s(1) | tasks.add.s(2) | tasks.add.s(3)).delay()
    assert result.wait(PATIENCE_S) == 6
    assert [part.wait(PATIENCE_S) for part in result.parts] == [1, 3, 6]
    assert [step.wait(0) for step in result.steps()] == [1, 3, 6]
    assert result.parts[-1] is result.handle
    assert result.kind == "chain"


def test_a_failure_ends_the_rest_and_names_its_step(tasks: Any) -> None:
    result = (tasks.add.s(1) | tasks.fail.s() | tasks.note.s() | tasks.note.s()).delay()
    with pytest.raises(LookupError, match="on purpose") as caught:
        result.wait(PATIENCE_S)
    name = tasks.fail.name
    assert caught.value.__notes__ == [f"failed in {name}: step 2 of 4 of the workflow"]
    assert [step.name for step in result.failed_steps()] == [name]
    assert [step.status.name for step in result.steps()] == ["COMPLETED", "FAILED", "FAILED", "FAILED"]
    assert result.exception() is caught.value
    assert result.completed_count() == 1
    assert tasks.ran == []


def test_the_last_step_is_named_too(tasks: Any) -> None:
    result = (tasks.add.s(1) | tasks.fail.s()).delay()
    error = result.exception(PATIENCE_S)
    assert error.__notes__ == [f"failed in {tasks.fail.name}: step 2 of 2 of the workflow"]
    assert result.exception() is error  # and once only
    assert len(error.__notes__) == 1


def test_a_nested_step_is_named_with_the_way_to_it(tasks: Any) -> None:
    inner = group(tasks.add.s(1), tasks.add.s(2) | tasks.fail.s())
    error = (tasks.add.s(1) | inner | tasks.total.s()).delay().exception(PATIENCE_S)
    (note,) = error.__notes__
    assert note.endswith(": step 2 of 2, in member 2 of 2, in step 2 of 3 of the workflow")


def test_awaiting_it_names_the_step(tasks: Any) -> None:
    import asyncio

    async def main() -> Any:
        assert await (tasks.add.s(1) | tasks.double.s()).delay() == 2
        with pytest.raises(LookupError) as caught:
            await (tasks.add.s(1) | tasks.fail.s()).delay()
        return caught.value.__notes__

    assert len(asyncio.run(main())) == 1


def test_then_catch_and_waits_give_the_same(tasks: Any) -> None:
    system = tasks.system
    # Given the same three steps, waited for one by one, as continuations, and as a chain
    by_waits = system.add_task(tasks.add, 1).wait(PATIENCE_S)
    by_waits = system.add_task(tasks.double, by_waits).wait(PATIENCE_S)
    by_waits = system.add_task(tasks.add, by_waits).wait(PATIENCE_S)
    by_then = system.add_task(tasks.add, 1).then(tasks.double).then(tasks.add)
    by_chain = (tasks.add.s(1) | tasks.double.s() | tasks.add.s()).delay()
    assert by_waits == by_then.wait(PATIENCE_S) == by_chain.wait(PATIENCE_S) == 2
    # And the same failure
    first = system.add_task(tasks.fail).then(tasks.double).catch(repr)
    second = (tasks.fail.s() | tasks.double.s()).delay().catch(repr)
    assert first.wait(PATIENCE_S) == second.wait(PATIENCE_S) == "LookupError('on purpose')"


def test_five_thousand_steps(tasks: Any) -> None:
    assert chain(tasks.add.s(0), *[tasks.add.s(1) for _ in range(4_999)]).delay().wait(PATIENCE_S) == 4_999


@pytest.mark.parametrize("cancelled", [False, True], ids=["failed", "cancelled"])
def test_five_thousand_steps_end_with_the_first(tasks: Any, cancelled: bool) -> None:
    tasks.system.pause()
    result = chain(tasks.fail.s(), *[tasks.add.s(1) for _ in range(4_999)]).delay()
    if cancelled:
        next(result.steps()).cancel()
    tasks.system.resume()
    assert isinstance(result.exception(PATIENCE_S), TaskCancelled if cancelled else LookupError)
    assert all(step.done() for step in result.steps())


def test_waiting_for_a_long_one_inside_a_task(open_tasks: Callable[..., Any]) -> None:
    tasks = open_tasks(workers=1)
    steps = [tasks.add.s(1) for _ in range(2_000)]
    assert tasks.system.add_task(lambda: chain(tasks.add.s(0), *steps).delay().wait()).wait(PATIENCE_S) == 2_000


def test_cancelling_ends_what_has_not_run(tasks: Any) -> None:
    gate, running = threading.Event(), threading.Event()

    def work() -> int:
        running.set()
        gate.wait(PATIENCE_S)
        return 1

    result = (tasks.system.task(work).s() | tasks.note.s() | tasks.note.s()).delay()
    assert running.wait(PATIENCE_S)
    assert result.cancel() is True
    gate.set()
    with pytest.raises(TaskCancelled):
        result.wait(PATIENCE_S)
    assert result.status is TaskStatus.CANCELLED
    assert next(result.steps()).wait(PATIENCE_S) == 1
    assert tasks.ran == []


def test_steps_keep_their_options_and_set_changes_them(tasks: Any) -> None:
    high = tasks.add.s(1).set(priority=TaskPriority.HIGH)
    result = (high | tasks.add.s(1)).delay()
    assert [step.priority for step in result.steps()] == [TaskPriority.HIGH, TaskPriority.NORMAL]
    low = chain(high, tasks.add.s(1)).set(priority=TaskPriority.LOW).delay()
    assert [step.priority for step in low.steps()] == [TaskPriority.LOW, TaskPriority.LOW]
    assert low.wait(PATIENCE_S) == 2


def test_a_time_is_the_first_steps(tasks: Any) -> None:
    result = (tasks.add.s(1) | tasks.add.s(1)).apply_async(countdown=3_600)
    assert [step.status for step in result.steps()] == [TaskStatus.DELAYED] * 2
    assert result.cancel()
    later = (tasks.add.s(1) | tasks.add.s(1).set(delay_ms=1)).delay()
    assert later.wait(PATIENCE_S) == 2


def test_it_is_admitted_as_one(open_tasks: Callable[..., Any]) -> None:
    # Given a lane with room for one
    tasks = open_tasks(workers=1, queue_size=1)
    tasks.system.pause()
    workflow = group(tasks.add.s(n) for n in range(10)) | tasks.total.s()
    result = workflow.delay()
    # When it is full
    with pytest.raises(QueueFull):
        workflow.delay()
    # Then the first is in as a whole, and nothing of the second
    assert tasks.system.stats().submitted == 12
    tasks.system.resume()
    assert result.wait(PATIENCE_S) == 45


def test_mistakes_are_raised_before_anything_is_queued(tasks: Any) -> None:
    for wrong, error in (
        (tasks.add.s(1) | tasks.add.s(2, 3), TypeError),  # three arguments with the value
        (tasks.add.s(1) | tasks.total.s(nonsense=1), TypeError),
    ):
        with pytest.raises(error):
            wrong.delay()
    with pytest.raises(TypeError, match=r"write add\.s"):
        tasks.add.s(1) | tasks.add
    with pytest.raises(TypeError, match="signature"):
        chain(tasks.add.s(1), print)
    with pytest.raises(ValueError, match="at least one step"):
        chain()
    assert tasks.system.stats().submitted == 0
    tasks.system.shutdown()
    with pytest.raises(SystemClosed):
        (tasks.add.s(1) | tasks.add.s(2)).delay()


def test_a_shutdown_runs_the_steps_of_what_it_drains(open_tasks: Callable[..., Any]) -> None:
    tasks = open_tasks(workers=1)
    gate = threading.Event()
    result = (tasks.system.task(lambda: gate.wait(PATIENCE_S)).s() | tasks.note.s() | tasks.note.s()).delay()
    threading.Timer(0.05, gate.set).start()
    report = tasks.system.shutdown(timeout=PATIENCE_S)
    assert result.wait(0) == ((True,),)
    assert not report.cancelled


def test_the_submitters_context_is_every_steps(tasks: Any) -> None:
    import contextvars

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    task = tasks.system.task(lambda *_: variable.get())
    variable.set("mine")
    assert (task.s() | task.s()).delay().wait(PATIENCE_S) == "mine"
