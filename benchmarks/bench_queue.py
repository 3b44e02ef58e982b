"""The queue by itself: no worker takes from it."""

from __future__ import annotations

from catzilla.conformance.rig import RigPlan

N = 1000


def noop() -> None:
    pass


def test_put(benchmark, rig):
    plan, put = RigPlan(noop, arity=(0, 0)), rig.queue.put

    def put_all():
        for _ in range(N):
            put(plan, (), None)

    benchmark.extra_info["tasks"] = N
    benchmark.pedantic(put_all, rounds=100, warmup_rounds=5)


def test_put_many(benchmark, rig):
    plan, put_many, rows = RigPlan(noop, arity=(0, 0)), rig.queue.put_many, [()] * N
    benchmark.extra_info["tasks"] = N
    benchmark.pedantic(put_many, args=(plan, rows), rounds=100, warmup_rounds=5)


def test_put_delayed(benchmark, rig):
    plan, put = RigPlan(noop, arity=(0, 0)), rig.queue.put
    due_ns = 1 << 62  # long after this machine is gone

    def put_all():
        for i in range(N):
            put(plan, (), None, due_ns - i)

    benchmark.extra_info["tasks"] = N
    benchmark.pedantic(put_all, rounds=50, warmup_rounds=5)


def test_sizes_with_many_queued(benchmark, rig):
    rig.queue.put_many(RigPlan(noop), [()] * 100_000)
    assert benchmark(rig.queue.sizes)[2] == 100_000
