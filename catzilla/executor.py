"""``TaskExecutor``: what takes a ``ThreadPoolExecutor`` takes this, on any backend."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from operator import index
from threading import Thread
from typing import Any, ParamSpec, TypeVar, cast

from .calls import CallFuture
from .executor_pool import Pool
from .priority import TaskPriority

P = ParamSpec("P")
R = TypeVar("R")


class TaskExecutor(ThreadPoolExecutor):
    """A ``concurrent.futures`` executor over a task system of its own.

    ``max_workers``, ``thread_name_prefix``, ``initializer`` and ``initargs`` are those of
    ThreadPoolExecutor, and so is the behaviour: an unbounded queue, one thread more for each call that
    finds none free, real ``Future`` objects, ``BrokenThreadPool`` after a failed initializer, an
    interpreter exit that waits for what was submitted.

    ``backend`` is a backend's name (None: as ``TaskSystem`` chooses). ``priority`` is the lane of its
    calls: with CRITICAL, one that waits to start makes computing threads give way sooner.

    It differs in this: a pending call whose future is cancelled leaves the queue at once, the future's
    waiters with it. Calls do not see each other's context variables, only what the initializer set. In
    the child of a fork the executor works, with threads of its own, and futures that were not done in
    the parent raise TaskLostInFork. Threads are daemons, which the exit waits for.

    Raises ValueError or TypeError for a bad argument, BackendUnavailable or UnknownBackend.
    """

    # Derived from ThreadPoolExecutor for isinstance, which is what asyncio's set_default_executor asks for.
    # Nothing of it is used but what Executor has: map, and the context manager.

    _number = count().__next__

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        backend: str | None = None,
        priority: TaskPriority = TaskPriority.NORMAL,
    ) -> None:
        if max_workers is None:
            cpus: int | None = getattr(os, "process_cpu_count", os.cpu_count)()
            max_workers = min(32, (cpus or 1) + 4)
        if max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        name = thread_name_prefix or f"{type(self).__name__}-{TaskExecutor._number()}"
        self._max_workers = index(max_workers)
        self._pool = Pool(self._max_workers, name, initializer, tuple(initargs), backend, TaskPriority(priority))
        weakref.finalize(self, self._pool.abandon).atexit = False

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Queue ``fn(*args, **kwargs)``; every keyword is the function's.

        Raises BrokenThreadPool after a failed initializer, RuntimeError after a shutdown.
        """
        pool = self._pool
        if pool.closed:
            pool.refuse()
        future = CallFuture()
        future.pool = pool
        handle = pool.put(pool.plan, (future, fn, args, kwargs), None, 0, True)
        assert handle is not None  # forced
        pool.unfinished[future] = handle
        if future.pool is None:  # over already, and looked for itself in vain
            pool.unfinished.pop(future, None)
        elif len(pool.unfinished) > pool.ample:
            pool.grow()
        if pool.closed:
            pool.came_late(future, handle)
        return cast("Future[R]", future)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; ``wait`` until those accepted have ended and the threads are gone.

        ``cancel_futures`` cancels what has not started.
        """
        self._pool.close()
        if cancel_futures:
            self._pool.cancel_pending()
        if wait:
            self._pool.join()

    # What CPython's own tests, and some users, read of a ThreadPoolExecutor.

    @property
    def _threads(self) -> set[Thread]:  # type: ignore[override]
        return set(self._pool.threads)

    @property
    def _broken(self) -> bool | str:  # type: ignore[override]
        return self._pool.broken or False

    @property
    def _shutdown(self) -> bool:  # type: ignore[override]
        return self._pool.shut
