"""``@job``: a function with ``.delay``, as ``rq.decorators`` makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from catzilla.integrations.rq_job import Job
from catzilla.integrations.rq_options import checked
from catzilla.integrations.rq_queue import Queue


def job(
    queue: Queue | str = "default", connection: Any = None, timeout: float | str | None = None, **options: Any
) -> Callable[[Callable[..., Any]], Any]:
    """``@job("low", timeout=30)``: ``fn.delay(...)`` enqueues, ``fn(...)`` runs it here. Options: enqueue_call's."""
    where = queue if isinstance(queue, Queue) else Queue(queue, connection)
    given = {"timeout": timeout, **options}
    checked("@job", given)  # a mistake is told where it is written

    def decorate(fn: Callable[..., Any]) -> Any:
        def delay(*args: Any, **kwargs: Any) -> Job:
            own = {**given, "depends_on": kwargs.pop("depends_on", given.get("depends_on"))}
            return where.enqueue_call(fn, args, kwargs, **own)

        fn.delay = delay  # type: ignore[attr-defined]  # as RQ does: it stays the function it is
        return fn

    return decorate
