"""What goes wrong stays where it went wrong."""

from __future__ import annotations

import gc
import logging
import signal
import threading
import time
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskStatus, TaskTimeout

from .rig import PATIENCE_S, eventually
from .suite import BackendSuite

OpenSystem = Callable[..., TaskSystem]


class Thing:
    """Something a weak reference can watch."""


class FaultTests(BackendSuite):
    @pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), MemoryError()])
    def test_an_exception_of_any_kind_ends_its_task_only(self, open_system: OpenSystem, error: BaseException) -> None:
        system = open_system(workers=1)

        def raise_it() -> None:
            raise error

        result = system.add_task(raise_it)
        assert result.exception(PATIENCE_S) is error
        assert result.status is TaskStatus.FAILED
        assert system.add_task(int, "1").wait(PATIENCE_S) == 1

    def test_callbacks_that_raise_are_contained(
        self, open_system: OpenSystem, caplog: pytest.LogCaptureFixture
    ) -> None:
        # Given a callback that raises between two that do not
        system = open_system(workers=1)
        gate, called = threading.Event(), threading.Event()
        seen: list[str] = []

        def bad(result: Any) -> None:
            raise RuntimeError("a callback that fails")

        result = system.add_task(gate.wait, PATIENCE_S)
        result.add_callback(lambda done: seen.append("before"))
        result.add_callback(bad)
        result.add_callback(lambda done: called.set())
        # When the task ends
        gate.set()
        # Then the others are called, the waiter has its value, the error is logged, the worker lives
        assert called.wait(PATIENCE_S)
        assert seen == ["before"]
        assert result.wait(PATIENCE_S) is True
        assert system.add_task(int, "1").wait(PATIENCE_S) == 1
        eventually(lambda: "a callback that fails" in caplog.text, "the callback's error was logged")

    def test_a_failure_nobody_looks_at_is_logged_once(
        self, open_system: OpenSystem, caplog: pytest.LogCaptureFixture
    ) -> None:
        system = open_system(workers=1)
        system.add_task(int, "nobody looks")
        system.drain(PATIENCE_S)
        system.add_task(int).wait(PATIENCE_S)
        eventually(lambda: gc.collect() >= 0 and "nobody looks" in caplog.text, "the failure was logged")
        gc.collect()
        records = [r for r in caplog.records if r.name == "catzilla.tasks" and r.levelno == logging.ERROR]
        assert len(records) == 1
        eventually(lambda: system.stats().unretrieved_failures == 1, "the failure was counted")

    def test_results_are_freed(self, open_system: OpenSystem) -> None:
        system = open_system(workers=1)
        result = system.add_task(Thing)
        watch = weakref.ref(result.wait(PATIENCE_S))
        assert watch() is not None
        system.add_task(int).wait(PATIENCE_S)
        del result
        eventually(lambda: gc.collect() >= 0 and watch() is None, "the result was freed")

    def test_a_large_result(self, open_system: OpenSystem) -> None:
        system = open_system(workers=1)
        result = system.add_task(bytes, 100_000_000)
        assert len(result.wait(PATIENCE_S)) == 100_000_000

    def test_submitting_from_a_finalizer(self, open_system: OpenSystem) -> None:
        # Given objects that submit a task when they are collected, in the middle of other submits
        system = open_system(workers=1)
        ran: list[int] = []
        submitted: list[int] = []

        class Submits:
            def __init__(self) -> None:
                self.itself = self  # a cycle: the collector frees it, at any allocation

            def __del__(self) -> None:
                system.add_task(ran.append, 1)
                submitted.append(1)

        threshold = gc.get_threshold()
        gc.set_threshold(20)
        try:
            for _ in range(500):
                Submits()
                system.add_task(int)
        finally:
            gc.set_threshold(*threshold)
        # gc.collect() does nothing while another thread is in a collection, whose finalizers go on after it.
        eventually(lambda: gc.collect() >= 0 and len(submitted) == 500, "every object was collected")
        system.drain(PATIENCE_S)
        assert len(ran) == 500

    def test_submitting_from_a_signal_handler(self, open_system: OpenSystem) -> None:
        # Given a handler that submits, and a signal that comes all the time
        system = open_system(workers=1, queue_size=100_000)
        ran: list[int] = []
        sent = 0

        def handler(number: int, frame: FrameType | None) -> None:
            nonlocal sent
            sent += 1
            system.add_task(ran.append, 1)

        system.add_task(int).wait(PATIENCE_S)
        before = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                system.add_task(int)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert sent > 0
        system.drain(PATIENCE_S)
        assert len(ran) == sent

    def test_a_task_that_computes_for_ever_is_ended_by_its_deadline(self, open_system: OpenSystem) -> None:
        # Given the only worker, in a loop of Python code without end
        system = open_system(workers=1)
        stop = threading.Event()

        def spin() -> None:
            while not stop.is_set():
                pass

        stuck = system.add_task(spin, timeout_ms=100)
        # Then its deadline ends it, and the system goes on
        with pytest.raises(TaskTimeout):
            stuck.wait(PATIENCE_S)
        assert system.add_task(int, "1").wait(PATIENCE_S) == 1
        stop.set()
        eventually(lambda: system.stats().stuck_workers == 0, "the stuck thread left")

    def test_failed_waits_inside_many_frames_free_everything(self, open_system: OpenSystem) -> None:
        # Given waits that run out of time, thousands of them
        system = open_system(workers=1)
        gate = threading.Event()
        result = system.add_task(gate.wait, PATIENCE_S)
        things: list[weakref.ref[Thing]] = []

        def try_to_wait() -> None:
            thing = Thing()
            things.append(weakref.ref(thing))
            with pytest.raises(TimeoutError):
                result.wait(0)

        for _ in range(5_000):
            try_to_wait()
        assert not any(thing() for thing in things), "a failed wait keeps the frame it was in"
        gate.set()
        assert result.wait(PATIENCE_S) is True
