"""A task with Celery's methods, and its signature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast

from catzilla.canvas.admission import submit_again
from catzilla.canvas.nodes import chunks, chunks_of
from catzilla.canvas.signature import TaskSignature
from catzilla.integrations.celery_options import call_options
from catzilla.integrations.celery_result import AsyncResult
from catzilla.integrations.unsupported import Unsupported
from catzilla.task import Task

if TYPE_CHECKING:
    from catzilla.integrations.celery_app import Celery
    from catzilla.options import TaskOptions
    from catzilla.task import Binder


class CelerySignature(TaskSignature[Any]):
    def translated(self, options: dict[str, Any]) -> dict[str, Any]:
        return call_options(self.fn.app.conf, options)

    def wrapped(self, result: Any) -> Any:
        return self.fn.app.result_of(result)


class MappedSignature(TaskSignature[Any]):
    app: Celery

    def wrapped(self, result: Any) -> Any:
        return self.app.result_of(result)


class CeleryTask(Task[Any, Any]):
    """What ``@app.task`` gives."""

    def __init__(
        self,
        fn: Any,
        binder: Binder,
        options: TaskOptions,
        receiver: tuple[Any, ...] = (),
        origin: Task[Any, Any] | None = None,
        *,
        app: Celery,
        default_retry_delay: float,
    ) -> None:
        super().__init__(fn, binder, options, receiver, origin)
        self.app = app
        self.default_retry_delay = default_retry_delay

    @property
    def max_retries(self) -> int:
        return self.options.max_retries

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The function, in place."""
        return self(*args, **kwargs)

    def _copy(self, options: TaskOptions, receiver: tuple[Any, ...], origin: Task[Any, Any] | None) -> Self:
        return type(self)(
            self.fn, self.binder, options, receiver, origin, app=self.app, default_retry_delay=self.default_retry_delay
        )

    def signature(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        immutable: bool = False,
        **options: Any,
    ) -> CelerySignature:
        return CelerySignature(self, self.binder, tuple(args or ()), dict(kwargs or {}), options, immutable)

    subtask = signature

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        return self.apply_async(args, kwargs)

    def apply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Queue it. countdown, eta, expires, priority (0 to 9), time_limit, link, link_error, retry, retry_policy."""
        return submit_again(self.signature(args or (), kwargs), options)

    def apply(self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None) -> AsyncResult:
        """Run it on a worker, and wait for it: the result is done."""
        result = cast("AsyncResult", self.apply_async(args, kwargs))
        result.get(propagate=False)
        return result

    def map(self, items: Iterable[Any] | None = None) -> TaskSignature[list[Any]]:
        return self._mapped(super().map(items))

    def starmap(self, rows: Iterable[Iterable[Any]] | None = None) -> TaskSignature[list[Any]]:
        return self._mapped(super().starmap(rows))

    def chunks(self, rows: Iterable[tuple[Any, ...]], n: int) -> chunks:
        return chunks_of(self, rows, n)

    def _mapped(self, given: TaskSignature[Any]) -> TaskSignature[list[Any]]:
        mapped = MappedSignature(given.fn, self.system(), given.args, None, given.options, given.immutable)
        mapped.app = self.app
        return mapped

    def retry(  # type: ignore[override]
        self,
        args: Any = None,
        kwargs: Any = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
    ) -> NoReturn:
        """As Celery's, with ``bind=True``: run it again after ``countdown`` seconds (None: default_retry_delay)."""
        if args is not None or kwargs is not None:
            raise Unsupported("retry() runs with the same arguments; for others use self.apply_async(args, kwargs)")
        if not throw:
            raise Unsupported("retry() ends the run by what it raises; throw=False cannot be had")
        if self.app.conf.task_always_eager:
            eta, countdown = None, 0
        elif eta is None and countdown is None:
            countdown = self.default_retry_delay
        elif eta is not None and eta.utcoffset() is None:
            eta = eta.replace(tzinfo=self.app.conf.timezone)
        super().retry(exc, countdown=countdown, eta=eta, max_retries=max_retries)
