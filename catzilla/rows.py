"""``add_tasks(fn, rows)`` of what runs as C: parts of many rows instead of a handle for each.

The rows are read into columns at once (``Queue.pack_rows``), cut into parts, and each part is one task,
whose kernel goes over its columns without the GIL. Results stay numbers until somebody looks. A row has
a handle of its own from when it is first asked for, or when it ends with anything but a value. What does
not fit, or what the kernel cannot finish, runs as Python, that row alone.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, copy_context
from time import monotonic, monotonic_ns
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from .columns import SIZES, room
from .compiling import MOST_DEOPTS, STOPPED, Native, run_native
from .errors import TaskCancelled
from .ext import Ext
from .interface import CANCELLED, COMPLETED, DETACHED, FAILED, TIMED_OUT, Handle
from .parameters import A_YEAR_S
from .plan import Plan, Spec

if TYPE_CHECKING:
    from .system import TaskSystem

LEAST_ROWS: Final = 64  # fewer: handing parts over costs more than the handles
MOST_ROWS: Final = 1 << 17  # of a part: a few hundred of them are objects enough for the collector to go over the rows
SLICE: Final = 1 << 14  # rows that are packed at once: it holds the GIL for a fraction of a millisecond
PARTS_EACH: Final = 4  # for each worker, of what has loops: rows may take different times
FEW: Final = 256  # of rows without a loop: less is not worth a part
BLOCK: Final = 64  # rows that Python does before it looks again whether there is a kernel, or a cancel
ODD_SHARE: Final = 8  # one row in so many may be for Python: with more of them each is a task of its own

_COUNTERS: Final = {COMPLETED: "completed", FAILED: "failed", CANCELLED: "cancelled", TIMED_OUT: "timed_out"}
_RAW: Final = {int: "q", float: "d", bool: "?"}
_UNSET: Final = object()


class RowCounts:
    """What the engine's counters do not know: it counts a part, and a row that has a handle.

    Appending is one atomic step, so a finalizer or a signal handler may count too.
    """

    def __init__(self) -> None:
        self._changes: deque[tuple[str | int, int]] = deque()
        self._totals: dict[str | int, int] = {}
        self._lock = threading.RLock()

    def add(self, what: str | int, n: int) -> None:
        """A counter, or (an int) the rows that wait in a lane and are no tasks to the engine."""
        if n:
            self._changes.append((what, n))
            if len(self._changes) > 4096:
                self.totals()

    def totals(self) -> dict[str | int, int]:
        with self._lock:
            try:
                while True:
                    what, n = self._changes.popleft()
                    self._totals[what] = self._totals.get(what, 0) + n
            except IndexError:
                return self._totals


class _Flag:
    """What stands for the kernel's run-time structure while Python does the work."""

    stop = 0


