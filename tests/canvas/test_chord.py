"""chord, callbacks and errbacks: what runs, runs exactly once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catzilla import TaskSystem
from catzilla.background_tasks import TaskCancelled, TaskTimeout
from catzilla.canvas import chord, group
from catzilla.conformance.rig import PATIENCE_S


def test_the_body_gets_the_list_of_values(tasks: Any) -> None:
    result = chord([tasks.add.s(n) for n in range(5)], tasks.total.s()).delay()
    assert result.wait(PATIENCE_S) == 10
    header, body = result.parts
    assert header.wait(0) == [0, 1, 2, 3, 4]
    assert body is result.handle
    assert result.kind == "chord"


def test_the_body_can_be_given_by_a_call(tasks: Any) -> None:
    assert chord([tasks.add.s(1), tasks.add.s(2)])(tasks.total.s()).get(PATIENCE_S) == 3
    with pytest.raises(ValueError, match="no body"):
        chord([tasks.add.s(1)]).delay()


@pytest.mark.parametrize("count", [0, 1])
def test_few_headers(tasks: Any, count: int) -> None:
    assert chord([tasks.add.s(7)] * count, tasks.note.s()).delay().wait(PATIENCE_S) == ([7] * count,)
    assert tasks.system.drain(PATIENCE_S)
    assert tasks.ran == [([7] * count,)]


def test_a_failed_header_keeps_the_body_from_running(tasks: Any) -> None:
    body = tasks.note.s().link_error(tasks.note.s("errback"))
    error = chord([tasks.add.s(1), tasks.fail.s()], body).delay().exception(PATIENCE_S)
    assert isinstance(error, LookupError)
    assert error.__notes__[0].endswith(": member 2 of 2, in chord header 1 of 1 of the workflow")
    assert tasks.system.drain(PATIENCE_S)
    assert tasks.ran == [(error, "errback")]


def test_a_group_in_a_chain_is_a_header(tasks: Any) -> None:
    workflow = group(tasks.add.s(1), tasks.fail.s()) | tasks.note.s().link_error(tasks.note.s())
    error = workflow.delay().exception(PATIENCE_S)
    assert tasks.system.drain(PATIENCE_S)
    assert tasks.ran == [(error,)]


def test_a_chord_in_a_chord(tasks: Any) -> None:
    inner = chord([tasks.add.s(1), tasks.add.s(2)], tasks.total.s())
    assert chord([inner, inner], tasks.total.s()).delay(10).wait(PATIENCE_S) == 46
    assert (tasks.add.s(1) | chord([inner, tasks.add.s(5)], tasks.total.s())).delay().wait(PATIENCE_S) == 11


def test_an_errback_is_for_its_own_step(tasks: Any) -> None:
    # Given a chain whose second step fails, with an errback on each step and on the whole
    first = tasks.add.s(1).link_error(tasks.note.si("first"))
    second = tasks.fail.s().link_error(tasks.note.si("second"))
    third = tasks.add.s(1).link_error(tasks.note.si("third"))
    workflow = (first | second | third).on_error(tasks.note.si("whole"))
    workflow.delay().exception(PATIENCE_S)
    # Then those of the second and of the whole run
    assert tasks.system.drain(PATIENCE_S)
    assert sorted(tasks.ran) == [("second",), ("whole",)]


def test_callbacks_get_the_value_and_change_nothing(tasks: Any) -> None:
    workflow = tasks.add.s(1).link(tasks.fail.s()).link(tasks.note.s("one") | tasks.note.si("two"))
    assert (workflow | tasks.add.s(1)).delay().wait(PATIENCE_S) == 2
    assert tasks.add.apply_async((5,), link=tasks.note.s(), link_error=[tasks.note.si("no")]).wait(PATIENCE_S) == 5
    assert tasks.system.drain(PATIENCE_S)
    assert sorted(tasks.ran, key=repr) == sorted([(1, "one"), ("two",), (5,)], key=repr)


def test_an_errback_that_is_handled_is_no_unretrieved_failure(tasks: Any) -> None:
    tasks.fail.apply_async(link_error=tasks.note.s())
    assert tasks.system.drain(PATIENCE_S)
    assert len(tasks.ran) == 1
    assert tasks.system.stats().unretrieved_failures == 0


class Parts:
    """Header tasks of every fate, and how often the body and its errback ran."""

    def __init__(self, system: TaskSystem) -> None:
        self.lock = threading.Lock()
        self.bodies = 0
        self.errbacks = 0

        def flaky(seen: list[int], good_at: int) -> int:
            seen.append(1)
            if len(seen) < good_at:
                raise ConnectionError
            return 1

        def fail() -> int:
            raise LookupError

        async def forever() -> None:
            await asyncio.sleep(3_600)

        async def soon() -> int:
            await asyncio.sleep(0)
            return 1

        def body(_: list[int]) -> str:
            with self.lock:
                self.bodies += 1
            return "body"

        def errback(_: BaseException) -> None:
            with self.lock:
                self.errbacks += 1

        retried = system.task(max_retries=2, retry_backoff="fixed", retry_base_ms=1)(flaky)
        self.fates: dict[str, Any] = {
            "completes": lambda: system.task(lambda: 1).s(),
            "fails": lambda: system.task(fail).s(),
            "coroutine": lambda: system.task(soon).s(),
            "cancelled before": lambda: system.task(lambda: 1).s().set(delay_ms=3_600_000),
            "cancelled while it runs": lambda: system.task(forever).s(),
            "times out": lambda: system.task(timeout_ms=2)(forever).s(),
            "completes at the retry": lambda: retried.s([], 2),
            "fails after retries": lambda: retried.s([], 9),
        }
        self.body = system.task(body).s().link_error(system.task(errback).s())


GOOD = {"completes", "coroutine", "completes at the retry"}
FATES = (*sorted(GOOD), "fails", "cancelled before", "cancelled while it runs", "times out", "fails after retries")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fates=st.lists(st.sampled_from(FATES), max_size=6), before=st.booleans(), data=st.data())
def test_the_body_or_its_errback_runs_exactly_once(
    system: TaskSystem, fates: list[str], before: bool, data: st.DataObject
) -> None:
    # Given a chord of headers of these fates, perhaps after another step
    doomed = [index for index, fate in enumerate(fates) if fate.startswith("cancelled")]
    order = data.draw(st.permutations(doomed))  # first: a draw may end the example
    parts = Parts(system)
    header = [parts.fates[fate]() for fate in fates]
    for signature in header if before else ():
        signature.immutable = True
    workflow = chord(header, parts.body)
    result = (system.task(int).s() | workflow).delay() if before else workflow.delay()
    # When those that are to be cancelled are, in any order
    handles = list(result.steps())[before : before + len(fates)]
    for index in order:
        while not handles[index].cancel() and not handles[index].done():
            pass  # it is on its way to the event loop
    # Then one of the two runs, once
    error = result.exception(PATIENCE_S)
    assert system.drain(PATIENCE_S)
    good = set(fates) <= GOOD
    assert (parts.bodies, parts.errbacks) == ((1, 0) if good else (0, 1))
    if not good:
        first = next(fate for fate in fates if fate not in GOOD)
        kinds = {"fails": LookupError, "times out": TaskTimeout, "fails after retries": ConnectionError}
        assert type(error) is kinds.get(first, TaskCancelled)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 40), failing=st.sets(st.integers(0, 39), max_size=2))
def test_a_race_with_cancellations_still_gives_exactly_one(system: TaskSystem, count: int, failing: set[int]) -> None:
    # Given a chord of tasks that run while two threads cancel what they find
    parts = Parts(system)
    header = [parts.fates["fails" if n in failing else "completes"]() for n in range(count)]
    result = chord(header, parts.body).delay()
    handles = list(result.steps())[:count]
    threads = [
        threading.Thread(target=lambda order=order: [handle.cancel() for handle in handles[::order]])
        for order in (2, -3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    # Then the body or the errback ran, once, whatever became of the headers
    result.exception(PATIENCE_S)
    assert system.drain(PATIENCE_S)
    good = all(handle.successful() for handle in handles)
    assert (parts.bodies, parts.errbacks) == ((1, 0) if good else (0, 1))


def test_a_cancelled_body_runs_its_errback_once(tasks: Any) -> None:
    gate = threading.Event()
    slow = tasks.system.task(lambda: gate.wait(PATIENCE_S))
    result = chord([slow.s()], tasks.note.s("body").link_error(tasks.note.si("errback"))).delay()
    assert result.parts[1].cancel() is True
    gate.set()
    with pytest.raises(TaskCancelled):
        result.wait(PATIENCE_S)
    assert tasks.system.drain(PATIENCE_S)
    assert tasks.ran == [("errback",)]
