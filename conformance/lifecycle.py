"""Starting, draining, closing, forking and exiting: a task system's own life."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import (
    SystemClosed,
    TaskAbandoned,
    TaskCancelled,
    TaskLostInFork,
    TaskPriority,
    TaskStatus,
)
from catzilla.interface import Backend

from .rig import PATIENCE_S, eventually
from .suite import BackendSuite, require

OpenSystem = Callable[..., TaskSystem]


def engine_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("catzilla-")}


def run_script(backend: Backend, script: str, *, send: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script on the backend in a process of its own; with ``send``, signal it when it says "ready"."""
    environment = os.environ | {"CATZILLA_BACKEND": backend.name, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        first = ""
        if send is not None:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first == "ready\n", first + process.communicate(timeout=PATIENCE_S)[1]
            process.send_signal(send)
        out, err = process.communicate(timeout=40)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, first + out, err)


class OpenAndCloseTests(BackendSuite):
    def test_threads_start_at_the_first_submit(self, open_system: OpenSystem) -> None:
        before = engine_threads()
        system = open_system(workers=2)
        assert engine_threads() <= before
        system.add_task(int).wait(PATIENCE_S)
        started = engine_threads() - before
        assert started
        assert all(thread.daemon for thread in started)

    def test_shutdown_leaves_no_thread(self, open_system: OpenSystem) -> None:
        before = engine_threads()
        system = open_system(workers=4)
        system.add_tasks(time.sleep, [(0.01,)] * 8).wait(PATIENCE_S)
        system.shutdown(timeout=PATIENCE_S)
        eventually(lambda: not engine_threads() - before, "every thread of the system ended")

    def test_shutdown_runs_what_is_queued(self, open_system: OpenSystem) -> None:
        system = open_system(workers=1)
        ran: list[int] = []
        results = [system.add_task(ran.append, n) for n in range(200)]
        report = system.shutdown(timeout=PATIENCE_S)
        assert ran == list(range(200))
        assert all(result.status is TaskStatus.COMPLETED for result in results)
        assert not report.cancelled
        assert not report.abandoned

    def test_shutdown_can_cancel_what_is_queued(self, open_system: OpenSystem) -> None:
        # Given one task that runs and others behind it
        system = open_system(workers=1)
        running, gate = threading.Event(), threading.Event()

        def work() -> str:
            running.set()
            assert gate.wait(PATIENCE_S)
            return "ran to its end"

        first = system.add_task(work)
        assert running.wait(PATIENCE_S)
        behind = [system.add_task(int) for _ in range(5)]
        # When the system is shut down without them
        threading.Timer(0.05, gate.set).start()
        report = system.shutdown(timeout=PATIENCE_S, cancel_pending=True)
        # Then the running one ended, and the others are cancelled and named
        assert first.wait(0) == "ran to its end"
        assert sorted(report.cancelled) == sorted(result.task_id for result in behind)
        for result in behind:
            with pytest.raises(TaskCancelled):
                result.wait(0)

    def test_what_is_due_later_is_cancelled_and_listed(self, open_system: OpenSystem) -> None:
        system = open_system()
        later = system.add_task(int, delay_ms=3_600_000)
        report = system.shutdown(timeout=PATIENCE_S)
        assert list(report.cancelled) == [later.task_id]
        assert later.status is TaskStatus.CANCELLED

    def test_a_task_that_never_returns_is_abandoned(self, open_system: OpenSystem) -> None:
        system = open_system(workers=1)
        gate = threading.Event()
        stuck = system.add_task(gate.wait, PATIENCE_S)
        while stuck.status is not TaskStatus.RUNNING:
            time.sleep(0.001)
        started = time.monotonic()
        report = system.shutdown(timeout=0.2)
        assert time.monotonic() - started < 5
        assert list(report.abandoned) == [stuck.task_id]
        with pytest.raises(TaskAbandoned):
            stuck.wait(PATIENCE_S)
        gate.set()

    def test_a_closed_system_refuses(self, open_system: OpenSystem) -> None:
        system = open_system()
        system.add_task(int).wait(PATIENCE_S)
        system.shutdown(timeout=PATIENCE_S)
        with pytest.raises(SystemClosed):
            system.add_task(int)
        with pytest.raises(SystemClosed):
            system.add_tasks(int, [()])
        assert system.shutdown(timeout=PATIENCE_S).abandoned == system.shutdown().abandoned, "again is harmless"

    def test_shutdown_without_waiting(self, open_system: OpenSystem) -> None:
        system = open_system(workers=1)
        gate = threading.Event()
        first, second = system.add_task(gate.wait, PATIENCE_S), system.add_task(int, "7")
        system.shutdown(wait=False)
        with pytest.raises(SystemClosed):
            system.add_task(int)
        gate.set()
        assert first.wait(PATIENCE_S) is True
        assert second.wait(PATIENCE_S) == 7

    def test_a_with_block_drains(self, backend: Backend) -> None:
        with TaskSystem(backend=backend.name, workers=1) as system:
            results = [system.add_task(int, str(n)) for n in range(50)]
        assert [result.wait(0) for result in results] == list(range(50))
        with pytest.raises(SystemClosed):
            system.add_task(int)

    def test_drain_waits_and_leaves_the_system_open(self, system: TaskSystem) -> None:
        results = [system.add_task(time.sleep, 0.01) for _ in range(10)]
        soon = system.add_task(int, "1", delay_ms=50)
        system.drain(PATIENCE_S)
        assert all(result.done() for result in results)
        assert soon.done()
        assert system.add_task(int, "2").wait(PATIENCE_S) == 2

    def test_drain_gives_up_after_its_timeout(self, system: TaskSystem) -> None:
        gate = threading.Event()
        result = system.add_task(gate.wait, PATIENCE_S)
        system.drain(0.05)
        assert not result.done()
        gate.set()
        assert result.wait(PATIENCE_S) is True

    def test_two_systems_do_not_know_each_other(self, open_system: OpenSystem) -> None:
        one, two = open_system(workers=1), open_system(workers=1)
        one.pause(*TaskPriority)
        held = one.add_task(int)
        assert two.add_task(int, "3").wait(PATIENCE_S) == 3
        assert two.stats().submitted == 1
        assert one.stats().submitted == 1
        two.shutdown(timeout=PATIENCE_S)
        one.resume(*TaskPriority)
        assert held.wait(PATIENCE_S) == 0


