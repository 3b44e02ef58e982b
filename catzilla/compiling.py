"""Which tasks run as C: decided here, above the waist; catzilla/compiler does it, and is imported by its thread.

A plan that may gain from it is given a ``Native`` and a runner that asks it first. The function runs
as Python until its kernel is there, and whenever the kernel cannot do exactly what Python would.
"""

from __future__ import annotations

import sys
import weakref
from array import array
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from .errors import TaskCancelled
from .gain import may_be_short, may_loop
from .interface import CANCELLED, DETACHED, Handle, Sentinel
from .log import logger
from .wording import kind_of

if TYPE_CHECKING:
    from .mapping import Mapping
    from .plan import Spec
    from .rows import RowRunner
    from .system import TaskSystem

DEOPT: Final = Sentinel("DEOPT")  # the interpreter runs the function
STOPPED: Final = Sentinel("STOPPED")  # a cancel or a deadline ended the kernel's loop
CHANGED: Final = -2  # instead of a reason: a guard does not hold
MOST_DEOPTS: Final = 16  # in a row; then the task stays in Python
MOST_MISMATCHES: Final = 4  # in a row; then the kernel is built again, for what is passed
MOST_BUILDS: Final = 3  # of one task


class Compiling:
    """The natively run tasks of one system."""

    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self.running: dict[Any, Any] = {}  # handle -> the run-time structure of its kernel
        self._natives: weakref.WeakSet[Native | Mapping] = weakref.WeakSet()

    def consider(self, spec: Spec, plain: bool) -> Native | None:
        """A Native for what may gain from being compiled; None for the rest. No compiler is imported here.

        ``plain``: nothing is done around the call, so that a backend may call a short kernel by itself.
        """
        options = spec.options
        if not self._system.config.enable_c_compilation or options.compile_to_c is False or spec.is_async:
            return None
        fn = spec.fn
        if type(fn) is not FunctionType:
            if options.compile_to_c:
                logger.warning("task %s runs as Python: only functions written with def are compiled", spec.name)
            return None
        # A call of a compiled function costs as much as a function without a loop takes, unless the backend makes it.
        if not options.compile_to_c and not may_loop(fn) and not (plain and self.short_calls and may_be_short(fn)):
            return None
        native = Native(self, spec)
        self.know(native)
        return native

    def know(self, native: Native | Mapping) -> None:
        self._natives.add(native)

    @property
    def all_calls(self) -> bool:
        """Whether the backend calls kernels by itself."""
        return "kernels" in self._system.backend_features

    @property
    def short_calls(self) -> bool:
        """Whether it calls short kernels by itself: numbers in and out, no loop."""
        return "short-kernels" in self._system.backend_features

    def caller(self, kernel: Any) -> Any:
        """What calls it from inside a runner without cffi; None: this backend has none."""
        return self._workers.caller(kernel) if "callers" in self._system.backend_features else None

    def compiled(self) -> int:
        return sum(1 for native in list(self._natives) if native.kernel is not None)

    def count(self, counter: str, n: int = 1) -> None:
        self._system.engine.metrics.add(counter, n)

    def stop(self, handle: Any) -> None:
        """End the handle's kernel at its next round of a loop; no effect on what runs as Python."""
        rt = self.running.get(handle)
        if rt is not None:
            rt.stop = 1
        elif self.all_calls:
            self._workers.stop_kernel(handle)

    def stop_all(self) -> None:
        """Whatever still runs was abandoned: it need not go on."""
        for rt in list(self.running.values()):
            rt.stop = 1
        if self.all_calls:
            self._workers.stop_kernel(None)

    def computing(self) -> list[Any]:
        """The handles whose kernels run now."""
        return [*self.running, *(self._workers.kernels() if self.all_calls else ())]

    @property
    def _workers(self) -> Any:
        return self._system.engine.workers


