"""``TaskSystem``: the whole of it, for scripts, workers and any web framework."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextvars import copy_context
from time import monotonic_ns, time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar, cast, overload

from . import lifecycle, registry
from .autoscale import Autoscaler
from .batch import BatchResult
from .boost import boost
from .compiling import Compiling
from .config import SystemConfig, resolve
from .coroutines import Coroutines
from .deadlines import Deadlines, Shield
from .errors import TaskLostInFork
from .ext import Ext
from .handle import TaskResult, attach
from .interface import LANES, RUNNING, Engine, Handle
from .lifecycle import ShutdownReport
from .lookup import Lookup
from .memory import peak_resident_bytes, resident_bytes
from .options import priority_of
from .priority import TaskPriority
from .reports import Reports
from .rows import RowCounts
from .submitting import Submitting, checked_options
from .supervisor import Supervisor
from .task import AsyncTask, Task, TaskDecorator, make_task
from .threads import Threads
from .ticker import Ticker, finished_of
from .waiting import Waiting

if TYPE_CHECKING:
    from typing import Unpack

    from .buffers import BufferResult
    from .clock import Clock
    from .config import SystemOptions
    from .limits.limits import Limits
    from .observe.events import Observer
    from .observe.observation import Observation
    from .schedules.options import ScheduleOptions
    from .schedules.schedule import Schedule
    from .schedules.scheduler import Scheduler
    from .signatures import AddTask
    from .stats import SystemStats

JOIN_S: Final = 0.2  # an idle worker is gone in microseconds; one in an abandoned task is not waited for

P = ParamSpec("P")
R = TypeVar("R")
B = TypeVar("B")


class EngineSettings:
    """interface.EngineConfig: what an engine is given to live with."""

    def __init__(self, system: TaskSystem) -> None:
        config = system.config
        self.queue_size = config.queue_size
        self.memory_limit_bytes = None if config.memory_pool_mb is None else int(config.memory_pool_mb * 2**20)
        self.profiling = config.enable_profiling
        self.use_jemalloc = config.use_jemalloc
        self.spawn = system.threads.want
        self.wake = system.wake
        self.make_ext = Ext
        self.critical_waiting = boost.add
        self.unretrieved = system.reports.unretrieved
        self.failed: Callable[[Any], None] | None = None
        self.fault = system.fault


class TaskSystem:
    """Background tasks in this process.

    Keyword only; see ``SystemConfig`` for the parameters. Threads start with the first task. Use it
    as a context manager (``with`` or ``async with``), or call ``shutdown``; interpreter exit drains it.
    """

    add_task: AddTask
    """``add_task(fn_or_task, /, *args, **options_and_kwargs) -> TaskResult``: the backend's own callable."""

    def __init__(self, *, config: SystemConfig | None = None, **options: Unpack[SystemOptions]) -> None:
        self.config = resolve(config, options)
        self._backend = registry.load(self.config.backend, self.config.origin("backend"))
        self.backend_name = self._backend.name
        self.backend_features = self._backend.features
        attach(self._backend.handle_type)
        self.closed = False
        self.forked_ns = 0
        self.clock: Clock | None = None  # None: the machine's
        self.now_ns: Callable[[], int] = monotonic_ns
        self.wall_ns: Callable[[], int] = time_ns
        self.in_place = False  # tasks run where they are submitted (catzilla.testing)
        self.scheduler: Scheduler | None = None  # with the first schedule
        self._schedules_run = False
        self._limits: Limits | None = None  # with the first limited task
        self.observation: Observation | None = None  # with the first observer
        self._failure_hooks: list[Callable[[Any], object]] = []
        self._tasks: weakref.WeakSet[Task[Any, Any]] = weakref.WeakSet()
        self._paused: frozenset[int] = frozenset()
        self.bytes_by_name: dict[str, int] | None = {} if self.config.memory_profiling else None
        self.on_rebind: list[Callable[[TaskSystem], object]] = []
        self.lookup = Lookup(self)
        self._open()
        lifecycle.know(self)

    def _open(self) -> None:
        """Make everything that a fork or a reopening needs anew."""
        self.reports = Reports(self)
        self.threads = Threads(self)
        self.supervisor = Supervisor(self)
        self.settings = EngineSettings(self)
        self.engine: Engine = self._backend.open(self.settings)
        self.deadlines = Deadlines(self)
        self.coroutines = Coroutines(self)
        self.waiting = Waiting(self)
        self.ticker = Ticker(self)
        self.autoscaler = Autoscaler(self)
        self.autoscaler.apply()
        self.reserve_made = False  # with the first thread
        self.row_counts = RowCounts()
        self._observing = threading.Lock()
        self.compiling = Compiling(self)
        self.submitting = Submitting(self)
        queue = self.engine.queue
        self.add_task = cast("AddTask", queue.submitter(self.submitting.native, self.submitting.add_task))
        self.submit_task = queue.submitter(self.submitting.native, self.submitting.submit_task)
        for task in list(self._tasks):
            task.bind(self)
        if self._paused:
            queue.pause(self._paused)
        if self._failure_hooks:
            self.settings.failed = self._failed
        for fn in self.on_rebind:
            fn(self)

    @property
    def tasks(self) -> TaskSystem:
        return self

    @property
    def allocator_name(self) -> str:
        return self.engine.allocator.name

    # -- tasks ---------------------------------------------------------------------------------

    @overload
    def task(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def task(self, fn: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(self, /, **options: Any) -> TaskDecorator: ...
    def task(self, fn: Any = None, /, **options: Any) -> Any:
        """Make a task of a function: ``@system.task`` or ``@system.task(priority=...)``."""
        return make_task(fn, self, **options)

    @overload
    def add_tasks(self, fn: Any, rows: Iterable[tuple[Any, ...]], /, **options: Any) -> BatchResult[Any]: ...
    @overload
    def add_tasks(
        self, fn: Any, /, *, buffers: Sequence[Any], out: None = None, **options: Any
    ) -> BufferResult[Any]: ...
    @overload
    def add_tasks(self, fn: Any, /, *, buffers: Sequence[Any], out: B, **options: Any) -> BufferResult[B]: ...
    def add_tasks(self, fn: Any, rows: Any = None, /, *, buffers: Any = None, out: Any = None, **options: Any) -> Any:
        """Queue ``fn(*row)`` for every row, all or none. Raises QueueFull with nothing queued.

        With ``buffers`` (arrays, memoryviews, NumPy arrays of numbers, one for each argument) instead of
        rows: ``out[i] = fn(a[i], b[i], ...)`` for every i, as C where it can be, and on all workers.
        ``out=None`` makes a buffer for the results. Do not change a buffer until that is done.
        """
        checked = checked_options(options)
        if buffers is not None:
            if rows is not None:
                raise TypeError("add_tasks takes rows or buffers=, not both")
            return self.submitting.submit_buffers(fn, buffers, out, checked)
        if rows is None or out is not None:
            raise TypeError("add_tasks takes rows, a tuple of arguments for each call, or buffers= (and out=)")
        return BatchResult(self.submitting.submit_many(fn, rows, checked))

    @overload
    async def add_task_async(
        self, fn: Callable[..., Coroutine[Any, Any, R]], /, *args: Any, **options_and_kwargs: Any
    ) -> TaskResult[R]: ...
    @overload
    async def add_task_async(self, fn: Callable[..., R], /, *args: Any, **options_and_kwargs: Any) -> TaskResult[R]: ...
    async def add_task_async(self, fn: Any, /, *args: Any, **options_and_kwargs: Any) -> TaskResult[Any]:
        """As ``add_task``, but waiting for room (on_full="block") does not block the event loop."""
        options = self.submitting.split_options(fn, options_and_kwargs) if options_and_kwargs else None
        result = await self.submitting.submit_async(fn, args, options_and_kwargs, options)
        return cast("TaskResult[Any]", result)

    def get_task(self, task_id: str) -> TaskResult[Any] | None:
        """One that is not finished, or one of the last ``keep_results`` finished; None: not known."""
        return cast("TaskResult[Any] | None", self.lookup.get(task_id))

    def cancel_group(self, group: str) -> int:
        """Cancel the tasks that were submitted with ``cancel_group=group``; how many were.

        As ``cancel()`` of each: one that runs and is no coroutine finds ``cancel_requested`` set, and is not counted.
        """
        if not isinstance(group, str):
            raise TypeError(f"cancel_group takes the str that tasks were submitted with, not {group!r}")
        return 0 if self._limits is None else self._limits.cancel_group(group)

    def pending(self) -> list[Any]:
        """The tasks that have not started, also those that their limits hold back; a moment's copy."""
        pending: list[Any] = self.engine.queue.pending()
        return pending if self._limits is None else pending + self._limits.parked()

    def running(self) -> list[Any]:
        """The tasks that run now, on workers, helpers and the event loop."""
        handles = {view.handle: None for view in self.engine.workers.snapshot() if view.handle is not None}
        handles.update(dict.fromkeys(self.coroutines.running()))
        return [handle for handle in handles if handle.state() == RUNNING]

    def on_task_failure(self, fn: Callable[[Any], R]) -> Callable[[Any], R]:
        """Call ``fn(result)`` for each task that FAILED or TIMED_OUT, on the thread that settles it."""
        if not callable(fn):
            raise TypeError(f"a failure hook must be callable, and {fn!r} is not")
        self._failure_hooks.append(fn)
        self.settings.failed = self._failed
        return fn

    def observe(self, observer: Observer) -> None:
        """Tell ``observer`` of every task that is accepted from now on. See ``catzilla.observe.Observer``.

        Raises ConfigTypeError for anything else. While somebody observes, each task costs more (docs/observability.md).
        """
        from .observe.observation import Observation

        observation = self.observation or Observation(self)
        observation.add(observer)
        if self.observation is None:
            self.observation = observation
            self.submitting.renew_plans()

    def stop_observing(self, observer: Observer) -> None:
        """Tell it no more. With the last one, tasks cost what they did before; no effect if it was not told."""
        observation = self.observation
        if observation is not None:
            observation.remove(observer)
            if not observation.observers:
                self.observation = None
                self.submitting.renew_plans()

    def pause(self, *lanes: TaskPriority) -> None:
        """Start nothing more from these lanes (none named: from any); what runs goes on."""
        self._set_paused(self._paused | self._lanes(lanes))

    def resume(self, *lanes: TaskPriority) -> None:
        """Start tasks from these lanes again (none named: from all)."""
        self._set_paused(self._paused - self._lanes(lanes))

    def paused_lanes(self) -> frozenset[int]:
        return self._paused

    def _set_paused(self, lanes: frozenset[int]) -> None:
        self._paused = lanes
        self.engine.queue.pause(lanes)

    @staticmethod
    def _lanes(lanes: tuple[TaskPriority, ...]) -> frozenset[int]:
        return frozenset(int(priority_of("lane", lane)) for lane in lanes) if lanes else frozenset(range(LANES))

    # -- time ----------------------------------------------------------------------------------

    def set_clock(self, clock: Clock | None) -> None:
        """Let delays, retries, deadlines and schedules go by this clock (None: the machine's), for tests.

        Whoever moves it calls ``wake()`` then. What was measured stays in real time.
        """
        before_ns = self.now_ns()
        self.clock = clock
        self.now_ns = monotonic_ns if clock is None else clock.now_ns
        self.wall_ns = time_ns if clock is None else clock.wall_ns
        self.deadlines.shift(self.now_ns() - before_ns)
        if self._limits is not None:
            self._limits.forget_times()
        if self.scheduler is not None:
            self.scheduler.restart()
        self.wake()

    def due_after(self, wait_ns: int) -> int:
        """The due time of what is to wait so long from now, for the queue."""
        return 1 if self.in_place else self.now_ns() + wait_ns  # 1: long over

    def take_schedule(self, task: Task[Any, Any], options: ScheduleOptions) -> None:
        """``@system.task(every=...)``: it runs from now on."""
        self.make_scheduler().add(task, options, task.receiver, None)
        self.start_schedules()

    def add_schedule(self, fn: Any, /, *args: Any, name: str | None = None, **schedule: Any) -> Schedule:
        """Call ``fn(*args)`` by the clock: ``every=`` or ``cron=``, and the other options of a schedule.

        ``name`` (the task's) is how the processes of a host know that they mean the same one.
        """
        added = self.declare_schedule(fn, args, name, schedule)
        self.start_schedules()
        return added

    def declare_schedule(self, fn: Any, args: tuple[Any, ...], name: str | None, schedule: dict[str, Any]) -> Schedule:
        """As ``add_schedule``, for whoever calls ``start_schedules()`` later."""
        from .schedules.options import checked_schedule

        options = checked_schedule(schedule)
        task = fn if isinstance(fn, Task) else make_task(fn, self)
        return self.make_scheduler().add(task, options, (*task.receiver, *args), name)

    def schedules(self) -> list[Schedule]:
        """What runs by the clock, to look at, pause and resume."""
        return [] if self.scheduler is None else self.scheduler.all()

    def start_schedules(self) -> None:
        """Run by the clock what was declared to. A TaskSystem does it with the declaration, an application with
        its server's start."""
        self._schedules_run = True
        if self.scheduler is not None:
            self.scheduler.start()

    def stop_schedules(self) -> None:
        """Start nothing more by the clock, until ``start_schedules()``; another process of the host may."""
        self._schedules_run = False
        if self.scheduler is not None:
            self.scheduler.stop()

    def make_scheduler(self) -> Scheduler:
        if self.scheduler is None:
            from .schedules.scheduler import Scheduler

            self.scheduler = Scheduler(self, running=self._schedules_run)
        return self.scheduler

    # -- looking -------------------------------------------------------------------------------

    def stats(self) -> SystemStats:
        from .stats import system_stats

        return system_stats(self)

    def memory_stats(self) -> dict[str, Any]:
        """Memory of the engine and the process, in bytes; what this backend cannot measure is None."""
        memory = dict(self.engine.allocator.stats())
        live, held = memory["allocated_bytes"], memory["active_bytes"]
        memory |= {
            "allocator": self.engine.allocator.name,
            "jemalloc_enabled": self.engine.allocator.name == "jemalloc",
            "resident_bytes": resident_bytes(),
            "peak_bytes": peak_resident_bytes(),
            "fragmentation_percent": 100 * (1 - live / held) if live is not None and held else None,
            "limit_bytes": self.engine.allocator.limit_bytes,
        }
        if self.bytes_by_name is not None:
            memory["bytes_by_task"] = dict(self.bytes_by_name)
        return memory

    def queue_sizes(self) -> tuple[int, int, int, int]:
        """By lane, the tasks accepted and not started or settled, also those that their limits hold back."""
        sizes = self.engine.queue.sizes()
        rows = self.row_counts.totals()
        if rows:
            critical, high, normal, low = (max(0, size + rows.get(lane, 0)) for lane, size in enumerate(sizes))
            sizes = critical, high, normal, low
        if self._limits is None:
            return sizes
        critical, high, normal, low = (size + held for size, held in zip(sizes, self._limits.parked_in, strict=True))
        return critical, high, normal, low

    def limit_counts(self) -> tuple[int, int]:
        """Tasks that their limits hold back now; submits that found the same call queued."""
        return (0, 0) if self._limits is None else (sum(self._limits.parked_in), self._limits.deduplicated)

    def counters(self) -> dict[str, int]:
        """The engine's counters, by tasks: also those that are rows of one of its tasks (catzilla/rows.py)."""
        counters = dict(self.engine.metrics.counters())
        for name, n in self.row_counts.totals().copy().items():
            if name in counters:
                counters[name] += n
        return counters

    def observe_execution(self, execution_ns: int, wait_ns: int) -> None:
        """Of a run that no worker measured; from any thread."""
        with self._observing:
            self.engine.metrics.observe(execution_ns, wait_ns)

    def unfinished(self) -> int:
        """Accepted and not settled."""
        counters = self.counters()
        return counters["submitted"] - finished_of(counters)

    def ended_by_themselves(self) -> int:
        counters = self.counters()
        return counters["completed"] + counters["failed"] + counters["timed_out"]

    # -- the end -------------------------------------------------------------------------------

    def drain(self, timeout: float | None = None) -> bool:
        """Wait for what is running, ready, and due within ``timeout`` seconds. False: time ran out."""
        return lifecycle.drain(self, timeout)

    def shutdown(self, wait: bool = True, timeout: float | None = None, cancel_pending: bool = False) -> ShutdownReport:
        """Refuse new tasks, drain, cancel what is left, and say what became of what.

        ``timeout`` in seconds (None: ``shutdown_timeout``). What is due later than that is cancelled
        at once, and so is all that is pending with ``cancel_pending``. A task that still runs at the
        end is abandoned: its handle is CANCELLED with TaskAbandoned. ``wait=False`` only refuses new
        tasks; what is pending goes on, and interpreter exit drains it.
        """
        if not wait:
            self.refuse_tasks()
            if cancel_pending:
                for handle in self.pending():
                    cast("Any", handle).cancel()
            return ShutdownReport(0, (), ())
        return lifecycle.shutdown(self, timeout, cancel_pending)

    def refuse_tasks(self) -> None:
        self.closed = True
        self.engine.queue.close()
        self.submitting.wake_blocked()
        if self.scheduler is not None:
            self.scheduler.stop()  # now: another process runs them while we drain

    def stop_threads(self) -> None:
        self.compiling.stop_all()
        self.threads.join(JOIN_S)  # with their last references, failures that nobody looked at are reported
        self.coroutines.stop()
        self.supervisor.stop()
        self.reports.publish()

    def reopen(self) -> None:
        """Take tasks again after a shutdown has returned."""
        if not self.closed:
            return
        self.closed = False
        self.supervisor = Supervisor(self)
        self.deadlines = Deadlines(self)
        self.coroutines = Coroutines(self)
        self.engine.workers.reopen()
        self.engine.queue.reopen()
        if self.scheduler is not None and self._schedules_run:
            self.scheduler.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.shutdown()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        import asyncio

        await asyncio.to_thread(self.shutdown)

    def after_fork(self, error: TaskLostInFork) -> None:
        """In the child: none of the threads exists here. A fresh, empty system; old handles say so."""
        old, was_closed = self.engine, self.closed
        self.forked_ns = monotonic_ns()
        self.lookup.reset()
        limits, self._limits = self._limits, None
        self._open()
        if self.observation is not None:
            self.observation.forked()
        if self.scheduler is not None:
            self.scheduler.after_fork()
        if was_closed:
            self.engine.queue.close()
        if limits is not None:
            limits.after_fork(error)  # first: what it held back must not go on when the rest is abandoned
        old.abandon(error)

    # -- for the other parts -------------------------------------------------------------------

    @property
    def has_limits(self) -> bool:
        return self._limits is not None

    @property
    def limits(self) -> Limits:
        """Made with the first limited task."""
        if self._limits is None:
            from .limits import waits
            from .limits.limits import Limits

            with waits.lock:
                if self._limits is None:
                    self._limits = Limits(self)
        return self._limits

    def wake(self) -> None:
        self.supervisor.wake()

    def wait(self, handle: Handle, timeout: float | None) -> bool:
        if handle.ready_ns < self.forked_ns:
            raise TaskLostInFork("the task was submitted in the parent process of a fork; it never ends here")
        return self.waiting.wait(handle, timeout)

    def fault(self, error: BaseException) -> None:
        self.reports.fault(error)

    def _failed(self, handle: Any) -> None:
        for fn in self._failure_hooks:
            try:
                fn(handle)
            except BaseException as error:
                self.fault(error)

    def settled(self, handle: Any) -> None:
        """Ext.on_settled of every handle that has an id or a charge."""
        ext: Ext = handle.ext
        if ext.task_id is not None:
            self.lookup.finished(handle, ext.task_id)
        if ext.charge is not None:
            ext.charge.settled(handle.value_or_none())
        if ext.record is not None and self.observation is not None:
            self.observation.finished(handle, ext.record)

    def ensure_ext(self, handle: Any) -> Ext:
        """The handle's Ext, made now if it has none."""
        ext: Ext | None = handle.ext
        if ext is None:
            with self.lookup.lock:
                ext = handle.ext
                if ext is None:
                    ext = Ext(None, None)
                    ext.on_settled = self.settled
                    handle.ext = ext
        elif ext.on_settled is None:
            ext.on_settled = self.settled
        return ext

    def context_ext(self) -> Ext:
        context = copy_context()
        ext = Ext(context if context else None, None)
        ext.on_settled = self.settled
        return ext

    def remember_task(self, task: Task[Any, Any]) -> None:
        if not task.receiver:
            self._tasks.add(task)

    def plan_for(self, fn: Any, options: dict[str, Any]) -> Any:
        return self.submitting.plan_for(fn, options)

    def receiver_of(self, fn: Any) -> tuple[Any, ...]:
        return self.submitting.receiver_of(fn)


def current_task() -> TaskResult[Any] | None:
    """The task that runs on this thread, or None."""
    for system in lifecycle.started_systems():
        handle = system.engine.workers.current() or system.coroutines.current()
        if handle is not None:
            return cast("TaskResult[Any]", handle)
    return None


def shield() -> Shield:
    """``with shield():`` inside a task: its deadline waits until the block is left. No effect elsewhere."""
    handle: Any = current_task()
    ext: Ext | None = None if handle is None else handle.ext
    if ext is None or ext.attempt is None:
        return Shield(None, None)
    return Shield(handle.plan.owner.system.deadlines, ext.attempt)
