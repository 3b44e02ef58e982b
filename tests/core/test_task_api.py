"""@task in all its forms, and what is wrong with a submit is said at the submit."""

from __future__ import annotations

import asyncio
import functools
import gc
import pickle
import re
import sys
import weakref
from array import array
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import SystemClosed, TaskPriority, TaskStatus, current_task
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.task import Task

OpenSystem = Callable[..., TaskSystem]


def scale(value: int, factor: int = 2, *, offset: int = 0) -> int:
    """Multiply and add."""
    return value * factor + offset


# -- forms -------------------------------------------------------------------------------------


def test_bare_and_with_options(system: TaskSystem) -> None:
    @system.task
    def bare(value: int) -> int:
        return value + 1

    @system.task(priority=TaskPriority.HIGH, name="renamed")
    def optioned(value: int) -> int:
        return value + 2

    @system.task()
    def empty(value: int) -> int:
        return value + 3

    assert [task.submit(1).wait(PATIENCE_S) for task in (bare, optioned, empty)] == [2, 3, 4]
    assert optioned.name == "renamed"
    assert optioned.options.priority is TaskPriority.HIGH


def test_a_call_runs_at_once_and_in_place(system: TaskSystem) -> None:
    task = system.task(current_task)
    assert task() is None
    assert system.stats().submitted == 0


def test_it_looks_like_its_function(system: TaskSystem) -> None:
    task: Any = system.task(scale)
    assert task.__name__ == "scale"
    assert task.__doc__ == "Multiply and add."
    assert task.__wrapped__ is scale
    assert "scale" in repr(task)
    assert task(3, offset=1) == 7


def test_add_task_takes_functions_and_tasks(system: TaskSystem) -> None:
    task = system.task(max_retries=1)(scale)
    assert system.add_task(scale, 2).wait(PATIENCE_S) == 4
    assert system.add_task(task, 2, 5).wait(PATIENCE_S) == 10
    assert system.add_task(task, 2, offset=1).wait(PATIENCE_S) == 5
    assert system.add_task(task, 2, priority=TaskPriority.LOW).priority is TaskPriority.LOW


def test_with_options_is_a_copy(system: TaskSystem) -> None:
    task = system.task(scale)
    urgent = task.with_options(priority=TaskPriority.CRITICAL, timeout_ms=5_000)
    assert isinstance(urgent, Task)
    assert urgent.submit(2).wait(PATIENCE_S) == 4
    assert (task.options.priority, urgent.options.priority) == (TaskPriority.NORMAL, TaskPriority.CRITICAL)
    assert (task.options.timeout_ms, urgent.options.timeout_ms) == (None, 5_000)


def test_methods(system: TaskSystem) -> None:
    class Counter:
        def __init__(self, start: int) -> None:
            self.value = start

        @system.task
        def add(self, n: int) -> int:
            self.value += n
            return self.value

        @staticmethod
        @system.task
        def double(n: int) -> int:
            return 2 * n

    one, two = Counter(10), Counter(20)
    assert one.add.submit(1).wait(PATIENCE_S) == 11
    assert two.add.submit(2).wait(PATIENCE_S) == 22
    assert one.add(1) == 12
    assert Counter.double.submit(4).wait(PATIENCE_S) == 8
    assert system.add_task(one.add, 3).wait(PATIENCE_S) == 15
    assert [result.wait(PATIENCE_S) for result in system.add_tasks(two.add, [(1,), (1,)])][-1] == 24


