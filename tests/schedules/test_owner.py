"""One owner per host: of several processes (or systems) one runs a schedule, and another takes over."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.schedules.owner import Owner

OpenSystem = Callable[..., TaskSystem]
LOCK_DIR = "locks"


def tick() -> None:
    pass


@pytest.fixture
def two(open_system: OpenSystem, tmp_path: Path) -> tuple[TaskSystem, TaskSystem]:
    first, second = (open_system(lock_dir=str(tmp_path)) for _ in range(2))
    return first, second


def test_one_runs_it_and_the_other_takes_over(two: tuple[TaskSystem, TaskSystem]) -> None:
    first, second = two
    mine = first.add_schedule(tick, every=0.05)
    eventually(lambda: mine.runs >= 2, "mine.runs >= 2")
    theirs = second.add_schedule(tick, every=0.05)
    runs = mine.runs
    eventually(lambda: mine.runs >= runs + 3, "mine.runs >= runs + 3")
    assert (theirs.runs, theirs.is_owner, mine.is_owner) == (0, False, True)
    first.shutdown()
    eventually(lambda: theirs.runs >= 2, "theirs.runs >= 2")
    assert theirs.is_owner
    assert not mine.is_owner


@pytest.mark.parametrize("overlap", [False, True])
def test_who_stops_hands_over_when_its_run_has_ended(open_system: OpenSystem, tmp_path: Path, overlap: bool) -> None:
    first = open_system(lock_dir=str(tmp_path))
    started, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        assert go_on.wait(PATIENCE_S)

    schedule = first.add_schedule(slow, every=0.05, name="slow", overlap=overlap)
    assert started.wait(PATIENCE_S)
    assert schedule.is_owner
    first.shutdown(wait=False)
    heir = Owner(str(tmp_path), "slow", __file__)
    assert heir.acquire() is overlap
    go_on.set()
    eventually(heir.acquire, "the next process has it")


def test_who_takes_no_more_tasks_lets_others_run_the_schedules(two: tuple[TaskSystem, TaskSystem]) -> None:
    first, second = two
    mine = first.add_schedule(tick, every=0.05)
    eventually(lambda: mine.is_owner, "mine.is_owner")
    theirs = second.add_schedule(tick, every=0.05)
    first.shutdown(wait=False)  # the process lives on
    eventually(lambda: theirs.runs >= 2, "theirs.runs >= 2")


def test_per_process_each_runs_it(two: tuple[TaskSystem, TaskSystem]) -> None:
    schedules = [system.add_schedule(tick, every=0.05, per="process") for system in two]
    eventually(lambda: all(schedule.runs >= 2 for schedule in schedules), "both run it")


def test_another_directory_is_another_owner(open_system: OpenSystem, tmp_path: Path) -> None:
    systems = [open_system(lock_dir=str(tmp_path / name)) for name in ("staging", "production")]
    schedules = [system.add_schedule(tick, every=0.05) for system in systems]
    eventually(lambda: all(schedule.runs >= 2 for schedule in schedules), "both run it")


def test_a_pause_holds_for_all_of_them(two: tuple[TaskSystem, TaskSystem]) -> None:
    mine, theirs = (system.add_schedule(tick, every=0.05) for system in two)
    eventually(lambda: mine.runs + theirs.runs >= 1, "mine.runs + theirs.runs >= 1")
    owner, other = (mine, theirs) if mine.is_owner else (theirs, mine)
    other.pause()
    assert owner.paused
    eventually(lambda: owner.last_run is not None, "owner.last_run is not None")
    settled = owner.last_run
    eventually(lambda: owner.last_run != settled, "it was due again")  # a due time that passes while it is paused
    settled = owner.last_run
    eventually(lambda: owner.last_run != settled, "owner.last_run != settled")
    runs = owner.runs
    settled = owner.last_run
    eventually(lambda: owner.last_run != settled, "owner.last_run != settled")
    assert owner.runs == runs
    other.resume()
    eventually(lambda: owner.runs > runs, "owner.runs > runs")


@pytest.mark.parametrize("what", ["mark", "directory"])
def test_a_pause_outlives_a_cleaner(two: tuple[TaskSystem, TaskSystem], tmp_path: Path, what: str) -> None:
    mine, theirs = (system.add_schedule(tick, every=0.05) for system in two)
    mine.pause()
    assert theirs.paused
    (mark,) = tmp_path.glob("*.paused")
    if what == "mark":
        mark.unlink()
    else:
        tmp_path.rename(f"{tmp_path}-cleaned")  # in one step: both go on writing into it
    assert theirs.paused  # it had seen it
    assert mark.exists()
    assert mine.paused

    mark.unlink()
    eventually(mark.exists, "who looks when it is due writes it anew")
    runs = mine.runs + theirs.runs
    theirs.resume()
    assert not mine.paused
    eventually(lambda: mine.runs + theirs.runs > runs, "it runs again")


def test_a_resume_outlives_a_cleaner(two: tuple[TaskSystem, TaskSystem], tmp_path: Path) -> None:
    mine, theirs = (system.add_schedule(tick, every=3600) for system in two)
    mine.pause()
    assert theirs.paused
    (mark,) = tmp_path.glob("*.paused")
    mark.unlink()
    mine.resume()  # nobody looked at it in between
    assert not theirs.paused
    mark.unlink()
    assert not theirs.paused
    assert not mark.exists()


def test_who_comes_next_goes_on_where_the_last_one_was(open_system: OpenSystem, tmp_path: Path) -> None:
    first = open_system(lock_dir=str(tmp_path))
    schedule = first.add_schedule(tick, every=0.05)
    eventually(lambda: schedule.runs >= 1, "schedule.runs >= 1")
    first.shutdown()
    last = schedule.last_run
    assert last is not None
    second = open_system(lock_dir=str(tmp_path))
    later = second.add_schedule(tick, every=86_400)
    assert later.next_run is not None
    assert abs((later.next_run - last).total_seconds() - 86_400) < 1


PROCESS = """
import os, sys, time
from catzilla import TaskSystem

