"""One workflow that is started: every step gets its handle at once, as a promise that follows another one.

The workflow is admitted as one. Its first task comes in as any task does, under ``queue_size`` and
``on_full``; when that is refused, nothing was queued. All others bypass the bound, as continuations do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from catzilla.canvas.timing import resolve_times
from catzilla.continuations import begin, end, make_ext, promise, when_done
from catzilla.errors import TaskCancelled
from catzilla.interface import CANCELLED, COMPLETED, Handle

if TYPE_CHECKING:
    from catzilla.canvas.signature import Signature, TaskSignature
    from catzilla.plan import Plan
    from catzilla.system import TaskSystem


class Place:
    """Where a step stands in its workflow."""

    __slots__ = ("count", "index", "kind", "outer")

    def __init__(self, kind: str, index: int, count: int, outer: Place | None) -> None:
        self.kind = kind
        self.index = index
        self.count = count
        self.outer = outer

    def __str__(self) -> str:
        within = "" if self.outer is None else f", in {self.outer}"
        return f"{self.kind} {self.index + 1} of {self.count}{within}"


class Step:
    """A part of a started workflow. ``parts`` are its own; a task has none."""

    __slots__ = ("handle", "kind", "parts", "place", "upstream")

    def __init__(
        self,
        handle: Any,
        place: Place | None,
        upstream: Step | None,
        parts: Sequence[Step] = (),
        kind: str = "task",
    ) -> None:
        self.handle = handle
        self.place = place
        self.upstream = upstream  # what has to be COMPLETED before any of it may start
        self.parts = parts
        self.kind = kind

    def skipped(self) -> bool:
        """Whether it ended only because what comes before it did not complete."""
        return self.upstream is not None and self.upstream.handle.state() > COMPLETED

    def error(self) -> BaseException | None:
        """Its exception, with a note that names the step which failed. Only when done."""
        error: BaseException | None = self.handle.error()
        step = self
        while step.parts and step.parts[-1].handle is step.handle:
            step = step.parts[-1]  # a chain ends as its last step
        if error is not None and not step.parts and step.place is not None and not step.skipped():
            note = f"failed in {step.handle.name}: {step.place} of the workflow"
            if note not in getattr(error, "__notes__", ()):
                try:
                    error.add_note(note)
                except Exception as refused:  # an exception class may refuse attributes: the workflow goes on
                    step.handle.plan.owner.system.fault(refused)
        return error


class Run:
    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        context = copy_context()
        self._context = context if context else None
        self._admitted = False
        self._plans: dict[int, Plan] = {}

    # -- before anything is queued ---------------------------------------------------------------

    def check_leaf(self, leaf: TaskSignature[Any], upstream: bool) -> None:
        """Every mistake that can be seen is raised here."""
        system = leaf.system()
        system.submitting.check_open()
        times = ("eta", "expires")
        keep = not any(isinstance(leaf.options.get(name), datetime) for name in times)  # no two moments are the same
        plan = system.submitting.plan_for(leaf.fn, resolve_times(system, leaf.options), keep)
        args = leaf.call_args((None,) if upstream else ())
        system.submitting.check_call(plan, args, leaf.kwargs)
        self._plans[id(leaf)] = plan

    # -- parts -----------------------------------------------------------------------------------

    def leaf(self, leaf: TaskSignature[Any], upstream: Step | None, place: Place | None) -> Step:
        plan = self._plans[id(leaf)]
        system: TaskSystem = plan.owner.system
        kwargs = leaf.kwargs or None
        if upstream is None:
            handle: Any = system.submitting.start(plan, leaf.call_args(()), kwargs, self._context, self._admitted)
            self._admitted = True
            return Step(handle, place, None)
        handle = promise(system, plan, make_ext(system, self._context, kwargs), upstream.handle)

        def go_on(done: Handle) -> None:
            if done.state() == COMPLETED:
                begin(handle, leaf.call_args((done.outcome(),)))
            else:
                end(handle, done.state(), upstream.error())

        when_done(upstream.handle, handle, go_on)
        return Step(handle, place, upstream)

    def join(self, members: list[Step], upstream: Step | None, place: Place | None) -> Step:
        """Ends once all members have: with the list of their values, or as the first that has none did."""
        handle = self._named_promise(f"group of {len(members)}", None)
        step = Step(handle, place, upstream, members, "group")
        if not members:
            self._after(upstream, lambda: end(handle, COMPLETED, []), handle)
            return step
        ended, last = count(1).__next__, len(members)  # one atomic step: exactly one caller gets the last number
        first_open = 0

        def member_ended(done: Handle) -> None:
            nonlocal first_open
            if ended() == last:
                settle_join(handle, members)
                return
            # Who waits inside a task runs what is not done: point at a member that is not. The value is
            # looked at again after it was set, as another thread may set an older one in between.
            while True:
                index = first_open
                while index < last and members[index].handle.state() >= COMPLETED:
                    index += 1
                first_open = index
                if index == last:
                    return
                handle.ext.follows = members[index].handle
                if members[index].handle.state() < COMPLETED:
                    return

        handle.ext.follows = members[0].handle
        for member in members:
            when_done(member.handle, handle, member_ended)
        return step

    def ended(self, step: Step) -> Step:
        """COMPLETED once the step has ended, however it ended; its exception is nobody's here."""
        handle = self._named_promise(f"end of {step.handle.name}", step.handle)
        when_done(step.handle, handle, lambda done: end(handle, COMPLETED, None))
        return Step(handle, None, None)

    def attach(self, node: Signature[Any], step: Step, upstream: Step | None) -> None:
        """Start what was linked to the node: each callback when it completed, each errback when it did not.

        An errback is for what happened here: not when the step never had its turn because ``upstream`` failed.
        """
        for callback in node.callbacks:
            callback.start(self, self._gate(step, upstream, True), Place("callback", 0, 1, step.place))
        for errback in node.errbacks:
            errback.start(self, self._gate(step, upstream, False), Place("errback", 0, 1, step.place))

    def _gate(self, step: Step, upstream: Step | None, on_success: bool) -> Step:
        """COMPLETED with the step's value (or exception) when that is what is waited for, else CANCELLED."""
        what = "callback" if on_success else "errback"
        handle = self._named_promise(f"{what} of {step.handle.name}", step.handle)

        def decide(done: Handle) -> None:
            completed = done.state() == COMPLETED
            if completed and on_success:
                end(handle, COMPLETED, done.outcome())
                return
            skipped = upstream is not None and upstream.handle.state() > COMPLETED
            if not completed and not on_success and not skipped:
                end(handle, COMPLETED, step.error())
                return
            end(handle, CANCELLED, TaskCancelled(f"the {what} is not needed"))

        when_done(step.handle, handle, decide)
        return Step(handle, None, None)

    def _after(self, upstream: Step | None, complete: Callable[[], None], handle: Any) -> None:
        if upstream is None:
            complete()
            return
        handle.ext.follows = upstream.handle

        def go_on(done: Handle) -> None:
            if done.state() == COMPLETED:
                complete()
            else:
                end(handle, done.state(), upstream.error())

        when_done(upstream.handle, handle, go_on)

    def _named_promise(self, name: str, follows: Any) -> Any:
        """One that never runs: it is only ever ended."""
        plan = self._system.submitting.plan_named(_never_run, name)
        return promise(self._system, plan, make_ext(self._system, None, None), follows)


def settle_join(handle: Any, members: list[Step]) -> None:
    failed: Step | None = None
    error: BaseException | None = None
    for member in members:
        if member.handle.state() != COMPLETED:
            its_error = member.error()  # every failure was looked at: the group tells of the first
            if failed is None:
                failed, error = member, its_error
    if failed is None:
        end(handle, COMPLETED, [member.handle.outcome() for member in members])
    else:
        end(handle, failed.handle.state(), error)


def _never_run() -> None:
    raise AssertionError("a promise that stands for several tasks was run")
