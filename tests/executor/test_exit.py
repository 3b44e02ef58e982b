"""Interpreter exit: what was submitted runs to its end, and nothing more is taken. In processes of their own."""

from __future__ import annotations

import signal
import subprocess
import textwrap

import pytest

from catzilla.conformance.lifecycle import run_script
from catzilla.interface import Backend

START = "import sys, threading, time\nfrom catzilla.executor import TaskExecutor as Executor\n"
MODEL = "import sys, threading, time\nfrom concurrent.futures import ThreadPoolExecutor as Executor\n"


@pytest.fixture(params=[START, MODEL], ids=["TaskExecutor", "ThreadPoolExecutor"])
def start(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(backend: Backend, start: str, script: str, *, send: int | None = None) -> subprocess.CompletedProcess[str]:
    return run_script(backend, start + textwrap.dedent(script), send=send)


def test_a_script_that_submits_and_ends_at_once(backend: Backend, start: str) -> None:
    ended = run(backend, start, "Executor(3).submit(print, 'it ran')")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "it ran\n", "")


def test_calls_that_wait_for_each_other_have_their_threads(backend: Backend, start: str) -> None:
    """No thread can be started any more when a script has ended, since CPython 3.12."""
    ended = run(
        backend,
        start,
        """
        executor = Executor(6)
        barrier = threading.Barrier(6)
        for _ in range(6):
            executor.submit(lambda: barrier.wait(20) >= 0 and sys.stdout.write("met "))
        """,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "met " * 6, "")


@pytest.mark.parametrize("how", ["", "executor.shutdown(wait=False)", "del executor"])
def test_everything_that_was_submitted_runs(backend: Backend, start: str, how: str) -> None:
    ended = run(
        backend,
        start,
        f"""
        executor = Executor(2)
        go = threading.Event()
        for n in range(20):
            executor.submit(lambda n=n: go.wait(20) and sys.stdout.write(f"{{n}} "))
        threading.Timer(0.1, go.set).start()
        {how}
        """,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(map(int, ended.stdout.split())) == list(range(20))


def test_cancelled_calls_do_not(backend: Backend, start: str) -> None:
    ended = run(
        backend,
        start,
        """
        executor = Executor(1)
        executor.submit(time.sleep, 0.1)
        executor.submit(print, "it ran")
        executor.shutdown(wait=False, cancel_futures=True)
        """,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("used", [True, False])
def test_nothing_is_taken_any_more(backend: Backend, start: str, used: bool) -> None:
    ended = run(
        backend,
        start,
        f"""
        import atexit

        @atexit.register
        def late():
            for name, late in ("early", executor), ("late", Executor(1)):
                try:
                    late.submit(print, "it ran")
                except RuntimeError as error:
                    print(name, error)

        executor = Executor(1)
        if {used}:
            executor.submit(int).result()
        """,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    early, late = ended.stdout.splitlines()
    assert early.startswith("early cannot schedule new futures after ")
    assert late == "late cannot schedule new futures after interpreter shutdown"


def test_a_call_cannot_submit_another_one_then(backend: Backend, start: str) -> None:
    ended = run(
        backend,
        start,
        """
        executor = Executor(1)

        def call():
            threading.main_thread().join(0.2)
            while not refused:
                try:
                    executor.submit(int)
                    time.sleep(0.01)
                except RuntimeError as error:
                    refused.append(error)
            print(*refused)

        refused = []
        executor.submit(call)
        """,
    )
    assert ended.returncode == 0
    assert ended.stdout.startswith("cannot schedule new futures after ")


def test_a_failed_call_says_nothing(backend: Backend, start: str) -> None:
    ended = run(backend, start, "Executor(1).submit(int, 'x')")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_failed_initializer_does_not_keep_the_process(backend: Backend, start: str) -> None:
    ended = run(backend, start, "Executor(2, initializer=divmod, initargs=(1, 0)).submit(print, 'it ran')")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "Exception in initializer:" in ended.stderr


def test_ctrl_c_while_it_waits_ends_it(backend: Backend) -> None:
    """ThreadPoolExecutor's exit goes on to wait for its threads."""
    ended = run(
        backend,
        START,
        """
        executor = Executor(1)

        def call():
            while True:
                try:
                    executor.submit(int).cancel()
                    time.sleep(0.01)
                except RuntimeError:  # the exit has begun
                    break
            print("ready", flush=True)
            time.sleep(3600)

        executor.submit(call)
        """,
        send=signal.SIGINT,
    )
    assert ended.stdout == "ready\n"


def test_executors_and_systems_end_together(backend: Backend) -> None:
    ended = run(
        backend,
        START,
        """
        import sys
        from catzilla import TaskSystem
        system = TaskSystem(workers=1)
        executor = Executor(1)
        system.add_task(time.sleep, 0.2)
        system.add_task(sys.stdout.write, "task\\n")  # in one piece: both may write at once
        executor.submit(time.sleep, 0.1)
        executor.submit(sys.stdout.write, "call\\n")
        """,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(ended.stdout.split()) == ["call", "task"]
