"""Signals: handlers run while the main thread waits, may submit, and Ctrl-C reaches every kind of wait."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskPriority, TaskStatus
from catzilla.conformance.lifecycle import run_script
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.interface import Backend

OpenSystem = Callable[..., TaskSystem]


@contextmanager
def alarm(handler: Callable[[], object], first_s: float, then_s: float = 0.0) -> Iterator[None]:
    """Call handler from a signal handler on this thread, once or again and again."""

    def call(number: int, frame: FrameType | None) -> None:
        handler()

    before = signal.signal(signal.SIGALRM, call)
    try:
        signal.setitimer(signal.ITIMER_REAL, first_s, then_s)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def blocked(system: TaskSystem) -> Iterator[Any]:
    """A result that does not come until the test is over."""
    gate = threading.Event()
    result = system.add_task(gate.wait, PATIENCE_S)
    eventually(lambda: result.status is TaskStatus.RUNNING, "it runs")
    yield result
    gate.set()
    result.wait(PATIENCE_S)


WAITS: dict[str, Callable[[TaskSystem, Any], object]] = {
    "wait": lambda system, result: result.wait(),
    "wait with a timeout": lambda system, result: result.wait(PATIENCE_S),
    "exception": lambda system, result: result.exception(),
    "future": lambda system, result: result.future().result(),
    "drain": lambda system, result: system.drain(),
}


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_reaches_a_wait(system: TaskSystem, blocked: Any, wait: str) -> None:
    with pytest.raises(KeyboardInterrupt), alarm(interrupt, 0.05):
        WAITS[wait](system, blocked)
    assert blocked.status is TaskStatus.RUNNING
    assert system.add_task(int, "1").wait(PATIENCE_S) == 1


def test_ctrl_c_reaches_the_wait_for_a_batch(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    gate = threading.Event()
    batch = system.add_tasks(gate.wait, [(PATIENCE_S,)] * 3)
    with pytest.raises(KeyboardInterrupt), alarm(interrupt, 0.05):
        batch.wait()
    gate.set()
    assert batch.wait(PATIENCE_S) == [True] * 3


def test_a_handler_that_returns_lets_the_wait_go_on(system: TaskSystem) -> None:
    calls: list[int] = []
    gate = threading.Event()
    result = system.add_task(gate.wait, PATIENCE_S)

    def note() -> None:
        calls.append(1)
        if len(calls) == 3:
            gate.set()

    with alarm(note, 0.01, 0.01):
        assert result.wait(PATIENCE_S) is True


def test_a_handler_may_submit_and_wait(system: TaskSystem) -> None:
    # Given a handler that does what a program does, while the main thread submits and waits
    answers: list[int] = []
    inside = False

    def handler() -> None:
        nonlocal inside
        if inside:  # a handler that takes longer than its interval is interrupted by itself
            return
        inside = True
        answers.append(system.add_task(int, "3").wait(PATIENCE_S))
        answers.append(system.add_task(int, "3", max_retries=1, priority=TaskPriority.CRITICAL).wait(PATIENCE_S))
        inside = False

    with alarm(handler, 0.002, 0.005):
        began = time.monotonic()
        while time.monotonic() < began + (0.5 if len(answers) >= 2 else PATIENCE_S):
            assert system.add_task(int, "1", timeout_ms=10_000).wait(PATIENCE_S) == 1
    assert len(answers) >= 2
    assert set(answers) == {3}


def test_the_very_first_submit_may_be_a_handlers(open_system: OpenSystem) -> None:
    # Given threads being started all the time on the main thread, and a system that has none yet
    for _ in range(20):
        system = open_system(workers=1)
        results: list[Any] = []

        def handler(system: TaskSystem = system, results: list[Any] = results) -> None:
            if not results:
                results.append(system.add_task(int, "4"))

        with alarm(handler, 0.0005, 0.0005):
            while not results:
                thread = threading.Thread(target=int)
                thread.start()
                thread.join()
        assert results[0].wait(PATIENCE_S) == 4


SUBMITS: dict[str, Callable[[TaskSystem, Callable[[int], None]], object]] = {
    "plain": lambda system, fn: system.add_task(fn, 1),
    "options": lambda system, fn: system.add_task(fn, 1, max_retries=1, timeout_ms=60_000),
    "delayed": lambda system, fn: system.add_task(fn, 1, delay_ms=1),
    "batch": lambda system, fn: system.add_tasks(fn, [(1,)] * 20),
}


# Python itself can only report what a handler raises inside a finalizer or a weak reference's callback.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("submit", SUBMITS)
def test_an_interrupted_submit_leaves_all_in_order(open_system: OpenSystem, submit: str) -> None:
    # Given submits that an exception from a handler ends anywhere in their middle
    system = open_system(workers=2, queue_size=1_000_000)
    ran: list[int] = []
    SUBMITS[submit](system, ran.append)  # whatever is imported at the first call
    armed = False
    interrupted = 0

    def interrupt_submit() -> None:
        nonlocal armed
        if armed:
            armed = False  # one Ctrl-C at a time
            raise KeyboardInterrupt

    with alarm(interrupt_submit, 0.001, 0.0011):
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            try:
                armed = True
                SUBMITS[submit](system, ran.append)
                armed = False
            except KeyboardInterrupt:
                interrupted += 1
                if interrupted % 10 == 0:  # so that workers are idle at times, and are to be woken
                    assert system.drain(PATIENCE_S)
    # Then every task that was accepted ran, nothing is counted twice, and nobody sleeps for ever
    assert interrupted > 0
    assert system.drain(PATIENCE_S)
    for _ in range(100):
        assert system.add_task(int, "1").wait(PATIENCE_S) == 1
    stats = system.stats()
    assert stats.total_queued == 0
    assert stats.completed == stats.submitted == len(ran) + 100


# As above: one that lands in a finalizer of the collector's is only reported.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("delayed", [False, True], ids=["ready", "delayed"])
def test_an_interrupted_cancel_leaves_no_task_without_an_end(open_system: OpenSystem, delayed: bool) -> None:
    # Given cancels that an exception ends wherever Python looks for signals: on entering a function, after calls of C
    system = open_system(workers=1)
    system.pause(*TaskPriority)
    add_task = system.task(int).with_options(delay_ms=60_000).submit if delayed else system.task(int).submit
    released: list[int] = []
    cancelled = 0
    while True:
        result = add_task("1")
        result.add_callback(lambda _, number=cancelled: released.append(number))
        countdown = cancelled

        def profile(frame: FrameType, event: str, arg: object) -> None:
            nonlocal countdown
            code = frame.f_code
            if event in ("call", "c_return") and code.co_filename != __file__ and code.co_name != "call":
                # ("call" is the callback: what ends that is reported as its exception)
                countdown -= 1
                if countdown == -1:
                    raise KeyboardInterrupt

        before = sys.getprofile()
        sys.setprofile(profile)
        try:
            result.cancel()
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(before)
        # Then it has been cancelled, or it still can be, and its callback comes
        if result.status is not TaskStatus.CANCELLED:
            assert result.cancel(), f"interrupted at its step {cancelled}, the task can neither run nor be cancelled"
        assert result.status is TaskStatus.CANCELLED
        cancelled += 1
        if countdown >= 0:
            break
    system.resume(*TaskPriority)
    assert system.drain(PATIENCE_S)
    assert system.add_task(int, "1").wait(PATIENCE_S) == 1
    assert system.stats().cancelled == cancelled
    assert released == list(range(cancelled))


def test_ctrl_c_inside_a_critical_submit_is_not_lost(system: TaskSystem) -> None:
    # Given an interrupt in the function that lowers the switch interval, which backends call themselves
    submit = system.task(int, priority=TaskPriority.CRITICAL).submit
    assert submit("1").wait(PATIENCE_S) == 1
    raised = 0

    def profile(frame: FrameType, event: str, arg: object) -> None:
        nonlocal raised
        if event == "call" and not raised and frame.f_code.co_filename.endswith("boost.py"):
            raised += 1
            raise KeyboardInterrupt

    def submit_interrupted() -> None:
        submit("1")
        for _ in range(1000):  # a backend that has no Python frame of its own raises it at the first chance after
            pass

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        with pytest.raises(KeyboardInterrupt):
            submit_interrupted()
    finally:
        sys.setprofile(before)
    assert raised == 1
    assert system.drain(PATIENCE_S)
    assert submit("1").wait(PATIENCE_S) == 1


def test_signals_do_not_interrupt_tasks(system: TaskSystem) -> None:
    # Python runs handlers on the main thread only: a task goes on, and the waiter hears of it
    gate = threading.Event()
    result = system.add_task(gate.wait, PATIENCE_S)
    eventually(lambda: result.status is TaskStatus.RUNNING, "it runs")
    with alarm(interrupt, 0.02), pytest.raises(KeyboardInterrupt):
        result.wait()
    gate.set()
    assert result.wait(PATIENCE_S) is True
    assert result.status is TaskStatus.COMPLETED


def test_two_interrupts_end_a_shutdown(backend: Backend) -> None:
    # Given a script whose shutdown waits for a task that does not end
    script = """
        import os, signal, threading, time
        from catzilla import TaskSystem
        system = TaskSystem(workers=1, shutdown_timeout=60)
        running = threading.Event()
        def stuck():
            running.set()
            time.sleep(3600)
        result = system.add_task(stuck)
        running.wait(10)
        def interrupt():
            while not system.closed:
                time.sleep(0.01)
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
        try:
            threading.Thread(target=interrupt).start()
            system.shutdown()
        except KeyboardInterrupt:
            print("interrupted", result.status.name)
    """
    # Then Ctrl-C ends it: the task is abandoned, and the interpreter exits
    ended = run_script(backend, textwrap.dedent(script))
    assert (ended.returncode, ended.stdout) == (0, "interrupted CANCELLED\n"), ended.stderr


@pytest.mark.skipif(not hasattr(os, "kill"), reason="this platform has no kill")
def test_ctrl_c_at_exit_ends_the_drain(backend: Backend) -> None:
    script = """
        import os, signal, threading, time
        from catzilla import TaskSystem
        system = TaskSystem(workers=1, shutdown_timeout=60)
        running = threading.Event()
        def stuck():
            running.set()
            time.sleep(3600)
        system.add_task(stuck)
        running.wait(10)
        print("ready", flush=True)
    """
    started = time.monotonic()
    process_script = textwrap.dedent(script) + "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
    ended = run_script(backend, process_script)
    assert ended.stdout == "ready\n"
    assert time.monotonic() - started < 30, "the exit waited for the whole shutdown_timeout"
