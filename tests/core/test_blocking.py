"""The main thread sleeps in slices, so that a signal just before the sleep is handled soon."""

from __future__ import annotations

import threading
from typing import Any

from catzilla import blocking


class Sleeper:
    """A handle that is done after so many looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.asked: list[int] = []

    def wait_ns(self, timeout_ns: int) -> bool:
        self.asked.append(timeout_ns)
        return len(self.asked) >= self.looks


def test_the_main_thread_looks_up_between_slices() -> None:
    handle: Any = Sleeper(looks=3)
    assert blocking.wait_ns(handle, -1)
    assert handle.asked == [blocking.SLICE_NS] * 3


def test_a_time_limit_is_kept() -> None:
    handle: Any = Sleeper(looks=1 << 60)
    assert not blocking.wait_ns(handle, 1_000)
    assert all(0 <= asked <= 1_000 for asked in handle.asked)


def test_other_threads_sleep_in_one_piece() -> None:
    handle: Any = Sleeper(looks=1)
    thread = threading.Thread(target=blocking.wait_ns, args=(handle, -1))
    thread.start()
    thread.join()
    assert handle.asked == [-1]