class ForkTests(BackendSuite):
    def test_a_child_has_a_fresh_and_empty_system(self, backend: Backend) -> None:
        require(backend, "fork")
        script = f"""
import os, threading, warnings
from catzilla import TaskSystem
from catzilla.background_tasks import {TaskLostInFork.__name__}
warnings.simplefilter("ignore", DeprecationWarning)
system = TaskSystem(workers=1)
done = system.add_task(int, "5")
assert done.wait(10) == 5
gate = threading.Event()
running = system.add_task(gate.wait, 30)
pending = [system.add_task(int) for _ in range(10)]
pid = os.fork()
if pid == 0:
    code = 1
    try:
        assert done.wait(0) == 5
        for result in (running, *pending):
            try:
                result.wait(10)
            except TaskLostInFork:
                pass
            else:
                raise AssertionError("a lost task gave a value")
        assert system.stats().total_queued == 0
        assert system.add_task(int, "6").wait(10) == 6
        system.shutdown(timeout=10)
        code = 0
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
gate.set()
assert running.wait(10) is True
assert [result.wait(10) for result in pending] == [0] * 10
print("the parent is as before")
"""
        ended = run_script(backend, script)
        assert (ended.returncode, ended.stdout) == (0, "the parent is as before\n"), ended.stderr


class ExitTests(BackendSuite):
    def test_interpreter_exit_drains(self, backend: Backend) -> None:
        script = """
import time
from catzilla import TaskSystem
system = TaskSystem(workers=1)
for n in range(20):
    system.add_task(time.sleep, 0.005)
system.add_task(print, "the last task ran")
"""
        ended = run_script(backend, script)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "the last task ran\n", "")

    def test_interpreter_exit_is_bounded(self, backend: Backend) -> None:
        script = """
import threading, time
from catzilla import TaskSystem
system = TaskSystem(workers=1, shutdown_timeout=0.5)
running = threading.Event()
def stuck():
    running.set()
    time.sleep(3600)
system.add_task(stuck)
running.wait(10)
print("end of main")
"""
        started = time.monotonic()
        ended = run_script(backend, script)
        assert time.monotonic() - started < 15
        assert (ended.returncode, ended.stdout) == (0, "end of main\n"), ended.stderr

    def test_ctrl_c_reaches_a_wait_at_once(self, backend: Backend) -> None:
        script = """
import threading, time
from catzilla import TaskSystem
system = TaskSystem(workers=1)
gate = threading.Event()
result = system.add_task(gate.wait, 30)
try:
    print("ready", flush=True)
    result.wait()
except KeyboardInterrupt:
    print("interrupted")
gate.set()
print(result.wait(10))
"""
        ended = run_script(backend, script, send=signal.SIGINT)
        assert (ended.returncode, ended.stdout) == (0, "ready\ninterrupted\nTrue\n"), ended.stderr


class LifecycleTests(OpenAndCloseTests, ForkTests, ExitTests):
    """Everything of this file, for one backend."""