class Part:
    """Some rows of a batch, and their results. The lock is held for a few lines, and while no outcome is told."""

    def __init__(
        self,
        rows: RowRunner,
        columns: tuple[Any, ...],
        odd: dict[int, Any],
        out: Any,
        first: int,
        size: int,
        context: Context | None,
    ) -> None:
        self.rows = rows
        # Of the whole batch; this part's elements begin at ``first``. No memoryviews: the collector cannot clear one
        # that has a view of its own.
        self.columns = columns
        self.out = out
        self.odd = odd  # rows that the kernel does not take
        self.first = first
        self.size = size
        self.context = context
        self.accepted_ns = monotonic_ns()
        self.handle: Any = None
        self.started = False
        self.at = 0  # rows that have ended
        self.others: dict[int, Any] = {}  # results that are no numbers of the column's kind
        self.made: dict[int, Any] = {}  # rows that have handles
        self.unwanted: set[int] = set()  # cancelled rows
        self.cut: tuple[int, BaseException] | None = None  # how all rows from ``at`` on ended
        self._uncounted = 0  # 1: the part's own end stands for one that was completed
        self._lock = threading.RLock()

    # -- looking ---------------------------------------------------------------------------------

    def value(self, index: int) -> Any:
        value = self.others.get(index, _UNSET)
        return _view(self.out, self.rows.out)[self.first + index] if value is _UNSET else value

    def results(self) -> memoryview:
        """Where its results go. Not to be kept: the collector cannot clear a memoryview that another one looks at."""
        return _view(self.out, self.rows.out)[self.first : self.first + self.size]

    def inputs(self) -> list[memoryview]:
        """As results(), of its arguments; those of rows that have ended may be their results."""
        columns = zip(self.columns, self.rows.formats, strict=True)
        return [_view(column, letter)[self.first : self.first + self.size] for column, letter in columns]

    def values(self) -> list[Any]:
        """Of all rows; only when each has one."""
        values = self.rows.unpack(self.out, self.first, self.first + self.size)
        for index, value in self.others.items():
            values[index] = value
        return values

    def arguments(self, index: int) -> tuple[Any, ...]:
        """Of a row that has not ended."""
        row = self.odd.get(index)
        if row is not None:
            return tuple(row)
        columns = zip(self.columns, self.rows.formats, strict=True)
        return tuple(_view(column, letter)[self.first + index] for column, letter in columns)

    def first_bad(self) -> int | None:
        """The first row that ended without a value."""
        with self._lock:
            bad = [index for index, handle in self.made.items() if handle.state() > COMPLETED]
            if self.cut is not None:
                bad.append(self.at)
        return min(bad, default=None)

    def handle_of(self, index: int) -> Any:
        with self._lock:
            handle = self.made.get(index)
            if handle is not None:
                return handle
            if index < self.at:
                handle = self.rows.finished([self.value(index)], self.accepted_ns)[0]
            else:
                handle = self._promise(index)
            self.made[index] = handle
            cut = self.cut
        if cut is not None and index >= self.at:
            self.rows.count(_COUNTERS[cut[0]], -1)
            handle.settle(*cut)
        return handle

    def handles(self) -> list[Any]:
        """Of all rows, when they have ended."""
        if self.cut is not None:
            return [self.handle_of(index) for index in range(self.size)]
        with self._lock:
            if not self.made:
                made = self.rows.finished(self.values(), self.accepted_ns)
                self.made = dict(enumerate(made))
                return list(made)
            missing = [index for index in range(self.size) if index not in self.made]
            made = self.rows.finished([self.value(index) for index in missing], self.accepted_ns)
            self.made.update(zip(missing, made, strict=True))
            return [self.made[index] for index in range(self.size)]

    def _promise(self, index: int) -> Any:
        ext = Ext(None, None)
        ext.promise = True
        ext.follows = self.handle
        ext.row = (self, index)
        ext.on_settled = _row_ended
        ext.created_ns = self.accepted_ns
        handle = self.rows.promise(ext)
        self.rows.count("submitted", -1)
        return handle

    # -- ending ----------------------------------------------------------------------------------

    def cancel_row(self, handle: Any, index: int) -> bool:
        with self._lock:
            if index >= self.at:
                self.unwanted.add(index)
        if self.started:
            self.rows.system.ensure_ext(handle).cancel_requested = True
            self.rows.system.compiling.stop(self.handle)
            return False
        return bool(handle.settle(CANCELLED, TaskCancelled(f"task {self.rows.name} was cancelled before it started")))

    def cancel(self) -> int:
        """How many rows were, that had not started."""
        left = self.size - sum(1 for handle in list(self.made.values()) if handle.state() >= COMPLETED)
        return left if self.handle.cancel() else 0

    def advance(self, end: int) -> bool:
        """The rows before ``end`` have results; False: all that was left has been ended from outside."""
        with self._lock:
            if self.cut is not None:
                return False
            begin, self.at = self.at, end
            made = [(index, handle) for index, handle in self.made.items() if begin <= index < end]
        done = end - begin - len(made) + self._uncounted
        if done:
            self._uncounted = 1
            self.rows.count("completed", done - 1)
        for index, handle in made:
            if handle.state() < COMPLETED:
                handle.settle(COMPLETED, self.value(index))
        return True

    def fail(self, index: int, state: int, error: BaseException) -> None:
        """The next one ends like this; advance() goes past it."""
        with self._lock:
            handle = self.made.get(index)
            if handle is None:
                handle = self.made[index] = self._promise(index)
        handle.settle(state, error)

    def finish(self) -> None:
        """All rows have ended: the part is about to, and counts for one of them."""
        if not self._uncounted:
            self.rows.count("completed", -1)

    def ended(self, handle: Any) -> None:
        """``Ext.on_settled`` of the part: what has no outcome yet ended as the part did."""
        system = self.rows.system
        system.settled(handle)
        state = handle.state()
        with self._lock:
            handle.ext.on_settled = None  # it leads back here
            if state == COMPLETED:
                return
            self.cut = state, handle.error()
            left = self.size - self.at
            made = [(index, row) for index, row in self.made.items() if index >= self.at]
        self.rows.count("completed", self._uncounted)
        self.rows.count(_COUNTERS[state], left - len(made) - 1)
        if not self.started:
            self.rows.count(self.rows.lane, 1 - self.size)
        for _, row in made:
            row.settle(*self.cut)


