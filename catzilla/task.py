"""``Task``: a function that can be called in place or submitted."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, Protocol, Self, TypeVar, cast, overload

from .errors import NotEnabled
from .options import DEFAULTS, SCHEDULE_NAMES, TaskOptions
from .plan import is_async, name_of, refuse_generator
from .uncallable import refuse_uncallable

if TYPE_CHECKING:
    from datetime import datetime

    from .bound import Request
    from .canvas.nodes import chunks
    from .canvas.signature import TaskSignature
    from .handle import TaskResult
    from .schedules.options import ScheduleOptions
    from .system import TaskSystem

P = ParamSpec("P")
R = TypeVar("R")


class Binder(Protocol):
    """What a task is submitted to: a TaskSystem, or an application that has one once it is enabled."""

    @property
    def tasks(self) -> TaskSystem | None: ...

    def take_schedule(self, task: Task[Any, Any], options: ScheduleOptions) -> None:
        """A task was declared with a schedule."""


class Task(Generic[P, R]):
    """A function with options. Calling it runs it at once, in place; ``submit`` queues it.

    ``submit(*args, **kwargs)`` passes every argument to the function, also one that is named like an
    option. ``with_options(...)`` gives a copy with other options.
    """

    __wrapped__: Callable[P, R]
    submit: Callable[P, TaskResult[R]]
    submit_async: Callable[P, Coroutine[Any, Any, TaskResult[R]]]

    def __init__(
        self,
        fn: Callable[..., R],
        binder: Binder,
        options: TaskOptions,
        receiver: tuple[Any, ...] = (),
        origin: Task[Any, R] | None = None,
    ) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.options = options
        self.name = options.name or name_of(fn)
        self._binder = binder
        self.receiver = receiver  # the object, when the task was looked up on one (a method)
        self.origin: Task[Any, R] = self if origin is None else origin  # the one its plans are kept for
        self.submit = self._submit_first
        self.submit_async = self._submit_async
        system = binder.tasks
        if system is not None:
            self.bind(system)

    def bind(self, system: TaskSystem) -> None:
        """Put the system's native submit in place of the Python one."""
        submit: Any = MethodType(system.submit_task, self.origin)  # called without making a new list of arguments
        if self.receiver:
            submit = functools.partial(submit, *self.receiver)
        self.submit = cast("Callable[P, TaskResult[R]]", submit)
        system.remember_task(self)

    @property
    def binder(self) -> Binder:
        """The TaskSystem or application that it was made on."""
        return self._binder

    @property
    def is_async(self) -> bool:
        return is_async(self.fn)

    def system(self) -> TaskSystem:
        system = self._binder.tasks
        if system is None:
            raise NotEnabled(
                f"task {self.name} cannot be submitted yet: call enable_background_tasks() on the application first"
            )
        return system

    def _submit_first(self, *args: Any, **kwargs: Any) -> Any:
        self.bind(self.system())
        return self.submit(*args, **kwargs)

    async def _submit_async(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """As ``submit``, but waiting for room (on_full="block") does not block the event loop."""
        result = await self.system().submitting.submit_async(self, args, kwargs, None)
        return cast("TaskResult[R]", result)

    def with_options(self, **options: Any) -> Self:
        """A copy with other options; raises ConfigTypeError or ConfigValueError for bad ones."""
        return self._copy(self.options.changed(options), self.receiver, None)

    def _copy(self, options: TaskOptions, receiver: tuple[Any, ...], origin: Task[Any, R] | None) -> Self:
        return type(self)(self.fn, self._binder, options, receiver, origin)

    # -- signatures (docs/canvas.md) and Celery-shaped calls --------------------------------------

    def s(self, *args: Any, **kwargs: Any) -> TaskSignature[R]:
        """A call to put together with others; the value of what comes before is its first argument."""
        return self.signature(args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> TaskSignature[R]:
        """As ``s``, but immutable: it does not take the value of what comes before."""
        return self.signature(args, kwargs, immutable=True)

    def signature(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        immutable: bool = False,
        **options: Any,
    ) -> TaskSignature[R]:
        """As ``s`` and ``si``, with options: those of a task, and countdown, eta, expires."""
        from .canvas.signature import signature

        return signature(self, args, kwargs, immutable=immutable, **options)

    def map(self, items: Iterable[Any] | None = None) -> TaskSignature[list[R]]:
        """One task that calls the function for each item (None: of the value of the step before it)."""
        from .canvas.mapping import mapped

        return mapped(self, items, star=False)

    def starmap(self, rows: Iterable[Iterable[Any]] | None = None) -> TaskSignature[list[R]]:
        """As ``map``, each row being the arguments of one call."""
        from .canvas.mapping import mapped

        return mapped(self, rows, star=True)

    def chunks(self, rows: Iterable[tuple[Any, ...]], n: int) -> chunks:
        """A group of tasks that each call the function for up to ``n`` rows of arguments."""
        from .canvas.nodes import chunks_of

        return chunks_of(self, rows, n)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """As ``submit``."""
        return self.submit(*args, **kwargs)

    def apply_async(
        self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> TaskResult[R]:
        """Submit with options: those of a task, ``countdown`` (seconds), ``eta`` and ``expires`` (a datetime
        with a time zone; ``expires`` also seconds), ``link`` and ``link_error`` (signatures), ``retry`` and
        ``retry_policy`` (of a submit that is refused: catzilla.canvas.admission)."""
        from .canvas.admission import submit_again

        return cast("TaskResult[R]", submit_again(self.signature(args, kwargs), options))

    @property
    def request(self) -> Request:
        """Of the run that goes on now, inside a task with ``bind=True``."""
        from .bound import Request

        return Request.of(self)

    def retry(
        self,
        exc: BaseException | None = None,
        *,
        countdown: float | None = None,
        eta: datetime | None = None,
        max_retries: int | None = None,
    ) -> NoReturn:
        """End this run of a task with ``bind=True`` and run it again: see ``catzilla.bound.retry``."""
        from .bound import retry

        retry(self, exc, countdown, eta, max_retries)

    def explain(self) -> str:
        """Whether and how the task is compiled, and if not, why."""
        if self.options.compile_to_c is False:
            return f"{self.name} runs as Python: compile_to_c=False"
        from .compiler.explain import explain_function, explain_native

        system = self._binder.tasks
        if system is None:
            return explain_function(self.name, self.fn, pays=bool(self.options.compile_to_c))
        if not system.config.enable_c_compilation:
            return f"{self.name} runs as Python: enable_c_compilation=False"
        native: Any = system.plan_for(self.origin, {}).owner.native
        if native is not None:
            text = explain_native(native)
        else:
            pays = bool(self.options.compile_to_c)
            text = explain_function(self.name, self.fn, pays, short_pays=system.compiling.short_calls)
        return "\n".join([text, *(f"  {line}" for line in system.submitting.mappings().explain(self.fn))])

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.options.bind:
            return self.fn(self, *args, **kwargs)
        return self.fn(*self.receiver, *args, **kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Task[Any, R]:
        if instance is None:
            return self
        if self.options.bind:
            raise TypeError(f"{self.name} has bind=True and cannot be a method: its first argument is the task")
        return self._copy(self.options, (instance,), self)

    def __repr__(self) -> str:
        return f"<Task {self.name} {self.options.priority.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if self.receiver:
            return getattr, (self.receiver[0], self.fn.__name__)
        return _lookup, (self.fn.__module__, self.fn.__qualname__)


class AsyncTask(Task[P, R]):
    """Of an ``async def``: calling it in place gives the coroutine; a result has the awaited value."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:  # type: ignore[override]
        return cast("Coroutine[Any, Any, R]", super().__call__(*args, **kwargs))


class TaskDecorator(Protocol):
    """``@app.task(...)`` with options."""

    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Task[P, R]: ...


def make_task(fn: Any, binder: Binder, **options: Any) -> Any:
    """``binder.task``: bare (``fn`` is the function) or with options (a decorator)."""
    schedule = _take_schedule(options) if options else None
    checked = DEFAULTS.changed(options)

    def make(function: Any) -> Task[Any, Any]:
        task = _checked_task(function, binder, checked)
        if schedule is not None:
            binder.take_schedule(task, schedule)
        return task

    return make if fn is None else make(fn)


def _take_schedule(options: dict[str, Any]) -> ScheduleOptions | None:
    if not any(name in options for name in SCHEDULE_NAMES):
        return None
    from .schedules.options import take_schedule

    return take_schedule(options)


def _checked_task(fn: Any, binder: Binder, options: TaskOptions) -> Task[Any, Any]:
    if isinstance(fn, Task):
        raise TypeError(f"{fn!r} is a task already; use {fn.name}.with_options(...) for other options")
    if isinstance(fn, staticmethod | classmethod):
        raise TypeError(f"put @{type(fn).__name__} above @task, not below it")
    if not callable(fn):
        refuse_uncallable(fn)
    refuse_generator(fn)
    return (AsyncTask if is_async(fn) else Task)(fn, binder, options)


def _lookup(module: str, qualname: str) -> Any:
    import importlib

    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found
