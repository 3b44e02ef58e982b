"""The loop of a served application waits for the GIL a shorter while; the setting is put back."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from catzilla import Catzilla
from catzilla.background_tasks import TaskPriority
from catzilla.web.turns import SERVING_S

DEFAULT_S = 0.005
CHOSEN_S = 0.003


@pytest.fixture(autouse=True)
def usual_interval() -> Iterator[None]:
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(DEFAULT_S)
    yield
    sys.setswitchinterval(before_s)


def interval() -> object:
    return pytest.approx(sys.getswitchinterval(), abs=2e-6)  # whole microseconds, rounded down


def test_it_is_lowered_while_any_application_is_served(client_of):
    # Given two applications of one process
    one, other = Catzilla(), Catzilla()
    # When they are served, one within the other's time
    with client_of(one):
        with client_of(other):
            assert interval() == SERVING_S
        assert interval() == SERVING_S
    # Then the interval is the interpreter's own again
    assert interval() == DEFAULT_S


def test_one_that_somebody_chose_stays(client_of):
    sys.setswitchinterval(CHOSEN_S)
    with client_of(Catzilla()):
        assert interval() == CHOSEN_S
    assert interval() == CHOSEN_S


def test_one_that_was_chosen_meanwhile_stays(client_of):
    with client_of(Catzilla()):
        sys.setswitchinterval(CHOSEN_S)
    assert interval() == CHOSEN_S


def test_a_critical_task_that_waits_lowers_it_further_and_hands_it_back(client_of):
    app = Catzilla()
    app.enable_background_tasks(workers=1)
    with client_of(app):
        app.tasks.pause()
        waiting = app.add_task(int, priority=TaskPriority.CRITICAL)
        assert sys.getswitchinterval() < SERVING_S / 2
        app.tasks.resume()
        waiting.wait(20)
        assert interval() == SERVING_S
