"""One function over whole buffers: ``add_tasks(fn, buffers=(a, b), out=None)``.

The buffers are cut into as many parts as there are workers, each a task. A part calls its kernel once
for all of its elements, without the GIL. What the kernel cannot do exactly as Python would, and all
of it while there is no kernel, Python does element by element: the results are the same.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from .columns import NAMES, check_overlap, column, make
from .compiling import MOST_DEOPTS, STOPPED, run_native
from .errors import TaskCancelled
from .interface import CANCELLED, DETACHED, Handle
from .plan import Plan, Spec, is_async
from .runner import run_sync
from .shape import explain_mismatch
from .task import Task
from .uncallable import refuse_uncallable
from .wording import brief, kind_of

if TYPE_CHECKING:
    from .compiling import Compiling
    from .options import TaskOptions
    from .system import TaskSystem

LEAST_ELEMENTS: Final = 256  # of a part: handing one over costs as much as a few hundred calls in C
BLOCK: Final = 256  # elements that Python does before it looks again whether there is a kernel, or a cancel
MOST_MAPPINGS: Final = 1_024


class Part:
    """The elements from ``first`` on that one task does; ``at`` of them are done, also when it is tried again."""

    __slots__ = ("at", "first")

    def __init__(self, first: int) -> None:
        self.first = first
        self.at = 0


class _Flag:
    """What stands for the kernel's run-time structure while Python does the work."""

    stop = 0


