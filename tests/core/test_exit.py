"""Interpreter exit: what is queued runs, within shutdown_timeout, and the process ends however stuck a task is."""

from __future__ import annotations

import signal
import subprocess
import textwrap
import time

import pytest

from catzilla.conformance.lifecycle import run_script
from catzilla.interface import Backend

BOUND_S = 20  # far below the 3600 s that stuck tasks sleep, far above a loaded machine's start


def run(backend: Backend, script: str, *, send: int | None = None) -> subprocess.CompletedProcess[str]:
    return run_script(backend, "from catzilla import TaskSystem\n" + textwrap.dedent(script), send=send)


def test_a_script_that_submits_and_ends_at_once(backend: Backend) -> None:
    ended = run(backend, "TaskSystem(workers=1).add_task(print, 'it ran')")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "it ran\n", "")


def test_everything_that_is_queued_runs(backend: Backend) -> None:
    ended = run(
        backend,
        """
        import asyncio, sys
        from catzilla.background_tasks import TaskPriority
        system = TaskSystem(workers=2)
        lines = []
        attempts = []

        def print(text):
            sys.stdout.write(f"{text}\\n")  # in one piece: several may write at once

        def flaky():
            attempts.append(1)
            if len(attempts) < 3:
                raise ConnectionError
            print("retried")

        async def coroutine():
            await asyncio.sleep(0.05)
            print("coroutine")

        system.add_tasks(lines.append, [(n,) for n in range(500)])
        system.add_task(flaky, max_retries=5, retry_base_ms=5)
        system.add_task(coroutine)
        system.add_task(print, "delayed", delay_ms=100)
        system.add_task(int).then(lambda _: print("followed"))
        system.add_task(lambda: print(len(lines)), priority=TaskPriority.LOW, delay_ms=300)
        """,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(ended.stdout.split()) == ["500", "coroutine", "delayed", "followed", "retried"]


def test_a_task_that_is_due_later_does_not_keep_the_process(backend: Backend) -> None:
    started = time.monotonic()
    ended = run(
        backend,
        """
        system = TaskSystem(workers=1, shutdown_timeout=5)
        system.add_task(print, "too late", delay_ms=3_600_000)
        system.add_task(print, "in time")
        """,
    )
    assert time.monotonic() - started < BOUND_S
    assert (ended.returncode, ended.stdout) == (0, "in time\n")
    assert "1 tasks were cancelled" in ended.stderr


@pytest.mark.parametrize(
    "stuck",
    ["time.sleep(3600)", "while True: pass", "threading.Event().wait()", "system.add_task(time.sleep, 3600).wait()"],
)
def test_a_task_that_never_returns_does_not_keep_the_process(backend: Backend, stuck: str) -> None:
    started = time.monotonic()
    ended = run(
        backend,
        f"""
        import threading, time
        system = TaskSystem(workers=1, shutdown_timeout=0.3)
        running = threading.Event()

        def never():
            running.set()
            {stuck}

        system.add_task(never)
        running.wait(10)
        print("the end")
        """,
    )
    assert time.monotonic() - started < BOUND_S
    assert (ended.returncode, ended.stdout) == (0, "the end\n"), ended.stderr
    assert "still ran and were abandoned" in ended.stderr


def test_a_coroutine_that_never_ends_does_not_keep_the_process(backend: Backend) -> None:
    started = time.monotonic()
    ended = run(
        backend,
        """
        import asyncio, threading
        system = TaskSystem(workers=1, shutdown_timeout=0.3)
        running = threading.Event()

        async def never():
            running.set()
            await asyncio.sleep(3600)

        system.add_task(never)
        running.wait(10)
        """,
    )
    assert time.monotonic() - started < BOUND_S
    assert ended.returncode == 0, ended.stderr


def test_a_task_stuck_behind_its_deadline_does_not_keep_the_process(backend: Backend) -> None:
    started = time.monotonic()
    ended = run(
        backend,
        """
        import time
        system = TaskSystem(workers=1)
        result = system.add_task(time.sleep, 3600, timeout_ms=50)
        print(type(result.exception()).__name__)
        """,
    )
    assert time.monotonic() - started < BOUND_S
    assert (ended.returncode, ended.stdout) == (0, "TaskTimeout\n"), ended.stderr


def test_a_failure_that_nobody_saw_is_logged_at_the_exit(backend: Backend) -> None:
    ended = run(backend, "TaskSystem(workers=1).add_task(int, 'not a number')")
    assert ended.returncode == 0
    assert ended.stderr.count("not a number") >= 1
    assert "nobody looked" in ended.stderr


def test_what_tasks_printed_is_flushed(backend: Backend) -> None:
    ended = run(
        backend,
        """
        import sys
        system = TaskSystem(workers=1)
        system.add_task(sys.stdout.write, "no newline")
        system.add_task(sys.stderr.write, "nor here")
        """,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "no newline", "nor here")


def test_an_exception_in_the_script_still_drains(backend: Backend) -> None:
    ended = run(
        backend,
        """
        system = TaskSystem(workers=1)
        system.add_task(print, "it ran")
        raise SystemExit(3)
        """,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "it ran\n", "")


def test_a_refusing_shutdown_leaves_the_rest_to_the_exit(backend: Backend) -> None:
    ended = run(
        backend,
        """
        import time
        system = TaskSystem(workers=1)
        for n in range(5):
            system.add_task(time.sleep, 0.02)
        system.add_task(print, "drained")
        system.shutdown(wait=False)
        """,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "drained\n", "")


def test_two_systems_are_drained(backend: Backend) -> None:
    ended = run(
        backend,
        """
        import sys, time
        first, second = TaskSystem(workers=1), TaskSystem(workers=1)
        for system in (first, second):
            system.add_task(time.sleep, 0.05)
        first.add_task(sys.stdout.write, "first\\n")  # in one piece: both may write at once
        second.add_task(sys.stdout.write, "second\\n")
        """,
    )
    assert (ended.returncode, sorted(ended.stdout.split()), ended.stderr) == (0, ["first", "second"], "")


def test_submits_during_the_exit_are_refused_and_harm_nothing(backend: Backend) -> None:
    ended = run(
        backend,
        """
        import atexit, time
        from catzilla.background_tasks import SystemClosed
        system = TaskSystem(workers=1)

        class AtTheEnd:
            def __del__(self):
                try:
                    system.add_task(int)
                except SystemClosed:
                    pass

        keep = AtTheEnd()
        system.add_task(time.sleep, 0.05)

        @atexit.register
        def late():
            try:
                system.add_task(int)
            except SystemClosed:
                print("refused")
        """,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "refused\n", "")


def test_ctrl_c_in_the_script_drains_and_a_second_one_ends_that(backend: Backend) -> None:
    started = time.monotonic()
    ended = run(
        backend,
        """
        import os, signal, threading, time
        system = TaskSystem(workers=1, shutdown_timeout=60)
        running = threading.Event()

        def stuck():
            running.set()
            time.sleep(3600)

        system.add_task(stuck)
        running.wait(10)
        threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
        print("ready", flush=True)
        time.sleep(3600)
        """,
        send=signal.SIGINT,
    )
    assert time.monotonic() - started < BOUND_S
    assert ended.stdout == "ready\n"
    assert "KeyboardInterrupt" in ended.stderr
    assert ended.returncode in (1, -signal.SIGINT)


@pytest.mark.parametrize("waits", ["wait", "exception"])
def test_a_tree_of_tasks_that_never_ends_does_not_keep_the_process(backend: Backend, waits: str) -> None:
    ended = run(
        backend,
        f"""
        system = TaskSystem(workers=1, shutdown_timeout=0.5)

        def node(depth):
            children = [system.add_task(node, depth + 1) for _ in range(2)]
            return [child.{waits}() for child in children]

        for _ in range(2):
            system.add_task(node, 0)
        """,
    )
    assert ended.returncode == 0


def test_a_chain_of_waits_that_begins_as_the_script_ends(backend: Backend) -> None:
    # Given a task whose children wait for theirs, more deeply than one thread runs tasks inside each other
    ended = run(
        backend,
        """
        from catzilla.background_tasks import SystemClosed
        system = TaskSystem(workers=1, shutdown_timeout=25)

        def link(depth):
            return 0 if depth == 0 else system.add_task(link, depth - 1).wait() + 1

        def first():
            try:
                print(link(100))
            except SystemClosed:
                print("refused")

        system.add_task(first)
        """,
    )
    # Then all of it runs where the exiting thread does the work, and it is refused where workers do, which were told
    assert ended.returncode == 0
    assert ended.stdout in ("100\n", "refused\n")
    assert ended.stderr == ""


def test_a_failure_of_the_last_task_is_told(backend: Backend) -> None:
    ended = run(
        backend,
        """
        system = TaskSystem(workers=1)

        def broken():
            raise LookupError("on purpose")

        system.add_task(broken)
        """,
    )
    assert ended.returncode == 0
    assert ended.stderr.count("broken failed and nobody looked at its result: LookupError: on purpose") == 1
