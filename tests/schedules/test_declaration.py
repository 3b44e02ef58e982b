"""A schedule's mistakes are errors where it is declared."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import ConfigError

pytest.importorskip("cronsim", reason="needs the schedule extra")

OpenSystem = Callable[..., TaskSystem]


def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"every": 0}, "every=0"),
        ({"every": -1}, "from 0.01"),
        ({"every": float("nan")}, "every=nan"),
        ({"every": "5m"}, "timedelta"),
        ({"every": True}, "every=True"),
        ({"every": 5, "cron": "* * * * *"}, "both"),
        ({"missed": "once"}, "neither"),
        ({"cron": "* * * *"}, "five fields"),
        ({"cron": ""}, "it has 0 fields"),
        ({"cron": "0 0 * *"}, "it has 4 fields"),
        ({"cron": "61 * * * *"}, "not a cron expression: its minute is '61'; it must be 0 to 59"),
        ({"cron": "0 0 ? * *"}, r"its day-of-month is '\?'; it must be 1 to 31"),
        ({"cron": "0 0 * foo *"}, "its month is 'foo'; it must be 1 to 12, or jan to dec"),
        ({"cron": "0 0 * * 8"}, "its day-of-week is '8'; it must be 0 to 7"),
        ({"cron": "0 24 * * *"}, "its hour is '24'; it must be 0 to 23"),
        ({"cron": "0 12 25 * * *"}, "its hour is '25' .the first of six fields is the second."),
        ({"cron": "0 0 31 2 *"}, "never comes: no month '2' has a day '31'"),
        ({"cron": "0 0 31 2,4 *"}, "never comes: no month '2,4' has a day '31'"),
        ({"cron": "0 0 1 jan mon#6"}, "its day-of-week is 'mon#6'"),
        ({"cron": "@reboot"}, "the names are @yearly, .*to run at the start, submit the task there"),
        ({"cron": "@fortnightly"}, "the names are @yearly, "),
        ({"cron": "* * * * *", "timezone": "Berlin"}, "did you mean 'Europe/Berlin'"),
        ({"cron": "* * * * *", "timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
        ({"cron": "* * * * *", "timezone": "new york"}, "did you mean 'America/New_York'"),
        ({"cron": 5}, "must be a str"),
        ({"cron": "* * * * *", "timezone": "Europe/Bonn"}, "not a time zone"),
        ({"cron": "* * * * *", "timezone": 1}, "Europe/Berlin"),
        ({"every": 5, "timezone": "UTC"}, "goes with cron"),
        ({"every": 5, "missed": "never"}, "'once', 'skip', 'all'"),
        ({"every": 5, "missed": None}, "missed=None"),
        ({"every": 5, "overlap": 1}, "overlap=1"),
        ({"every": 5, "per": "cluster"}, "'host', 'process'"),
    ],
)
def test_a_bad_option_is_named(system: TaskSystem, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        system.task(**options)
    assert system.schedules() == []


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("@yearly", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@Daily ", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ],
)
def test_crons_own_names(system: TaskSystem, name: str, expression: str) -> None:
    assert system.add_schedule(nothing, cron=name, per="process").timetable == f"cron {expression!r} (UTC)"


def test_an_unknown_option_is_named(system: TaskSystem) -> None:
    with pytest.raises(ConfigError, match="'each' is not a"):
        system.task(each=5)
    with pytest.raises(ConfigError, match="'each' is not an option of a schedule"):
        system.add_schedule(nothing, each=5)


def test_a_function_that_needs_arguments_is_refused(system: TaskSystem) -> None:
    with pytest.raises(TypeError, match="without arguments"):

        @system.task(every=5, per="process")
        def greet(name: str) -> None:
            pass

    with pytest.raises(TypeError, match="with 2 positional arguments"):
        system.add_schedule(nothing, 1, 2, every=5, per="process")


def test_two_of_one_name_are_refused(system: TaskSystem) -> None:
    system.add_schedule(nothing, every=5, per="process")
    with pytest.raises(ConfigError, match="name="):
        system.add_schedule(nothing, every=6, per="process")
    system.add_schedule(nothing, every=6, per="process", name="other")
    assert [schedule.timetable for schedule in system.schedules()] == ["every 5 s", "every 6 s"]


def test_the_same_function_defined_again_takes_its_place(system: TaskSystem) -> None:
    for seconds in (5, 6):

        @system.task(every=seconds, per="process")
        def again() -> None:
            pass

    assert [schedule.timetable for schedule in system.schedules()] == ["every 6 s"]


def test_a_lock_directory_that_cannot_be_used_is_an_error(open_system: OpenSystem, tmp_path: Any) -> None:
    (tmp_path / "file").write_text("")
    system = open_system(lock_dir=str(tmp_path / "file" / "locks"))
    with pytest.raises(ConfigError, match="lock_dir="):
        system.task(every=5)(nothing)


def test_a_scheduled_task_is_a_task(system: TaskSystem) -> None:
    @system.task(every=timedelta(hours=1), per="process")
    def answer() -> int:
        return 42

    assert answer() == 42
    assert answer.submit().wait(20) == 42
    (schedule,) = system.schedules()
    assert (schedule.timetable, schedule.paused, schedule.runs, schedule.last_run) == ("every 3600 s", False, 0, None)
    assert "every 3600 s" in repr(schedule)


SCRIPT = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "cronsim":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
from catzilla import TaskSystem
system = TaskSystem(backend="python")
system.task(every=3600, per="process")(int)
try:
    system.task(cron="* * * * *")
except ImportError as error:
    print(error)
"""


def test_without_the_extra_cron_says_what_to_install() -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == 0, ended.stderr
    assert 'pip install -e ".[schedule]"' in ended.stdout


def test_who_uses_no_schedules_imports_none() -> None:
    probe = (
        "import sys, catzilla; catzilla.TaskSystem(backend='python').add_task(int).wait(20);"
        "sys.exit(any(name.startswith('catzilla.schedules') or name == 'cronsim' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", probe], timeout=50, check=False).returncode == 0
