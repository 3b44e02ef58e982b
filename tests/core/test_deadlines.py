"""timeout_ms: the waiter is released, the slot is freed, and no other task is ever hit."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import TaskStatus, TaskTimeout, shield
from catzilla.conformance.rig import PATIENCE_S, eventually

OpenSystem = Callable[..., TaskSystem]


def spin(seconds: float) -> str:
    """Compute in Python."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "done"


def test_a_task_that_is_in_time_is_left_alone(system: TaskSystem) -> None:
    assert system.add_task(spin, 0.01, timeout_ms=10_000).wait(PATIENCE_S) == "done"
    assert system.stats().timed_out == 0


def test_task_timeout_is_not_the_waiters_timeout(system: TaskSystem) -> None:
    assert not issubclass(TaskTimeout, TimeoutError)
    gate = threading.Event()
    with pytest.raises(TaskTimeout, match="timeout_ms=20"):
        system.add_task(gate.wait, PATIENCE_S, timeout_ms=20).wait(PATIENCE_S)
    gate.set()


def test_it_runs_from_the_start_of_the_task_not_from_its_submit(open_system: OpenSystem) -> None:
    # Given a task that waits for the only worker longer than its deadline
    system = open_system(workers=1)
    before = system.add_task(time.sleep, 1.1)
    late = system.add_task(spin, 0.001, timeout_ms=1_000)
    assert before.wait(PATIENCE_S) is None
    assert late.wait(PATIENCE_S) == "done"


def test_each_attempt_has_the_whole_time(system: TaskSystem) -> None:
    attempts: list[int] = []

    def fail_twice() -> str:
        attempts.append(1)
        time.sleep(0.4)
        if len(attempts) < 3:
            raise ValueError
        return "third"

    result = system.add_task(fail_twice, timeout_ms=1_000, max_retries=5, retry_base_ms=1)
    assert result.wait(PATIENCE_S) == "third"


def test_python_code_is_interrupted(open_system: OpenSystem) -> None:
    # Given a task that computes for ever
    system = open_system(workers=1)
    left = threading.Event()

    def forever() -> None:
        try:
            while True:
                pass
        finally:
            left.set()

    result = system.add_task(forever, timeout_ms=30)
    # Then its own thread leaves it, with its finally blocks run
    assert isinstance(result.exception(PATIENCE_S), TaskTimeout)
    assert left.wait(PATIENCE_S)
    eventually(lambda: system.stats().stuck_workers == 0, "the thread left")


def test_a_call_inside_c_is_counted_until_it_returns(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    lock = threading.Lock()
    lock.acquire()
    result = system.add_task(lock.acquire, timeout=PATIENCE_S, timeout_ms=20)
    with pytest.raises(TaskTimeout):
        result.wait(PATIENCE_S)
    stats = system.stats()
    assert stats.stuck_workers == 1
    assert stats.total_workers == 1
    assert system.add_task(int, "1").wait(PATIENCE_S) == 1
    lock.release()
    eventually(lambda: system.stats().stuck_workers == 0, "the call returned")


def test_at_most_max_stuck_workers_are_replaced(open_system: OpenSystem, caplog: pytest.LogCaptureFixture) -> None:
    # Given more stuck tasks than may be replaced
    system = open_system(workers=1, max_stuck_workers=2)
    gate = threading.Event()
    with caplog.at_level(logging.ERROR):
        stuck = [system.add_task(gate.wait, PATIENCE_S, timeout_ms=20) for _ in range(3)]
        for result in stuck:
            assert isinstance(result.exception(PATIENCE_S), TaskTimeout)
        # Then the slot of the third stays occupied, and that is logged
        blocked = system.add_task(int, "1")
        with pytest.raises(TimeoutError):
            blocked.wait(0.1)
        eventually(lambda: "max_stuck_workers=2" in caplog.text, "the limit was logged")
    # And goes on when the calls return
    gate.set()
    assert blocked.wait(PATIENCE_S) == 1


def test_innocent_tasks_are_never_hit(open_system: OpenSystem) -> None:
    # Given tasks that end at about the time of their deadline, and others on the same workers
    system = open_system(workers=2)
    risky = []
    innocent = []
    for n in range(150):
        risky.append(system.add_task(spin, 0.002 + (n % 5) * 0.001, timeout_ms=4))
        innocent.append(system.add_task(spin, 0.0005))
    # Then the others all end well, and each of the risky ones one way or the other
    assert {result.wait(PATIENCE_S) for result in innocent} == {"done"}
    for result in risky:
        error = result.exception(PATIENCE_S)
        assert error is None or isinstance(error, TaskTimeout)
    stats = system.stats()
    assert stats.timed_out == sum(result.status is TaskStatus.TIMED_OUT for result in risky)
    assert stats.completed + stats.timed_out == 300


def test_shield_defers_it(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    steps: list[str] = []

    def work() -> str:
        with shield():
            spin(0.15)  # past the deadline
            steps.append("the shielded part ended")
        while True:
            pass

    result = system.add_task(work, timeout_ms=50)
    assert isinstance(result.exception(PATIENCE_S), TaskTimeout)
    assert steps == ["the shielded part ended"]


def test_a_task_that_swallows_exceptions_is_timed_out_all_the_same(open_system: OpenSystem) -> None:
    system = open_system(workers=1)
    stop = threading.Event()

    def stubborn() -> None:
        while not stop.is_set():
            try:
                spin(0.05)
            except Exception:
                continue

    result = system.add_task(stubborn, timeout_ms=30)
    with pytest.raises(TaskTimeout):
        result.wait(PATIENCE_S)
    assert system.add_task(int, "1").wait(PATIENCE_S) == 1
    stop.set()


def test_many_deadlines_at_once(open_system: OpenSystem) -> None:
    system = open_system(workers=8)
    gate = threading.Event()
    results = [system.add_task(gate.wait, PATIENCE_S, timeout_ms=50) for _ in range(8)]
    for result in results:
        assert isinstance(result.exception(PATIENCE_S), TaskTimeout)
    assert system.add_tasks(int, [("1",)] * 50).wait(PATIENCE_S) == [1] * 50
    assert system.stats().timed_out == 8
    gate.set()
