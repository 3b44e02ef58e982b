"""From a call to a handle: everything about a submit that the backend's native path leaves to policy.

The native path takes a positional call of a known plan when its lane has room. What comes here has
options, keywords, a context to think of, an unknown callable, a full lane, or a mistake in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextvars import Context, copy_context
from functools import partial
from time import monotonic_ns
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

from . import runner  # noqa: F401  make_plan needs it; not at a first submit, which a handler that submits may interrupt
from .compiling import Native
from .errors import SystemClosed, TaskCancelled, TaskDropped
from .ext import Ext
from .full import Full, FullLanes
from .interface import Handle
from .lifecycle import withdraw
from .limits import waits
from .memory import CELL_BYTES, Charge, call_bytes
from .options import DEFAULTS, NAME_SET, hint_of_options, refuse_unknown
from .plan import Plan, Spec, make_plan
from .rows import LEAST_ROWS, Part
from .rows import submit as submit_rows
from .shape import explain_mismatch
from .task import Task
from .uncallable import refuse_uncallable
from .wording import brief, kind_of

if TYPE_CHECKING:
    from .buffers import BufferResult
    from .limits.bucket import Claim
    from .mapping import Mappings
    from .system import TaskSystem

MOST_PLANS: Final = 4_096  # plans of functions and tasks that are kept; then all are forgotten and made anew
_WRAPPERS: Final = frozenset({MethodType, partial})
_HEAP_TYPE: Final = 1 << 9  # CPython's Py_TPFLAGS_HEAPTYPE: a class that can be freed


class Submitting:
    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self._plans: dict[Any, Plan] = {}
        self.native: dict[Any, Plan] = {}  # the ones the backend may take by itself
        config = system.config
        self.counts_memory = config.memory_pool_mb is not None or config.memory_profiling
        self.needs_ext = self.counts_memory or system.observation is not None  # of every task
        self._full = FullLanes(system, self)
        self._mappings: Mappings | None = None

    # -- the calls -----------------------------------------------------------------------------

    def add_task(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """The fallback of ``system.add_task``: keywords may be options."""
        options = self.split_options(fn, kwargs) if kwargs else None
        return self.submit(fn, args, kwargs, options)

    def submit_task(self, task: Any, /, *args: Any, **kwargs: Any) -> Any:
        """The fallback of ``task.submit``: every keyword is the function's."""
        return self.submit(task, args, kwargs, None)

    def submit(self, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any] | None) -> Any:
        plan, args, ext = self._prepare(fn, args, kwargs, options)
        return self._accept_or_solve(plan, args, ext)

    async def submit_async(
        self, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any] | None
    ) -> Any:
        plan, args, ext = self._prepare(fn, args, kwargs, options)
        try:
            handle = self.accept(plan, args, ext)
            return await self._full.solve_async(handle, plan, args, ext) if isinstance(handle, Full) else handle
        except BaseException as error:
            self.refused(ext, error)
            raise

    def submit_many(self, fn: Any, rows: Iterable[tuple[Any, ...]], options: dict[str, Any]) -> Sequence[Handle]:
        plan = self.plan_for(fn, options)
        receiver = self.receiver_of(fn)
        try:
            given: Any = rows if type(rows) is list or type(rows) is tuple else list(rows)
        except TypeError:
            if isinstance(rows, Iterable):
                raise  # of the iterable's own
            raise TypeError(
                f"add_tasks takes an iterable of rows, each a tuple of arguments for one call, not {kind_of(rows)}: "
                "add_tasks(fn, [(1, 2), (3, 4)])"
            ) from None
        if len(given) >= LEAST_ROWS and isinstance(plan.owner.native, Native) and not receiver and not self.needs_ext:
            self.check_open()
            batch = submit_rows(self._system, plan, given, self._accept_parts)
            if batch is not None:
                return batch
        checked = list(given)
        if plan.arity is None or not _all_fit(checked, len(receiver), *plan.arity):
            for index, row in enumerate(checked):
                if not isinstance(row, tuple):
                    raise TypeError(
                        f"row {index} of add_tasks is {brief(row)}; each row must be a tuple of positional arguments, "
                        "also when there is only one: (x,)"
                    )
                try:
                    self.check_call(plan, receiver + row, {})
                except TypeError as error:
                    raise TypeError(f"row {index} of add_tasks: {error}") from None
        if receiver:
            checked = [receiver + row for row in checked]
        return self._submit_rows(plan, checked)

    def _accept_parts(self, plan: Plan, parts: list[Part], exts: list[Ext]) -> Sequence[Handle] | None:
        handles = self._system.engine.queue.put_many(plan, [(part,) for part in parts], exts)
        if handles is not None:
            for part, handle in zip(parts, handles, strict=True):
                part.handle = handle
            self._refuse_late(handles)
        return handles

    def submit_buffers(self, fn: Any, buffers: Any, out: Any, options: dict[str, Any]) -> BufferResult[Any]:
        from .buffers import BufferResult

        self.check_open()
        kept = isinstance(fn, Task) or _is_static(fn)
        plan, parts, target = self.mappings().prepare(fn, buffers, out, options, kept)
        return BufferResult(target, tuple(cast("Any", self._submit_rows(plan, parts)) if parts else ()))

    def mappings(self) -> Mappings:
        if self._mappings is None:
            from .mapping import Mappings

            self._mappings = Mappings(self._system)
        return self._mappings

    def _submit_rows(self, plan: Plan, rows: list[tuple[Any, ...]]) -> list[Handle]:
        self.check_open()
        context = copy_context()
        exts: list[Any] | None = None
        if context or self.needs_ext or plan.owner.options.delay_ms or plan.owner.limit is not None:
            exts = [Ext(context if context else None, None) for _ in rows]
        try:
            return self._full.many(plan, rows, exts)
        except BaseException as error:
            for ext in exts or ():
                self.refused(ext, error)
            raise

    # -- their parts ---------------------------------------------------------------------------

    def _prepare(
        self, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any] | None
    ) -> tuple[Plan, tuple[Any, ...], Ext | None]:
        self.check_open()  # first: a finalizer may come here when the interpreter has ended too far for the rest
        if options is None and type(fn) in _WRAPPERS and not self.needs_ext:
            fn, args = _unwrapped(fn, args)
        plan = self.plan_for(fn, options)
        receiver = self.receiver_of(fn)
        if receiver:
            args = receiver + args
        self.check_call(plan, args, kwargs)
        context = copy_context()
        ext = Ext(context if context else None, kwargs or None) if context or kwargs or self.needs_ext else None
        return plan, args, ext

    def start(
        self, plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any] | None, context: Context | None, force: bool
    ) -> Any:
        """Queue a call that was checked before; ``force``: over the bound, and never refused."""
        ext = Ext(context, kwargs) if context or kwargs or self.needs_ext else None
        return self._accept_or_solve(plan, args, ext, force)

    def _accept_or_solve(self, plan: Plan, args: tuple[Any, ...], ext: Ext | None, force: bool = False) -> Any:
        try:
            handle = self.accept(plan, args, ext, force)
            return self._full.solve(handle, plan, args, ext) if isinstance(handle, Full) else handle
        except BaseException as error:
            self.refused(ext, error)
            raise

    def refused(self, ext: Ext | None, error: BaseException) -> None:
        """Tell observers that a submit ends with ``error``."""
        observation = self._system.observation
        if observation is not None:
            observation.refused(ext, error)

    def accept(self, plan: Plan, args: tuple[Any, ...], ext: Ext | None, force: bool = False) -> Handle | Full:
        """Charge the memory pool and queue the task, or say which of the two is full.

        A task with limits may be parked instead; one that is queued already (``unique``) is returned.
        """
        limit = plan.owner.limit
        observation = self._system.observation
        if observation is not None:
            ext = observation.submitting(plan, ext)
        if limit is None or self._system.in_place:
            handle = self._accept(plan, args, ext, force, None)
            if observation is not None and not isinstance(handle, Full):
                observation.accepted(handle)
            return handle
        ext = ext or Ext(None, None)
        limits = self._system.limits
        claim = limits.claim(limit, args, ext.kwargs or {})
        try:
            with waits.lock:
                same = limits.same_call(claim)
                handle = self._accept(plan, args, ext, force, claim) if same is None else same
                parked = limits.parked_in[plan.lane]
        finally:
            if claim.handle is not None:
                limits.watch(claim)
        if observation is not None and not isinstance(handle, Full):
            if same is None:
                observation.accepted(handle)
            else:
                observation.refused(ext, None)
        return Full.PARKED if handle is Full.LANE and parked else handle

    def _accept(
        self, plan: Plan, args: tuple[Any, ...], ext: Ext | None, force: bool, claim: Claim | None
    ) -> Handle | Full:
        engine = self._system.engine
        if self.counts_memory:
            assert ext is not None
            size = call_bytes(args, ext.kwargs)
            if force:
                engine.allocator.force(CELL_BYTES + size)
            elif not engine.allocator.charge(CELL_BYTES + size):
                return Full.MEMORY
            self._hold_charge(plan, ext, size)
        delay_ms = plan.owner.options.delay_ms
        due_ns = self._system.due_after(int(delay_ms * 1e6)) if delay_ms else 0
        if due_ns or claim is not None:
            ext = ext or Ext(None, None)
            ext.created_ns = monotonic_ns()
        if plan.owner.options.expires_ms is not None:
            ext = ext or Ext(None, None)
            ext.expires_ns = self._system.now_ns() + int(plan.owner.options.expires_ms * 1e6)
        if claim is None:
            handle = engine.queue.put(plan, args, ext, due_ns, force)
        else:
            assert ext is not None
            handle = self._system.limits.put(claim, plan, args, ext, due_ns, force)
        if handle is None:
            if ext is not None:
                ext.charge = None  # gives it back
            return Full.LANE
        self._refuse_late([handle])
        return handle

    def _refuse_late(self, handles: Sequence[Handle]) -> None:
        """Closed since it was asked: a shutdown may have looked through the lanes for the last time."""
        if self._system.closed:
            error = TaskCancelled("the task system shut down while the task was submitted")
            withdrawn = [withdraw(handle, error) for handle in handles]
            if any(withdrawn):
                self.check_open()

    def accept_many(self, plan: Plan, rows: list[tuple[Any, ...]], exts: list[Any] | None) -> Sequence[Handle] | Full:
        """As ``accept``: every row, or none."""
        engine = self._system.engine
        options = plan.owner.options
        limited = plan.owner.limit is not None and not self._system.in_place
        if options.delay_ms or options.expires_ms is not None or limited:
            return self._accept_each(plan, rows, exts)
        observation = self._system.observation
        if observation is not None:
            exts = [observation.submitting(plan, ext) for ext in exts or [None] * len(rows)]
        if self.counts_memory:
            assert exts is not None
            sizes = [call_bytes(row, None) for row in rows]
            if not engine.allocator.charge(sum(sizes) + CELL_BYTES * len(rows)):
                return Full.MEMORY
            for ext, size in zip(exts, sizes, strict=True):
                self._hold_charge(plan, ext, size)
        # The engine's queue does not know of all rows.
        room = self._system.config.queue_size - self._system.queue_sizes()[plan.lane]
        handles = engine.queue.put_many(plan, rows, exts) if len(rows) <= room else None
        if handles is None:
            for ext in exts or ():
                ext.charge = None
            return Full.LANE
        self._refuse_late(handles)
        if observation is not None:
            for handle in handles:
                observation.accepted(handle)
        return handles

    def _accept_each(self, plan: Plan, rows: list[tuple[Any, ...]], exts: list[Any] | None) -> Sequence[Handle] | Full:
        """One by one, and back again when there is no room for one of them."""
        parked = 0 if plan.owner.limit is None else self._system.limits.parked_in[plan.lane]
        if len(rows) > self._system.config.queue_size - self._system.engine.queue.sizes()[plan.lane] - parked:
            return Full.PARKED if parked else Full.LANE
        accepted: list[Handle] = []
        for index, row in enumerate(rows):
            handle = self.accept(plan, row, None if exts is None else exts[index])
            if isinstance(handle, Full):
                for before, ext in zip(accepted, exts or (), strict=False):
                    if before.ext is ext:  # else it was queued before this batch
                        withdraw(before, TaskDropped("the batch that this task belonged to was refused as a whole"))
                return handle
            accepted.append(handle)
        return accepted

    def _hold_charge(self, plan: Plan, ext: Ext, size: int) -> None:
        allocator = self._system.engine.allocator
        ext.charge = Charge(allocator, self._system.bytes_by_name, plan.owner.name, size, self._full.memory_freed)
        ext.on_settled = self._system.settled

    def check_open(self) -> None:
        if self._system.closed:
            raise SystemClosed(
                "the task system is shut down, or is shutting down, and takes no more tasks; "
                "make a new TaskSystem, or call reopen() once shutdown() has returned"
            )

    def check_call(self, plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        spec: Spec = plan.owner
        if spec.shape is not None and not spec.shape.accepts(args, kwargs):
            told = explain_mismatch(spec.fn, spec.name, args, kwargs)
            raise TypeError(told + ("" if spec.shape.has_varkw else hint_of_options(kwargs, spec.shape.parameters())))

    def split_options(self, fn: Any, kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """Take the options out of the keywords. A keyword that could be meant either way is an error."""
        names = NAME_SET.intersection(kwargs)
        if not names:
            return None
        spec = self.plan_for(fn, None).owner
        if spec.shape is not None:
            clash = names & spec.shape.parameters() or (names if spec.shape.has_varkw else frozenset())
            if clash:
                listed = ", ".join(sorted(clash))
                raise TypeError(
                    f"{listed} can be meant as an option of the task or as an argument of {spec.name}: give options "
                    f"with task.with_options({listed}=...).submit(...), where submit() passes every argument on"
                )
        return {name: kwargs.pop(name) for name in list(kwargs) if name in names}

    # -- plans ---------------------------------------------------------------------------------

    def plan_for(self, fn: Any, options: dict[str, Any] | None, keep: bool = True) -> Plan:
        """The plan of a task or callable with these options over its own. ``keep=False``: they never come again."""
        task = fn.origin if isinstance(fn, Task) else None
        target = fn if task is None else task
        key: Any = target if not options else (target, *sorted(options.items(), key=lambda item: item[0]))
        try:
            plan = self._plans.get(key)
        except TypeError:  # not hashable
            plan, key = None, None
        if plan is not None:
            return plan
        base = DEFAULTS if task is None else task.options
        function = fn if task is None else task.fn
        if not callable(function):
            refuse_uncallable(fn)
        kept = keep and key is not None and (task is not None or _is_static(function))
        plan = make_plan(self._system, function, base.changed(options) if options else base, kept, task)
        if kept:
            self._keep(key, target, plan, native=not options)
        return plan

    def plan_named(self, fn: Callable[..., Any], name: str) -> Plan:
        """The plan of what is called so; of a few functions and any number of names, so none is kept."""
        return make_plan(self._system, fn, DEFAULTS.changed({"name": name}))

    def _keep(self, key: Any, target: Any, plan: Plan, native: bool) -> None:
        if len(self._plans) >= MOST_PLANS:
            self._plans.clear()
            self.native.clear()
        self._plans[key] = plan
        spec: Spec = plan.owner
        special = (
            self.needs_ext or spec.options.delay_ms or spec.options.expires_ms is not None or spec.limit is not None
        )
        if native and not special and plan.arity is not None:
            self.native[target] = plan

    def renew_plans(self) -> None:
        """Observation began or ended: tasks from now on get plans that say so."""
        self.needs_ext = self.counts_memory or self._system.observation is not None
        self.native.clear()
        self._plans.clear()
        self._mappings = None

    @staticmethod
    def receiver_of(fn: Any) -> tuple[Any, ...]:
        return fn.receiver if isinstance(fn, Task) else ()

    def room_left(self) -> None:
        """A task with limits has ended: whoever waits for the room of parked ones looks again."""
        self._full.memory_freed()

    def wake_blocked(self) -> None:
        """Everybody who waits for room looks again (a shutdown refuses them)."""
        self._full.wake_all()


def _all_fit(rows: list[Any], given: int, least: int, most: int) -> bool:
    """Whether each row is a tuple, and has as many arguments as the function takes. Quick, where the answer is yes."""
    if not rows:
        return True
    if set(map(type, rows)) != {tuple}:
        return False
    lengths = set(map(len, rows))
    return least <= given + min(lengths) and given + max(lengths) <= most


def _is_static(fn: Any) -> bool:
    """Whether its plan may be kept: keeping that of a closure or method would keep what it refers to."""
    if type(fn) is not FunctionType:
        return _is_built_in(fn)
    if fn.__closure__ is not None:
        return False
    return "<locals>" not in fn.__qualname__ or not (fn.__defaults__ or fn.__kwdefaults__)


def _is_built_in(fn: Any) -> bool:
    """``len`` or ``int``, but not ``[].append``, which refers to a list."""
    if type(fn) is BuiltinFunctionType:
        return isinstance(fn.__self__, ModuleType)
    return type(fn) is type and not fn.__flags__ & _HEAP_TYPE


def _unwrapped(fn: Any, args: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """The function of a bound method or partial, with what is bound as its first arguments.

    That function's plan is kept, and theirs is not: making one costs ten times the rest of a submit.
    """
    if type(fn) is MethodType:
        function, bound = fn.__func__, (fn.__self__,)
    elif fn.keywords:
        return fn, args
    else:
        function, bound = fn.func, fn.args
    return (function, bound + args) if type(function) is FunctionType and _is_static(function) else (fn, args)


def checked_options(options: dict[str, Any]) -> dict[str, Any]:
    for name in options:
        if name not in NAME_SET:
            refuse_unknown(name)
    return options
