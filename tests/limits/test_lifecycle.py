"""Tasks that their limits hold back, at a fork and at the interpreter's exit."""

from __future__ import annotations

import subprocess
import textwrap

from catzilla.conformance.lifecycle import run_script
from catzilla.interface import Backend


def run(backend: Backend, script: str) -> subprocess.CompletedProcess[str]:
    return run_script(backend, "from catzilla import TaskSystem\n" + textwrap.dedent(script))


def test_a_script_that_submits_and_ends_at_once(backend: Backend) -> None:
    ended = run(
        backend,
        """
        system = TaskSystem(workers=2)
        for n in range(5):
            system.add_task(print, n, max_concurrency=1)
        """,
    )
    assert (ended.returncode, ended.stdout.split(), ended.stderr) == (0, list("01234"), "")


def test_what_cannot_go_on_in_time_is_reported_at_exit(backend: Backend) -> None:
    ended = run(
        backend,
        """
        system = TaskSystem(workers=2, shutdown_timeout=0.2)
        results = [system.add_task(int, rate_limit="1/h") for n in range(3)]
        results[0].wait(20)
        """,
    )
    assert ended.returncode == 0
    assert "2 tasks were cancelled" in ended.stderr


def test_the_child_of_a_fork_begins_anew(backend: Backend) -> None:
    ended = run(
        backend,
        """
        import os, threading, warnings
        from catzilla.background_tasks import TaskLostInFork
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork of a process with threads

        go_on = threading.Event()
        system = TaskSystem(workers=2)
        running = system.add_task(go_on.wait, 20, max_concurrency=1, limit_key="one")
        parked = system.add_task(int, max_concurrency=1, limit_key="one")
        child = os.fork()
        if not child:
            try:
                parked.wait(20)
            except TaskLostInFork:
                print("lost", flush=True)
            print(system.add_task(int, "7", max_concurrency=1, limit_key="one").wait(20), flush=True)
            print(system.stats().parked, flush=True)
            system.shutdown()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        go_on.set()
        print(parked.wait(20))
        """,
    )
    assert (ended.returncode, ended.stdout.split(), ended.stderr) == (0, ["lost", "7", "0", "0"], "")
