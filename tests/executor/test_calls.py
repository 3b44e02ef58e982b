"""submit, and what a call's Future does."""

from __future__ import annotations

import asyncio
import contextvars
import decimal
import gc
import logging
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, as_completed, wait
from typing import Any

import pytest

from catzilla.background_tasks import current_task
from catzilla.conformance.rig import eventually
from catzilla.executor import TaskExecutor

from .conftest import PATIENCE_S, MakeExecutor


def capture(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def fail(error: BaseException) -> None:
    raise error


class Busy:
    """All workers of an executor, busy until ``free``."""

    def __init__(self, executor: Any, workers: int = 1) -> None:
        self._free = threading.Event()
        arrived = threading.Barrier(workers + 1)

        def occupy() -> None:
            arrived.wait(PATIENCE_S)
            assert self._free.wait(PATIENCE_S)

        self.futures = [executor.submit(occupy) for _ in range(workers)]
        arrived.wait(PATIENCE_S)

    def free(self) -> None:
        self._free.set()
        for future in self.futures:
            future.result(PATIENCE_S)


def test_every_keyword_is_the_functions(make_either: MakeExecutor) -> None:
    """Also those that are options of a task, or parameters of submit."""
    keywords = dict.fromkeys(
        ["self", "fn", "args", "kwargs", "priority", "timeout_ms", "name", "callable", "future"], 1
    )
    assert make_either(1).submit(capture, 1, 2, **keywords).result(PATIENCE_S) == ((1, 2), keywords)


def test_submit_needs_a_function(make_either: MakeExecutor) -> None:
    with pytest.raises(TypeError):
        make_either(1).submit()
    with pytest.raises(TypeError):
        make_either(1).submit(fn=capture)


def test_what_cannot_be_called_fails_in_the_future(make_either: MakeExecutor) -> None:
    executor = make_either(1)
    assert isinstance(executor.submit(3).exception(PATIENCE_S), TypeError)
    assert isinstance(executor.submit(capture.__get__, 1, 2, 3, 4).exception(PATIENCE_S), TypeError)


def test_a_coroutine_function_gives_its_coroutine(make_either: MakeExecutor) -> None:
    async def coroutine() -> int:
        return 5

    given = make_either(1).submit(coroutine).result(PATIENCE_S)
    assert asyncio.run(given) == 5


def test_a_generator_function_gives_its_generator(make_either: MakeExecutor) -> None:
    def count(most: int) -> Iterator[int]:
        yield from range(most)

    assert list(make_either(1).submit(count, 3).result(PATIENCE_S)) == [0, 1, 2]


def test_a_future_is_one(make: Callable[..., TaskExecutor]) -> None:
    executor = make(1)
    busy = Busy(executor)
    future = executor.submit(int, "7")
    assert isinstance(future, Future)
    assert not future.running()
    assert not future.done()
    assert busy.futures[0].running()
    seen: list[Future[int]] = []
    future.add_done_callback(seen.append)
    busy.free()
    assert future.result(PATIENCE_S) == 7
    assert future.done()
    executor.shutdown()
    assert seen == [future]


@pytest.mark.parametrize(
    "error_type", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, CancelledError, StopIteration]
)
def test_whatever_a_call_raises_is_its_futures(make_either: MakeExecutor, error_type: type[BaseException]) -> None:
    executor = make_either(1)
    error = error_type("it")
    assert executor.submit(fail, error).exception(PATIENCE_S) is error
    assert executor.submit(int, "3").result(PATIENCE_S) == 3  # the thread lives


def test_an_exception_keeps_its_traceback(make_either: MakeExecutor) -> None:
    def inner() -> None:
        raise LookupError("it")

    def outer() -> None:
        inner()

    future = make_either(1).submit(outer)
    for _ in range(3):
        with pytest.raises(LookupError) as caught:
            future.result(PATIENCE_S)
        names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert names[-2:] == ["outer", "inner"]


def test_a_failure_is_not_reported_as_unretrieved(
    make: Callable[..., TaskExecutor], caplog: pytest.LogCaptureFixture
) -> None:
    """As with ThreadPoolExecutor: nobody has to look into a Future."""
    with caplog.at_level(logging.DEBUG):
        executor = make(1)
        executor.submit(fail, ValueError("nobody looks"))
        executor.shutdown()
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_call_is_a_task(make: Callable[..., TaskExecutor]) -> None:
    assert make(1).submit(current_task).result(PATIENCE_S) is not None


