"""group, map, starmap, chunks: many at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from catzilla.background_tasks import TaskCancelled, TaskStatus
from catzilla.canvas import chain, group
from catzilla.conformance.rig import PATIENCE_S


def test_the_value_is_the_list_of_values_in_order(tasks: Any) -> None:
    result = group(tasks.add.s(n, n) for n in range(20)).delay()
    assert result.wait(PATIENCE_S) == [2 * n for n in range(20)]
    assert result.kind == "group"
    assert [part.wait(0) for part in result.parts] == result.get()


def test_all_ways_to_write_it_are_the_same(tasks: Any) -> None:
    members = [tasks.add.s(1), tasks.add.s(2)]
    for written in (group(*members), group(members), group(iter(members))):
        assert written().join(PATIENCE_S) == [1, 2]
        assert len(written) == 2


def test_partial_arguments_go_to_every_member(tasks: Any) -> None:
    assert group(tasks.add.s(1), tasks.add.s(2)).delay(10).wait(PATIENCE_S) == [11, 12]


def test_in_a_chain_each_member_gets_the_value(tasks: Any) -> None:
    workflow = tasks.add.s(1) | group(tasks.add.s(1), tasks.add.s(2)) | group(tasks.total.s(), tasks.note.s())
    assert workflow.delay().wait(PATIENCE_S) == [5, ([2, 3],)]


def test_no_members(tasks: Any) -> None:
    assert (tasks.add.s(1) | group()).delay().wait(PATIENCE_S) == []
    assert (group() | tasks.total.s()).delay().wait(PATIENCE_S) == 0
    assert isinstance((tasks.fail.s() | group()).delay().exception(PATIENCE_S), LookupError)
    with pytest.raises(ValueError, match="holds no task"):
        group().delay()


@pytest.mark.timeout(240)
def test_a_hundred_thousand_members(tasks: Any) -> None:
    signature = tasks.add.s(1)
    result = group([signature] * 100_000).delay()
    assert sum(result.wait(200)) == 100_000


def test_it_ends_when_all_have_ended_as_the_first_that_failed(tasks: Any) -> None:
    gate = threading.Event()
    slow = tasks.system.task(lambda: gate.wait(PATIENCE_S))
    result = group(slow.s(), tasks.fail.s(), tasks.add.s(1)).delay()
    failing = result.parts[1]
    assert isinstance(failing.exception(PATIENCE_S), LookupError)
    assert not result.done()
    gate.set()
    error = result.exception(PATIENCE_S)
    assert isinstance(error, LookupError)
    assert error.__notes__ == [f"failed in {tasks.fail.name}: member 2 of 3 of the workflow"]
    assert result.failed_steps() == [failing]
    assert result.completed_count() == 2


def test_cancelling_it(tasks: Any) -> None:
    result = group(tasks.add.s(n).set(delay_ms=3_600_000) for n in range(5)).delay()
    assert result.cancel() is True
    with pytest.raises(TaskCancelled):
        result.wait(PATIENCE_S)
    assert [step.status for step in result.steps()] == [TaskStatus.CANCELLED] * 5
    assert result.cancel() is False


def test_waiting_for_one_inside_a_task(open_tasks: Callable[..., Any]) -> None:
    tasks = open_tasks(workers=1)

    def outer() -> Any:
        first = group(tasks.add.s(n) for n in range(50)).delay().wait()
        return sum(first), (group(tasks.add.s(1), tasks.add.s(2)) | tasks.total.s()).delay().wait(PATIENCE_S)

    assert tasks.system.add_task(outer).wait(PATIENCE_S) == (1225, 3)


def test_map_and_starmap_are_one_task(tasks: Any) -> None:
    assert tasks.add.map([1, 2, 3]).delay().wait(PATIENCE_S) == [1, 2, 3]
    result = tasks.add.starmap([(1, 2), (3, 4)]).delay()
    assert result.wait(PATIENCE_S) == [3, 7]
    assert result.name == f"starmap of {tasks.add.name}"
    assert tasks.double.map([1, 2]).delay().wait(PATIENCE_S) == [2, 4]
    assert tasks.double.starmap([(1,)]).delay().wait(PATIENCE_S) == [2]
    assert tasks.system.stats().submitted == 4


def test_map_without_items_takes_the_value_before(tasks: Any) -> None:
    workflow = chain(group(tasks.add.s(1), tasks.add.s(2)), tasks.double.map(), tasks.total.s())
    assert workflow.delay().wait(PATIENCE_S) == 6


def test_chunks_is_a_group_of_starmaps(tasks: Any) -> None:
    chunked = tasks.add.chunks(zip(range(7), range(7), strict=True), 3)
    assert chunked.group().delay().wait(PATIENCE_S) == [[0, 2, 4], [6, 8, 10], [12]]
    assert len(chunked) == 3
    for wrong, error in ((0, ValueError), ("3", TypeError), (True, TypeError)):
        with pytest.raises(error, match="chunk"):
            tasks.add.chunks([(1,)], wrong)