def test_callables_of_every_kind(system: TaskSystem) -> None:
    class Adder:
        def __call__(self, n: int) -> int:
            return n + 1

        def method(self, n: int) -> int:
            return n + 2

        @classmethod
        def of_class(cls, n: int) -> int:
            return n + 3

        @staticmethod
        def static(n: int) -> int:
            return n + 4

    @dataclass
    class Unhashable:
        step: int

        def __call__(self, n: int) -> int:
            return n + self.step

    adder = Adder()
    callables: list[Callable[[int], Any]] = [
        adder,
        adder.method,
        Adder.of_class,
        Adder.static,
        Unhashable(5),
        functools.partial(scale, factor=7),
        lambda n: n + 6,
        str,
        [0, 1].index,
        functools.cache(lambda n: n),
    ]
    for fn in callables:
        assert system.add_task(fn, 1).wait(PATIENCE_S) == fn(1), fn
        assert system.task(fn).submit(1).wait(PATIENCE_S) == fn(1), fn


def test_explain_says_why_it_runs_as_it_does(system: TaskSystem) -> None:
    explained = system.task(compile_to_c=False)(scale).explain()
    assert "scale" in explained
    assert "compile_to_c=False" in explained
    assert system.task(scale).explain()


module_system: TaskSystem | None = None
module_task: Any = None


