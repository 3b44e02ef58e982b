"""Celery's calls on a task system of this process: change the import and the app line.

    from catzilla.integrations.celery import Celery, chain, chord, group

    app = Celery("shop")

There is no broker, no result backend and no worker to start. What needs one raises Unsupported and
names the alternative. docs/guides/celery.md shows the way, with what differs.
"""

from __future__ import annotations

from catzilla.canvas import Signature, chain, chord, chunks, group
from catzilla.errors import MaxRetriesExceeded as MaxRetriesExceededError
from catzilla.errors import Retry, TaskCancelled
from catzilla.errors import TaskTimeout as TimeLimitExceeded
from catzilla.integrations.celery_app import Celery, shared_task
from catzilla.integrations.celery_conf import Conf
from catzilla.integrations.celery_result import AsyncResult
from catzilla.integrations.celery_task import CeleryTask as Task
from catzilla.integrations.unsupported import Unsupported

TaskRevokedError = TaskCancelled

__all__ = [
    "AsyncResult",
    "Celery",
    "Conf",
    "MaxRetriesExceededError",
    "Retry",
    "Signature",
    "Task",
    "TaskRevokedError",
    "TimeLimitExceeded",
    "Unsupported",
    "chain",
    "chord",
    "chunks",
    "group",
    "shared_task",
]