def beat():
    with open(sys.argv[2], "a") as file:
        print(os.getpid(), file=file)

system = TaskSystem(workers=1, lock_dir=sys.argv[1], backend=sys.argv[3])
system.add_schedule(beat, every=0.05, name="beat")
print("up", flush=True)
sys.stdin.read()
"""


def test_a_process_that_is_killed_is_replaced(backend_name: str, tmp_path: Path) -> None:
    beats = tmp_path / "beats"
    beats.touch()
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "locks"), str(beats), backend_name]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
        eventually(lambda: len(beats.read_text().split()) >= 3, "len(beats.read_text().split()) >= 3")
        (owner,) = set(beats.read_text().split())
        dead = next(process for process in processes if str(process.pid) == owner)
        dead.kill()
        dead.wait(PATIENCE_S)
        eventually(lambda: len(set(beats.read_text().split())) == 2, "len(set(beats.read_text().split())) == 2")
        heir = beats.read_text().split()[-1]
        assert heir != owner
        assert set(beats.read_text().split()) == {owner, heir}
    finally:
        for process in processes:
            process.kill()
            process.communicate()


FORK = """
import os, sys
from catzilla.schedules.owner import Owner

mine, other = (Owner(sys.argv[1], "name", "file") for _ in range(2))
assert mine.acquire() and not other.acquire()
child = os.fork()
if not child:
    mine.release()
    os._exit(0)
os.waitpid(child, 0)
assert not other.acquire()
mine.release()
assert other.acquire()
"""


def test_a_child_that_lets_go_of_its_copy_leaves_the_lock_alone(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FORK, str(tmp_path)], timeout=50, check=True)


CHILD = """
import os, sys, time, warnings
from catzilla import TaskSystem
warnings.simplefilter("ignore", DeprecationWarning)  # a fork of a process with threads

ran = []
def beat():
    ran.append(os.getpid())

def until(condition):
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()

system = TaskSystem(workers=1, lock_dir=sys.argv[1])
schedule = system.add_schedule(beat, every=0.05, name="beat")
assert until(lambda: ran)
ready, tell = os.pipe()
looked, has_looked = os.pipe()
child = os.fork()
if not child:
    ran.clear()
    assert system.add_task(int, "7").wait(20) == 7
    assert not schedule.is_owner
    os.write(has_looked, b"x")
    os.read(ready, 1)  # the parent has shut down
    assert until(lambda: schedule.is_owner and ran)
    os._exit(0)
runs = len(ran)
assert until(lambda: len(ran) > runs)
os.close(has_looked)  # the read below ends with the child, too
assert os.read(looked, 1) == b"x"
system.shutdown()
os.write(tell, b"x")
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_child_stands_by_and_takes_over(backend_name: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("CATZILLA_BACKEND", backend_name)
    subprocess.run([sys.executable, "-c", CHILD, str(tmp_path)], timeout=50, check=True)


def test_a_lock_file_that_is_cleaned_away_leaves_one_owner(two: tuple[TaskSystem, TaskSystem], tmp_path: Path) -> None:
    first, second = two
    mine = first.add_schedule(tick, every=0.05)
    eventually(lambda: mine.is_owner, "it is the owner")
    for file in [path for path in tmp_path.rglob("*") if path.is_file()]:
        file.unlink()
    theirs = second.add_schedule(tick, every=0.05)
    eventually(lambda: mine.is_owner != theirs.is_owner and mine.runs + theirs.runs >= 5, "one owner, and it runs")
