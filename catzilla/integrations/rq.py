"""RQ's calls on a task system of this process: change the import and the Queue line.

    from catzilla.integrations.rq import Queue, Retry

    job = Queue().enqueue(count_words, "http://example.org", job_timeout=30, retry=Retry(max=3))

There is no Redis and no worker to start. What needs one raises Unsupported and names the alternative.
"""

from __future__ import annotations

from typing import Any

from catzilla.integrations.rq_decorator import job
from catzilla.integrations.rq_job import Job, get_current_job
from catzilla.integrations.rq_options import Callback, Dependency, EnqueueData, Retry
from catzilla.integrations.rq_queue import Queue
from catzilla.integrations.unsupported import Unsupported

__all__ = [
    "Callback",
    "Dependency",
    "EnqueueData",
    "Job",
    "Queue",
    "Retry",
    "Unsupported",
    "get_current_job",
    "job",
]

_NO_WORKER = "there is no worker to start: jobs run on threads of this process, from the first one on"
_UNSUPPORTED = {
    "Worker": _NO_WORKER,
    "SimpleWorker": _NO_WORKER,
    "SpawnWorker": _NO_WORKER,
    "Connection": "there is no Redis; leave it out",
    "RateLimit": "use @system.task(rate_limit='10/s') and enqueue that task",
    "Repeat": "use system.add_schedule(fn, every=...)",
    "Group": "use catzilla.canvas.group",
    "Webhook": "send the request in on_success or on_failure",
    "cancel_job": "use job.cancel(), or queue.fetch_job(id).cancel()",
    "requeue_job": "enqueue the function again; retry=Retry(max=...) does it when it fails",
}


def __getattr__(name: str) -> Any:
    if name in _UNSUPPORTED:
        raise Unsupported(f"{name}: {_UNSUPPORTED[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