# -- cancelling --------------------------------------------------------------------------------


def test_a_cancelled_call_does_not_run(make_either: MakeExecutor) -> None:
    executor = make_either(1)
    busy = Busy(executor)
    ran: list[int] = []
    futures = [executor.submit(ran.append, n) for n in range(4)]
    seen: list[Future[None]] = []
    futures[1].add_done_callback(seen.append)
    assert futures[1].cancel()
    assert futures[1].cancel()  # again
    assert futures[1].cancelled()
    assert seen == [futures[1]]
    with pytest.raises(CancelledError):
        futures[1].result()
    busy.free()
    executor.shutdown()
    assert ran == [0, 2, 3]
    assert seen == [futures[1]]
    assert not futures[0].cancel()  # done


def test_a_running_call_cannot_be_cancelled_in_mid_run(make_either: MakeExecutor) -> None:
    executor = make_either(1)
    busy = Busy(executor)
    assert not busy.futures[0].cancel()
    busy.free()


def test_a_cancelled_call_leaves_the_queue_and_its_waiters_at_once(make: Callable[..., TaskExecutor]) -> None:
    """ThreadPoolExecutor keeps both until a thread comes to it."""
    executor = make(1)
    busy = Busy(executor)
    future = executor.submit(int)
    queue = executor._pool._system.engine.queue
    assert sum(queue.sizes()) == 1
    assert future.cancel()
    assert sum(queue.sizes()) == 0
    assert wait([future], timeout=0).done == {future}
    busy.free()


def test_cancelling_while_workers_start_them(make: Callable[..., TaskExecutor]) -> None:
    """Each call either runs or is cancelled, never both and never neither."""
    executor = make(2)
    ran: list[int] = []
    futures = []
    won = []
    for n in range(2000):
        future = executor.submit(ran.append, n)
        futures.append(future)
        if future.cancel():
            won.append(n)
    wait(futures, PATIENCE_S)
    assert all(future.done() for future in futures)
    assert sorted(ran + won) == list(range(2000))


# -- waiting for several -----------------------------------------------------------------------


def test_as_completed_and_wait(make_either: MakeExecutor) -> None:
    executor = make_either(2)
    go = threading.Event()
    first, last = executor.submit(int, "1"), executor.submit(go.wait, PATIENCE_S)
    completed = as_completed([last, first], timeout=PATIENCE_S)
    assert next(completed) is first
    go.set()
    assert next(completed) is last
    assert wait([first, last], timeout=0) == ({first, last}, set())


