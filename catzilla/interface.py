"""The waist: what a backend is, and nothing about how.

Above this line every behaviour is written once (``catzilla/``); below it three backends hold, run,
wake and count (``backends/``). Times are monotonic nanoseconds (``time.monotonic_ns``), states are
the small ints below, items are opaque: a backend never looks into ``Plan.owner`` or ``Handle.ext``
beyond what is named here.

Only ``typing`` and ``collections.abc`` are imported, so that anybody can implement it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

# The life of a task (docs/state_machine.md draws it). States from COMPLETED on are final.
PENDING: Final = 0
DELAYED: Final = 1
RETRYING: Final = 2
RUNNING: Final = 3
COMPLETED: Final = 4
FAILED: Final = 5
CANCELLED: Final = 6
TIMED_OUT: Final = 7

LANES: Final = 4  # CRITICAL, HIGH, NORMAL, LOW
TARGET_NS: Final = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)  # when a lane's head is overdue
SHARE: Final = 8  # one pick in SHARE goes to an overdue lower lane


class Again:
    """A runner's outcome: the attempt is over, run the task again at ``due_ns`` (a retry)."""

    __slots__ = ("due_ns",)

    def __init__(self, due_ns: int) -> None:
        self.due_ns = due_ns


class Sentinel:
    """A runner's outcome that is neither a value nor an exception."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"


DETACHED: Final = Sentinel("DETACHED")  # the handle stays RUNNING; somebody else settles or requeues it
CONDEMNED: Final = Sentinel("CONDEMNED")  # the attempt was taken away; this thread must leave now


class Kernel(Protocol):
    """A compiled task function, as a backend calls it (compiler/runtime/catzilla_kernel.h).

    One with the feature "short-kernels" calls short ones, with the GIL held; one with "kernels" calls all of
    them, and lets the GIL go while one that is not short computes. The guards come first; where one does not
    hold (-2), an argument has another type (-1, -3: an int beyond 64 bits) or the kernel leaves (why >= 0),
    it calls ``left(args, why)`` and then the function. What the kernel printed is printed before its task is
    settled. After CZ_STOPPED it calls ``stopped(handle)``, whose value is as a runner's. A runner's own call
    (``Workers.caller``) gives the value of ``returned(values, why)`` instead of calling ``left`` and the function.
    """

    address: int
    type_code: bytes  # "id>d": an int and a float give a float
    layout: tuple[Any, ...]  # the same with the tags of containers: compiler/kernel.py, layout_of
    short: bool  # numbers in, a number out, no loop, no memory of its own
    code: Any  # of the function
    guard_rows: tuple[tuple[Any, ...], ...] | None  # (namespace, name, value, its code, its defaults, absent)
    runs_address: int  # of a signed 64-bit count of the calls that went well, changed with the GIL held
    recursive: bool  # then depth is also bounded by the interpreter's recursion limit
    depth: int
    stack_bytes: int
    limit_bytes: int
    left: Callable[[tuple[Any, ...], int], None]
    returned: Callable[[tuple[Any, ...], int], Any]
    stopped: Callable[[Handle], Any]

    def holds(self) -> bool:
        """Asked under the GIL before each call: every global name is still what the kernel was compiled for."""


class Plan(Protocol):
    """How one task with one set of options runs. Immutable but for ``kernel``, ``runner`` and ``timed``.

    A backend with "short-kernels" has ``Queue.published()``, which is called when kernel or runner changed.
    The kernel comes before the runner, but not where a call has keywords.
    """

    fn: Callable[..., object]
    lane: int  # 0..3
    arity: tuple[int, int] | None  # positional arguments, least and most; None: not known
    runner: Runner | None  # None: plain, the backend calls fn itself
    kernel: Any  # a Kernel, or None; published once, when built
    timed: bool  # time each run, else a sample of them; the backend adapts it, see backends/python/workers.py
    owner: Any  # policy's; opaque below the waist


class Ext(Protocol):
    """Policy's data of one handle, made only when a call is not plain.

    A backend reads what is below, and drops context and kwargs when the handle is settled.
    """

    context: Any  # the contextvars.Context to run in, or None for an empty one
    kwargs: dict[str, Any] | None  # keyword arguments, or None
    on_settled: Callable[[Handle], None] | None  # called once, after the handle is counted and settled


Runner = Callable[["Handle", tuple[Any, ...], dict[str, Any]], object]
# A runner is called in the task's context on the worker's thread. What it returns or raises is the
# outcome, but for Again, DETACHED and CONDEMNED. When it raises, exactly one frame of its own comes
# before the task's in the traceback: a backend drops that one with its own.


class Handle(Protocol):
    """One task. The type a backend names is what users know as TaskResult."""

    plan: Plan
    ext: Any  # an Ext, or None
    ready_ns: int  # when it was accepted, or became due

    def state(self) -> int: ...

    def worker_slot(self) -> int | None:
        """The slot that runs or ran it; None: not started, or not recorded."""

    def times_ns(self) -> tuple[int, int] | None:
        """When the last attempt started and ended; None: not timed or not ended."""

    def settle(self, state: int, value: object) -> bool:
        """End a RUNNING task or a promise; but for COMPLETED, value is the exception. True for the one winner."""

    def withdraw(self, error: BaseException) -> bool:
        """Not started -> CANCELLED with ``error``, its lane slot freed. True for the one winner."""

    def wait_ns(self, timeout_ns: int) -> bool:
        """Block until done; -1 waits without limit. Frees the GIL, lets signal handlers run and raise."""

    def outcome(self) -> object:
        """The value, or raise the exception with the traceback of its own. Only when done."""

    def value_or_none(self) -> object:
        """The value of a task that COMPLETED, else None; does not count as looking at a failure."""

    def error(self) -> BaseException | None:
        """The exception of a task that is done, or None. Marks a failure as retrieved."""

    def on_done(self, fn: Callable[[Handle], None]) -> None:
        """Call fn once with the handle when it is done: on the settling thread, or here if it is."""


class Queue(Protocol):
    """Four lanes of ready tasks, and those that are not due yet."""

    def submitter(self, plans: dict[Any, Any], fallback: Callable[..., Handle]) -> Callable[..., Handle]:
        """The native ``add_task(fn, /, *args, **kwargs)``.

        It takes a positional call of a plan in ``plans`` whose arity fits, on a lane with room, by
        itself; everything else, unchanged, goes to ``fallback(fn, /, *args, **kwargs)``.
        """

    def put(self, plan: Plan, args: tuple[Any, ...], ext: Any, due_ns: int = 0, force: bool = False) -> Handle | None:
        """Accept one task; due_ns > 0: DELAYED until then; force: over the bound. None: no room, not queued."""

    def put_many(
        self, plan: Plan, rows: Sequence[tuple[Any, ...]], exts: Sequence[Any] | None = None
    ) -> Sequence[Handle] | None:
        """Accept every row or none (None: no room)."""

    # Of a backend with the feature "rows", which does these for whole batches of compiled tasks.

    def pack_rows(
        self,
        rows: Sequence[Any],
        type_code: bytes,
        defaults: tuple[Any, ...],
        begin: int,
        end: int,
        columns: tuple[Any, ...],
    ) -> list[int] | None:
        """``rows[begin:end]`` of a list or tuple into the same elements of ``columns``, a writable buffer for each
        argument (as Kernel.type_code says: of int64, float64 or bytes). Gives which rows do not fit, counted from
        ``begin``: another type, an int beyond 64 bits; their elements are 0. None: a row is no tuple, or not as long
        as the function takes with ``defaults``. Raises ValueError for a column that is too short.
        """

    def unpack_rows(self, column: Any, letter: str, begin: int, end: int) -> list[Any]:
        """The elements ``begin`` to ``end`` of a buffer of ``q``, ``d`` or ``?`` (as memoryview has it) as a list.

        Raises ValueError for one that is too short.
        """

    def finished(self, plan: Plan, values: list[Any], ready_ns: int) -> Sequence[Handle]:
        """Handles that are COMPLETED with these values; policy has counted them before."""

    def promise(self, plan: Plan, ext: Any) -> Handle:
        """Accept a task that is in no lane and has no arguments yet: DELAYED until it is settled or requeued."""

    def requeue(self, handle: Handle, args: tuple[Any, ...], due_ns: int) -> None:
        """Put a handle that is DETACHED back as RETRYING until due_ns, or a promise in its lane (0: at once).

        The bound does not apply. No effect on a handle that was settled meanwhile.
        """

    def evict_oldest(self, lane: int, error: BaseException) -> Handle | None:
        """Settle the lane's oldest pending task as CANCELLED with error; None: there is none."""

    def on_space(self, lane: int, fn: Callable[[], None]) -> None:
        """Call fn once when the lane has, or gets, room."""

    def off_space(self, lane: int, fn: Callable[[], None]) -> None:
        """Forget fn; if it was called already, pass the turn to the next one waiting."""

    def sizes(self) -> tuple[int, int, int, int]:
        """Tasks accepted and not started or settled, by lane: ready, delayed and retrying ones."""

    def ready(self) -> int:
        """Tasks that could start now, in lanes that are not paused."""

    def oldest_ready_ns(self) -> tuple[int | None, int | None, int | None, int | None]:
        """By lane, since when its head is ready; None: empty."""

    def pending(self) -> list[Handle]:
        """Every task not started, a moment's copy."""

    def advance(self, now_ns: int) -> int | None:
        """Move what is due into its lane; the next due time, or None. The supervisor calls it, one thread only."""

    def pause(self, lanes: frozenset[int]) -> None:
        """Start nothing from these lanes; others (and lanes left out) go on."""

    def on_backlog(self, fn: Callable[[], None] | None) -> None:
        """Call fn once, soon after a task is accepted while no slot is free for it. None: do not."""

    def close(self) -> None:
        """From now on the submitters hand every call to their fallback, where policy refuses it; put still works."""

    def reopen(self) -> None: ...


