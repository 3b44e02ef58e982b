"""More workers while tasks block, none for tasks that compute, fewer when there is nothing to do."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable

import pytest

from catzilla import TaskSystem, autoscale
from catzilla.conformance.rig import PATIENCE_S, eventually

from .measuring import measured

OpenSystem = Callable[..., TaskSystem]


def spin(seconds: float) -> None:
    """Compute in Python for so much of this thread's own CPU time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_blocked_workers_get_help(open_system: OpenSystem) -> None:
    # Given 200 tasks on two workers, which wait for each other: no 16 of them end before all those 16 run
    system = open_system(workers=2, min_workers=2, max_workers=32, enable_auto_scaling=True)
    together = threading.Barrier(16)
    batch = system.add_tasks(together.wait, [(PATIENCE_S,)] * 192)
    # Then so many run at once
    assert sorted(batch.wait(PATIENCE_S)) == sorted([*range(16)] * 12)
    stats = system.stats()
    assert 16 <= 2 + stats.workers_added <= 32
    assert stats.total_workers == 2 + stats.workers_added - stats.workers_removed


def test_it_goes_back_to_the_minimum(open_system: OpenSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a system that waits a tenth of the time before it gives slots back
    monkeypatch.setattr(autoscale, "IDLE_NS", autoscale.IDLE_NS // 10)
    monkeypatch.setattr(autoscale, "SHRINK_NS", autoscale.SHRINK_NS // 10)
    system = open_system(workers=2, min_workers=2, max_workers=16, enable_auto_scaling=True)
    system.add_tasks(time.sleep, [(0.1,)] * 100).wait(PATIENCE_S)
    assert system.stats().workers_added > 0
    # When there is nothing to do, then nothing is left of the growth after a while
    eventually(lambda: system.stats().total_workers == 2, "it is as small as before")
    stats = system.stats()
    assert stats.workers_removed == stats.workers_added


def test_it_never_goes_beyond_the_maximum(open_system: OpenSystem) -> None:
    system = open_system(workers=1, min_workers=1, max_workers=3, enable_auto_scaling=True)
    running = most = 0
    lock = threading.Lock()
    grown = threading.Event()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 3:
                grown.set()
        assert grown.wait(PATIENCE_S)
        time.sleep(0.05)
        with lock:
            running -= 1

    system.add_tasks(work, [()] * 40).wait(PATIENCE_S)
    assert most == 3
    assert system.stats().total_workers <= 3


@pytest.mark.timeout(180)
@pytest.mark.skipif(not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="threads compute at once without a GIL")
def test_computing_workers_get_none(open_system: OpenSystem) -> None:
    def check() -> None:
        system = open_system(workers=2, min_workers=2, max_workers=32, enable_auto_scaling=True)
        system.add_tasks(spin, [(0.02,)] * 60).wait(PATIENCE_S)
        assert system.stats().workers_added == 0

    # Whoever is kept from its CPU while it has the GIL keeps every worker from computing: they seem to be blocked
    measured(check)


def test_without_autoscaling_the_count_stays(open_system: OpenSystem) -> None:
    system = open_system(workers=2, enable_auto_scaling=False)
    batch = system.add_tasks(time.sleep, [(0.05,)] * 20)
    time.sleep(0.3)
    assert system.stats().total_workers == 2
    batch.wait(PATIENCE_S)


def test_decisions_are_logged(open_system: OpenSystem, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="catzilla"):
        system = open_system(workers=1, min_workers=1, max_workers=8, enable_auto_scaling=True)
        gate = threading.Event()
        batch = system.add_tasks(gate.wait, [(PATIENCE_S,)] * 20)
        eventually(
            lambda: any("workers" in r.getMessage() for r in caplog.records if r.levelno == logging.DEBUG),
            "it is logged",
        )
        gate.set()
        batch.wait(PATIENCE_S)


def test_a_retired_worker_finishes_its_task(open_system: OpenSystem) -> None:
    system = open_system(workers=1, min_workers=1, max_workers=4, enable_auto_scaling=True)
    gate = threading.Event()
    long = [system.add_task(gate.wait, PATIENCE_S) for _ in range(4)]
    eventually(lambda: len(system.running()) == 4, "it grew")
    gate.set()
    assert [task.wait(PATIENCE_S) for task in long] == [True] * 4
    assert system.add_task(int, "1").wait(PATIENCE_S) == 1


@pytest.mark.timeout(120)
def test_an_idle_system_hardly_wakes(open_system: OpenSystem) -> None:
    # Given a system that has worked, and now has nothing to do
    system = open_system(workers=4, enable_auto_scaling=True)
    system.add_tasks(int, [()] * 100).wait(PATIENCE_S)
    time.sleep(0.5)

    def check() -> None:
        switches_before, cpu_before = voluntary_switches(), time.process_time()
        time.sleep(3)
        # Then its threads wake fewer than twice a second in all, and it uses hardly any time
        assert voluntary_switches() - switches_before < 6 + 2  # the test's own sleep is one or two
        assert time.process_time() - cpu_before < 0.1

    # A thread that waits for its CPU, and then for the GIL, goes to sleep once more
    measured(check)


def voluntary_switches() -> int:
    """How often any thread that looks like the system's has gone to sleep."""
    total = 0
    for thread in threading.enumerate():
        if not thread.name.startswith("catzilla"):
            continue
        try:
            with open(f"/proc/self/task/{thread.native_id}/status") as status:
                lines = [line for line in status if line.startswith("voluntary_ctxt_switches")]
        except FileNotFoundError:  # it ended meanwhile
            continue
        total += int(lines[0].split()[1])
    return total
