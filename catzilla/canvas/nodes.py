"""``chain``, ``group`` and ``chord``: signatures made of signatures. Their names are those of Celery's canvas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from catzilla.canvas.run import Place, Run, Step
from catzilla.canvas.signature import Signature, as_signature

if TYPE_CHECKING:
    from catzilla.canvas.signature import TaskSignature
    from catzilla.task import Task


class chain(Signature[Any]):
    """One after the other; each gets the value of the one before it. Ends as its last step does."""

    steps: tuple[Signature[Any], ...]

    def __init__(self, *steps: Signature[Any] | Iterable[Signature[Any]]) -> None:
        flat: list[Signature[Any]] = []
        for step in _given(steps, "chain"):
            # A chain in a chain is the same steps in a row, unless something hangs on it as a whole.
            if isinstance(step, chain) and not step.callbacks and not step.errbacks:
                flat.extend(step.steps)
            else:
                flat.append(step)
        if not flat:
            raise ValueError("chain() needs at least one step")
        self.steps = tuple(flat)

    def first_leaf(self) -> TaskSignature[Any] | None:
        return _first_leaf(self.steps)

    def check_parts(self, run: Run, upstream: bool) -> None:
        for step in self.steps:
            step.check(run, upstream)
            upstream = True

    def start_parts(self, run: Run, upstream: Step | None, place: Place | None) -> Step:
        parts: list[Step] = []
        before = upstream
        for index, step in enumerate(self.steps):
            here = Place("step", index, len(self.steps), place)
            # What follows a group is to it what the body of a chord is to its header.
            is_body = before is not None and index > 0 and isinstance(self.steps[index - 1], group)
            turn = before.upstream if before is not None and is_body else None
            before = step.start(run, before, here, turn, is_body)
            parts.append(before)
        return Step(parts[-1].handle, place, upstream, parts, "chain")

    def _with_options(self, options: dict[str, Any]) -> Self:
        copy = self.clone()
        copy.steps = tuple(step._with_options(options) for step in self.steps)
        return copy

    def _with_first(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Self:
        copy = self.clone()
        copy.steps = (self.steps[0]._with_first(args, kwargs, options), *self.steps[1:])
        return copy

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """``delay(*args, **kwargs)``: it starts, and does not wait."""
        return self.delay(*args, **kwargs)

    def __repr__(self) -> str:
        return " | ".join(map(_nested, self.steps))


class group(Signature[list[Any]]):
    """All at the same time; the value is the list of their values, in order.

    It ends when every member has ended; if some did not complete, as the first of these in order.
    """

    def __init__(self, *members: Signature[Any] | Iterable[Signature[Any]]) -> None:
        self.members = tuple(_given(members, "group"))

    def __len__(self) -> int:
        return len(self.members)

    def first_leaf(self) -> TaskSignature[Any] | None:
        return _first_leaf(self.members)

    def check_parts(self, run: Run, upstream: bool) -> None:
        for member in self.members:
            member.check(run, upstream)

    def start_parts(self, run: Run, upstream: Step | None, place: Place | None) -> Step:
        count = len(self.members)
        members = [
            member.start(run, upstream, Place("member", index, count, place))
            for index, member in enumerate(self.members)
        ]
        return run.join(members, upstream, place)

    def _with_options(self, options: dict[str, Any]) -> Self:
        copy = self.clone()
        copy.members = tuple(member._with_options(options) for member in self.members)
        return copy

    def _with_first(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Self:
        copy = self.clone()
        copy.members = tuple(member._with_first(args, kwargs, options) for member in self.members)
        return copy

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """``delay(*args, **kwargs)``: it starts, and does not wait."""
        return self.delay(*args, **kwargs)

    def __repr__(self) -> str:
        return f"group({', '.join(map(repr, self.members[:3]))}{', …' if len(self.members) > 3 else ''})"


class chunks(group):
    """``task.chunks(rows, n)``: a group of tasks that each call the function for up to ``n`` rows."""

    def group(self) -> Self:
        """Itself: it is a group already."""
        return self


class chord(Signature[Any]):
    """A ``body`` that gets the list of the header's values, once every header has ended.

    If all completed the body runs, with no header too; else it does not, ends as the first failed
    header did, and its ``link_error`` errbacks run: one or the other, exactly once.
    """

    def __init__(self, header: Signature[Any] | Iterable[Signature[Any]], body: Signature[Any] | None = None) -> None:
        self.header = header if isinstance(header, group) else group(header)
        self.body = None if body is None else as_signature(body, "the body of a chord")

    def _body(self) -> Signature[Any]:
        if self.body is None:
            raise ValueError("the chord has no body: write chord(header, body), or chord(header)(body)")
        return self.body

    def first_leaf(self) -> TaskSignature[Any] | None:
        return _first_leaf((self.header, self._body()))

    def check_parts(self, run: Run, upstream: bool) -> None:
        self.header.check(run, upstream)
        self._body().check(run, upstream=True)

    def start_parts(self, run: Run, upstream: Step | None, place: Place | None) -> Step:
        header = self.header.start(run, upstream, Place("chord header", 0, 1, place))
        body = self._body().start(run, header, Place("chord body", 0, 1, place), turn=upstream, is_body=True)
        return Step(body.handle, place, upstream, (header, body), "chord")

    def _with_options(self, options: dict[str, Any]) -> Self:
        copy = self.clone()
        copy.header, copy.body = self.header._with_options(options), self._body()._with_options(options)
        return copy

    def _with_first(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Self:
        copy = self.clone()
        if self.header.members:
            copy.header = self.header._with_first(args, kwargs, options)
        elif options:
            copy.body = self._body()._with_first((), {}, options)
        return copy

    def __call__(self, body: Signature[Any] | None = None, **options: Any) -> Any:
        """Start it with this body: it does not wait."""
        copy = self.clone()
        if body is not None:
            copy.body = as_signature(body, "the body of a chord")
        return copy.apply_async(**options)

    def __repr__(self) -> str:
        return f"chord({self.header!r}, {self.body!r})"


def _given(values: tuple[Any, ...], where: str) -> list[Signature[Any]]:
    """``f(a, b)`` and ``f([a, b])`` are the same."""
    if len(values) == 1 and not isinstance(values[0], Signature) and isinstance(values[0], Iterable):
        values = tuple(values[0])
    return [as_signature(value, f"{where}()") for value in values]


def _first_leaf(parts: Iterable[Signature[Any]]) -> TaskSignature[Any] | None:
    return next((leaf for part in parts if (leaf := part.first_leaf()) is not None), None)


def _nested(step: Signature[Any]) -> str:
    return f"({step!r})" if isinstance(step, chain) else repr(step)


def chunks_of(task: Task[Any, Any], rows: Iterable[tuple[Any, ...]], n: int) -> chunks:
    """See ``Task.chunks``."""
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"chunks() takes the number of rows in each chunk, an int, not {n!r}")
    if n < 1:
        raise ValueError(f"chunks() needs at least 1 row in each chunk, not {n}")
    kept = list(rows)
    return chunks([task.starmap(kept[first : first + n]) for first in range(0, len(kept), n)])
