"""``BufferResult``: what ``add_tasks(fn, buffers=...)`` gives."""

from __future__ import annotations

from collections.abc import Generator
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .parameters import A_YEAR_S
from .timeouts import check_timeout

if TYPE_CHECKING:
    from .handle import TaskResult

B = TypeVar("B")


class BufferResult(Generic[B]):
    """One call for every element of some buffers, in a few tasks: its ``parts``, each a run of elements."""

    __slots__ = ("_out", "parts")

    def __init__(self, out: B, parts: tuple[TaskResult[None], ...]) -> None:
        self._out = out
        self.parts = parts

    def __len__(self) -> int:
        """How many elements."""
        return len(self._out)  # type: ignore[arg-type]

    def wait(self, timeout: float | None = None) -> B:
        """The buffer of results: ``out`` if it was given.

        Raises the exception of the first part that did not complete (its note says at which element),
        or TimeoutError after ``timeout`` seconds.
        """
        check_timeout(timeout)
        try:
            end = None if timeout is None else monotonic() + min(timeout, A_YEAR_S)
            for part in self.parts:
                part.wait(None if end is None else max(0.0, end - monotonic()))
            return self._out
        finally:
            part = None  # type: ignore[assignment]  # the exception's traceback holds this frame
            del self

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """That of the first part that did not complete, or None; waits for all of them, as ``wait`` does."""
        check_timeout(timeout)
        end = None if timeout is None else monotonic() + min(timeout, A_YEAR_S)
        errors = [part.exception(None if end is None else max(0.0, end - monotonic())) for part in self.parts]
        return next((error for error in errors if error is not None), None)

    def done(self) -> bool:
        return all(part.done() for part in self.parts)

    def cancel(self) -> int:
        """Cancel the parts that have not started; how many were. Those that run end soon, as CANCELLED."""
        return sum(1 for part in self.parts if part.cancel())

    def __await__(self) -> Generator[Any, None, B]:
        for part in self.parts:
            yield from part.__await__()
        return self._out

    def __repr__(self) -> str:
        finished = sum(1 for part in self.parts if part.done())
        return f"<BufferResult of {len(self)} elements: {finished} of {len(self.parts)} parts done>"
