"""fork(): the child has a fresh, empty system, and no handle of the parent hangs in it."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from catzilla.conformance.lifecycle import run_script
from catzilla.interface import Backend

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")

# In a process of its own: a forked pytest would run the rest of the session twice.
START = f"""
import os, sys, threading, time, warnings
sys.path.append({str(Path(__file__).parents[2])!r})  # not first: the installed package is to be tested
from catzilla import TaskSystem
from catzilla.background_tasks import TaskLostInFork, TaskPriority, TaskStatus
from tests.core.test_fork import in_child
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of any fork with threads
"""


def in_child(fn: Callable[[], object]) -> None:
    """Fork, run fn in the child, and check that it went well; at most 20 seconds."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(20)
            fn()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "the child failed"


def run(backend: Backend, script: str) -> None:
    ended = run_script(backend, START + textwrap.dedent(script) + "\nprint('the end')\n")
    assert (ended.returncode, ended.stdout) == (0, "the end\n"), ended.stderr


def test_results_that_were_done_keep_their_value(backend: Backend) -> None:
    run(
        backend,
        """
        system = TaskSystem(workers=2)
        good, bad = system.add_task(int, "5"), system.add_task(int, "x")
        assert good.wait(10) == 5
        assert isinstance(bad.exception(10), ValueError)

        def child():
            assert good.wait(0) == 5
            assert good.status is TaskStatus.COMPLETED
            assert isinstance(bad.exception(0), ValueError)

        in_child(child)
        """,
    )


def test_results_that_were_not_done_say_so_by_every_way_of_waiting(backend: Backend) -> None:
    run(
        backend,
        """
        import asyncio
        system = TaskSystem(workers=1)
        gate, running = threading.Event(), threading.Event()

        def work():
            running.set()
            return gate.wait(30)

        lost = [
            system.add_task(work),
            system.add_task(int),
            system.add_task(int, priority=TaskPriority.LOW),
            system.add_task(int, delay_ms=50),
            system.add_task(int, timeout_ms=5_000),
            system.add_task(int, max_retries=3),
            *system.add_tasks(int, [()] * 3),
        ]
        assert running.wait(10)
        lost.append(lost[0].then(str))

        async def waits(result):
            return await result

        def child():
            for result in lost:
                for look in (lambda: result.wait(10), lambda: result.wait(), lambda: asyncio.run(waits(result))):
                    try:
                        look()
                    except TaskLostInFork as error:
                        assert "fork" in str(error)
                    else:
                        raise AssertionError(f"{result} gave a value")
                assert result.cancel() is False

        in_child(child)
        # And the parent's go on as if nothing had happened
        gate.set()
        assert lost[0].wait(10) is True
        assert [result.wait(10) for result in lost[1:]] == [0] * 8 + ["True"]
        """,
    )


def test_the_childs_system_is_empty_and_works(backend: Backend) -> None:
    run(
        backend,
        """
        system = TaskSystem(workers=2, memory_pool_mb=50, keep_results=5)
        task = system.task(max_retries=1)(int)
        hooked = []
        system.on_task_failure(hooked.append)
        gate = threading.Event()
        blocked = [system.add_task(gate.wait, 30) for _ in range(20)]

        async def double(n):
            return 2 * n

        assert system.add_task(double, 1).wait(10) == 2
        ids = {result.task_id for result in blocked}

        def child():
            stats = system.stats()
            assert (stats.submitted, stats.total_queued, stats.active_workers) == (0, 0, 0)
            assert system.running() == []
            assert task.submit("6").wait(10) == 6
            assert system.add_task(int, "7", priority=TaskPriority.CRITICAL).wait(10) == 7
            assert system.add_task(int, "8", delay_ms=5).wait(10) == 8
            assert system.add_task(double, 4).wait(10) == 8
            assert system.add_tasks(int, [("9",)] * 50).wait(10) == [9] * 50
            assert isinstance(system.add_task(int, "x").exception(10), ValueError)
            while not hooked:
                time.sleep(0.01)
            assert system.add_task(int).task_id not in ids
            assert system.shutdown(timeout=10).abandoned == ()

        in_child(child)
        gate.set()
        for result in blocked:
            assert result.wait(10) is True
        assert system.stats().completed == 21
        """,
    )


def test_a_closed_system_stays_closed_and_can_be_reopened(backend: Backend) -> None:
    run(
        backend,
        """
        from catzilla.background_tasks import SystemClosed
        system = TaskSystem(workers=1)
        system.add_task(int).wait(10)
        system.shutdown(timeout=10)

        def child():
            try:
                system.add_task(int)
            except SystemClosed:
                pass
            else:
                raise AssertionError("a closed system took a task")
            system.reopen()
            assert system.add_task(int, "3").wait(10) == 3
            system.shutdown(timeout=10)

        in_child(child)
        """,
    )


def test_a_task_that_forks(backend: Backend) -> None:
    run(
        backend,
        """
        system = TaskSystem(workers=1)

        def forks():
            in_child(lambda: None)
            return "forked"

        assert system.add_task(forks).wait(20) == "forked"
        assert system.add_task(int, "1").wait(10) == 1
        """,
    )


def test_many_forks_while_tasks_run(backend: Backend) -> None:
    # Whatever lock a thread of the parent holds at the moment of the fork, the child is not caught in it.
    run(
        backend,
        """
        system = TaskSystem(workers=2, queue_size=1_000_000)
        stop = threading.Event()

        def submit():
            while not stop.is_set():
                for result in [system.add_task(int, "1", max_retries=1) for _ in range(20)]:
                    result.task_id
                    result.wait(10)

        threads = [threading.Thread(target=submit) for _ in range(2)]
        for thread in threads:
            thread.start()

        def child():
            assert system.add_task(int, "2").wait(10) == 2
            assert system.add_task(int, "3", delay_ms=1, timeout_ms=10_000).wait(10) == 3

        for _ in range(15):
            in_child(child)
        stop.set()
        for thread in threads:
            thread.join(10)
        """,
    )


def test_the_switch_interval_is_restored_in_the_child(backend: Backend) -> None:
    run(
        backend,
        """
        import sys
        usual = sys.getswitchinterval()
        system = TaskSystem(workers=1)
        system.add_task(int).wait(10)
        system.pause()
        waiting = system.add_task(int, priority=TaskPriority.CRITICAL)
        assert sys.getswitchinterval() < usual

        def child():
            assert abs(sys.getswitchinterval() - usual) < 1e-9

        in_child(child)
        system.resume()
        waiting.wait(10)
        assert abs(sys.getswitchinterval() - usual) < 1e-9
        """,
    )


def test_a_child_that_exits_normally_drains_its_own_and_not_the_parents(backend: Backend) -> None:
    run(
        backend,
        """
        import sys
        system = TaskSystem(workers=1)
        gate = threading.Event()
        blocked = system.add_task(gate.wait, 30)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            system.add_task(os.write, write, b"drained")
            sys.stdout = None
            sys.exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert os.read(read, 100) == b"drained"
        gate.set()
        assert blocked.wait(10) is True
        """,
    )
