"""Structured log records."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from catzilla import TaskSystem
from catzilla.conformance.rig import PATIENCE_S, eventually
from catzilla.observe import JsonFormatter, TaskContextFilter, TaskLogger


class Lines:
    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger(name)
        self.logger.setLevel(logging.DEBUG)
        self.logger.propagate = False
        self._text = io.StringIO()
        self.handler = logging.StreamHandler(self._text)
        self.handler.setFormatter(JsonFormatter())
        self.handler.addFilter(TaskContextFilter())
        self.logger.addHandler(self.handler)

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._text.getvalue().splitlines()]


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Any:
    lines = Lines(f"tests.{request.node.name}")
    yield lines
    lines.logger.removeHandler(lines.handler)


def test_each_event_is_a_record_with_its_facts(system: TaskSystem, lines: Lines) -> None:
    system.observe(TaskLogger(lines.logger))

    def fails() -> None:
        raise ValueError("no")

    result = system.add_task(fails, name="fails", max_retries=1, retry_base_ms=0, retry_backoff="fixed")
    assert isinstance(result.exception(PATIENCE_S), ValueError)
    eventually(lambda: any(line["event"] == "finished" for line in lines.read()), "observers know")
    told = [line for line in lines.read() if line["event"] != "accepted"]
    assert [line["event"] for line in told] == ["started", "retried", "started", "finished"]
    assert {line["task_id"] for line in lines.read()} == {result.task_id}
    assert [line["attempt"] for line in told] == [1, 2, 2, 2]
    assert told[-1]["outcome"] == "failed"
    assert told[-1]["level"] == "WARNING"
    assert told[-1]["message"] == "task fails is FAILED: ValueError: no"
    assert told[-1]["lane"] == "normal"


def test_what_a_task_logs_has_its_id(system: TaskSystem, lines: Lines) -> None:
    result = system.add_task(lambda: lines.logger.info("inside"), name="speaks")
    result.wait(PATIENCE_S)
    lines.logger.info("outside")
    inside, outside = lines.read()
    assert (inside["message"], inside["task_id"], inside["task_name"], inside["attempt"]) == (
        "inside",
        result.task_id,
        "speaks",
        1,
    )
    assert "task_id" not in outside


def test_an_exception_is_part_of_its_line(lines: Lines) -> None:
    try:
        raise ValueError("no")
    except ValueError:
        lines.logger.exception("it went wrong")
    (line,) = lines.read()
    assert line["exception"].endswith("ValueError: no")
