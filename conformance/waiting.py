"""Waiting for a handle, and being told when it is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from catzilla.interface import (
    COMPLETED,
    DETACHED,
)

from .rig import PATIENCE_NS, PATIENCE_S, SECOND_NS, Rig, RigExt, eventually, finish, value_of, withdraw
from .suite import BackendSuite

OpenRig = Callable[..., Rig]


def nothing() -> None: ...


def echo(value: object) -> object:
    return value


class Boom(Exception):
    pass


def fail() -> None:
    raise Boom("on purpose")


class Thing:
    """Something a weak reference can watch."""


def detach(handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    return DETACHED


class WaitingTests(BackendSuite):
    """Waiting and being told."""

    def test_wait_zero_is_a_poll(self, open_rig: OpenRig) -> None:
        handle = open_rig().put(nothing)
        assert handle.wait_ns(0) is False
        assert withdraw(handle)
        assert handle.wait_ns(0) is True

    def test_a_wait_that_runs_out_leaves_the_task_alone(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        handle = rig.put(echo, 1)
        before = time.monotonic_ns()
        assert handle.wait_ns(20_000_000) is False
        assert time.monotonic_ns() - before >= 20_000_000
        rig.workers.resize(1)
        assert value_of(handle) == 1

    def test_very_long_timeouts_are_waits(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        assert rig.put(nothing).wait_ns(10**6 * 365 * 86_400 * SECOND_NS) is True
        assert rig.put(nothing).wait_ns(-1) is True

    def test_every_waiter_is_released(self, open_rig: OpenRig) -> None:
        # Given twenty threads that wait for one task, with and without a limit
        rig = open_rig(workers=1)
        blocker = rig.block_worker()
        handle = blocker.handle
        results: list[bool] = []

        def wait(timeout_ns: int) -> None:
            results.append(handle.wait_ns(timeout_ns))

        threads = [threading.Thread(target=wait, args=((-1, PATIENCE_NS)[n % 2],)) for n in range(20)]
        for thread in threads:
            thread.start()
        # When it ends
        blocker.release()
        for thread in threads:
            thread.join(PATIENCE_S)
        # Then all of them go on
        assert results == [True] * 20

    def test_on_done_is_called_once_with_the_handle(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        blocker = rig.block_worker()
        calls: list[tuple[Any, str]] = []
        called = threading.Event()

        def note(handle: Any) -> None:
            calls.append((handle, threading.current_thread().name))
            called.set()

        blocker.handle.on_done(note)
        assert calls == []
        blocker.release()
        assert called.wait(PATIENCE_S)
        finish(rig.put(nothing))
        assert len(calls) == 1
        assert calls[0][0] is blocker.handle
        assert calls[0][1].startswith("catzilla-rig-"), "on the settling thread"

    def test_on_done_of_a_done_task_is_called_here(self, open_rig: OpenRig) -> None:
        handle = open_rig().put(nothing)
        assert withdraw(handle)
        calls: list[tuple[Any, threading.Thread]] = []
        handle.on_done(lambda done: calls.append((done, threading.current_thread())))
        assert calls == [(handle, threading.current_thread())]

    def test_on_done_callbacks_come_in_order(self, open_rig: OpenRig) -> None:
        handle = open_rig().put(nothing)
        calls: list[int] = []
        for n in range(10):
            handle.on_done(lambda _, n=n: calls.append(n))  # type: ignore[misc]
        assert withdraw(handle)
        assert calls == list(range(10))

    def test_on_done_against_the_end_is_called_exactly_once(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=2)
        calls: list[int] = []
        handles = []
        for n in range(3_000):
            handle = rig.put(nothing)
            handle.on_done(lambda _, n=n: calls.append(n))  # type: ignore[misc]
            handles.append(handle)
        finish(*handles)
        eventually(lambda: len(calls) >= 3_000, "every callback was called")
        assert sorted(calls) == list(range(3_000))

    def test_on_settled_comes_after_counting_and_settling(self, open_rig: OpenRig) -> None:
        rig = open_rig(workers=1)
        seen: list[tuple[int, int]] = []
        called = threading.Event()

        def settled(handle: Any) -> None:
            seen.append((handle.state(), rig.metrics.counters()["completed"]))
            called.set()

        finish(rig.put(nothing, ext=RigExt(on_settled=settled)))
        assert called.wait(PATIENCE_S)
        assert seen == [(COMPLETED, 1)]

    def test_on_settled_is_called_for_a_cancelled_task_too(self, open_rig: OpenRig) -> None:
        rig = open_rig()
        seen: list[Any] = []
        handle = rig.put(nothing, ext=RigExt(on_settled=seen.append))
        assert withdraw(handle)
        assert seen == [handle]
