"""fork(): the child's executor works, and no future of the parent hangs in it."""

from __future__ import annotations

import os
import textwrap

import pytest

from catzilla.conformance.lifecycle import run_script
from catzilla.interface import Backend

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")

# In a process of its own: a forked pytest would run the rest of the session twice.
START = """
import os, signal, sys, threading, time, traceback, warnings
from concurrent.futures import as_completed, wait
from catzilla.background_tasks import TaskLostInFork
from catzilla.executor import TaskExecutor
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of any fork with threads

def in_child(fn):
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
"""


def run(backend: Backend, script: str) -> None:
    ended = run_script(backend, START + textwrap.dedent(script) + "\nprint('the end')\n")
    assert (ended.returncode, ended.stdout) == (0, "the end\n"), ended.stderr


def test_the_child_has_threads_of_its_own(backend: Backend) -> None:
    run(
        backend,
        """
        local = threading.local()
        executor = TaskExecutor(2, "both", lambda: setattr(local, "pid", os.getpid()))
        assert executor.submit(lambda: local.pid).result() == os.getpid()

        def child():
            assert executor._threads == set()
            assert executor.submit(lambda: local.pid).result() == os.getpid()
            barrier = threading.Barrier(2)
            futures = [executor.submit(barrier.wait, 10) for _ in range(2)]
            wait(futures)
            assert {thread.name for thread in executor._threads} == {"both_0", "both_1"}
            executor.shutdown()
            assert not any(thread.is_alive() for thread in executor._threads)

        in_child(child)
        assert executor.submit(int, "3").result() == 3
        """,
    )


def test_futures_that_were_not_done_say_so(backend: Backend) -> None:
    run(
        backend,
        """
        executor = TaskExecutor(2)
        go = threading.Event()
        done = executor.submit(int, "5")
        assert done.result() == 5
        lost = [executor.submit(go.wait, 20) for _ in range(5)]
        cancelled = executor.submit(int)
        cancelled.cancel()
        called = []
        for future in lost:
            future.add_done_callback(called.append)
        threading.Thread(target=wait, args=(lost,), daemon=True).start()  # waits in the parent only

        def child():
            assert done.result() == 5 and cancelled.cancelled()
            assert set(as_completed(lost)) == set(lost)
            for future in lost:
                try:
                    future.result(10)
                except TaskLostInFork:
                    continue
                raise AssertionError
            assert called == []  # callbacks are the parent's: they may write to sockets that it shares
            executor.shutdown()

        in_child(child)
        go.set()
        assert all(future.result() for future in lost)
        assert len(called) == 5
        """,
    )


@pytest.mark.parametrize("how", ["executor.shutdown(wait=False)", "executor.submit(int).result(); executor.shutdown()"])
def test_one_that_was_shut_down_stays_so(backend: Backend, how: str) -> None:
    run(
        backend,
        f"""
        executor = TaskExecutor(1)
        go = threading.Event()
        go.set()
        {how}

        def child():
            executor.shutdown()
            try:
                executor.submit(int)
            except RuntimeError:
                return
            raise AssertionError

        in_child(child)
        """,
    )


def test_a_fork_while_other_threads_submit(backend: Backend) -> None:
    run(
        backend,
        """
        executor = TaskExecutor(2)
        stop = threading.Event()

        def submit():
            while not stop.is_set():
                executor.submit(int).result(20)

        threads = [threading.Thread(target=submit) for _ in range(3)]
        for thread in threads:
            thread.start()

        def child():
            assert executor.submit(int, "4").result(15) == 4
            executor.shutdown()

        for _ in range(20):
            in_child(child)
        stop.set()
        for thread in threads:
            thread.join()
        """,
    )


def test_a_process_pool_beside_it(backend: Backend) -> None:
    """multiprocessing's children end in their own way, which runs what the threading module has to do at exit."""
    run(
        backend,
        """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        executor = TaskExecutor(2)
        go = threading.Event()
        pending = [executor.submit(go.wait, 20) for _ in range(4)]
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as processes:
            assert list(processes.map(abs, range(-5, 0))) == [5, 4, 3, 2, 1]
        go.set()
        assert all(future.result() for future in pending)
        """,
    )
