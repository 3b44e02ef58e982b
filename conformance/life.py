"""The life of a task as a Hypothesis state machine (docs/state_machine.md draws it).

Hypothesis makes up histories of submits, cancels, gates that open, lanes that pause and so on; the
model beside it says for every task which states may be seen, and which end it must come to. Needs
``hypothesis``, so that it is not among the names of ``catzilla.conformance``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from catzilla import TaskSystem
from catzilla.background_tasks import TaskCancelled, TaskPriority, TaskStatus, TaskTimeout
from catzilla.interface import Backend

from .rig import PATIENCE_S, eventually
from .suite import BackendSuite

S = TaskStatus
FINAL = frozenset((S.COMPLETED, S.FAILED, S.CANCELLED, S.TIMED_OUT))
NEXT = {  # the arrows of docs/state_machine.md
    S.DELAYED: {S.PENDING, S.CANCELLED},
    S.PENDING: {S.RUNNING, S.CANCELLED},
    S.RUNNING: {S.COMPLETED, S.FAILED, S.TIMED_OUT, S.RETRYING},
    S.RETRYING: {S.PENDING, S.CANCELLED},
}
HOUR_MS = 3_600_000


def reachable(start: TaskStatus) -> frozenset[TaskStatus]:
    """What may be seen some time after ``start``."""
    seen, todo = {start}, [start]
    while todo:
        for status in NEXT.get(todo.pop(), ()):
            if status not in seen:
                seen.add(status)
                todo.append(status)
    return frozenset(seen)


REACHABLE = {status: reachable(status) for status in TaskStatus}


class Planned(Exception):
    """What a task of the model raises when it is to fail."""


@dataclass(eq=False)
class Life:
    """One task, and what the model knows of it."""

    end: TaskStatus  # where it comes to if nobody cancels it
    first: frozenset[TaskStatus]  # how it may be seen at once after the submit
    result: Any = None
    value: Any = None
    runs_at_end: int | None = None
    gate: threading.Event | None = None
    waits_for: Life | None = None  # a continuation's task
    runs: int = 0
    runs_when_cancelled: int = -1  # -1: it was not cancelled
    retries: bool = False
    asked: bool = False  # cancel() came while it ran: it is not tried again
    last: TaskStatus | None = None
    callbacks: int = 0
    called: list[Any] = field(default_factory=list)

    def run(self, fail: bool) -> Any:
        self.runs += 1
        if self.gate is not None:
            self.gate.wait(PATIENCE_S)
        if fail:
            raise Planned
        return self.value

    def look(self) -> TaskStatus:
        """Its state now, which must follow from the last one seen."""
        was_done = self.result.done()
        now: TaskStatus = self.result.status
        if self.last is None:
            assert now in frozenset().union(*(REACHABLE[status] for status in self.first))
        else:
            assert now in REACHABLE[self.last], f"{self.last.name} became {now.name}"
        assert now in FINAL or not was_done
        assert now not in FINAL or self.result.done()
        self.last = now
        return now

    def final(self) -> TaskStatus:
        """The state that it must end in."""
        if self.runs_when_cancelled >= 0:
            return S.CANCELLED
        if self.waits_for is not None and self.waits_for.final() is not S.COMPLETED:
            return self.waits_for.final()
        if self.asked and self.result.status is S.FAILED:
            return S.FAILED
        return self.end

    def check_end(self) -> None:
        assert self.look() is self.final()
        assert self.called == [self.result] * self.callbacks, "each callback once, with the task"
        if self.last is S.COMPLETED:
            assert self.result.wait(0) is self.value
            assert self.result.exception() is None
        else:
            assert self.last is not None
            kind = {S.FAILED: Planned, S.CANCELLED: TaskCancelled, S.TIMED_OUT: TaskTimeout}[self.last]
            with pytest.raises(kind) as caught:
                self.result.wait(0)
            assert self.result.exception() is caught.value
        if self.runs_when_cancelled >= 0:
            assert self.runs == self.runs_when_cancelled, "a cancelled task ran"
        elif self.runs_at_end is not None and not self.asked:
            assert self.runs == self.runs_at_end


class TaskLife(RuleBasedStateMachine):
    """Two workers, tasks of all kinds, and everything that can be done to them."""

    tasks = Bundle("tasks")
    gated = Bundle("gated")
    lanes = st.sampled_from(TaskPriority)

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self.system = TaskSystem(backend=backend.name, workers=2, enable_auto_scaling=False)
        self.lives: list[Life] = []

    def submit(self, life: Life, fn: Callable[..., Any], *args: Any, **options: Any) -> Life:
        life.result = self.system.add_task(fn, *args, **options)
        self.lives.append(life)
        life.look()
        return life

    # -- submitting ----------------------------------------------------------------------------

    @rule(target=tasks, fails=st.booleans(), lane=lanes)
    def submit_plain(self, fails: bool, lane: TaskPriority) -> Life:
        end = S.FAILED if fails else S.COMPLETED
        life = Life(end, frozenset((S.PENDING,)), value=object(), runs_at_end=1)
        return self.submit(life, life.run, fails, priority=lane)

    @rule(targets=(tasks, gated), fails=st.booleans(), lane=lanes)
    def submit_gated(self, fails: bool, lane: TaskPriority) -> Life:
        end = S.FAILED if fails else S.COMPLETED
        life = Life(end, frozenset((S.PENDING,)), value=object(), runs_at_end=1, gate=threading.Event())
        return self.submit(life, life.run, fails, priority=lane)

    @rule(target=tasks, delay_ms=st.sampled_from((1, 5, 20)), lane=lanes)
    def submit_delayed(self, delay_ms: int, lane: TaskPriority) -> Life:
        life = Life(S.COMPLETED, frozenset((S.DELAYED,)), value=object(), runs_at_end=1)
        return self.submit(life, life.run, False, delay_ms=delay_ms, priority=lane)

    @rule(target=tasks)
    def submit_for_tomorrow(self) -> Life:
        """Due after the end of this history: cancelled then."""
        life = Life(S.CANCELLED, frozenset((S.DELAYED,)), runs_at_end=0)
        return self.submit(life, life.run, False, delay_ms=24 * HOUR_MS)

    @rule(target=tasks, failures=st.integers(0, 4), retries=st.integers(1, 3), lane=lanes)
    def submit_flaky(self, failures: int, retries: int, lane: TaskPriority) -> Life:
        end = S.COMPLETED if failures <= retries else S.FAILED
        life = Life(end, frozenset((S.PENDING,)), value=object(), runs_at_end=min(failures, retries) + 1, retries=True)

        def run() -> Any:
            return life.run(fail=life.runs < failures)

        return self.submit(life, run, max_retries=retries, retry_base_ms=1, retry_max_ms=3, priority=lane)

    @rule(target=tasks)
    def submit_one_that_waits_for_its_retry(self) -> Life:
        life = Life(S.CANCELLED, frozenset((S.PENDING,)), retries=True)
        return self.submit(life, life.run, True, max_retries=1, retry_base_ms=HOUR_MS, retry_max_ms=HOUR_MS,
                           retry_backoff="fixed")  # fmt: skip

    @rule(target=tasks, lane=lanes)
    def submit_one_that_runs_out_of_time(self, lane: TaskPriority) -> Life:
        life = Life(S.TIMED_OUT, frozenset((S.PENDING,)), gate=threading.Event(), runs_at_end=1)
        return self.submit(life, life.run, False, timeout_ms=5, priority=lane)

    @rule(target=tasks, count=st.integers(0, 5), fails=st.booleans())
    def submit_batch(self, count: int, fails: bool) -> Any:
        end = S.FAILED if fails else S.COMPLETED
        lives = [Life(end, frozenset((S.PENDING,)), value=object(), runs_at_end=1) for _ in range(count)]
        batch = self.system.add_tasks(Life.run, [(life, fails) for life in lives])
        for life, result in zip(lives, batch, strict=True):
            life.result = result
            self.lives.append(life)
        return multiple(*lives)

    @rule(target=tasks, before=tasks)
    def follow(self, before: Life) -> Life:
        """then: runs when the other completed, else ends as it did."""
        life = Life(S.COMPLETED, frozenset((S.DELAYED,)), value=object(), waits_for=before)
        life.result = before.result.then(lambda value: life.run(False))
        self.lives.append(life)
        life.look()
        return life

    # -- doing something to one ----------------------------------------------------------------

    @rule(life=consumes(gated))
    def open_gate(self, life: Life) -> None:
        assert life.gate is not None
        life.gate.set()

    @rule(life=tasks)
    def cancel(self, life: Life) -> None:
        before = life.look()
        won = life.result.cancel()
        after = life.look()
        if won:
            assert before not in FINAL
            assert after is S.CANCELLED
            assert life.runs_when_cancelled < 0, "cancelled twice"
            life.runs_when_cancelled = life.runs
        else:
            assert after not in (S.DELAYED, S.PENDING) or life.retries
            life.asked = life.retries

    @rule(life=tasks, timeout=st.sampled_from((0, 0.001)))
    def wait(self, life: Life, timeout: float) -> None:
        try:
            value = life.result.wait(timeout)
        except TimeoutError:
            return
        except (Planned, TaskCancelled, TaskTimeout):
            assert life.look() in FINAL - {S.COMPLETED}
        else:
            assert value is life.value
            assert life.look() is S.COMPLETED

    @rule(life=tasks)
    def add_callback(self, life: Life) -> None:
        life.callbacks += 1
        life.result.add_callback(life.called.append)

    # -- doing something to all ----------------------------------------------------------------

    @rule(lanes=st.sets(lanes, min_size=1))
    def pause(self, lanes: set[TaskPriority]) -> None:
        self.system.pause(*lanes)

    @rule(lanes=st.sets(lanes, min_size=1))
    def resume(self, lanes: set[TaskPriority]) -> None:
        self.system.resume(*lanes)

    @rule()
    def drain_briefly(self) -> None:
        self.system.drain(timeout=0.005)

    @invariant()
    def every_state_follows_from_the_last(self) -> None:
        for life in self.lives:
            life.look()

    @invariant()
    def nothing_is_uncounted(self) -> None:
        stats = self.system.stats()
        assert stats.submitted == len(self.lives)
        assert stats.completed + stats.failed + stats.cancelled + stats.timed_out <= len(self.lives)

    # -- the end -------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Let everything come to its end, and compare."""
        try:
            self.system.resume(*TaskPriority)
            for life in self.lives:
                if life.gate is not None and life.end is not S.TIMED_OUT:
                    life.gate.set()
            for life in self.lives:
                if life.end is S.CANCELLED and life.runs_when_cancelled < 0:
                    if life.retries:
                        eventually(lambda: life.look() in (S.RETRYING, S.FAILED), "it failed once")  # noqa: B023
                    if life.result.cancel():
                        life.runs_when_cancelled = life.runs
            for life in self.lives:
                life.result.exception(PATIENCE_S)
            # A callback may still be on its way on the thread that settled the task.
            eventually(lambda: all(len(life.called) == life.callbacks for life in self.lives), "callbacks were called")
            for life in self.lives:
                life.check_end()
            self.check_counts()
        finally:
            for life in self.lives:
                if life.gate is not None:
                    life.gate.set()
            self.system.shutdown(timeout=PATIENCE_S / 2, cancel_pending=True)

    def check_counts(self) -> None:
        ends = [life.final() for life in self.lives]
        stats = self.system.stats()
        counted = {
            S.COMPLETED: stats.completed,
            S.FAILED: stats.failed,
            S.CANCELLED: stats.cancelled,
            S.TIMED_OUT: stats.timed_out,
        }
        assert counted == {status: ends.count(status) for status in counted}
        assert stats.total_queued == 0


class LifeTests(BackendSuite):
    """One test; ``examples`` histories of up to ``steps`` steps."""

    examples = 50
    steps = 30

    @pytest.mark.timeout(300)
    def test_the_life_of_a_task(self, backend: Backend) -> None:
        run_state_machine_as_test(
            lambda: TaskLife(backend),  # type: ignore[arg-type]  # any maker of one will do
            settings=settings(
                max_examples=self.examples,
                stateful_step_count=self.steps,
                deadline=None,
                database=None,
                phases=[Phase.generate],  # threads do not repeat themselves: shrinking would look for a ghost
                suppress_health_check=list(HealthCheck),
            ),
        )
