"""One handle: what looking at it, waiting for it and cancelling it cost."""

from __future__ import annotations

from catzilla.conformance.rig import RigPlan
from catzilla.errors import TaskCancelled

N = 1000


def noop() -> None:
    pass


def _done(rig):
    rig.workers.resize(1)
    handle = rig.queue.put(RigPlan(noop), (), None)
    assert handle.wait_ns(20_000_000_000)
    return handle


def test_state(benchmark, rig):
    benchmark(_done(rig).state)


def test_wait_for_one_that_is_done(benchmark, rig):
    assert benchmark(_done(rig).wait_ns, -1)


def test_outcome(benchmark, rig):
    assert benchmark(_done(rig).outcome) is None


def test_callback_on_one_that_is_done(benchmark, rig):
    benchmark(_done(rig).on_done, lambda handle: None)


def test_withdraw(benchmark, rig):
    plan, put_many, error = RigPlan(noop), rig.queue.put_many, TaskCancelled()

    def pending():
        return (put_many(plan, [()] * N),), {}

    def withdraw_all(handles):
        for handle in handles:
            handle.withdraw(error)

    benchmark.extra_info["tasks"] = N
    benchmark.pedantic(withdraw_all, setup=pending, rounds=50, warmup_rounds=5)
