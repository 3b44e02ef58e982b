"""What a scenario may ask of whoever runs tasks: a backend, an executor, an event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, perf_counter_ns
from typing import Any, TypeVar

T = TypeVar("T")
Fn = Callable[[], object]


class Contender:
    """Runs functions on ``workers`` workers.

    A contender implements ``submit``, ``result`` and ``close``. The loops below are what its users
    would write; a contender whose users write something else overrides them.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def submit(self, fn: Fn) -> Any:
        """Queue a call of ``fn``; what comes back is kept and given to ``result``."""
        raise NotImplementedError

    def result(self, handle: Any) -> object:
        """Wait for the call and return its value."""
        raise NotImplementedError

    def urgent(self, fn: Fn) -> Any:
        """``submit`` ahead of everything else, where there is such a thing."""
        return self.submit(fn)

    def close(self) -> None:
        """Leave no worker behind; what is still pending need not run."""

    def burst(self, fn: Fn, n: int) -> float:
        """Seconds for n calls, submitted one by one, every result kept and waited for."""
        submit, result = self.submit, self.result
        start = perf_counter()
        handles = [submit(fn) for _ in range(n)]
        _ = [result(handle) for handle in handles]
        return perf_counter() - start

    def timed_call(self, fn: Callable[[], T], urgent: bool = False) -> tuple[T, int, int]:
        """Submit one call and wait: its value, and perf_counter_ns() before the submit and when the value was here."""
        submit = self.urgent if urgent else self.submit
        before_ns = perf_counter_ns()
        value: Any = self.result(submit(fn))
        return value, before_ns, perf_counter_ns()

    def fill(self, fn: Fn, handles: list[Any]) -> None:
        """Submit one call for each item of ``handles`` and put what comes back there."""
        submit = self.submit
        for i in range(len(handles)):
            handles[i] = submit(fn)

    def occupy(self) -> Fn:
        """Keep every worker busy until the returned function is called."""
        gate, started = threading.Event(), threading.Semaphore(0)

        def wait_at_gate() -> None:
            started.release()
            gate.wait()

        waiting = [self.submit(wait_at_gate) for _ in range(self.workers)]
        for _ in waiting:
            started.acquire()
        return gate.set


@dataclass(frozen=True)
class Offer:
    """A contender that could be measured, or why it cannot."""

    name: str
    open: Callable[[int], Contender]
    settings: str = ""
    """What it was set up with; stands beside its figures."""
    absent: str = ""
    """Why it cannot be measured here; empty: it can."""
    ours: bool = False
