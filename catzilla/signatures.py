"""The types of calls that the backend's own callables answer, for type checkers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar, overload

from .handle import TaskResult

R = TypeVar("R")


class AddTask(Protocol):
    """``add_task(fn_or_task, /, *args, **options_and_kwargs) -> TaskResult``."""

    @overload
    def __call__(
        self, fn: Callable[..., Coroutine[Any, Any, R]], /, *args: Any, **options_and_kwargs: Any
    ) -> TaskResult[R]: ...
    @overload
    def __call__(self, fn: Callable[..., R], /, *args: Any, **options_and_kwargs: Any) -> TaskResult[R]: ...
