"""``async def`` tasks: one event loop per system, in its own thread, with a concurrency limit."""

from __future__ import annotations

import threading
from collections import deque
from contextvars import Context
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from .errors import TaskCancelled
from .interface import CANCELLED, COMPLETED, FAILED, Handle

if TYPE_CHECKING:
    import asyncio

    from .system import TaskSystem


class Coroutines:
    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self._limit = system.config.async_concurrency
        self._waiting: deque[tuple[Handle, tuple[Any, ...], dict[str, Any]]] = deque()
        self._running: dict[Handle, None] = {}
        self._by_task: dict[Any, Handle] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()
        self._called = False
        self._thread_id = 0

    # -- from any thread -------------------------------------------------------------------------

    def start(self, handle: Handle, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """On a worker: hand the task to the loop."""
        self._running[handle] = None
        self._waiting.append((handle, args, kwargs))
        try:
            loop = self._loop or self._start_loop()
        except RuntimeError:  # "can't start new thread", or CPython 3.12 while it exits
            self._serve_here()
            return
        if not self._called:  # one call a burst
            self._called = True
            loop.call_soon_threadsafe(self._take)

    def running(self) -> list[Handle]:
        return list(self._running.copy())

    def current(self) -> Handle | None:
        """The task whose coroutine runs on this thread."""
        if threading.get_ident() != self._thread_id:
            return None
        import asyncio

        return self._by_task.get(asyncio.current_task())

    def handle_of(self, task: Any) -> Handle | None:
        """Of the asyncio.Task that runs it."""
        return self._by_task.get(task)

    def on_loop_thread(self) -> bool:
        return threading.get_ident() == self._thread_id

    def cancel(self, handle: Handle) -> bool:
        """Ask a running coroutine to end. False: it has."""
        loop = self._loop
        if loop is None or handle not in self._running:
            return False
        loop.call_soon_threadsafe(self._cancel, handle)
        return True

    def stop(self) -> None:
        loop = self._loop
        if loop is not None:
            self._loop = None
            loop.call_soon_threadsafe(loop.stop)

    def _start_loop(self) -> asyncio.AbstractEventLoop:
        import asyncio

        with self._starting:
            if self._loop is None:
                self._loop = new_loop()
                name = f"{self._system.threads.name_prefix}-loop"
                try:
                    threading.Thread(target=self._serve, args=(self._loop,), name=name, daemon=True).start()
                except RuntimeError:
                    self._loop.close()
                    self._loop = None
                    raise
        del asyncio
        return self._loop

    def _serve_here(self) -> None:
        """There is no thread for the loop: it runs on this worker's until its tasks have ended."""
        import asyncio

        async def until_idle() -> None:
            self._take()
            while self._running:
                await asyncio.sleep(0.001)

        with self._starting:
            loop = self._loop = new_loop()
            self._serve_on_this_thread()
            try:
                loop.run_until_complete(until_idle())
            finally:
                self._leave_this_thread()
                self._loop = None
                loop.close()

    # -- on the loop's thread --------------------------------------------------------------------

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        self._serve_on_this_thread()
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            leftover = asyncio.all_tasks(loop)
            for task in leftover:
                task.cancel()
            if leftover:
                loop.run_until_complete(asyncio.wait(leftover, timeout=0.5))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            self._leave_this_thread()
            loop.close()

    def _serve_on_this_thread(self) -> None:
        self._thread_id = threading.get_ident()
        _serving[self._thread_id] = self

    def _leave_this_thread(self) -> None:
        _serving.pop(self._thread_id, None)
        self._thread_id = 0

    def _take(self) -> None:
        self._called = False  # before looking: what comes now calls again
        while self._waiting and len(self._by_task) < self._limit:
            handle, args, kwargs = self._waiting.popleft()
            self._begin(handle, args, kwargs)

    def _begin(self, handle: Handle, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        loop = self._loop
        if loop is None:
            return
        ext = self._system.ensure_ext(handle)
        if ext.cancel_requested:
            self._running.pop(handle, None)
            handle.settle(CANCELLED, TaskCancelled("the task was cancelled before its coroutine started"))
            return
        context = ext.context.copy() if ext.context is not None else Context()
        task = loop.create_task(self._run(handle, args, kwargs), context=context)
        ext.coroutine = task
        self._by_task[task] = handle
        task.add_done_callback(self._ended)

    async def _run(self, handle: Handle, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        from .runner import retry_due_ns

        system = self._system
        spec: Any = handle.plan.owner
        ext = system.ensure_ext(handle)
        attempt = None
        if spec.timeout_ns is not None:
            attempt = system.deadlines.enter(handle, args, spec.timeout_ns, lambda: self._stop(handle))
        record = ext.record
        observation = None if record is None else system.observation
        if observation is not None and record is not None:
            observation.started(record, handle, args, kwargs)
        started_ns = monotonic_ns()
        value: object = None
        error: BaseException | None = None
        try:
            value = await spec.fn(*args, **kwargs)
        except BaseException as raised:
            error = raised.with_traceback(raised.__traceback__ and raised.__traceback__.tb_next)
        ended_ns = monotonic_ns()
        if attempt is not None and not system.deadlines.leave(attempt):
            return
        if observation is not None and record is not None:
            observation.stopped(record, handle, error)
        ext.times_ns = (started_ns, ended_ns)
        if system.config.enable_profiling:
            system.observe_execution(ended_ns - started_ns, max(0, started_ns - handle.ready_ns))
        self._running.pop(handle, None)
        try:
            if error is None:
                handle.settle(COMPLETED, value)
            elif is_cancellation(error):
                handle.settle(CANCELLED, TaskCancelled(f"task {spec.name} was cancelled while it ran"))
            else:
                try:
                    due_ns = retry_due_ns(handle, spec, error)
                except BaseException as raised:  # by the user's retry_backoff: the failure, as a function's is
                    due_ns, error = None, raised
                if due_ns is None:
                    handle.settle(FAILED, error)
                else:
                    system.engine.queue.requeue(handle, args, due_ns)
        finally:
            error = None  # its traceback holds this frame

    def _ended(self, task: Any) -> None:
        handle = self._by_task.pop(task, None)
        if handle is not None:
            ext = self._system.ensure_ext(handle)
            if ext.coroutine is task:
                ext.coroutine = None
        if not task.cancelled() and task.exception() is not None:
            self._system.fault(task.exception())
        elif task.cancelled() and handle is not None and self._running.pop(handle, self) is None:
            handle.settle(CANCELLED, TaskCancelled("the task was cancelled before its coroutine started"))
        if self._waiting:
            self._take()

    def _stop(self, handle: Handle) -> None:
        """The deadline passed: the handle is settled or requeued; end the coroutine, free its place."""
        self._running.pop(handle, None)
        loop = self._loop
        task = self._system.ensure_ext(handle).coroutine
        if loop is not None and task is not None:
            loop.call_soon_threadsafe(self._free, task)

    def _free(self, task: Any) -> None:
        task.cancel()
        self._by_task.pop(task, None)  # also if it ignores the cancellation
        if self._waiting:
            self._take()

    def _cancel(self, handle: Handle) -> None:
        task = self._system.ensure_ext(handle).coroutine
        if task is not None:
            task.cancel()


_serving: dict[int, Coroutines] = {}  # by the ids of their loops' threads


def serving() -> Coroutines | None:
    """Whose loop this thread runs."""
    return _serving.get(threading.get_ident())


def is_cancellation(error: BaseException) -> bool:
    import asyncio

    return isinstance(error, asyncio.CancelledError)


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's, if it is installed."""
    import asyncio

    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