class WorkerView(Protocol):
    """One thread that serves, a moment's copy."""

    slot: int  # 0 and up: the workers; below 0: reserves, and threads that are no workers
    reserve: bool
    handle: Handle | None  # None: idle
    started_ns: int | None  # of the run in progress, when recorded
    busy_ns: int  # in all, up to now
    native_id: int | None  # of the thread, for its CPU time; None: the slot has no thread
    outer: bool  # a task that waits on this thread while it runs another one inside (that has its own view)


class Workers(Protocol):
    """Threads are made above the waist; a backend gives the loop they run."""

    def resize(self, count: int) -> None:
        """How many slots there are. A slot without a thread asks for one (EngineConfig.spawn) when there is work."""

    def reserve(self, count: int) -> None:
        """How many more slots take CRITICAL only, when every other one is busy."""

    def serve(self, slot: int) -> None:
        """Run tasks on the calling thread until the slot is retired, lost or stopped."""

    def run(self, handle: Handle) -> bool:
        """Run exactly this one on the calling thread, if it is PENDING. False: somebody else has it."""

    def current(self) -> Handle | None:
        """What the calling thread runs, innermost first; None: it runs no task."""

    def lose(self, slot: int) -> None:
        """The slot's thread is stuck: a fresh one may serve it; what the old one had grabbed goes back."""

    def snapshot(self) -> Sequence[WorkerView]: ...

    # With the feature "kernels":

    def stop_kernel(self, handle: Handle | None) -> None:
        """End the handle's kernel (None: every kernel) at its next round of a loop; no effect where none computes."""

    def kernels(self) -> Sequence[Handle]:
        """The tasks whose kernels compute now."""

    # With the feature "callers":

    def caller(self, kernel: Kernel) -> Callable[[Handle, tuple[Any, ...]], Any]:
        """What a runner calls the kernel with, in the thread that runs the handle's task: caller(handle, values)."""

    def spawn_failed(self, slot: int) -> None:
        """No thread could be started for the slot: it asks again with the next task."""

    def stop(self) -> None:
        """Every thread leaves its loop once it is idle or its task is over."""

    def reopen(self) -> None:
        """After stop: slots ask for threads again."""


