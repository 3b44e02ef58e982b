"""``Signature``: a call that is not made yet, to be put together with others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from catzilla.canvas.run import Place, Run, Step
from catzilla.canvas.timing import NAMES, check_times
from catzilla.task import Binder, Task

if TYPE_CHECKING:
    from catzilla.canvas.nodes import chain
    from catzilla.system import TaskSystem

R = TypeVar("R")
TIMES = frozenset((*NAMES, "delay_ms", "expires_ms"))


class Signature(Generic[R]):
    """A task's call, a ``chain``, a ``group`` or a ``chord``. Immutable but for ``link`` and ``link_error``."""

    callbacks: tuple[Signature[Any], ...] = ()
    errbacks: tuple[Signature[Any], ...] = ()

    # -- putting together ------------------------------------------------------------------------

    def __or__(self, other: Signature[Any]) -> chain:
        from catzilla.canvas.nodes import chain

        return chain(self, as_signature(other, "the right side of |"))

    def link(self, callback: Signature[Any]) -> Self:
        """Run ``callback`` with the value once this completed. Its own end changes nothing here."""
        self.callbacks = (*self.callbacks, as_signature(callback, "link()"))
        return self

    def link_error(self, errback: Signature[Any]) -> Self:
        """Run ``errback`` with the exception, exactly once, if this did not complete.

        Not if it never had its turn because a step before it failed; but the body of a chord has its
        turn when the header ends, however that ends.
        """
        self.errbacks = (*self.errbacks, as_signature(errback, "link_error()"))
        return self

    on_error = link_error

    def clone(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> Self:
        """A copy; ``args`` come before the first task's own arguments, options as in ``set``."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        if options:
            copy = copy.set(**options)
        return copy._with_first(tuple(args), dict(kwargs or {}), {}) if args or kwargs else copy

    def set(self, **options: Any) -> Self:
        """A copy with these options. Of several tasks, each gets them; times (delay_ms, countdown, eta,
        expires) go to those that start first."""
        times = {name: value for name, value in options.items() if name in TIMES}
        others = {name: value for name, value in options.items() if name not in TIMES}
        copy = self._with_options(others) if others else self.clone()
        return copy._with_first((), {}, times) if times else copy

    # -- starting --------------------------------------------------------------------------------

    def apply_async(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Start it. ``args`` come before the first task's own arguments; options as in ``set``.

        ``link`` and ``link_error`` take a signature or a list of them. Gives a TaskResult for one
        task, else a WorkflowResult. Raises what a submit raises, with nothing queued.
        """
        node = self.clone()
        for callback in _listed(options.pop("link", None)):
            node.link(callback)
        for errback in _listed(options.pop("link_error", None)):
            node.link_error(errback)
        if options:
            node = node.set(**options)
        if args or kwargs:
            node = node._with_first(tuple(args), dict(kwargs or {}), {})
        leaf = node.first_leaf()
        if leaf is None:
            raise ValueError(f"{node!r} holds no task, so there is no task system that it could run on")
        run = Run(leaf.system())
        node.check(run, upstream=False)
        return leaf.wrapped(node._result(node.start(run, None, None)))

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """``apply_async(args, kwargs)``."""
        return self.apply_async(args, kwargs)

    # -- what each kind does in its own way ------------------------------------------------------

    def first_leaf(self) -> TaskSignature[Any] | None:
        """Its first task; None: it has none."""
        raise NotImplementedError

    def check(self, run: Run, upstream: bool) -> None:
        """Raise what is wrong; ``upstream``: a value will come before its own arguments."""
        self.check_parts(run, upstream)
        for linked in (*self.callbacks, *self.errbacks):
            linked.check(run, upstream=True)

    def check_parts(self, run: Run, upstream: bool) -> None:
        raise NotImplementedError

    def start(
        self, run: Run, upstream: Step | None, place: Place | None, turn: Step | None = None, is_body: bool = False
    ) -> Step:
        """Make its handles. ``is_body``: its turn comes when ``turn`` has completed (None: at once)."""
        step = self.start_parts(run, upstream, place)
        run.attach(self, step, turn if is_body else upstream)
        return step

    def start_parts(self, run: Run, upstream: Step | None, place: Place | None) -> Step:
        raise NotImplementedError

    def _with_options(self, options: dict[str, Any]) -> Self:
        raise NotImplementedError

    def _with_first(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Self:
        """A copy whose first tasks get these arguments and options."""
        raise NotImplementedError

    def _result(self, step: Step) -> Any:
        from catzilla.canvas.result import WorkflowResult

        return WorkflowResult(step)


class TaskSignature(Signature[R]):
    """``task.s(...)``: one call. What comes before it in a chain is its first argument, unless immutable."""

    def __init__(
        self,
        fn: Any,
        binder: Binder,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        immutable: bool = False,
    ) -> None:
        self.fn = fn
        self.args = args
        self.kwargs = kwargs or {}
        self.options: dict[str, Any] = {}
        self.immutable = immutable
        self._binder = binder
        self.options = self.translated(options or {})
        self._check_options()

    def _check_options(self) -> None:
        if self.options:
            check_times(self.options)
            own = {name: value for name, value in self.options.items() if name not in NAMES}
            task_options(self.fn).changed(own)

    @property
    def name(self) -> str:
        from catzilla.plan import name_of

        name = self.options.get("name") or (self.fn.name if isinstance(self.fn, Task) else name_of(self.fn))
        return cast("str", name)

    def system(self) -> TaskSystem:
        if isinstance(self.fn, Task):
            return self.fn.system()
        system = self._binder.tasks
        assert system is not None  # made by a Task that has one
        return system

    def first_leaf(self) -> TaskSignature[Any] | None:
        return self

    def translated(self, options: dict[str, Any]) -> dict[str, Any]:
        """Options as they are given -> as they are kept."""
        return options

    def wrapped(self, result: Any) -> Any:
        """The result of what it is the first task of -> what ``apply_async`` gives."""
        return result

    def call_args(self, before: tuple[Any, ...]) -> tuple[Any, ...]:
        receiver = self.fn.receiver if isinstance(self.fn, Task) else ()
        return (*receiver, *self.args) if self.immutable else (*receiver, *before, *self.args)

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        """Run it here and now, in place."""
        given = self.args if self.immutable else (*args, *self.args)
        return cast("R", self.fn(*given, **{**self.kwargs, **({} if self.immutable else kwargs)}))

    def check_parts(self, run: Run, upstream: bool) -> None:
        run.check_leaf(self, upstream)

    def start_parts(self, run: Run, upstream: Step | None, place: Place | None) -> Step:
        return run.leaf(self, upstream, place)

    def _with_options(self, options: dict[str, Any]) -> Self:
        copy = self.clone()
        copy.options = {**self.options, **self.translated(options)}
        copy._check_options()
        return copy

    def _with_first(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Self:
        copy = self._with_options(options) if options else self.clone()
        if not self.immutable:
            copy.args = (*args, *self.args)
            copy.kwargs = {**self.kwargs, **kwargs}
        return copy

    def _result(self, step: Step) -> Any:
        return step.handle

    def __repr__(self) -> str:
        given = [repr(arg) for arg in self.args] + [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"{self.name}({', '.join(given)})"


def signature(
    task: Task[Any, R],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    immutable: bool = False,
    **options: Any,
) -> TaskSignature[R]:
    """``task.signature(...)``. Raises TypeError for what is no task."""
    if not isinstance(task, Task):
        raise TypeError(f"signature() takes a task, and {task!r} is none: decorate it with @app.task")
    return TaskSignature(task, task.binder, tuple(args), dict(kwargs or {}), options, immutable)


def as_signature(value: Any, where: str) -> Signature[Any]:
    if isinstance(value, Signature):
        return value
    hint = f"; write {value.fn.__name__}.s(...)" if isinstance(value, Task) else ""
    raise TypeError(f"{where} takes a signature (task.s(...), chain, group, chord), not {value!r}{hint}")


def task_options(fn: Any) -> Any:
    from catzilla.options import DEFAULTS

    return fn.options if isinstance(fn, Task) else DEFAULTS


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
