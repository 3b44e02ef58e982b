"""One step after the other instead of one inside the other: chains of any length need no deep stack."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class _Thread(threading.local):
    waiting: deque[Callable[[], object]] | None = None


_thread = _Thread()


def in_turn(step: Callable[[], object]) -> None:
    """Run ``step``; one that is asked for while another runs on this thread comes after it.

    Whoever asked first returns when all have run. What a step raises does not keep the others from
    running: the last such exception is raised at the end.
    """
    if _thread.waiting is not None:
        _thread.waiting.append(step)
        return
    _thread.waiting = waiting = deque([step])
    failed: BaseException | None = None
    try:
        while waiting:
            try:
                waiting.popleft()()
            except BaseException as error:
                failed = error
    finally:
        _thread.waiting = None
    if failed is not None:
        raise failed