class Allocator(Protocol):
    """Memory of the engine. What cannot be measured is None."""

    name: str  # "jemalloc" | "malloc" | "python"
    limit_bytes: int | None

    def charge(self, size_bytes: int) -> bool:
        """Take from the pool; False: it has not that much left, nothing was taken."""

    def force(self, size_bytes: int) -> None:
        """Take (or, negative, give back) in any case."""

    def stats(self) -> Mapping[str, Any]: ...


class Metrics(Protocol):
    """Counters are exact; histograms are weighted samples."""

    def add(self, counter: str, n: int = 1) -> None: ...

    def observe(self, execution_ns: int, wait_ns: int) -> None:
        """Time of a run that no worker measured (a coroutine's). One thread at a time."""

    def counters(self) -> Mapping[str, int]:
        """submitted, completed, failed, cancelled, timed_out, retried, dropped, rejected, native_executions,
        deopts, steals."""

    def execution_ns(self) -> Mapping[int, int]:
        """Upper bound of a bucket (within 4 % of its values) -> weighted count."""

    def execution_sum_ns(self) -> int: ...

    def wait_ns(self) -> Mapping[int, int]: ...


class Engine(Protocol):
    """Its parts, as plain attributes; read-only here, so that a backend may name its own types."""

    @property
    def queue(self) -> Queue: ...
    @property
    def workers(self) -> Workers: ...
    @property
    def allocator(self) -> Allocator: ...
    @property
    def metrics(self) -> Metrics: ...

    def abandon(self, error: BaseException) -> list[Handle]:
        """After a fork, in the child: no thread of it is left. Settle all that is not done with error."""


class EngineConfig(Protocol):
    """What the policy gives an engine to live with. None of its calls blocks, none raises."""

    @property
    def queue_size(self) -> int: ...
    @property
    def memory_limit_bytes(self) -> int | None: ...
    @property
    def profiling(self) -> bool | str:
        """True: sampled; "full": each task; False: none."""

    @property
    def use_jemalloc(self) -> bool: ...
    @property
    def failed(self) -> Callable[[Any], None] | None:
        """Called with each handle that FAILED or TIMED_OUT, once settled; None: nobody wants to know."""

    def spawn(self, slot: int, /) -> None:
        """A slot wants a thread: serve(slot) on it. Called anywhere, also in a signal handler."""

    def wake(self) -> None:
        """The supervisor should look again: an earlier due time, a backlog."""

    def make_ext(self, context: Any, kwargs: dict[str, Any] | None, /) -> Any:
        """An Ext; context and kwargs may be None."""

    def critical_waiting(self, change: int, /) -> None:
        """So many more CRITICAL tasks wait to start (negative: fewer)."""

    def unretrieved(self, plan: Any, error: BaseException, /) -> None:
        """A failure that nobody looked at was freed."""

    def fault(self, error: BaseException, /) -> None:
        """A callback of policy raised: report it."""


class Backend(Protocol):
    """Stateless; what an entry point of the group ``catzilla.backends`` names."""

    name: str
    features: frozenset[str]
    handle_type: type

    def open(self, config: EngineConfig) -> Engine: ...
