"""Schedules of an application run from its server's start to its end."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from catzilla.conformance.rig import eventually

pytest.importorskip("fastapi", reason="needs the web extra")

from catzilla import Catzilla

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient


def test_they_run_while_it_serves(backend_name: str, tmp_path: Any) -> None:
    app = Catzilla(backend=backend_name)
    ran: list[str] = []

    @app.task(every=0.05)
    def early() -> None:
        ran.append("early")

    tasks = app.enable_background_tasks(workers=1, lock_dir=str(tmp_path))

    @app.task(every=0.05)
    def late() -> None:
        ran.append("late")

    app.add_schedule(ran.append, "with an argument", every=0.05, name="append")
    assert [schedule.next_run for schedule in app.schedules()] == [None] * 3
    for _ in range(2):
        ran.clear()
        with TestClient(app):
            eventually(lambda: {"early", "late", "with an argument"} == set(ran), "all have run")
        assert [schedule.next_run for schedule in app.schedules()] == [None] * 3
    tasks.shutdown()


def test_a_bad_one_is_refused_before_enabling_too() -> None:
    app = Catzilla()
    with pytest.raises(TypeError, match="without arguments"):

        @app.task(every=5)
        def greet(name: str) -> None:
            pass
