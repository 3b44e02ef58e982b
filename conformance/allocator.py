"""The allocator: a pool that is charged, and figures that are measured or None."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .rig import PATIENCE_S, Rig
from .suite import BackendSuite

OpenRig = Callable[..., Rig]

KIB = 1024


class AllocatorTests(BackendSuite):
    def test_its_name_is_one_of_three(self, open_rig: OpenRig) -> None:
        assert open_rig().allocator.name in ("jemalloc", "malloc", "python")

    def test_the_limit_is_the_configured_one(self, open_rig: OpenRig) -> None:
        assert open_rig(memory_limit_bytes=64 * KIB).allocator.limit_bytes == 64 * KIB
        assert open_rig().allocator.limit_bytes is None

    def test_without_a_limit_every_charge_is_taken(self, open_rig: OpenRig) -> None:
        allocator = open_rig().allocator
        assert allocator.charge(1 << 40)
        allocator.force(-(1 << 40))

    def test_over_the_limit_nothing_is_taken(self, open_rig: OpenRig) -> None:
        allocator = open_rig(memory_limit_bytes=1024 * KIB).allocator
        assert allocator.charge(1000 * KIB)
        assert not allocator.charge(100 * KIB)
        assert allocator.charge(10 * KIB), "the refused charge left its room to others"
        allocator.force(-1010 * KIB)
        assert allocator.charge(1000 * KIB)

    def test_force_goes_over_the_limit(self, open_rig: OpenRig) -> None:
        allocator = open_rig(memory_limit_bytes=1024 * KIB).allocator
        allocator.force(4096 * KIB)
        assert not allocator.charge(1)
        allocator.force(-4096 * KIB)
        assert allocator.charge(1)

    def test_threads_never_get_more_than_the_limit(self, open_rig: OpenRig) -> None:
        # Given a pool with room for about a hundred charges, and four threads that want a hundred each
        allocator = open_rig(memory_limit_bytes=100 * 64 * KIB).allocator
        taken: list[bool] = []
        start = threading.Barrier(4)

        def charge() -> None:
            start.wait(PATIENCE_S)
            for _ in range(100):
                taken.append(allocator.charge(64 * KIB))

        threads = [threading.Thread(target=charge) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        # Then no more than fit were taken (the engine's own memory may count too)
        assert 90 <= taken.count(True) <= 100

    def test_what_is_not_measured_is_none(self, open_rig: OpenRig) -> None:
        stats = open_rig().allocator.stats()
        for key in ("allocated_bytes", "active_bytes"):
            value = stats[key]
            assert value is None or (isinstance(value, int) and value > 0), f"{key}={value!r}: measure it or say None"
        if stats["allocated_bytes"] is not None and stats["active_bytes"] is not None:
            assert stats["allocated_bytes"] <= stats["active_bytes"]