def test_asyncio_takes_it(make_either: MakeExecutor) -> None:
    executor = make_either(1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(executor, pow, 2, 5) == 32
        with pytest.raises(ZeroDivisionError):
            await asyncio.wrap_future(executor.submit(divmod, 1, 0))

    asyncio.run(main())


def test_asyncio_takes_it_as_its_default(make_either: MakeExecutor) -> None:
    executor = make_either(1, "default")

    async def main() -> str:
        asyncio.get_running_loop().set_default_executor(executor)
        return await asyncio.to_thread(lambda: threading.current_thread().name)

    assert asyncio.run(main()).startswith("default")
    with pytest.raises(RuntimeError, match="after shutdown"):  # the loop has shut it down
        executor.submit(int)


def test_asyncio_cancels_what_has_not_started(make: Callable[..., TaskExecutor]) -> None:
    executor = make(1)
    ran: list[int] = []

    async def main() -> None:
        busy = Busy(executor)
        awaited = asyncio.get_running_loop().run_in_executor(executor, ran.append, 1)
        awaited.cancel()
        with pytest.raises(asyncio.CancelledError):
            await awaited
        await asyncio.sleep(0)  # the loop tells the executor in its next round
        assert sum(executor._pool._system.engine.queue.sizes()) == 0
        await asyncio.to_thread(busy.free)

    asyncio.run(main())
    executor.shutdown()
    assert ran == []


# -- from unusual places -----------------------------------------------------------------------


def test_a_done_callback_may_submit_and_wait(make_either: MakeExecutor) -> None:
    """The thread that runs the callback is not free: the pool has to see that."""
    executor = make_either(2)
    got: list[int] = []
    done = threading.Event()

    def follow(_: Future[int]) -> None:
        got.append(executor.submit(int, "9").result(PATIENCE_S))
        done.set()

    go = threading.Event()
    future = executor.submit(go.wait, PATIENCE_S)
    future.add_done_callback(follow)
    go.set()
    assert done.wait(PATIENCE_S)
    assert got == [9]


def test_a_callback_that_raises_is_logged_and_harms_nothing(
    make_either: MakeExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    executor = make_either(1)
    busy = Busy(executor)
    future = executor.submit(int, "4")
    future.add_done_callback(lambda _: fail(ValueError("in a callback")))
    busy.free()
    executor.shutdown()
    assert future.result() == 4
    assert "exception calling callback" in caplog.text


def test_calls_that_submit_calls(make_either: MakeExecutor) -> None:
    executor = make_either(3)

    def tree(depth: int) -> list[Future[Any]]:
        return [executor.submit(tree, depth - 1) for _ in range(2)] if depth else []

    todo, count = [executor.submit(tree, 6)], 0
    while todo:
        todo += todo.pop().result(PATIENCE_S)
        count += 1
    assert count == 2**7 - 1


def test_many_threads_submit(make_either: MakeExecutor) -> None:
    executor = make_either(3)
    sums: list[int] = []

    def submit(start: int) -> None:
        futures = [executor.submit(int, start + n) for n in range(200)]
        sums.append(sum(future.result(PATIENCE_S) for future in futures))

    threads = [threading.Thread(target=submit, args=(1000 * n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sum(sums) == sum(1000 * n + m for n in range(10) for m in range(200))


# -- context -----------------------------------------------------------------------------------

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")


def test_a_call_sees_neither_its_submitters_variables_nor_another_calls(make: Callable[..., TaskExecutor]) -> None:
    """The first as with ThreadPoolExecutor; the second it lets through, and we do not."""
    executor = make(1)
    token = variable.set("the submitter's")
    try:
        assert executor.submit(variable.get).result(PATIENCE_S) == "none"
        executor.submit(variable.set, "another call's").result(PATIENCE_S)
        assert executor.submit(variable.get).result(PATIENCE_S) == "none"
    finally:
        variable.reset(token)


def test_a_call_sees_the_variables_that_the_initializer_set(make_either: MakeExecutor) -> None:
    """decimal's context is one of them, and setting it for a thread is what its manual says to do."""

    def initialize() -> None:
        variable.set("the initializer's")
        decimal.setcontext(decimal.Context(prec=50))

    executor = make_either(2, initializer=initialize)
    assert executor.submit(variable.get).result(PATIENCE_S) == "the initializer's"
    assert executor.submit(lambda: decimal.getcontext().prec).result(PATIENCE_S) == 50
    assert executor.submit(capture, callable=1).result(PATIENCE_S) == ((), {"callable": 1})


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this platform has no such signals")
def test_submits_from_a_signal_handler_that_interrupts_submits(make: Callable[..., TaskExecutor]) -> None:
    """ThreadPoolExecutor may come to wait for the lock that the interrupted submit holds."""
    executor = make(3)
    futures: list[Future[int]] = []
    before = signal.signal(signal.SIGVTALRM, lambda *_: futures.append(executor.submit(int, "1")))
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.001, 0.001)
    try:
        for _ in range(3000):
            futures.append(executor.submit(int, "1"))
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    assert len(futures) >= 3000
    assert all(future.result(PATIENCE_S) == 1 for future in futures)


def test_submits_from_a_finalizer(make: Callable[..., TaskExecutor]) -> None:
    executor = make(2)
    futures: list[Future[int]] = []

    class Last:
        def __init__(self) -> None:
            self.itself = self  # for the collector, which comes in the middle of anything

        def __del__(self) -> None:
            futures.append(executor.submit(int, "1"))

    for _ in range(500):
        Last()
        futures.append(executor.submit(int, "1"))
    eventually(lambda: gc.collect() >= 0 and len(futures) == 1000, "every object was collected")
    assert all(future.result(PATIENCE_S) == 1 for future in futures)
