"""A limit's mistakes are errors where they are made."""

from __future__ import annotations

from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.background_tasks import ConfigError
from catzilla.conformance.rig import PATIENCE_S


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_concurrency": 0}, "at least 1"),
        ({"max_concurrency": True}, "must be an int"),
        ({"max_concurrency": "2"}, "must be an int"),
        ({"rate_limit": 10}, "'10/s'"),
        ({"rate_limit": "10"}, "'10/s'"),
        ({"rate_limit": "0/s"}, "from 1 to"),
        ({"rate_limit": "1/0s"}, "at least 1 s"),
        ({"rate_limit": "10/w"}, "'10/s'"),
        ({"limit_key": "stripe"}, "give max_concurrency or rate_limit"),
        ({"limit_key": 5, "max_concurrency": 1}, "must be a callable"),
        ({"unique": "always"}, "'queued'"),
        ({"unique": 1.5}, "'queued'"),
        ({"unique_key": len}, "give unique=True"),
        ({"unique": True, "unique_key": "id"}, "must be a callable"),
        ({"cancel_group": 7}, "cancel_group=7"),
        ({"cancel_group": ""}, "non-empty"),
    ],
)
def test_a_bad_option_is_named(system: TaskSystem, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        system.task(**options)
    with pytest.raises(ConfigError, match=told):
        system.add_task(int, **options)


def label(user: int, tags: list[str]) -> int:
    return user + len(tags)


def test_arguments_that_cannot_be_compared_are_an_error_at_the_submit(system: TaskSystem) -> None:
    with pytest.raises(TypeError, match=r"argument 1, \[1\], cannot be .*unique_key=lambda \*args, \*\*kwargs: "):
        system.add_task(len, [1], unique=True)
    with pytest.raises(TypeError, match=r"argument 2 \(tags\), \['x'\], cannot .*unique_key=lambda user, tags: "):
        system.add_task(label, 1, ["x"], unique=True)
    with pytest.raises(TypeError, match=r"argument tags, \['x'\], cannot be hashed"):
        system.add_task(label, 1, tags=["x"], unique=True)
    assert system.add_task(len, [1], unique=True, unique_key=tuple).wait(PATIENCE_S) == 1


def test_a_key_that_cannot_be_hashed_is_an_error_at_the_submit(system: TaskSystem) -> None:
    with pytest.raises(TypeError, match=r"limit_key of .*len gave \['a'\] \(a list\), and a key must be hashable"):
        system.add_task(len, "a", max_concurrency=1, limit_key=lambda text: [text])
    with pytest.raises(TypeError, match=r"unique_key of .*len gave \['a'\] \(a list\), and a key must be hashable"):
        system.add_task(len, "a", unique=True, unique_key=lambda text: [text])


def test_what_a_key_function_raises_is_the_submitters(system: TaskSystem) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        system.add_task(len, "a", max_concurrency=1, limit_key=lambda text: 1 / 0)
    (note,) = caught.value.__notes__
    assert note.startswith("in limit_key of ")

    same = ValueError("the same one each time")

    def refuse(text: str) -> str:
        raise same

    for _ in range(3):
        with pytest.raises(ValueError, match="the same one"):
            system.add_task(len, "a", unique=True, unique_key=refuse)
    assert len(same.__notes__) == 1
    assert system.unfinished() == 0


def test_a_task_without_limits_pays_nothing(system: TaskSystem) -> None:
    system.add_task(int).wait(PATIENCE_S)
    assert not system.has_limits
