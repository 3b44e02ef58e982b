"""What a scenario may ask of whoever runs tasks: a backend, an executor, an event loop, another language's pool."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, perf_counter_ns
from typing import Any, Self, TypeVar

T = TypeVar("T")
Fn = Callable[[], object]

# What a contender can do, and so which scenarios it takes part in.
NOOPS = "noops"  # no-op calls, one by one with results kept
LATENCY = "latency"  # one call, its value waited for
CALLS = "calls"  # tasks that compute, one by one with results kept
BULK = "bulk"  # a form of its own for many calls at once
URGENT = "urgent"  # calls of any function of this process, while another thread computes
PENDING = "pending"  # calls that wait, with their handles kept
POOL = "pool"  # a given number of threads of this process, taking closures
SCALES = "scales"  # no-op calls by the million, on any number of workers
WAITS = "waits"  # many calls that sleep or wait for a socket
AWAIT = "await"  # its handles, or something made of them, can be awaited
TREE = "tree"  # calls that submit calls and wait for them
KERNELS = "kernels"  # compiled functions
ARENAS = "arenas"  # memory of its own, or a process whose memory is compared with it
OURS = "ours"  # Catzilla's own options


class Contender:
    """Runs functions on ``workers`` workers.

    A contender implements ``submit``, ``result`` and ``close``, and what else its offer says that it
    can. The loops below are what its users would write; where they write something else it overrides them.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, fn: Fn) -> Any:
        """Queue a call of ``fn``; what comes back is kept and given to ``result``."""
        raise NotImplementedError

    def result(self, handle: Any) -> Any:
        """Wait for the call and return its value."""
        raise NotImplementedError

    def submit_at(self, fn: Fn, priority: int) -> Any:
        """``submit`` with a priority from 0 (CRITICAL) to 3 (LOW), where there is such a thing."""
        return self.submit(fn)

    def awaitable(self, fn: Fn) -> Awaitable[object]:
        """``submit`` on an event loop's thread."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave no worker behind; what is still pending need not run."""

    def burst(self, fn: Fn, n: int) -> float:
        """Seconds for n calls, submitted one by one, every result kept and waited for."""
        submit, result = self.submit, self.result
        start = perf_counter()
        handles = [submit(fn) for _ in range(n)]
        _ = [result(handle) for handle in handles]
        return perf_counter() - start

    def bulk(self, fn: Fn, n: int) -> float:
        """Seconds for a list of n results in the contender's own form for many calls."""
        raise NotImplementedError

    def sleeps(self, n: int, seconds: float) -> float:
        """Seconds for n calls that sleep."""
        from harness.workloads import sleep

        return self.burst(partial(sleep, seconds), n)

    def asks(self, n: int, port: int) -> float:
        """Seconds for n questions to a server on this machine, each on a connection of its own."""
        from harness.workloads import ask

        return self.burst(partial(ask, port), n)

    def timed_call(self, fn: Callable[[], T], priority: int = 2) -> tuple[T, int, int]:
        """Submit one call and wait: its value, and perf_counter_ns() before the submit and when the value was here."""
        submit = self.submit if priority == 2 else partial(self.submit_at, priority=priority)
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

    def tree(self, depth: int) -> float:
        """Seconds for a binary tree of calls, each of which submits two and waits for both."""

        def node(depth: int) -> int:
            if not depth:
                return 1
            left, right = (self.submit(partial(node, depth - 1)) for _ in range(2))
            return int(self.result(left) + self.result(right))

        start = perf_counter()
        leaves = self.result(self.submit(partial(node, depth)))
        seconds = perf_counter() - start
        assert leaves == 2**depth, leaves
        return seconds

    def compiled(self, kernel: str, form: str, n: int, turns: int = 0) -> float | None:
        """Seconds for n calls of the kernel ``price`` or ``spin``; None: there is no such form.

        ``form``: "one" by one with results kept, "list" (a list of arguments to a list of results) or
        "buffer" (buffers of machine integers to a buffer).
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Offer:
    """A contender that could be measured, or why it cannot."""

    name: str
    open: Callable[..., Contender]
    """Called with the number of workers, and by scenarios of ours with options."""
    can: frozenset[str]
    settings: str = ""
    """What it was set up with; stands beside its figures."""
    absent: str = ""
    """Why it cannot be measured here; empty: it can."""
    ours: bool = False
    version: str = ""
    slow: bool = False
    """Seconds rather than milliseconds to set up, or to wait for one result: one round, none in a quick run."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of its process."""
    python: str = ""
    """The interpreter of its process; empty: the benchmark's own. See harness.own_env."""
    prepare: Callable[[], str] = lambda: ""
    """Called once before the first measurement, in the process that starts the others: why it is absent after all."""
