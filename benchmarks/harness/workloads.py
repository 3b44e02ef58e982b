"""The tasks. Functions of a module, so that also those can run them whose workers are other processes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial
from time import perf_counter

TASK_S = 20e-6


def noop() -> None:
    pass


def now_ns() -> int:
    """Tells when it started. The clock is the same in every process of a machine."""
    return time.perf_counter_ns()


def price(quantity: int, unit: int) -> int:
    """The smallest kernel that does something."""
    return quantity * unit + 7


def spin(turns: int) -> int:
    """A loop that no compiler replaces by a formula: Python, C, Go, Rust and C++ run the same steps."""
    x = 1
    for _ in range(turns):
        x = (x * 1103515245 + 12345) % 2147483648
    return x


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"?\n")
        return connection.recv(64)


def serial(fn: Callable[[], object], n: int) -> float:
    """Seconds for n calls in a plain loop."""
    start = perf_counter()
    for _ in range(n):
        fn()
    return perf_counter() - start


def turns_for(seconds: float) -> int:
    """For how many turns ``spin`` takes that long in this interpreter on this machine."""
    turns = 100
    while (once := min(serial(partial(spin, turns), 1) for _ in range(20))) < 5 * seconds:
        turns *= 2
    return max(1, round(turns * seconds / once))
