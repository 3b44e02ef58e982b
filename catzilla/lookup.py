"""Task ids, and finding a task by its id.

An id is made when it is first asked for, and only then is the task entered here: nobody can look for
an id that nobody has seen, and tasks whose id is never used cost nothing.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from itertools import count
from typing import TYPE_CHECKING, Any

from .ext import Ext
from .interface import COMPLETED, Handle

if TYPE_CHECKING:
    from .system import TaskSystem


class Lookup:
    def __init__(self, system: TaskSystem) -> None:
        self._system = system
        self._keep = system.config.keep_results
        self.reset()

    def reset(self) -> None:
        """Also after a fork: a child must not go on with its parent's ids."""
        self._prefix = os.urandom(6).hex()
        self._next = count(1).__next__
        self._unfinished: dict[str, Handle] = {}
        self._finished: OrderedDict[str, Handle] = OrderedDict()
        self.lock = threading.RLock()

    def id_of(self, handle: Handle) -> str:
        ext: Ext = self._system.ensure_ext(handle)
        with self.lock:
            if ext.task_id is None:
                ext.task_id = f"{self._prefix}-{self._next()}"
                # Entered before the state is read; who settles sets the state before it looks here.
                self._unfinished[ext.task_id] = handle
                if handle.state() >= COMPLETED:
                    self.finished(handle, ext.task_id)
            return ext.task_id

    def finished(self, handle: Handle, task_id: str) -> None:
        if self._unfinished.pop(task_id, None) is None or not self._keep:
            return
        with self.lock:
            self._finished[task_id] = handle
            while len(self._finished) > self._keep:
                self._finished.popitem(last=False)

    def get(self, task_id: object) -> Any:
        if not isinstance(task_id, str):
            raise TypeError(f"task_id must be a str, not {task_id!r}")
        return self._unfinished.get(task_id) or self._finished.get(task_id)
