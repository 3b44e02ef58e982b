"""contextvars: a task starts with its submitter's, and what it sets reaches no other."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import current_task
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture
def user() -> Iterator[str]:
    """The submitter's variable is set for the test."""
    token = variable.set("user")
    yield "user"
    variable.reset(token)


@pytest.fixture
def one(open_system: OpenSystem) -> TaskSystem:
    """One worker: what one task leaves behind, the next would find."""
    return open_system(workers=1)


OPTIONS: list[dict[str, Any]] = [{}, {"max_retries": 1}, {"timeout_ms": 20_000}, {"delay_ms": 2}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_submitters_variables_are_there(one: TaskSystem, user: str, options: dict[str, Any]) -> None:
    assert one.add_task(variable.get, **options).wait(PATIENCE_S) == "user"


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_is_set_after_the_submit_is_not(one: TaskSystem, options: dict[str, Any]) -> None:
    gate = threading.Event()
    one.add_task(gate.wait, PATIENCE_S)
    result = one.add_task(variable.get, **options)
    token = variable.set("too late")
    gate.set()
    assert result.wait(PATIENCE_S) == "unset"
    variable.reset(token)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_one_task_sets_and_the_next_looks(one: TaskSystem, options: dict[str, Any]) -> None:
    def set_it() -> str:
        variable.set("leak")
        return variable.get()

    for _ in range(5):
        assert one.add_task(set_it, **options).wait(PATIENCE_S) == "leak"
        assert one.add_task(variable.get).wait(PATIENCE_S) == "unset"
        assert one.add_task(variable.get, **options).wait(PATIENCE_S) == "unset"


def test_a_task_that_sets_and_fails(one: TaskSystem) -> None:
    def set_and_fail() -> None:
        variable.set("leak")
        raise ValueError

    assert isinstance(one.add_task(set_and_fail).exception(PATIENCE_S), ValueError)
    assert one.add_task(variable.get).wait(PATIENCE_S) == "unset"


def test_nothing_comes_back_to_the_submitter(one: TaskSystem, user: str) -> None:
    one.add_task(variable.set, "from the task").wait(PATIENCE_S)
    assert variable.get() == "user"


def test_each_attempt_starts_with_the_submitters_context(one: TaskSystem, user: str) -> None:
    seen: list[str] = []

    def flaky() -> None:
        seen.append(variable.get())
        variable.set("from an attempt")
        if len(seen) < 3:
            raise ValueError

    one.add_task(flaky, max_retries=5, retry_base_ms=1).wait(PATIENCE_S)
    assert seen == ["user"] * 3


def test_rows_of_a_batch_do_not_see_each_other(one: TaskSystem, user: str) -> None:
    def swap(value: str) -> str:
        before = variable.get()
        variable.set(value)
        return before

    assert one.add_tasks(swap, [(str(n),) for n in range(20)]).wait(PATIENCE_S) == ["user"] * 20


def test_a_task_submitted_by_a_task_has_its_context(one: TaskSystem) -> None:
    def outer() -> str:
        variable.set("outer")
        return str(one.add_task(variable.get).wait())

    assert one.add_task(outer).wait(PATIENCE_S) == "outer"


def test_an_inline_task_changes_nothing_of_the_one_that_waits(one: TaskSystem) -> None:
    def outer() -> tuple[str, str]:
        variable.set("outer")
        one.add_task(variable.set, "inner").wait()
        task = one.add_task(current_task)
        assert task.wait() is task
        assert current_task() is not task
        return variable.get(), one.add_task(variable.get).wait()

    assert one.add_task(outer).wait(PATIENCE_S) == ("outer", "outer")


def test_a_coroutine_has_the_submitters_context(one: TaskSystem, user: str) -> None:
    async def look() -> str:
        before = variable.get()
        variable.set("leak")
        await asyncio.sleep(0)
        return before

    assert one.add_task(look).wait(PATIENCE_S) == "user"
    assert one.add_task(look).wait(PATIENCE_S) == "user"


def test_a_continuation_has_the_context_of_who_asked_for_it(one: TaskSystem, user: str) -> None:
    assert one.add_task(int).then(lambda _: variable.get()).wait(PATIENCE_S) == "user"


def test_contexts_are_freed(one: TaskSystem) -> None:
    import gc
    import weakref

    class Thing:
        pass

    held: contextvars.ContextVar[Thing] = contextvars.ContextVar("held")

    def submit() -> tuple[Any, weakref.ref[Thing]]:
        thing = Thing()
        held.set(thing)
        return one.add_task(int), weakref.ref(thing)

    result, watch = contextvars.copy_context().run(submit)
    result.wait(PATIENCE_S)
    del result
    one.add_task(int).wait(PATIENCE_S)
    eventually(lambda: gc.collect() >= 0 and watch() is None, "the context was freed")
