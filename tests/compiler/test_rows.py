"""Batches of rows that run as C in parts: as the same batch as Python, row by row."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from differential import alike
from hypothesis import given, settings
from hypothesis import strategies as st

from catzilla import TaskSystem, columns
from catzilla.columns import LARGE
from catzilla.compiling import MOST_DEOPTS
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.errors import QueueFull, TaskCancelled
from catzilla.interface import COMPLETED
from catzilla.priority import TaskStatus
from catzilla.rows import LEAST_ROWS, MOST_ROWS, SLICE, Rows

ROWS = 3 * LEAST_ROWS


def price(n: int, k: int) -> int:
    return n * k + 1


def mean(x: float, y: float) -> float:
    return (x + y) / 2


def within(n: int, flag: bool) -> bool:
    return flag and n > 3


def ratio(a: int, b: int) -> float:
    return a / b


def scaled(n: int, factor: int = 7) -> int:
    return n * factor


def either(n: int) -> int:
    if n % 2:
        raise ValueError(f"odd: {n}")
    return n // 2


def spin(n: int) -> int:
    total = 0
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total


FACTOR = 3


def with_global(n: int) -> int:
    return n * FACTOR


@pytest.fixture
def open_system(backend_name: str) -> Iterator[Callable[..., TaskSystem]]:
    systems: list[TaskSystem] = []

    def open_one(**options: Any) -> TaskSystem:
        options = {"workers": 2, "enable_auto_scaling": False, "queue_size": 1_000_000} | options
        systems.append(TaskSystem(backend=backend_name, **options))
        return systems[-1]

    yield open_one
    for system in systems:
        system.resume()
        system.shutdown(timeout=5, cancel_pending=True)


@pytest.fixture
def system(open_system: Callable[..., TaskSystem]) -> TaskSystem:
    return open_system()


def ready(system: TaskSystem, fn: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """A task whose kernel is there."""
    task = system.task(compile_to_c=True, **options)(fn)
    task.submit(*args).wait(PATIENCE_S)
    native = system.submitting.plan_for(task, None).owner.native
    eventually(lambda: native.state == "ready", native.reason or "")
    return task


def batch(system: TaskSystem, task: Any, rows: Any, **options: Any) -> Any:
    """One that goes in parts."""
    result = system.add_tasks(task, rows, **options)
    assert isinstance(result._handles, Rows)
    return result


def outcomes(fn: Any, rows: list[tuple[Any, ...]]) -> list[Any]:
    found: list[Any] = []
    for row in rows:
        try:
            found.append(fn(*row))
        except Exception as error:
            found.append(error)
    return found


def same(result: Any, wanted: list[Any]) -> None:
    errors = result.exceptions(PATIENCE_S)
    assert len(errors) == len(wanted) == len(result)
    for handle, error, value in zip(result, errors, wanted, strict=True):
        if isinstance(value, Exception):
            assert (type(error), str(error), handle.status) == (type(value), str(value), TaskStatus.FAILED)
        else:
            assert error is None
            assert alike(handle.wait(), value)


# -- values ------------------------------------------------------------------------------------

EDGES = [0, 1, -1, 2**15, 2**30 - 1, 2**30, -(2**30), 2**31, 2**53 + 1, 2**62, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1]
EDGES += [10**30]
FLOATS = [0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308]


@pytest.mark.parametrize("fn", [price, mean, within, ratio, scaled, either])
def test_as_the_interpreter(fn: Any, system: TaskSystem) -> None:
    """Edge values, wrong types, bool for int, ints beyond 64 bits, rows with and without a default."""
    kinds: dict[Any, list[Any]] = {int: EDGES, float: FLOATS, bool: [True, False]}
    types = [kinds[eval(kind)] for name, kind in fn.__annotations__.items() if name != "return"]
    choose = random.Random(7)
    plain = [tuple(choose.choice(values[:9]) for values in types) for _ in range(ROWS)]
    task = ready(system, fn, *plain[0])
    same(batch(system, task, plain), outcomes(fn, plain))
    mixed = list(plain)
    wrong = [True, 2, 2.5, "a", None, 10**25, [1]]
    for at in range(3, ROWS, 16):
        mixed[at] = tuple(choose.choice([choose.choice(values), choose.choice(wrong)]) for values in types)
    if fn is scaled:
        mixed[5], mixed[6] = (4,), (5, 6)
    same(batch(system, task, mixed), outcomes(fn, mixed))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(-(2**70), 2**70), st.booleans(), st.sampled_from(EDGES), st.floats()),
            st.integers(-(2**33), 2**33),
        ),
        max_size=60,
    )
)
def test_any_rows(rows: list[tuple[Any, ...]]) -> None:
    system, task = shared()
    rows = rows + [(n, n) for n in range(8 * len(rows) + LEAST_ROWS)]
    same(system.add_tasks(task, rows), outcomes(price, rows))


_shared: list[Any] = []


def shared() -> Any:
    if not _shared:
        system = TaskSystem(workers=2, queue_size=100_000)
        _shared.extend([system, ready(system, price, 1, 2)])
    return _shared


@pytest.fixture(scope="module", autouse=True)
def close_shared() -> Iterator[None]:
    yield
    for system in _shared[:1]:
        system.shutdown(timeout=5)
    _shared.clear()


def test_wait_gives_a_list(system: TaskSystem) -> None:
    task = ready(system, price, 1, 2)
    rows = [(n, 3) for n in range(ROWS)]
    result = batch(system, task, rows)
    assert result.wait(PATIENCE_S) == [3 * n + 1 for n in range(ROWS)]
    assert result.wait(0) == result.wait()
    assert result.done()
    assert repr(result) == f"<BatchResult {ROWS} of {ROWS} done>"


def test_columns_of_rows_and_back(system: TaskSystem) -> None:
    """What a backend with the feature does in one go, for each kind of number and at its edges."""
    queue = system.engine.queue
    ints = [*EDGES[:12], 255, 256, 257, -5, -6, -256, -257, 2**60 - 1, 2**60, -(2**60)]
    rows = [(value, FLOATS[at % len(FLOATS)], at % 3 == 0) for at, value in enumerate(ints)]
    made = bytearray(8 * len(rows)), bytearray(8 * len(rows)), bytearray(len(rows))
    middle = len(rows) // 2
    assert queue.pack_rows(rows, b"idb>i", (), middle, len(rows), made) == []
    assert queue.unpack_rows(made[0], "q", 0, middle) == [0] * middle  # not asked for
    assert queue.pack_rows(rows, b"idb>i", (), 0, middle, made) == []
    for column, letter, wanted in zip(made, "qd?", zip(*rows, strict=True), strict=True):
        values = queue.unpack_rows(column, letter, 0, len(rows))
        assert alike(values, list(wanted))
        assert alike(queue.unpack_rows(column, letter, 3, 5), values[3:5])
        for begin, end in ((0, len(rows) + 1), (-1, 2), (3, 2)):
            with pytest.raises(ValueError, match="unpack_rows"):
                queue.unpack_rows(column, letter, begin, end)
    rows[2], rows[5] = (2**63, 0.5, True), (1, 2, True)
    assert queue.pack_rows(rows, b"idb>i", (), 1, 7, made) == [1, 4]
    assert queue.unpack_rows(made[0], "q", 0, 7) == [*ints[:2], 0, *ints[3:5], 0, ints[6]]
    assert queue.pack_rows([*rows[1:], (1,)], b"idb>i", (True,), 0, len(rows), made) is None
    short = bytearray(8 * len(rows)), bytearray(8 * len(rows)), bytearray(len(rows) - 1)
    with pytest.raises(ValueError, match="columns with room"):
        queue.pack_rows(rows, b"idb>i", (), 0, len(rows), short)
    for column in short:
        column.append(0)  # none is held any more
    with pytest.raises(ValueError, match="pack_rows"):
        queue.pack_rows(rows, b"idb>i", (), 0, len(rows), short[:2])


@pytest.mark.parametrize("large", [LARGE, 1 << 62], ids=["huge pages", "none"])
def test_long_batches(large: int, system: TaskSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than one part, one slice of a part, and what is asked of the system for large buffers. Results lie
    where arguments were: those of a row that goes back to Python are still there."""
    monkeypatch.setattr(columns, "LARGE", large)
    task = ready(system, price, 1, 2)
    count = max(LARGE // 8, 2 * MOST_ROWS) + 5
    rows: list[Any] = [(n, 3) for n in range(count)]
    wanted = [3 * n + 1 for n in range(count)]
    for at in (0, 1, SLICE - 1, SLICE, MOST_ROWS - 1, MOST_ROWS, MOST_ROWS + SLICE + 7, count - 1):
        rows[at] = (2**62 + at, 3) if at % 2 else (2**63 + at, 3)  # the kernel leaves it; it does not fit
        wanted[at] = rows[at][0] * 3 + 1
    result = batch(system, task, rows)
    assert len(result._handles.parts) > 2
    assert result.wait(PATIENCE_S) == wanted
    assert [result[at].wait() for at in range(SLICE - 3, SLICE + 3)] == wanted[SLICE - 3 : SLICE + 3]


def test_many_parts(system: TaskSystem) -> None:
    task = ready(system, price, 1, 2)
    count = 2 * MOST_ROWS + 5
    result = batch(system, task, [(n, 2) for n in range(count)])
    assert len(result._handles.parts) > 2
    assert result[count - 1].wait(PATIENCE_S) == 2 * count - 1
    assert result.wait(PATIENCE_S) == [2 * n + 1 for n in range(count)]
    assert [handle.wait() for handle in result[MOST_ROWS - 1 : MOST_ROWS + 2]] == [
        2 * n + 1 for n in range(MOST_ROWS - 1, MOST_ROWS + 2)
    ]


def test_rows_from_anywhere(system: TaskSystem) -> None:
    task = ready(system, price, 1, 2)
    rows = [(n, 3) for n in range(ROWS)]
    for source in (iter(rows), (row for row in rows), tuple(rows), dict.fromkeys(rows)):
        assert batch(system, task, source).wait(PATIENCE_S) == [3 * n + 1 for n in range(ROWS)]
    assert system.add_tasks(task, []).wait(0) == []
    assert system.add_tasks(task, iter(())).done()

    class Row(tuple):
        pass

    odd = [Row(row) if row[0] % 50 == 0 else row for row in rows]
    assert batch(system, task, odd).wait(PATIENCE_S) == [3 * n + 1 for n in range(ROWS)]


@pytest.mark.parametrize("wrong", [(1,), (1, 2, 3), [1, 2], 5, None, ()])
def test_a_row_that_cannot_be_called(wrong: Any, system: TaskSystem) -> None:
    task = ready(system, price, 1, 2)
    before = system.stats()
    rows: list[Any] = [(n, 3) for n in range(ROWS)]
    rows[ROWS - 2] = wrong
    with pytest.raises(TypeError, match=f"row {ROWS - 2} of add_tasks"):
        system.add_tasks(task, rows)
    assert (system.stats().submitted, system.stats().total_queued) == (before.submitted, 0)


# -- statistics --------------------------------------------------------------------------------


def test_each_row_is_counted(system: TaskSystem) -> None:
    task = ready(system, either, 2)
    before = system.stats()
    rows = [(2 * n,) for n in range(ROWS)]
    rows[10] = (11,)
    rows[20] = (10**30,)
    result = batch(system, task, rows)
    assert isinstance(result.exceptions(PATIENCE_S)[10], ValueError)
    _ = [handle.done() for handle in result]  # looking at them makes handles, and no tasks
    after = system.stats()
    assert after.submitted - before.submitted == ROWS
    assert after.completed - before.completed == ROWS - 1
    assert after.failed - before.failed == 1
    assert after.native_executions - before.native_executions == ROWS - 2
    assert after.deopts - before.deopts == 2
    assert (after.total_queued, system.unfinished()) == (0, 0)


def test_waiting_rows_are_in_the_lane(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(queue_size=4 * ROWS)
    task = ready(system, price, 1, 2)
    system.pause()
    rows = [(n, 3) for n in range(ROWS)]
    first = batch(system, task, rows)
    assert (system.stats().total_queued, system.stats().normal_queue_size) == (ROWS, ROWS)
    batch(system, task, rows * 3)
    with pytest.raises(QueueFull, match=f"none of the {ROWS} tasks"):
        system.add_tasks(task, rows)
    system.resume()
    assert first.wait(PATIENCE_S) == [3 * n + 1 for n in range(ROWS)]
    assert system.drain(PATIENCE_S)
    assert system.stats().total_queued == 0


# -- handles -----------------------------------------------------------------------------------


def test_a_handle_of_a_row_that_waits(system: TaskSystem) -> None:
    task = ready(system, price, 1, 2)
    before = system.stats()
    system.pause()
    result = batch(system, task, [(n, 3) for n in range(ROWS)])
    handle = result[5]
    called: list[Any] = []
    handle.add_callback(called.append)
    assert (handle.status, handle.done(), handle is result[5]) == (TaskStatus.PENDING, False, True)
    with pytest.raises(TimeoutError):
        handle.wait(0.01)
    with pytest.raises(TimeoutError):
        result.wait(0.01)
    assert system.get_task(handle.task_id) is handle
    assert system.stats().submitted - before.submitted == ROWS
    following = handle.then(lambda value: value + 1)
    system.resume()
    assert (handle.wait(PATIENCE_S), following.wait(PATIENCE_S)) == (16, 17)
    eventually(lambda: called == [handle], "its callback")
    assert (handle.status, handle.exception(), result[-1].wait(PATIENCE_S)) == (
        TaskStatus.COMPLETED,
        None,
        3 * ROWS - 2,
    )
    assert system.drain(PATIENCE_S)
    assert system.stats().completed - before.completed == ROWS + 1


def test_handles_of_all_rows_before_they_run(system: TaskSystem) -> None:
    task = ready(system, price, 1, 2)
    before = system.stats()
    system.pause()
    result = batch(system, task, [(n, 3) for n in range(ROWS)])
    handles = list(result)
    system.resume()
    assert [handle.wait(PATIENCE_S) for handle in handles] == [3 * n + 1 for n in range(ROWS)]
    assert result.wait(PATIENCE_S) == [3 * n + 1 for n in range(ROWS)]
    assert system.drain(PATIENCE_S)
    assert system.stats().completed - before.completed == ROWS
    assert all(one is other for one, other in zip(result, handles, strict=True))


def test_await_rows(system: TaskSystem) -> None:
    task = ready(system, price, 1, 2)

    async def main() -> list[int]:
        result = batch(system, task, [(n, 3) for n in range(ROWS)])
        return [await handle for handle in result]

    assert asyncio.run(main()) == [3 * n + 1 for n in range(ROWS)]


def test_a_task_that_waits_for_its_batch(open_system: Callable[..., TaskSystem]) -> None:
    """With one worker: a helper runs the parts."""
    system = open_system(workers=1)
    task = ready(system, price, 1, 2)
    rows = [(n, 3) for n in range(ROWS)]

    def outer() -> tuple[int, int]:
        result = batch(system, task, rows)
        return result[7].wait(PATIENCE_S), sum(result.wait(PATIENCE_S))

    assert system.add_task(outer).wait(PATIENCE_S) == (22, sum(3 * n + 1 for n in range(ROWS)))


# -- failures, cancel, the end -----------------------------------------------------------------


def test_a_failure_is_of_its_row(system: TaskSystem) -> None:
    task = ready(system, either, 2)
    failed: list[Any] = []
    system.on_task_failure(failed.append)
    rows = [(2 * n,) for n in range(ROWS)]
    rows[33], rows[70] = (3,), (5,)
    result = batch(system, task, rows)
    with pytest.raises(ValueError, match="odd: 3") as caught:
        result.wait(PATIENCE_S)
    names = [entry.name for entry in caught.traceback]
    assert names[-1] == "either"
    assert "_interpret" not in names
    assert [handle.wait() for handle in failed if handle.status == TaskStatus.COMPLETED] == []
    assert sorted(str(handle.exception()) for handle in failed) == ["odd: 3", "odd: 5"]
    assert result[34].wait() == 34


def test_an_unretrieved_failure_is_logged(system: TaskSystem, caplog: pytest.LogCaptureFixture) -> None:
    task = ready(system, either, 2)
    rows = [(2 * n,) for n in range(ROWS)]
    rows[33] = (3,)
    with caplog.at_level(logging.ERROR, logger="catzilla.tasks"):
        result = batch(system, task, rows)
        eventually(result.done, "the batch")
        del result

        def told() -> bool:
            gc.collect()
            return system.stats().unretrieved_failures == 1

        eventually(told, "the failure was told of")


def test_deopts_in_a_row_pin_it(system: TaskSystem) -> None:
    task = ready(system, either, 2)
    rows = [(2 * n,) if n < 100 else (2 * n + 1,) for n in range(ROWS)]
    result = batch(system, task, rows)
    assert sum(error is not None for error in result.exceptions(PATIENCE_S)) == ROWS - 100
    assert system.stats().deopts == MOST_DEOPTS
    assert "runs as Python again" in task.explain()
    assert [handle.wait() for handle in result[:100]] == list(range(100))


def test_cancel_what_waits(system: TaskSystem) -> None:
    task = ready(system, price, 1, 2)
    before = system.stats()
    system.pause()
    result = batch(system, task, [(n, 3) for n in range(ROWS)])
    assert result[3].cancel()
    assert (result[3].status, result[3].cancel()) == (TaskStatus.CANCELLED, False)
    assert result.cancel() == ROWS - 1
    assert result.cancel() == 0
    assert result.done()
    with pytest.raises(TaskCancelled):
        result.wait(PATIENCE_S)
    assert all(isinstance(error, TaskCancelled) for error in result.exceptions(PATIENCE_S))
    after = system.stats()
    assert (after.cancelled - before.cancelled, after.submitted - before.submitted) == (ROWS, ROWS)
    assert (after.total_queued, system.unfinished()) == (0, 0)
    assert {handle.status for handle in result} == {TaskStatus.CANCELLED}
    assert system.stats().cancelled == after.cancelled


def test_cancel_one_row_that_waits(system: TaskSystem) -> None:
    task = ready(system, price, 1, 2)
    system.pause()
    result = batch(system, task, [(n, 3) for n in range(ROWS)])
    assert result[3].cancel()
    system.resume()
    errors = result.exceptions(PATIENCE_S)
    assert [index for index, error in enumerate(errors) if error is not None] == [3]
    assert result[4].wait() == 13
    assert system.drain(PATIENCE_S)
    assert system.unfinished() == 0


def test_cancel_a_row_inside_its_loop(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system(workers=1)
    task = ready(system, spin, 1)
    rows = [(10,)] * ROWS
    rows[1] = (10**13,)
    result = batch(system, task, rows)
    part = result._handles.parts[0]
    eventually(lambda: part.handle in system.compiling.running and part.started, "it runs")
    handle = result[1]
    eventually(lambda: handle.status == TaskStatus.RUNNING, "the row")
    assert handle.cancel() is False
    assert isinstance(handle.exception(PATIENCE_S), TaskCancelled)
    assert handle.status == TaskStatus.CANCELLED
    assert [index for index, error in enumerate(result.exceptions(PATIENCE_S)) if error is not None] == [1]
    assert result[2].wait() == spin(10)


def test_cancel_a_batch_that_runs(system: TaskSystem) -> None:
    task = ready(system, spin, 1)
    before = system.stats()
    result = batch(system, task, [(10**13,)] * ROWS)
    eventually(lambda: len(system.compiling.running) == 2, "two parts run")
    result.cancel()
    assert all(isinstance(error, TaskCancelled) for error in result.exceptions(PATIENCE_S))
    eventually(lambda: not system.compiling.running, "nothing runs")
    assert system.stats().cancelled - before.cancelled == ROWS
    assert system.unfinished() == 0


def test_shutdown_while_it_runs(open_system: Callable[..., TaskSystem]) -> None:
    system = open_system()
    task = ready(system, spin, 1)
    result = batch(system, task, [(10**13,)] * ROWS)
    eventually(lambda: len(system.compiling.running) == 2, "two parts run")
    report = system.shutdown(timeout=0.1)
    assert len(report.abandoned) == 2
    assert all(isinstance(error, TaskCancelled) for error in result.exceptions(PATIENCE_S))
    eventually(lambda: not system.compiling.running, "nothing runs")


FORK = """
import os, sys
from catzilla import TaskSystem
from catzilla.errors import TaskLostInFork
import test_rows

system = TaskSystem(backend=sys.argv[1], workers=1)
task = test_rows.ready(system, test_rows.price, 1, 2)
system.pause()
result = test_rows.batch(system, task, [(n, 3) for n in range(test_rows.ROWS)])
seen = result[1]
if os.fork() == 0:
    for handle in (seen, result[2]):
        try:
            handle.wait(5)
        except TaskLostInFork:
            print("lost", flush=True)
    os._exit(0)
os.wait()
system.resume()
print(sum(result.wait()))
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork")
def test_fork(backend_name: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORK, backend_name]
    here = {"PYTHONPATH": str(Path(__file__).parent)}  # also where the current directory is not searched
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, env=os.environ | here)
    assert done.stdout.split() == ["lost", "lost", str(sum(3 * n + 1 for n in range(ROWS)))], done.stderr


def test_a_global_that_changes(system: TaskSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    task = ready(system, with_global, 1)
    system.pause()
    result = batch(system, task, [(n,) for n in range(ROWS)])
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 4)
    system.resume()
    assert result.wait(PATIENCE_S) == [4 * n for n in range(ROWS)]


def test_the_context_is_the_submitters(system: TaskSystem) -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)
    seen: list[int] = []

    class Number:
        def __mul__(self, other: int) -> int:
            seen.append(variable.get())
            variable.set(99)
            return other

    task = ready(system, price, 1, 2)
    variable.set(5)
    rows: list[Any] = [(n, 3) for n in range(ROWS)]
    rows[4] = rows[50] = (Number(), 3)
    assert batch(system, task, rows)[50].wait(PATIENCE_S) == 4
    assert seen == [5, 5]


@pytest.mark.parametrize(
    "options", [{"timeout_ms": 10_000}, {"max_retries": 1}, {"delay_ms": 1}, {"max_concurrency": 3}], ids=str
)
def test_options_make_tasks_of_rows(options: dict[str, Any], system: TaskSystem) -> None:
    task = ready(system, price, 1, 2, **options)
    result = system.add_tasks(task, [(n, 3) for n in range(ROWS)])
    assert not isinstance(result._handles, Rows)
    assert result.wait(PATIENCE_S) == [3 * n + 1 for n in range(ROWS)]


def test_many_threads_look(system: TaskSystem) -> None:
    """Handles are made while the parts run, by several threads at once."""
    task = ready(system, price, 1, 2)
    before = system.stats()
    wrong: list[Any] = []
    rounds = 30

    def look(result: Any, seed: int) -> None:
        order = random.Random(seed).sample(range(len(result)), len(result))
        for index in order:
            if result[index].wait(PATIENCE_S) != 3 * index + 1:
                wrong.append(index)

    for _ in range(rounds):
        result = batch(system, task, [(n, 3) for n in range(4 * ROWS)])
        threads = [threading.Thread(target=look, args=(result, seed)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
    assert system.drain(PATIENCE_S)
    assert system.stats().completed - before.completed == 4 * ROWS * rounds


def test_nothing_is_left_behind(system: TaskSystem) -> None:
    task = ready(system, either, 2)
    rows = [(2 * n,) for n in range(ROWS)]
    rows[7] = (1,)
    result = batch(system, task, rows)
    result.exceptions(PATIENCE_S)
    part = result._handles.parts[0]
    handle = result[7]
    assert (handle.ext.row, handle.ext.follows, part.handle.ext.on_settled) == (None, None, None)
    assert result[8].state() == COMPLETED
    eventually(lambda: not system.compiling.running, "nothing runs")
    time.sleep(0)
