"""A plan: how one task with one set of options runs on one system."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import ConfigValueError
from .limits.limit import Limit, limit_of
from .options import TaskOptions
from .shape import Shape, bound_shape, call_of, shape_of
from .uncallable import refuse_generator_function

if TYPE_CHECKING:
    from .compiling import Native
    from .interface import Kernel, Runner
    from .mapping import Mapping
    from .system import TaskSystem
    from .task import Task


class Spec:
    """``Plan.owner``: what policy knows of the task behind a plan."""

    __slots__ = (
        "counts_starts",
        "fn",
        "is_async",
        "limit",
        "name",
        "native",
        "options",
        "plan",
        "shape",
        "system",
        "task",
        "timeout_ns",
    )

    def __init__(
        self, system: TaskSystem, fn: Callable[..., Any], options: TaskOptions, task: Task[Any, Any] | None = None
    ) -> None:
        refuse_generator(fn)
        self.system = system
        self.task = task  # only with bind=True: what the function gets as its first argument
        self.fn = fn if task is None else functools.partial(fn, task)
        self.options = options
        self.name = options.name or name_of(fn)
        self.shape: Shape | None = shape_of(fn) if task is None else bound_shape(fn)
        self.is_async = is_async(fn)
        self.limit: Limit | None = limit_of(options, fn, self.name)
        self.counts_starts = options.rate_limit is not None
        self.native: Native | Mapping | None = None  # what may run it as C
        self.plan: Plan | None = None
        self.timeout_ns = None if options.timeout_ms is None else max(1, int(options.timeout_ms * 1e6))


class Plan:
    """See catzilla.interface.Plan."""

    __slots__ = ("arity", "fn", "kernel", "lane", "owner", "runner", "timed")

    def __init__(self, spec: Spec, runner: Runner | None) -> None:
        self.fn = spec.fn
        self.lane = int(spec.options.priority)
        self.arity = None if spec.shape is None else spec.shape.arity
        self.runner = runner
        self.kernel: Kernel | None = None
        self.timed = bool(spec.system.config.enable_profiling)
        self.owner = spec
        spec.plan = self


def make_plan(
    system: TaskSystem,
    fn: Callable[..., Any],
    options: TaskOptions,
    kept: bool = False,
    task: Task[Any, Any] | None = None,
) -> Plan:
    """Plain (no runner) when nothing has to be done around the call. Only a plan that is kept is worth compiling."""
    from .compiling import run_native
    from .runner import run_async, run_sync

    if options.bind and task is None:
        raise ConfigValueError(f"bind=True is for tasks: decorate {name_of(fn)} with @app.task(bind=True)")
    spec = Spec(system, fn, options, task if options.bind else None)
    runner: Runner | None = None
    if spec.is_async:
        runner = run_async
    elif (
        options.timeout_ms is not None
        or options.max_retries
        or spec.counts_starts
        or options.bind
        or options.expires_ms is not None
    ):
        runner = run_sync
    observation = None if spec.is_async else system.observation  # a coroutine's attempt is told of on its loop
    plain = runner is None and observation is None
    native = system.compiling.consider(spec, plain) if kept and not options.bind else None
    if native is None:
        return Plan(spec, runner if observation is None else observation.around(spec, runner))
    spec.native = native
    if observation is not None:
        plan = Plan(spec, observation.around(spec, runner or run_native))
    else:
        plan = Plan(spec, runner or run_native)
    native.request(None)  # last: the building thread may be done at once
    return plan


def name_of(fn: Any) -> str:
    """``module.qualified_name``; of a partial or a callable object, what it wraps or its class."""
    while hasattr(fn, "func") and callable(fn.func):  # functools.partial
        fn = fn.func
    if not hasattr(fn, "__qualname__"):
        fn = type(fn)
    module = getattr(fn, "__module__", None)
    return f"{module}.{fn.__qualname__}" if module else str(fn.__qualname__)


_CO_GENERATOR = 0x20
_CO_COROUTINE = 0x80
_CO_ASYNC_GENERATOR = 0x200


def is_async(fn: Any) -> bool:
    """Whether calling it gives a coroutine (``inspect.iscoroutinefunction`` without importing inspect)."""
    return bool(_code_flags(fn) & _CO_COROUTINE)


def refuse_generator(fn: Any) -> None:
    """TypeError of a function whose call gives a generator: that runs nothing, and the task would seem to have."""
    flags = _code_flags(fn)
    if flags & (_CO_GENERATOR | _CO_ASYNC_GENERATOR):
        refuse_generator_function(name_of(fn), is_async=bool(flags & _CO_ASYNC_GENERATOR))


def _code_flags(fn: Any) -> int:
    """Of the function that a call of it runs; 0: it is not known."""
    while hasattr(fn, "func") and callable(fn.func):
        fn = fn.func
    for candidate in (fn, getattr(fn, "__func__", None), call_of(fn)):
        code = getattr(candidate, "__code__", None)
        if code is not None:
            return int(code.co_flags)
    return 0