class Mapping:
    """One function for columns of these formats: ``Spec.native`` of the plan of its parts."""

    def __init__(self, compiling: Compiling, spec: Spec, formats: str, out: str) -> None:
        self.compiling = compiling
        self.spec = spec
        self.formats = formats
        self.columns = (formats, out)
        self.kernel: Any = None
        self.state = "off"  # off, building, ready, refused
        self.reason: str | None = None
        self.runs = 0  # elements
        self.deopts = 0
        self.last_deopt: str | None = None
        self.pays = True

    # -- what the building thread says -----------------------------------------------------------

    def request(self) -> None:
        from .compiler.mapper import types_of_columns
        from .compiler.queue import submit

        self.state = "building"
        submit(self, types_of_columns(self.formats))

    def built(self, kernel: Any) -> None:
        self.kernel = kernel
        self.state = "ready"

    def refuse(self, reason: str) -> None:
        from .log import logger

        self.reason = reason
        self.state = "refused"
        if self.spec.options.compile_to_c:
            logger.warning("task %s runs as Python over buffers: %s", self.spec.name, reason)

    # -- a part ----------------------------------------------------------------------------------

    def call(self, handle: Handle, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """None when all elements are done; DETACHED: it was cancelled and is settled."""
        part, out, *views = args
        length = len(out)
        running = self.compiling.running
        flag: Any = _Flag()
        running[handle] = flag
        run: Any = None
        in_a_row = 0
        try:
            while part.at < length:
                if flag.stop or _unwanted(handle):
                    return self._stopped(handle)
                kernel = self.kernel
                if kernel is None or sys.gettrace() is not None or sys.getprofile() is not None:
                    self._interpret(part, views, out, BLOCK)
                    continue
                if run is None:
                    run = kernel.start_map(views, out)
                    before, flag = flag, run.rt
                    running[handle] = flag
                    if before.stop:
                        continue
                start = part.at
                part.at, why = run.go(start, length)
                self._count("native_executions", part.at - start)
                self.runs += part.at - start
                if why is None or why is STOPPED:
                    continue
                self.deopts += 1
                self.last_deopt = why
                self._count("deopts", 1)
                in_a_row = in_a_row + 1 if part.at == start else 1
                self._interpret(part, views, out, 1 if in_a_row < MOST_DEOPTS else BLOCK)
        finally:
            if running.get(handle) is flag:  # a retry may have begun meanwhile
                del running[handle]
            run = flag = views = out = args = None  # type: ignore[assignment]
        return None

    def _interpret(self, part: Part, views: list[memoryview], out: memoryview, count: int) -> None:
        fn: Any = self.spec.fn
        end = min(len(out), part.at + count)
        try:
            for row in zip(*[view[part.at : end] for view in views], strict=True):
                value = fn(*row)
                try:
                    out[part.at] = value
                except (TypeError, ValueError, OverflowError):
                    raise _unfit(self.spec.name, value, out.format) from None
                part.at += 1
        except Exception as error:
            error.add_note(f"at element {part.first + part.at} of the buffers")
            raise

    def _count(self, counter: str, n: int) -> None:
        if n:
            self.spec.system.engine.metrics.add(counter, n)

    def _stopped(self, handle: Any) -> Any:
        ext: Any = handle.ext
        if ext is not None and ext.attempt is not None and ext.attempt.condemned:
            return None  # nobody looks: the attempt is over
        handle.settle(CANCELLED, TaskCancelled(f"task {self.spec.name} was cancelled while it went over buffers"))
        return DETACHED

    def explain(self) -> str:
        args = ", ".join(NAMES[letter] for letter in self.formats)
        head = f"over buffers of ({args}) -> {NAMES[self.columns[1]]}"
        if self.kernel is not None:
            text = f"{head} it runs as C"
        else:
            why = {"building": "its C is being built", "off": "compilation is off, or does not take closures"}
            text = f"{head} it runs as Python: {why.get(self.state, self.reason)}"
        if self.runs or self.deopts:
            text += f"; {self.runs} elements ran as C, {self.deopts} went back to Python"
        return text + (f", the last one because: {self.last_deopt}" if self.last_deopt else "")


class Mappings:
    """The plans of one system for functions over buffers."""

    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self._plans: dict[Any, Plan] = {}

    def prepare(
        self, fn: Any, buffers: Any, out: Any, options: dict[str, Any], kept: bool
    ) -> tuple[Plan, list[tuple[Any, ...]], Any]:
        """The plan, the arguments of each part, and the buffer that the results go to."""
        function, name = self._function(fn)
        views = self._views(buffers)
        if is_async(function):
            raise TypeError(f"{name} is a coroutine function: only plain functions go over buffers")
        base = _options_of(fn)
        spec = Spec(self._system, function, base.changed(options) if options else base)
        if spec.shape is not None and not spec.shape.accepts((0,) * len(views), {}):
            raise TypeError(explain_mismatch(function, spec.name, ("...",) * len(views), {}))
        formats = "".join(view.format for view in views) if len(views[0]) else "d" * len(views)
        length = len(views[0])
        if out is None:
            out = make(self._result_letter(spec, formats), length)
        target = column("out", out)
        if target.readonly:
            raise TypeError(
                f"out is {kind_of(out)} that cannot be written to: give a buffer that can, or out=None for a new one"
            )
        if len(target) != length:
            raise ValueError(f"out has {len(target)} elements, and the buffers have {length}")
        if length == 0:
            return Plan(spec, None), [], out
        check_overlap(target, views)
        plan = self._plan(fn, spec, formats, target.format, kept)
        return plan, self._cut(views, target, length), out

    @staticmethod
    def _function(fn: Any) -> tuple[Any, str]:
        if isinstance(fn, Task):
            if fn.receiver:
                raise TypeError(f"{fn.name} is a method: only functions go over buffers")
            return fn.fn, fn.name
        if not callable(fn):
            refuse_uncallable(fn)
        return fn, getattr(fn, "__qualname__", type(fn).__name__)

    @staticmethod
    def _views(buffers: Any) -> list[memoryview]:
        if not isinstance(buffers, tuple | list) or not buffers:
            given = f"{buffers!r} is empty" if isinstance(buffers, tuple | list) else f"it is {kind_of(buffers)}"
            raise TypeError(
                "buffers must be a tuple with one buffer for each argument of the function, also when there is only "
                f"one, (a,): {given}"
            )
        views = [column(f"buffer {index}", value) for index, value in enumerate(buffers)]
        lengths = [len(view) for view in views]
        if len(set(lengths)) > 1:
            each = ", ".join(f"buffer {index} has {length}" for index, length in enumerate(lengths))
            raise ValueError(f"buffers must have the same number of elements each: {each}")
        return views

    def _result_letter(self, spec: Spec, formats: str) -> str:
        """By what the function gives for these arguments. Raises TypeError when that cannot be told."""
        from .compiler.mapper import result_letter
        from .compiler.refusal import Refusal

        try:
            return result_letter(spec.fn, formats)
        except Refusal as refusal:
            raise TypeError(
                f"it cannot be told which numbers {spec.name} gives ({refusal}): give out=, a buffer for the results"
            ) from None

    def _plan(self, fn: Any, spec: Spec, formats: str, out: str, kept: bool) -> Plan:
        options = spec.options
        key: Any = (fn.origin if isinstance(fn, Task) else fn, formats, out, _key_of(options)) if kept else None
        try:
            plan = self._plans.get(key)
        except TypeError:  # an option, or the callable, is not hashable
            plan, kept = None, False
        if plan is not None and kept:
            return plan
        compiling = self._system.compiling
        mapping = Mapping(compiling, spec, formats, out)
        spec.native = mapping
        special = options.timeout_ms is not None or options.max_retries or spec.counts_starts
        runner = run_sync if special else run_native
        observation = self._system.observation
        plan = Plan(spec, runner if observation is None else observation.around(spec, runner))
        if kept:
            if len(self._plans) >= MOST_MAPPINGS:
                self._plans.clear()
            self._plans[key] = plan
            if self._system.config.enable_c_compilation and options.compile_to_c is not False:
                compiling.know(mapping)
                mapping.request()
        return plan

    def _cut(self, views: list[memoryview], out: memoryview, length: int) -> list[tuple[Any, ...]]:
        count = max(1, min(self._system.autoscaler.slots, length // LEAST_ELEMENTS))
        edges = [length * index // count for index in range(count + 1)]
        return [(Part(begin), out[begin:end], *(view[begin:end] for view in views)) for begin, end in pairwise(edges)]

    def explain(self, fn: Any) -> list[str]:
        return [
            plan.owner.native.explain()
            for plan in list(self._plans.values())
            if plan.owner.fn is fn and isinstance(plan.owner.native, Mapping)
        ]


def _options_of(fn: Any) -> TaskOptions:
    from .options import DEFAULTS

    return fn.options if isinstance(fn, Task) else DEFAULTS


def _key_of(options: TaskOptions) -> tuple[Any, ...]:
    return tuple(getattr(options, name) for name in options.__slots__)


def _unwanted(handle: Handle) -> bool:
    ext: Any = handle.ext
    return ext is not None and (ext.cancel_requested or (ext.attempt is not None and ext.attempt.condemned))


def _unfit(name: str, value: object, letter: str) -> Exception:
    kind = OverflowError if isinstance(value, int | float) else TypeError
    return kind(
        f"{name} gave {brief(value)} ({kind_of(value)}), which a buffer of {NAMES[letter]} does not hold: give out= "
        "with other elements, or use add_tasks(fn, rows), which takes any result"
    )
