"""Executor.map."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from .conftest import PATIENCE_S, MakeExecutor


def test_in_order_until_the_shortest_ends(make_either: MakeExecutor) -> None:
    executor = make_either(3)
    assert list(executor.map(pow, range(10), [2] * 5, chunksize=3)) == [0, 1, 4, 9, 16]
    assert list(executor.map(int, [])) == []


def test_calls_start_before_anybody_looks(make_either: MakeExecutor) -> None:
    executor = make_either(2)
    ran: list[int] = []
    executor.map(ran.append, range(10))
    executor.shutdown()
    assert sorted(ran) == list(range(10))


def test_an_exception_comes_in_its_turn_and_cancels_the_rest(make_either: MakeExecutor) -> None:
    executor = make_either(1)
    go = threading.Event()
    ran: list[int] = []

    def call(n: int) -> int:
        ran.append(n)
        if n == 1:
            assert go.wait(PATIENCE_S)
            raise LookupError
        return n

    results = executor.map(call, range(50))
    assert next(results) == 0
    go.set()
    with pytest.raises(LookupError):
        next(results)
    executor.shutdown()
    assert len(ran) <= 50


def test_a_timeout_cancels_what_has_not_started(make_either: MakeExecutor) -> None:
    executor = make_either(1)
    go = threading.Event()
    ran: list[Any] = []

    def call(n: int) -> None:
        ran.append(n)
        assert go.wait(PATIENCE_S)

    results = executor.map(call, range(3), timeout=0.05)
    with pytest.raises(TimeoutError):
        next(results)
    go.set()
    executor.shutdown()
    assert 2 not in ran