class Native:
    """One task's kernel, from wanted to built or refused."""

    columns = None  # it does not go over buffers

    def __init__(self, compiling: Compiling, spec: Spec) -> None:
        self.compiling = compiling
        self.spec = spec
        self.kernel: Any = None
        self._caller: Any = None  # of the kernel, where the backend has one
        self.state = "waiting"  # waiting, watching (for a call that shows the types), building, ready, refused, pinned
        self.reason: str | None = None
        self.pays = bool(spec.options.compile_to_c)  # also without a loop, and however it is called
        self._calls = array("q", [0])  # by the backend itself; it has the address
        self._calls_seen = 0  # when the last of these went back to Python
        self._runs = 0
        self.deopts = 0
        self.last_deopt: str | None = None
        self._in_a_row = 0
        self._mismatches = 0
        self._builds = 0
        self.row_runner: RowRunner | None = None  # for batches of rows, once there was one

    @property
    def short_pays(self) -> bool:
        """Whether the backend would call it by itself if it is short."""
        plan: Any = self.spec.plan
        return self.compiling.short_calls and plan.runner is run_native

    def request(self, types: Any) -> None:
        """Build, in the background; ``types`` None: those of the annotations."""
        from .compiler.queue import submit

        self.state = "building"
        self._builds += 1
        submit(self, types)

    # -- what the building thread says -----------------------------------------------------------

    def built(self, kernel: Any) -> None:
        self._in_a_row = self._mismatches = 0
        kernel.runs_address = self._calls.buffer_info()[0]
        kernel.left = partial(self._left, kernel)
        kernel.returned = partial(self._returned, kernel)
        kernel.stopped = self._stopped
        self._caller = self.compiling.caller(kernel)
        self.kernel = kernel
        self.state = "ready"
        plan: Any = self.spec.plan
        if self.short_pays:
            plan.kernel = kernel if kernel.short or self.compiling.all_calls else None
            self._publish()

    def _publish(self) -> None:
        """The plan has changed: a backend that remembers what it read looks again."""
        if self.compiling.short_calls:
            queue: Any = self.spec.system.engine.queue
            queue.published()

    @property
    def runs(self) -> int:
        """Calls that ran as C."""
        return self._runs + self._calls[0]

    @runs.setter
    def runs(self, value: int) -> None:
        self._runs = value - self._calls[0]

    def watch(self) -> None:
        self.state = "watching"

    def refuse(self, reason: str) -> None:
        if self.spec.options.compile_to_c:  # said before anybody can see the state: who waits for it finds the record
            logger.warning("task %s runs as Python: %s", self.spec.name, reason)
        self.kernel = None
        self.reason = reason
        self.state = "refused"
        plan: Any = self.spec.plan
        if plan is not None and plan.runner is run_native:
            plan.runner = None
            self._publish()

    # -- a call ----------------------------------------------------------------------------------

    def call(self, handle: Handle, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value; DEOPT: run the function; DETACHED: it was cancelled and is settled."""
        kernel = self.kernel
        if kernel is None:
            if self.state == "watching":
                self._watch_call(args, kwargs)
            return DEOPT
        if kernel.short and not self.pays:
            return DEOPT  # a call with keywords: through here it would take longer than as Python
        if sys.gettrace() is not None or sys.getprofile() is not None:
            return DEOPT  # who traces wants to see the function run
        values = bind(self.spec.fn, args, kwargs)
        if values is None:
            return DEOPT
        if self._caller is not None:
            return self._caller(handle, values)
        running = self.compiling.running
        rt = running[handle] = kernel.new_run()
        try:
            ext: Any = handle.ext
            if ext is not None and (ext.cancel_requested or (ext.attempt is not None and ext.attempt.condemned)):
                rt.stop = 1
            value, why = kernel.run(values, rt)
        finally:
            if running.get(handle) is rt:  # a retry may have begun meanwhile
                del running[handle]
        if value is DEOPT:
            self._deopt(why, values)
        elif value is STOPPED:
            return self._stopped(handle)
        else:
            self._in_a_row = self._mismatches = 0
            self.runs += 1
            self.compiling.count("native_executions")
        return value

    def _watch_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        from .compiler.convert import types_of

        values = bind(self.spec.fn, args, kwargs)
        types = None if values is None else types_of(values)
        if self.state != "watching" or values is None:
            return
        if types is not None:
            self.request(types)
            return
        self._mismatches += 1
        if self._mismatches >= MOST_MISMATCHES:  # to look at each call's arguments would cost for ever
            kinds = ", ".join(map(kind_of, values))
            self.refuse(f"{MOST_MISMATCHES} calls had arguments of types that are not compiled, the last one {kinds}")

    def _left(self, kernel: Any, args: tuple[Any, ...], why: int) -> None:
        """A backend's own call of the kernel goes back to Python: at a reason of the kernel's, or before it began."""
        values = bind(self.spec.fn, args, {})
        if values is not None:
            self._returned(kernel, values, why)

    def _returned(self, kernel: Any, values: tuple[Any, ...], why: int) -> Any:
        """The same of a call with a value for every parameter."""
        if self._calls[0] != self._calls_seen:
            self._calls_seen = self._calls[0]
            self._in_a_row = self._mismatches = 0
        if why >= 0:
            line, reason = kernel.unit.reasons[why]
            self._deopt(f"line {line}: {reason}", values)
        elif why == CHANGED:
            self._deopt("a global name that it uses has changed", values)
        else:
            self._deopt(f"called with {kernel.misfit(values)}", values)
        return DEOPT

    # -- rows of a batch -------------------------------------------------------------------------

    @property
    def in_a_row(self) -> int:
        return self._in_a_row

    def ran_rows(self, count: int) -> None:
        self._in_a_row = self._mismatches = 0
        self.runs += count
        self.compiling.count("native_executions", count)

    def left_row(self, why: str, values: tuple[Any, ...]) -> None:
        """One of them is for Python."""
        self._deopt(why, values)

    def _deopt(self, why: str, values: tuple[Any, ...]) -> None:
        self.deopts += 1
        self.last_deopt = why
        self._in_a_row += 1
        self.compiling.count("deopts")
        if why.startswith("called with"):
            self._mismatches += 1
            if self._mismatches >= MOST_MISMATCHES and self._builds < MOST_BUILDS:
                from .compiler.convert import types_of

                types = types_of(values)
                if types is not None and self.state == "ready":
                    self.request(types)
        if self._in_a_row >= MOST_DEOPTS and self.state == "ready":
            self.kernel = None
            self.state = "pinned"
            self.reason = f"{self._in_a_row} calls in a row could not be finished as C, the last one at {why}"
            plan: Any = self.spec.plan
            plan.kernel = None
            if plan.runner is run_native:
                plan.runner = None
            self._publish()

    def _stopped(self, handle: Any) -> Any:
        ext: Any = handle.ext
        if ext is not None and ext.attempt is not None and ext.attempt.condemned:
            return None  # nobody looks: the attempt is over
        handle.settle(CANCELLED, TaskCancelled(f"task {self.spec.name} was cancelled while it ran as C"))
        return DETACHED


def run_native(handle: Handle, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    """The runner of a task that has nothing else around it; see interface.Runner for the frames."""
    spec: Any = handle.plan.owner
    try:
        value = spec.native.call(handle, args, kwargs)
        return spec.fn(*args, **kwargs) if value is DEOPT else value
    finally:
        # The frames of a task's exception lead back to this one: it must not hold the handle.
        handle = args = kwargs = None  # type: ignore[assignment]


def bind(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
    """A value for every parameter, in order; None: the call does not fit (Python says how)."""
    code = fn.__code__
    positional = code.co_argcount
    names = code.co_varnames[: positional + code.co_kwonlyargcount]
    if len(args) == len(names) == positional and not kwargs:
        return args
    if len(args) > positional:
        return None
    defaults = fn.__defaults__ or ()
    keyword_defaults = fn.__kwdefaults__ or {}
    values = list(args)
    used = 0
    for index in range(len(args), len(names)):
        name = names[index]
        if name in kwargs and index >= code.co_posonlyargcount:
            values.append(kwargs[name])
            used += 1
        elif index < positional and index >= positional - len(defaults):
            values.append(defaults[index - positional])
        elif index >= positional and name in keyword_defaults:
            values.append(keyword_defaults[name])
        else:
            return None
    return tuple(values) if used == len(kwargs) else None
