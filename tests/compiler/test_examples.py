"""The functions that the project's first page shows: which run as C, and what is said of the others."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from test_tasks import ready, until

from catzilla import TaskSystem


class Service:
    def __getattr__(self, name: str) -> Any:
        return lambda *args: {"called": name, "with": args}


database = ml_model = notification_service = email_service = report_generator = Service()
security_logger = logging.getLogger("tests.compiler.security")


def analyze_user_behavior(data: dict) -> dict:
    return database.analyze(data)


def send_notification(user_id: int, message: str) -> dict:
    """Fast notification - compiled to C automatically"""
    print(f"📧 Sending to user {user_id}: {message}")
    return {"status": "sent", "user_id": user_id}


def process_data(data: dict) -> dict:
    result = analyze_user_behavior(data)
    return {"processed": True, "result": result}


def fetch_user_data(user_id: int) -> dict:
    return database.get_user(user_id)


def analyze_behavior(user_data: dict) -> dict:
    return ml_model.analyze(user_data)


def send_recommendations(analysis: dict) -> dict:
    return notification_service.send(analysis)


def log_security_event(event: str) -> bool:
    security_logger.critical(event)
    return True


def send_email_notification(user_id: int, email: str) -> dict:
    return email_service.send(user_id, email)


def generate_monthly_report(month: int) -> dict:
    return report_generator.create_report(month)


LIBRARIES = [
    (process_data, ({"id": 1},), "database.analyze()"),
    (fetch_user_data, (1,), "database.get_user()"),
    (analyze_behavior, ({"id": 1},), "ml_model.analyze()"),
    (send_recommendations, ({"id": 1},), "notification_service.send()"),
    (log_security_event, ("login failed",), "security_logger.critical()"),
    (send_email_notification, (1, "a@b.c"), "email_service.send()"),
    (generate_monthly_report, (12,), "report_generator.create_report()"),
]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("user_id", "message"), [(7, "hé 😀"), (-(2**63), ""), (0, "a" * 5000), (1, "{x} %s \\n\n")])
def test_send_notification(user_id: int, message: str, system: TaskSystem, capsys: pytest.CaptureFixture[str]) -> None:
    # Given what Python does
    wanted = send_notification(user_id, message)
    printed = capsys.readouterr().out
    # When it runs as C
    task = system.task(compile_to_c=True)(send_notification)
    native = ready(system, task, 1, "first")
    capsys.readouterr()
    got = task.submit(user_id, message).wait(10)
    # Then nobody can tell
    assert (got, list(got), repr(got)) == (wanted, list(wanted), repr(wanted))
    assert type(got["user_id"]) is int
    assert capsys.readouterr().out == printed
    assert (native.runs, native.deopts) == (1, 0)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("arguments", "kind"), [(("7", "x"), "str"), ((True, "x"), "bool"), ((2**63, "x"), "64 bits")])
def test_send_notification_with_other_types(
    arguments: tuple[Any, ...], kind: str, system: TaskSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = send_notification(*arguments)
    printed = capsys.readouterr().out
    task = system.task(compile_to_c=True)(send_notification)
    native = ready(system, task, 1, "first")
    capsys.readouterr()
    got = task.submit(*arguments).wait(10)
    assert repr(got) == repr(wanted)
    assert capsys.readouterr().out == printed
    assert (native.runs, native.deopts) == (0, 1)
    assert "called with" in task.explain()
    assert kind in task.explain()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("fn", "arguments", "named"), LIBRARIES, ids=[fn.__name__ for fn, _, _ in LIBRARIES])
def test_what_calls_a_library(
    fn: Any, arguments: tuple[Any, ...], named: str, system: TaskSystem, caplog: pytest.LogCaptureFixture
) -> None:
    task = system.task(compile_to_c=True)(fn)
    with caplog.at_level(logging.WARNING):
        assert task.submit(*arguments).wait(10) == fn(*arguments)
        # The types of a dict are those of the call: the reason is there once it was seen.
        until(lambda: task.submit(*arguments).wait(10) == fn(*arguments) and named in task.explain())
    assert "runs as Python: line " in task.explain()
    warned = [record.getMessage() for record in caplog.records if "runs as Python" in record.getMessage()]
    assert len(warned) == 1
    assert named in warned[0]
    assert system.stats().native_executions == 0