def test_tasks_pickle_by_name(system: TaskSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    def plain(value: int) -> int:
        return value * 3

    module = sys.modules[__name__]
    plain.__qualname__, plain.__module__ = "module_task", __name__
    task = system.task(plain)
    monkeypatch.setattr(module, "module_task", task)
    assert pickle.loads(pickle.dumps(task)) is task


# -- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("thing", [None, 3, "print", [], object()])
def test_what_is_not_callable_is_refused(system: TaskSystem, thing: Any) -> None:
    decorate = system.task() if thing is None else system.task  # task(None) is task(): the function comes later
    for submit in (system.add_task, decorate, lambda fn: system.add_tasks(fn, [()])):
        with pytest.raises(TypeError, match="callable"):
            submit(thing)
    assert system.stats().submitted == 0


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, 2, 3), {}), ((1,), {"value": 1}), ((1,), {"unknown": 1}), ((), {"factor": 1})],
    ids=str,
)
def test_a_wrong_call_is_an_error_at_the_submit(
    system: TaskSystem, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    for submit in (functools.partial(system.add_task, scale), system.task(scale).submit):
        with pytest.raises(TypeError, match="scale"):
            submit(*args, **kwargs)
    assert system.stats().submitted == 0


def test_a_missing_keyword_only_argument_is_an_error_at_the_submit(system: TaskSystem) -> None:
    def needs(*, key: int) -> int:
        return key

    with pytest.raises(TypeError, match="key"):
        system.add_task(needs)
    assert system.add_task(needs, key=1).wait(PATIENCE_S) == 1


def test_arguments_of_any_number(system: TaskSystem) -> None:
    def collect(first: int, *rest: int, **named: int) -> tuple[Any, ...]:
        return first, rest, named

    assert system.add_task(collect, 1).wait(PATIENCE_S) == (1, (), {})
    assert system.add_task(collect, 1, 2, 3, a=4).wait(PATIENCE_S) == (1, (2, 3), {"a": 4})
    with pytest.raises(TypeError, match="collect"):
        system.add_task(collect)


def test_a_callable_without_a_signature_fails_in_the_worker(system: TaskSystem) -> None:
    result = system.add_task(int, 1, 2, 3)
    assert isinstance(result.exception(PATIENCE_S), TypeError)
    assert result.status is TaskStatus.FAILED


def test_a_keyword_that_could_be_meant_either_way_is_an_error(system: TaskSystem) -> None:
    def job(name: str = "nobody", priority: int = 0) -> tuple[str, int]:
        return name, priority

    def anything(**kwargs: Any) -> dict[str, Any]:
        return kwargs

    for fn in (job, anything):
        for keyword in ({"name": "x"}, {"priority": 1}):
            with pytest.raises(TypeError, match="with_options"):
                system.add_task(fn, **keyword)
    assert system.stats().submitted == 0
    # What the error names works
    assert system.task(job).with_options(name="task").submit(name="x", priority=3).wait(PATIENCE_S) == ("x", 3)
    assert system.task(anything).submit(timeout_ms=1).wait(PATIENCE_S) == {"timeout_ms": 1}
    # And other options are no conflict
    assert system.add_task(job, max_retries=1).wait(PATIENCE_S) == ("nobody", 0)


def test_an_unknown_option_of_the_decorator_is_an_error(system: TaskSystem) -> None:
    with pytest.raises(TypeError, match="retries"):
        system.task(retries=3)
    with pytest.raises(TypeError, match="retries"):
        system.task(scale).with_options(retries=3)


@pytest.mark.parametrize(
    ("keyword", "told"),
    [
        ("max_retrys", "did you mean 'max_retries'? the options are priority, "),
        ("evry", "did you mean 'every'? the options are priority, "),
        ("nothing_like_it", "'nothing_like_it' is not a task option: the options are priority, "),
        ("workers", "a parameter of the whole system: give it to TaskSystem(workers=...)"),
    ],
)
def test_an_unknown_option_is_told_with_the_nearest_and_all_of_them(
    system: TaskSystem, keyword: str, told: str
) -> None:
    for declare in (system.task, system.task(scale).with_options, functools.partial(system.add_tasks, scale, [(1,)])):
        with pytest.raises(TypeError) as caught:
            declare(**{keyword: 3})
        assert told in str(caught.value)
    assert system.stats().submitted == 0


def test_an_option_of_a_schedule_has_its_place(system: TaskSystem) -> None:
    for declare in (system.task(scale).with_options, functools.partial(system.add_tasks, scale, [(1,)])):
        with pytest.raises(TypeError, match=r"'every' is an option of a schedule .*@app\.task\(every=\.\.\.\)"):
            declare(every=3)


@pytest.mark.parametrize(
    ("keyword", "told"),
    [
        ("max_retrys", "did you mean the option 'max_retries'?"),
        ("valeu", "did you mean the argument 'value'?"),
        ("cron", "cron is an option of a schedule"),
        ("zzz", "unexpected keyword argument 'zzz'"),
    ],
)
def test_a_keyword_that_fits_neither_function_nor_options(system: TaskSystem, keyword: str, told: str) -> None:
    for submit in (functools.partial(system.add_task, scale), system.task(scale).submit):
        with pytest.raises(TypeError, match=re.escape(told)):
            submit(1, **{keyword: 3})
    assert system.stats().submitted == 0


def test_an_option_that_submit_takes_for_an_argument(system: TaskSystem) -> None:
    with pytest.raises(TypeError, match=r"task\.with_options\(max_retries=\.\.\.\)\.submit\(\.\.\.\)"):
        system.task(scale).submit(1, max_retries=3)  # type: ignore[call-arg]


def test_what_a_call_gave_in_the_place_of_the_function(system: TaskSystem) -> None:
    add: Any = system.add_task
    with pytest.raises(TypeError, match=r"6 \(an int\) is neither: pass the function and its arguments, add_task\("):
        add(scale(3))


def test_a_coroutine_in_the_place_of_its_function_is_closed(system: TaskSystem) -> None:
    async def fetch(url: str) -> str:
        return url

    for submit in (system.add_task, system.task, lambda fn: system.add_tasks(fn, [()])):
        coroutine: Any = fetch("here")
        with pytest.raises(TypeError, match=r"fetch\(\.\.\.\) gave a coroutine.*add_task\(.*fetch, \.\.\.\)"):
            submit(coroutine)
        assert coroutine.cr_frame is None  # closed: Python does not warn of it as well


def rows_of(n: int) -> Iterator[int]:
    yield from range(n)


async def pages_of(n: int) -> AsyncIterator[int]:
    yield n


class Reader:
    def rows(self, n: int) -> Iterator[int]:
        yield n

    def __call__(self, n: int) -> Iterator[int]:
        yield n


@pytest.mark.parametrize(
    "fn",
    [rows_of, functools.partial(rows_of, 3), Reader().rows, Reader(), functools.partial(Reader().rows, 3)],
    ids=["function", "partial", "method", "object", "partial of a method"],
)
def test_a_generator_function_is_refused_wherever_it_is_given(system: TaskSystem, fn: Any) -> None:
    # Given a task to follow
    done = system.add_task(scale, 1)

    async def submit_async(given: Any) -> None:
        await system.add_task_async(given, 1)

    # When it is submitted in any way, its body would never run: then it is refused
    for submit in (
        lambda given: system.add_task(given, 1),
        lambda given: system.add_task(given, 1, priority=TaskPriority.HIGH),
        lambda given: system.add_tasks(given, [(1,)]),
        lambda given: system.add_tasks(given, buffers=(array("d", [1.0]),)),
        lambda given: asyncio.run(submit_async(given)),
        lambda given: system.add_schedule(given, 1, every=60),
        done.then,
        system.task,
        system.task(max_retries=1),
    ):
        with pytest.raises(TypeError, match=r"(rows_of|rows|Reader) cannot be a task: it is a generator function"):
            submit(fn)
    assert done.wait(PATIENCE_S) == 2
    assert system.stats().submitted == 1


def test_what_to_do_about_a_generator_function(system: TaskSystem) -> None:
    with pytest.raises(TypeError, match=r"def task\(\.\.\.\): return list\(rows_of\(\.\.\.\)\)"):
        system.add_task(rows_of, 3)
    assert system.add_task(lambda n: list(rows_of(n)), 3).wait(PATIENCE_S) == [0, 1, 2]


def test_an_asynchronous_generator_function_is_refused(system: TaskSystem) -> None:
    for submit in (system.add_task, system.task):
        with pytest.raises(TypeError, match=r"async def task.*\[item async for item in pages_of\(\.\.\.\)\]"):
            submit(pages_of)


def test_a_coroutine_that_somebody_runs_is_left_to_them(system: TaskSystem) -> None:
    async def outer() -> int:
        asked: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def inner() -> int:
            return await asked

        coroutine: Any = inner()
        running: Any = asyncio.ensure_future(coroutine)
        await asyncio.sleep(0)
        with pytest.raises(TypeError, match="gave a coroutine"):
            system.add_task(coroutine)
        with pytest.raises(TypeError, match="an awaitable that belongs to an event loop"):
            system.add_task(running)
        asked.set_result(5)
        return int(await running)

    assert asyncio.run(outer()) == 5


def test_a_result_in_the_place_of_a_function(system: TaskSystem) -> None:
    result: Any = system.add_task(scale, 1)
    with pytest.raises(TypeError, match=r"submitted already: use its then\(fn\)"):
        system.add_task(result)


def test_rows_that_are_none(system: TaskSystem) -> None:
    rows: Any = 3
    with pytest.raises(TypeError, match=r"an iterable of rows, .* not an int"):
        system.add_tasks(scale, rows)

    def broken() -> Iterator[tuple[int]]:
        yield (1,)
        raise TypeError("of the iterable's own")

    with pytest.raises(TypeError, match="of the iterable's own"):
        system.add_tasks(scale, broken())


def test_a_lane_that_is_none(system: TaskSystem) -> None:
    lane: Any = "HIGH"
    with pytest.raises(TypeError, match=r"lane='HIGH' is not a priority: did you mean TaskPriority\.HIGH\?"):
        system.pause(lane)


def test_a_task_of_a_task_is_an_error(system: TaskSystem) -> None:
    task = system.task(scale)
    with pytest.raises(TypeError, match="with_options"):
        system.task(task)


def test_a_wrong_decorator_order_is_explained(system: TaskSystem) -> None:
    with pytest.raises(TypeError, match="above"):
        system.task(staticmethod(scale))


def test_a_closed_system_refuses_by_every_way(open_system: OpenSystem) -> None:
    system = open_system()
    task = system.task(scale)
    system.shutdown(timeout=PATIENCE_S)
    for submit in (lambda: system.add_task(scale, 1), lambda: task.submit(1), lambda: system.add_tasks(scale, [(1,)])):
        with pytest.raises(SystemClosed):
            submit()


def test_a_function_that_was_submitted_can_be_freed(system: TaskSystem) -> None:

    watches = []
    for n in range(50):

        def local(value: int, n: int = n) -> int:
            return value + n

        assert system.add_task(local, 1).wait(PATIENCE_S) == 1 + n
        watches.append(weakref.ref(local))
        del local
    system.add_task(int).wait(PATIENCE_S)
    eventually(lambda: gc.collect() >= 0 and not any(watch() for watch in watches), "every function was freed")


def test_what_is_bound_is_called_as_it_was_given_and_freed(system: TaskSystem) -> None:
    class Counter:
        def __init__(self) -> None:
            self.seen: list[tuple[object, ...]] = []

        def take(self, *args: object) -> int:
            self.seen.append((*args, current_task().name))
            return len(self.seen)

    counter, name = Counter(), f"{__name__}.{Counter.take.__qualname__}"
    assert system.add_task(counter.take, "a").wait(PATIENCE_S) == 1
    assert system.add_task(functools.partial(counter.take, "b"), "c").wait(PATIENCE_S) == 2
    assert system.add_task(functools.partial(Counter.take, counter, "d"), "e").wait(PATIENCE_S) == 3
    assert system.add_task(functools.partial(int, base=2), "101").wait(PATIENCE_S) == 5
    assert system.add_task(functools.partial(int, "101"), 2).wait(PATIENCE_S) == 5
    assert system.add_task([1, 2].index, 2).wait(PATIENCE_S) == 1
    assert system.add_task(len, "four").wait(PATIENCE_S) == 4
    assert counter.seen == [("a", name), ("b", "c", name), ("d", "e", name)]
    watch = weakref.ref(counter)
    del counter
    system.add_task(int).wait(PATIENCE_S)
    eventually(lambda: gc.collect() >= 0 and watch() is None, "the object was freed")


def everything(*args: object, **kwargs: object) -> tuple[object, ...]:
    return (*args, kwargs)


def test_a_partial_is_called_with_what_it_holds(system: TaskSystem) -> None:
    class Loud(functools.partial[tuple[object, ...]]):
        def __call__(self, /, *args: object, **kwargs: object) -> tuple[object, ...]:
            return ("loud", *super().__call__(*args, **kwargs))

    many = tuple(range(20))
    call = functools.partial(everything, 1)
    for _ in range(2):  # the second time its plan is known
        assert system.add_task(functools.partial(everything)).wait(PATIENCE_S) == ({},)
        assert system.add_task(call).wait(PATIENCE_S) == (1, {})
        assert system.add_task(call, 2).wait(PATIENCE_S) == (1, 2, {})
        assert system.add_task(functools.partial(everything, *many), *many).wait(PATIENCE_S) == (*many, *many, {})
        assert system.add_task(functools.partial(call, 2), 3).wait(PATIENCE_S) == (1, 2, 3, {})
        assert system.add_task(Loud(everything, 1), 2).wait(PATIENCE_S) == ("loud", 1, 2, {})
    call.keywords["key"] = 3
    assert system.add_task(call, 2).wait(PATIENCE_S) == (1, 2, {"key": 3})
    error = ValueError("held")
    with pytest.raises(ValueError, match="held"):
        system.add_task(functools.partial(throw, error)).wait(PATIENCE_S)


def throw(error: Exception) -> None:
    raise error


def test_a_bound_method_says_which_arguments_do_not_fit(system: TaskSystem) -> None:
    with pytest.raises(TypeError, match=r"One\.two.*too many positional arguments"):
        system.add_task(One().two, 1, 2)


class One:
    def two(self, number: int) -> int:
        return number