def _view(column: Any, letter: str) -> memoryview:
    return memoryview(column).cast("B").cast(letter)  # type: ignore[call-overload, no-any-return]


def _row_ended(handle: Any) -> None:
    ext: Ext = handle.ext
    handle.plan.owner.system.settled(handle)
    ext.row = ext.follows = None  # they lead back to the handle


class RowRunner:
    """``Spec.native`` of the plan whose tasks are the parts of one function's batches."""

    def __init__(self, native: Native, plan: Plan, columns: tuple[str, str]) -> None:
        spec: Spec = plan.owner
        self.system: TaskSystem = spec.system
        self.native = native
        self.fn = spec.fn
        self.name = spec.name
        self.lane = plan.lane
        self.columns = columns
        self.formats, self.out = columns
        self._rows_plan = plan
        own = Spec(spec.system, spec.fn, spec.options)
        own.native = self  # type: ignore[assignment]
        self.plan = Plan(own, run_native)

    def count(self, what: str | int, n: int) -> None:
        self.system.row_counts.add(what, n)

    def unpack(self, column: Any, begin: int, end: int) -> list[Any]:
        return self.system.engine.queue.unpack_rows(column, self.out, begin, end)

    def finished(self, values: list[Any], ready_ns: int) -> Sequence[Any]:
        return self.system.engine.queue.finished(self._rows_plan, values, ready_ns)

    def promise(self, ext: Ext) -> Any:
        return self.system.engine.queue.promise(self._rows_plan, ext)

    # -- a part ----------------------------------------------------------------------------------

    def call(self, handle: Handle, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        part: Part = args[0]
        try:
            began_ns = monotonic_ns()
            part.handle = handle  # the submitter may not have come that far
            part.started = True
            self.count(self.lane, 1 - part.size)
            with part._lock:
                part.unwanted.update(index for index, row in part.made.items() if row.state() >= COMPLETED)
            self._run(handle, part)
            if part.at < part.size or handle.state() >= COMPLETED:
                cancelled = TaskCancelled(f"task {self.name} was cancelled while it ran as C")
                handle.settle(CANCELLED, cancelled)
                return DETACHED
            if self.system.config.enable_profiling:  # a row is an execution, a part is not
                took_ns = (monotonic_ns() - began_ns) // part.size
                self.system.observe_execution(took_ns, max(0, began_ns - part.accepted_ns))
            part.finish()
            handle.settle(COMPLETED, None)
            return DETACHED
        finally:
            part = handle = args = cancelled = None  # type: ignore[assignment]  # as in _run

    def _run(self, handle: Handle, part: Part) -> None:
        """Until all have ended, or the part has."""
        running = self.system.compiling.running
        odd = iter([*part.odd, part.size])
        next_odd = next(odd)
        flag: Any = _Flag()
        running[handle] = flag
        run: Any = None
        try:
            while part.at < part.size:
                if handle.state() >= COMPLETED or _unwanted(handle):
                    return
                flag.stop = 0
                start = part.at
                if start in part.unwanted:
                    part.fail(start, CANCELLED, TaskCancelled(f"task {self.name} was cancelled"))
                    part.advance(start + 1)
                    continue
                kernel = self.native.kernel
                if kernel is None or kernel.columns != self.columns or _traced():
                    self._interpret(part, min(BLOCK, part.size - start))
                    continue
                while next_odd < start:
                    next_odd = next(odd)
                if start == next_odd:
                    values = part.arguments(start)
                    self.native.left_row(f"called with {kernel.misfit(self._whole(values))}", values)
                    self._interpret(part, 1)
                    continue
                if run is None or run.kernel is not kernel:
                    run = kernel.start_map(part.inputs(), part.results())
                    before, flag = flag, run.rt
                    running[handle] = flag
                    if before.stop:
                        continue
                end = min([next_odd, *(index for index in part.unwanted.copy() if index >= start)])
                at, why = run.go(start, end)
                if at > start:
                    self.native.ran_rows(at - start)
                    if not part.advance(at):
                        return
                if why is not None and why is not STOPPED:
                    self.native.left_row(why, part.arguments(at))
                    self._interpret(part, 1 if self.native.in_a_row < MOST_DEOPTS else BLOCK)
        finally:
            if running.get(handle) is flag:
                del running[handle]
            # The frames of an exception lead back to this one: it must not hold what holds the exception.
            run = flag = kernel = part = handle = None  # type: ignore[assignment]

    def _whole(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        defaults = self.fn.__defaults__ or ()
        missing = len(self.formats) - len(values)
        return values + defaults[len(defaults) - missing :] if missing else values

    def _interpret(self, part: Part, count: int) -> None:
        letter = self.out
        try:
            for index in range(part.at, min(part.at + count, part.size)):
                if index in part.unwanted:
                    return  # whoever called looks again
                row = part.arguments(index)
                try:
                    value = self.fn(*row) if part.context is None else part.context.copy().run(self.fn, *row)
                except BaseException as error:
                    traceback = error.__traceback__
                    part.fail(
                        index, FAILED, error.with_traceback(traceback and traceback.tb_next)
                    )  # without this frame
                else:
                    if _RAW.get(type(value)) != letter or (letter == "q" and not -(2**63) <= value < 2**63):
                        part.others[index] = value
                    else:
                        _view(part.out, letter)[part.first + index] = value
                if not part.advance(index + 1):
                    return
        finally:
            part = row = value = traceback = None  # type: ignore[assignment]  # as in _run


class Rows(Sequence[Any]):
    """The handles of a batch, made when they are asked for."""

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        self._edges = [0]
        for part in parts:
            self._edges.append(self._edges[-1] + part.size)

    def __len__(self) -> int:
        return self._edges[-1]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = index.__index__()
        if at < 0:
            at += len(self)
        if not 0 <= at < len(self):
            raise IndexError("there are not as many rows in the batch")
        step = self.parts[0].size
        number = min(at // step, len(self.parts) - 1)
        while at < self._edges[number]:
            number -= 1
        while at >= self._edges[number + 1]:
            number += 1
        return self.parts[number].handle_of(at - self._edges[number])

    def __iter__(self) -> Iterator[Any]:
        for part in self.parts:
            index = 0
            while index < part.size:
                if part.handle.state() >= COMPLETED:
                    yield from part.handles()[index:]
                    break
                yield part.handle_of(index)
                index += 1

    def wait(self, timeout: float | None) -> list[Any]:
        """As BatchResult.wait."""
        end = None if timeout is None else monotonic() + min(timeout, A_YEAR_S)
        for part in self.parts:
            part.handle.exception(_left(end))
            bad = part.first_bad()
            if bad is not None:
                part.handle_of(bad).wait(_left(end))
        first = self.parts[0]
        values = first.rows.unpack(first.out, 0, len(self))
        for part in self.parts:
            for index, value in part.others.items():
                values[part.first + index] = value
        return values

    def exceptions(self, timeout: float | None) -> list[BaseException | None]:
        end = None if timeout is None else monotonic() + min(timeout, A_YEAR_S)
        errors: list[BaseException | None] = []
        for part in self.parts:
            part.handle.exception(_left(end))
            if part.cut is not None:
                errors += [handle.exception(_left(end)) for handle in part.handles()]
                continue
            found: list[BaseException | None] = [None] * part.size
            for index, handle in list(part.made.items()):
                found[index] = handle.exception(_left(end))
            errors += found
        return errors

    def done(self) -> bool:
        return all(part.handle.state() >= COMPLETED for part in self.parts)

    def finished(self) -> int:
        """How many rows have ended."""
        return sum(part.size if part.handle.state() >= COMPLETED else part.at for part in self.parts)

    def cancel(self) -> int:
        return sum(part.cancel() for part in self.parts)


def submit(
    system: TaskSystem, plan: Plan, rows: list[Any] | tuple[Any, ...], accept: Callable[[Plan, list[Any], Any], Any]
) -> Rows | None:
    """Queue the parts; None: each row is a task of its own (there is no kernel yet, no room, a mistake in one)."""
    spec: Spec = plan.owner
    native: Any = spec.native
    kernel = native.kernel
    if kernel is None or kernel.columns is None or plan.runner not in (None, run_native) or "rows" not in _able(system):
        return None
    options, config = spec.options, system.config
    special = options.delay_ms or spec.limit is not None or options.expires_ms is not None
    if special or system.in_place or config.on_full == "drop_oldest" or config.enable_profiling == "full" or _traced():
        return None
    if type(spec.fn) is not FunctionType or not kernel.holds():
        return None
    if len(rows) > config.queue_size - system.queue_sizes()[plan.lane]:
        return None
    runner = native.row_runner
    if runner is None or runner.columns != kernel.columns:
        runner = native.row_runner = RowRunner(native, plan, kernel.columns)
    parts = _pack(system, runner, kernel, rows)
    if parts is None:
        return None
    exts = []
    for part in parts:
        ext = Ext(None, None)
        ext.on_settled = part.ended
        exts.append(ext)
    system.row_counts.add("submitted", len(rows) - len(parts))
    system.row_counts.add(plan.lane, len(rows) - len(parts))
    handles = accept(runner.plan, parts, exts)
    if handles is None:  # no room for them either
        system.row_counts.add("submitted", len(parts) - len(rows))
        system.row_counts.add(plan.lane, len(parts) - len(rows))
        return None
    return Rows(parts)


def _pack(system: TaskSystem, runner: RowRunner, kernel: Any, rows: Any) -> list[Part] | None:
    pack = system.engine.queue.pack_rows
    defaults = runner.fn.__defaults__ or ()
    context = copy_context()
    parts = []
    odd_left = len(rows) // ODD_SHARE
    columns = tuple(room(len(rows) * SIZES[letter]) for letter in runner.formats)
    # A result may lie where an argument of its row was: that much less memory to touch, and nobody asks for it again.
    size = SIZES[runner.out]
    alike = (column for column, letter in zip(columns, runner.formats, strict=True) if SIZES[letter] == size)
    out = next(alike, None) or room(len(rows) * size)
    step = _step(len(rows), system.autoscaler.slots, kernel.loops)
    for begin in range(0, len(rows), step):
        end = min(begin + step, len(rows))
        kept: dict[int, Any] = {}
        for at in range(begin, end, SLICE):
            odd = pack(rows, kernel.type_code, defaults, at, min(at + SLICE, end), columns)
            if odd is None:
                return None
            odd_left -= len(odd)
            if odd_left < 0:
                return None
            kept.update((at - begin + index, rows[at + index]) for index in odd)
        parts.append(Part(runner, columns, kept, out, begin, end - begin, context if context else None))
    return parts


def _step(count: int, workers: int, loops: bool) -> int:
    """Rows of a part."""
    if loops:
        return max(1, min(SLICE, -(-count // (workers * PARTS_EACH))))
    return max(FEW, min(MOST_ROWS, -(-count // workers)))


def _able(system: TaskSystem) -> frozenset[str]:
    return system.backend_features


def _traced() -> bool:
    return sys.gettrace() is not None or sys.getprofile() is not None


def _unwanted(handle: Handle) -> bool:
    ext: Any = handle.ext
    return ext is not None and bool(ext.cancel_requested)


def _left(end: float | None) -> float | None:
    return None if end is None else max(0.0, end - monotonic())
