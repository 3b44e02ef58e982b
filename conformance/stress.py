"""Many tasks and many threads: nothing is lost, nothing runs twice, nothing grows."""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskPriority, TaskStatus

from . import rig
from .rig import eventually
from .suite import BackendSuite

OpenSystem = Callable[..., TaskSystem]

PATIENCE_S = 2.5 * rig.PATIENCE_S


def nothing() -> None: ...


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class StressTests(BackendSuite):
    def test_every_task_runs_exactly_once(self, open_system: OpenSystem) -> None:
        # Given 30,000 tasks, one by one and in batches, on every lane
        system = open_system(workers=4, queue_size=100_000)
        ran: list[int] = []
        note = system.task(ran.append)
        results = []
        for n in range(20_000):
            results.append(note.submit(n))
        batch = system.add_tasks(note, [(n,) for n in range(20_000, 25_000)])
        for n in range(25_000, 30_000):
            results.append(system.add_task(note, n, priority=TaskPriority(n % 4)))
        # When all are over
        system.drain(PATIENCE_S)
        # Then each ran once, and the counters know it
        assert Counter(ran) == Counter(range(30_000))
        assert all(result.status is TaskStatus.COMPLETED for result in (*results, *batch))
        stats = system.stats()
        assert (stats.submitted, stats.completed, stats.failed, stats.total_queued) == (30_000, 30_000, 0, 0)

    def test_a_thousand_threads_submit(self, open_system: OpenSystem) -> None:
        system = open_system(workers=2)
        results: list[int] = []

        def submit(n: int) -> None:
            results.append(system.add_task(int, str(n)).wait(PATIENCE_S))

        threads = [threading.Thread(target=submit, args=(n,)) for n in range(1_000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert sorted(results) == list(range(1_000))
        assert system.stats().completed == 1_000

    def test_cancelling_while_it_runs(self, open_system: OpenSystem) -> None:
        system = open_system(workers=2, queue_size=20_000)
        ran: list[int] = []
        results = [system.add_task(ran.append, n) for n in range(10_000)]
        cancelled = {n for n in range(9_999, -1, -3) if results[n].cancel()}
        system.drain(PATIENCE_S)
        assert Counter(ran) == Counter(set(range(10_000)) - cancelled)
        stats = system.stats()
        assert (stats.completed, stats.cancelled) == (10_000 - len(cancelled), len(cancelled))

    def test_waiters_of_every_kind_at_once(self, open_system: OpenSystem) -> None:
        # Given threads that submit and wait, with callbacks, on few workers
        system = open_system(workers=2)
        called: list[int] = []
        failures: list[BaseException] = []

        def use(me: int) -> None:
            try:
                for n in range(100):
                    result = system.add_task(int, str(me * 1_000 + n))
                    result.add_callback(lambda done: called.append(done.wait(0)))
                    assert result.wait(PATIENCE_S) == me * 1_000 + n
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=use, args=(me,)) for me in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        system.drain(PATIENCE_S)
        assert failures == []
        eventually(lambda: len(called) >= 1_000, "every callback was called")
        assert Counter(called) == Counter(me * 1_000 + n for me in range(10) for n in range(100))

    @pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc to measure memory")
    def test_memory_stays_flat(self, open_system: OpenSystem) -> None:
        # Given a system that has run 50,000 tasks
        system = open_system(workers=2, queue_size=100_000)

        def run(count: int) -> None:
            for _ in range(count // 10_000):
                for _ in range(10_000):
                    system.add_task(bytes, 1_000)
                system.drain(PATIENCE_S)

        run(50_000)
        gc.collect()
        before = resident_bytes()
        # When it runs 100,000 more whose results nobody keeps: 100 MB of them in all
        run(100_000)
        # Then it has not grown by more than noise: a round's results at once are 10 MB, which malloc may keep
        eventually(lambda: gc.collect() >= 0 and resident_bytes() - before < 30_000_000, "it is as small as before")
