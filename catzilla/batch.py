"""``BatchResult``: the results of one ``add_tasks``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from .parameters import A_YEAR_S
from .rows import Rows
from .timeouts import check_timeout

if TYPE_CHECKING:
    from .handle import TaskResult

R = TypeVar("R")


class BatchResult(Sequence["TaskResult[R]"], Generic[R]):
    """In the order of the rows."""

    __slots__ = ("_handles",)

    def __init__(self, handles: Sequence[Any]) -> None:
        self._handles = handles

    def __len__(self) -> int:
        return len(self._handles)

    @overload
    def __getitem__(self, index: int) -> TaskResult[R]: ...
    @overload
    def __getitem__(self, index: slice) -> BatchResult[R]: ...
    def __getitem__(self, index: int | slice) -> TaskResult[R] | BatchResult[R]:
        if isinstance(index, slice):
            return BatchResult(self._handles[index])
        return cast("TaskResult[R]", self._handles[index])

    def __iter__(self) -> Iterator[TaskResult[R]]:
        return iter(self._handles)

    def wait(self, timeout: float | None = None) -> list[R]:
        """Every value, in order. Raises the first failed row's exception, or TimeoutError after ``timeout`` seconds."""
        check_timeout(timeout)
        if isinstance(self._handles, Rows):
            return self._handles.wait(timeout)
        if timeout is None:
            return [handle.wait() for handle in self._handles]
        end = monotonic() + min(timeout, A_YEAR_S)
        return [handle.wait(max(0.0, end - monotonic())) for handle in self._handles]

    def exceptions(self, timeout: float | None = None) -> list[BaseException | None]:
        """For each row, its exception or None; waits for all of them."""
        check_timeout(timeout)
        if isinstance(self._handles, Rows):
            return self._handles.exceptions(timeout)
        if timeout is None:
            return [handle.exception() for handle in self._handles]
        end = monotonic() + min(timeout, A_YEAR_S)
        return [handle.exception(max(0.0, end - monotonic())) for handle in self._handles]

    def done(self) -> bool:
        if isinstance(self._handles, Rows):
            return self._handles.done()
        return all(handle.done() for handle in self._handles)

    def cancel(self) -> int:
        """Cancel what has not started; how many were."""
        if isinstance(self._handles, Rows):
            return self._handles.cancel()
        return sum(1 for handle in self._handles if handle.cancel())

    def __repr__(self) -> str:
        handles = self._handles
        finished = handles.finished() if isinstance(handles, Rows) else sum(1 for handle in handles if handle.done())
        return f"<BatchResult {finished} of {len(self._handles)} done>"
