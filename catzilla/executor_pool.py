"""The threads and calls of a ``TaskExecutor``: a task system of its own, when it grows, and when it ends.

Nothing here refers to the executor: one that nobody holds any more is freed, and lets the threads go.
"""

from __future__ import annotations

import logging
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures.thread import BrokenThreadPool
from contextvars import Context
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final, NoReturn

from . import last_resort
from .calls import CallFuture, run_call
from .errors import TaskCancelled, TaskLostInFork
from .interface import CANCELLED
from .options import DEFAULTS
from .plan import make_plan
from .system import TaskSystem

if TYPE_CHECKING:
    from .interface import Handle
    from .priority import TaskPriority

START_S: Final = 1.0  # how long a submit waits for the thread that it made necessary
LOOK_S: Final = 0.0001
BROKEN: Final = "A thread initializer failed, the thread pool is not usable anymore"  # as ThreadPoolExecutor says it


class _Here(threading.local):
    context: Context | None = None


class Pool:
    """Grows by a thread when there are more unfinished calls than threads, up to ``most``, and never shrinks."""

    def __init__(
        self,
        most: int,
        name: str,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
        backend: str | None,
        priority: TaskPriority,
    ) -> None:
        self._most = most
        self._name = name
        self._initializer = initializer
        self._initargs = initargs
        self._options = DEFAULTS.changed({"priority": priority, "name": "concurrent.futures call"})
        self.here = None if initializer is None else _Here()  # calls run in a copy of what it left on their thread
        self.unfinished: dict[CallFuture, Handle] = {}
        self.broken: str | None = None
        self.shut = False
        self._system = TaskSystem(
            backend=backend,
            workers=1,  # to begin with: see grow
            min_workers=1,
            max_workers=1,
            on_full="raise",
            enable_auto_scaling=False,
            enable_c_compilation=False,
            enable_profiling=False,
            memory_profiling=False,
            critical_reserve=0,
            keep_results=0,
        )
        self._open()
        self._system.on_rebind.append(self._open_in_child)
        self.closed = exiting()
        _pools.add(self)

    def _open(self) -> None:
        """What a fork needs anew."""
        system = self._system
        system.threads.name_prefix = system.threads.worker_name = self._name
        system.threads.initializer = self._enter
        self.threads: list[threading.Thread] = []
        self.ample = 0  # this many unfinished calls have a thread each
        self._slots = self._applied = 1
        self._growth = threading.RLock()  # the submit of a signal handler may interrupt another one's
        self._late = False
        self._stopping = threading.Lock()
        self._ended = threading.Event()
        self.put = system.engine.queue.put
        self.plan = make_plan(system, run_call, self._options)
        self._look_plan = make_plan(system, self.look, DEFAULTS)

    def _open_in_child(self, _: TaskSystem) -> None:
        lost = list(self.unfinished)
        self.unfinished.clear()
        self._open()
        for future in lost:
            future.lose(TaskLostInFork("the call was submitted in the parent process of a fork; it never ends here"))
        if self.closed:
            self.look()

    # -- calls ---------------------------------------------------------------------------------

    def refuse(self) -> NoReturn:
        if self.broken:
            raise BrokenThreadPool(self.broken)
        if self.shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    def came_late(self, future: CallFuture, handle: Handle) -> None:
        """The pool was closed while the call was accepted: refuse it after all, if it has not started."""
        if handle.withdraw(TaskCancelled("the executor was shut down")) or _left_over(handle, future):
            future.forget()
            self.refuse()
        self.look()

    def withdraw(self, future: CallFuture) -> bool:
        """Take the call of a cancelled future out of its lane. False: it has been started."""
        handle = self.unfinished.get(future)
        return handle is not None and handle.withdraw(TaskCancelled("the call's future was cancelled"))

    def ended(self, future: CallFuture) -> None:
        """The call is over."""
        self.unfinished.pop(future, None)
        if self.closed:
            self.look()

    def cancel_pending(self) -> None:
        for future in self.unfinished.copy():
            future.cancel()

    # -- threads -------------------------------------------------------------------------------

    def grow(self) -> None:
        """See to it that each unfinished call has a thread, and wait a moment until it is there.

        As ThreadPoolExecutor does: calls may depend on each other, and a script that ends after its last
        submit must have its threads by then, because CPython 3.12 starts none at exit.
        """
        if self._system.supervisor.on_own_thread():
            return  # it starts the threads
        end = monotonic() + START_S
        with self._growth:
            self._let_calls_end()
            wanted = min(self._most, len(self.unfinished))
            self._slots = max(self._slots, wanted)
            while self._applied != self._slots:  # again, when a nested submit came further meanwhile
                slots = self._system.autoscaler.slots = self._slots
                self._system.autoscaler.apply()
                self._applied = slots
            while len(self.threads) < wanted and not self._late and self._system.engine.queue.ready():
                sleep(LOOK_S)
                self._late = monotonic() > end  # threads are scarce: who submits next need not wait again

    def _let_calls_end(self) -> None:
        """A result is there a moment before its thread is free: a thread more for that moment would be in vain."""
        for _ in range(10):
            if len(self.unfinished) > self._most or not any(future.done() for future in self.unfinished.copy()):
                return
            sleep(LOOK_S)

    def _enter(self) -> bool:
        """First on each worker's thread. False: it must not serve."""
        self.threads.append(threading.current_thread())
        self.ample = len(self.threads) if len(self.threads) < self._most else sys.maxsize
        self._late = False
        if self._initializer is None or self.here is None:
            return True
        self.here.context = Context()
        try:
            self.here.context.run(self._initializer, *self._initargs)
        except BaseException:
            logging.getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=True)
            self._break()
            return False
        return True

    def _break(self) -> None:
        self.broken = BROKEN
        self.closed = True
        for future, handle in self.unfinished.copy().items():
            if handle.withdraw(TaskCancelled(BROKEN)):
                future.end(BrokenThreadPool(BROKEN))
        self.look()

    # -- the end -------------------------------------------------------------------------------

    def close(self) -> None:
        """Refuse further calls; the threads go when the accepted ones have ended."""
        self.shut = True
        self.closed = True  # before the look: the call that ends last looks as well, after it has gone
        self.look()

    def look(self) -> None:
        """Of a closed pool: stop the threads once no call is left."""
        if not self.unfinished and self._stopping.acquire(blocking=False):
            self._system.closed = True
            self._system.engine.workers.stop()
            self._system.supervisor.stop(wait=False)
            for handle in self._system.engine.queue.pending():  # whose submit did not come further, or not yet
                handle.withdraw(TaskCancelled("the executor was shut down"))
            self._ended.set()

    def abandon(self) -> None:
        """The executor is gone. This runs wherever it was freed, so a worker does what may take a lock."""
        self.shut = True
        self.closed = True
        if not self.unfinished and self._system.supervisor.started and not self._stopping.locked():
            self.put(self._look_plan, (), None, 0, True)

    def join(self) -> None:
        """Wait until the threads of a closed pool are gone."""
        if threading.current_thread() in self.threads:
            raise RuntimeError("cannot join current thread")
        self._ended.wait()
        self._system.supervisor.stop()
        for thread in self.threads:
            thread.join()

    def exit(self) -> None:
        """Wait at interpreter exit, however long it takes: that is what users of ThreadPoolExecutor rely on."""
        if self.unfinished and not self.threads and not last_resort.threads_can_start():
            self._system.supervisor.quiet = True
            if self._enter():
                self.threads.clear()
                for handle in self._system.engine.queue.pending():
                    self._system.engine.workers.run(handle)
        self.join()


def _left_over(handle: Handle, future: CallFuture) -> bool:
    """Whether the pool has withdrawn a call that it did not know the future of."""
    return handle.state() == CANCELLED and not future.done()


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
_registered = False
_exiting = False


def exiting() -> bool:
    """Whether the interpreter has begun to exit. The first call asks to be told."""
    global _registered
    if not _registered:
        _registered = True
        # The last one registered is called first: before that of the task systems, since there is one by now.
        threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
    return _exiting


def _at_exit() -> None:
    global _exiting
    _exiting = True
    pools = list(_pools)
    for pool in pools:
        pool.closed = True
        pool.look()
    for pool in pools:
        pool.exit()
